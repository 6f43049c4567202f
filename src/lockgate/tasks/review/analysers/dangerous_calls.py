"""Calls that run text as code, start shells, or switch a protection off."""

from collections.abc import Iterator, Mapping, Sequence

from lockgate.domain.finding import Finding, Severity
from lockgate.tasks.review import languages
from lockgate.tasks.review.analysers import pipelines
from lockgate.tasks.review.analysers.calls import (
    c,
    go,
    java,
    javascript,
    php,
    python,
    ruby,
    shell,
)
from lockgate.tasks.review.change import Change
from lockgate.tasks.review.matcher import Matcher
from lockgate.tasks.review.rule import Rule

_RULES: Mapping[str, Sequence[Rule]] = {
    "python": python.RULES,
    "javascript": javascript.RULES,
    "go": go.RULES,
    "java": java.RULES,
    "ruby": ruby.RULES,
    "php": php.RULES,
    "c": c.RULES,
    "shell": shell.RULES,
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
            matcher = self._matchers.get(_language(file.path))
            if matcher is None or languages.is_generated(file.path):
                continue
            lowered = languages.is_test(file.path)
            for rule, line in matcher.find(file.added):
                if not lowered or rule.severity is Severity.HIGH:
                    yield rule.at(file, line)


def _language(path: str) -> str:
    """Return the language of the calls in a file: pipelines and images run shell lines."""
    if pipelines.is_pipeline(path) or pipelines.is_image(path) or path.endswith("Makefile"):
        return "shell"
    return languages.language(path) or ""
