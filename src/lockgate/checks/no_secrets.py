"""A check that nothing secret leaves in an answer."""

import re
from collections.abc import Iterator

from lockgate.checks.text import texts
from lockgate.domain.call import Draft
from lockgate.domain.digest import JsonObject
from lockgate.domain.verdict import Outcome, Verdict
from lockgate.ports import Guard

_PLACEHOLDER = re.compile(r"<secret:[a-z0-9-]+:[0-9]+>")  # linear: nothing repeats twice


class NoSecretsCheck:
    """Fails an output with a secret in it, or with a placeholder that the input does not have.

    A placeholder of the input may be quoted: it says where a secret was. One that was made up
    would claim a secret that nobody found.
    """

    name = "no-secrets"

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        found = self._guard.sanitise(draft.output).redactions
        if found:
            kinds = ", ".join(sorted({redaction.description for redaction in found}))
            return self._fail(f"the output holds a secret: {kinds}")
        invented = sorted(set(_placeholders(draft.output)) - set(_placeholders(given)))
        if invented:
            return self._fail(f"`{invented[0]}` stands for no secret of the input")
        return Verdict(check=self.name, outcome=Outcome.PASS)

    def _fail(self, reason: str) -> Verdict:
        return Verdict(check=self.name, outcome=Outcome.FAIL, reason=reason)


def _placeholders(value: JsonObject) -> Iterator[str]:
    for text in texts(value):
        if "<secret:" in text:
            yield from _PLACEHOLDER.findall(text)
