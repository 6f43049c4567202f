"""Calls that run text as code, start shells, or switch a protection off."""

from collections.abc import Iterator, Mapping, Sequence

from lockgate.domain.finding import Finding, Severity
from lockgate.tasks.review import languages
from lockgate.tasks.review.analysers.calls import javascript, python
from lockgate.tasks.review.change import Change
from lockgate.tasks.review.matcher import Matcher
from lockgate.tasks.review.rule import Rule

_RULES: Mapping[str, Sequence[Rule]] = {
    "python": python.RULES,
    "javascript": javascript.RULES,
}


class DangerousCalls:
    """Finds dangerous calls in added lines. In tests only those of high severity count."""

    rules = tuple(rule for rules in _RULES.values() for rule in rules)

    def __init__(self) -> None:
        self._matchers = {
            name: Matcher(rules, comments=languages.comments(name))
            for name, rules in _RULES.items()
        }

    def find(self, change: Change) -> Iterator[Finding]:
        for file in change.files:
            matcher = self._matchers.get(languages.language(file.path) or "")
            if matcher is None or languages.is_generated(file.path):
                continue
            lowered = languages.is_test(file.path)
            for rule, line in matcher.find(file.added):
                if not lowered or rule.severity is Severity.HIGH:
                    yield rule.at(file, line)
