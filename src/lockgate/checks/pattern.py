"""A check that looks for text that must, or must not, be there."""

from collections.abc import Sequence

import re2

from lockgate.checks.text import texts
from lockgate.domain.call import Draft
from lockgate.domain.digest import JsonObject
from lockgate.domain.verdict import Outcome, Verdict
from lockgate.errors import InvalidConfig

MAX_SHOWN = 80


class PatternCheck:
    """Fails an output that matches a forbidden pattern, or lacks a required one.

    Patterns are RE2, so that judging takes time linear in the output, whoever wrote them.
    """

    def __init__(
        self, name: str, *, required: Sequence[str] = (), forbidden: Sequence[str] = ()
    ) -> None:
        """Compile the patterns.

        Raises:
            InvalidConfig: a pattern is not RE2.

        """
        self.name = name
        self._required = [_compile(pattern) for pattern in required]
        self._forbidden = [_compile(pattern) for pattern in forbidden]

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        found = list(texts(draft.output))
        for pattern in self._forbidden:
            for text in found:
                if match := pattern.search(text):
                    return self._fail(f"found forbidden text `{match.group()[:MAX_SHOWN]}`")
        for pattern in self._required:
            if not any(pattern.search(text) for text in found):
                return self._fail(f"nothing matches `{pattern.pattern}`")
        return Verdict(check=self.name, outcome=Outcome.PASS)

    def _fail(self, reason: str) -> Verdict:
        return Verdict(check=self.name, outcome=Outcome.FAIL, reason=reason)


def _compile(pattern: str) -> "re2._Regexp[str]":
    options = re2.Options()
    options.log_errors = False  # the exception says it
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise InvalidConfig(
            f"`{pattern}` is not a pattern: {error}",
            hint="patterns are RE2: no look-around and no back-references",
        ) from error
