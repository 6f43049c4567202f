"""Rules as data: what is looked for, what it means, and examples that hold the rule to it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lockgate.domain.finding import Finding, RuleText, Severity
from lockgate.tasks.review.change import Change, File, Line

MAX_SNIPPET = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A small change to one file, as lines or as a whole diff."""

    path: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    """Extended header lines, such as `new mode 100755`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing to look for."""

    id: str
    severity: Severity
    message: str
    """One sentence: what was found and why it matters."""
    help: str
    """What to do about it."""
    pattern: str = ""
    """RE2, searched in one line at a time; empty for rules that are more than a pattern."""
    positives: tuple[Example, ...] = ()
    negatives: tuple[Example, ...] = ()

    @property
    def text(self) -> RuleText:
        """What reports say of the rule."""
        return RuleText(id=self.id, severity=self.severity, title=self.message, help=self.help)

    def at(self, file: File, line: Line | None = None, *, message: str = "") -> Finding:
        """Return a finding of this rule."""
        return Finding(
            rule=self.id,
            severity=self.severity,
            message=message or self.message,
            path=file.path,
            line=line.number if line else None,
            snippet=snippet(line.text) if line else "",
        )


class Analyser(Protocol):
    """Finds things in a change. Time is linear in the change."""

    @property
    def rules(self) -> Sequence[Rule]:
        """Every rule that `find` may name."""
        ...

    def find(self, change: Change) -> Iterator[Finding]:
        """Yield findings in the order of the change. Occurrences are numbered later."""
        ...


def line_rule(
    id: str,  # noqa: A002  SARIF's word
    severity: Severity,
    pattern: str,
    *,
    said: tuple[str, str],
    path: str,
    examples: tuple[Sequence[str], Sequence[str]],
) -> Rule:
    """Return a rule for added lines of files like `path`.

    `said` is message and help; `examples` are lines that match and lines that do not.
    """
    return Rule(
        id=id,
        severity=severity,
        message=said[0],
        help=said[1],
        pattern=pattern,
        positives=lines(path, *examples[0]),
        negatives=lines(path, *examples[1]),
    )


def lines(path: str, *texts: str) -> tuple[Example, ...]:
    """Return one example a line, each added to the file `path`."""
    return tuple(Example(path=path, added=(text,)) for text in texts)


def removals(path: str, *texts: str) -> tuple[Example, ...]:
    """Return one example a line, each removed from the file `path`."""
    return tuple(Example(path=path, removed=(text,)) for text in texts)


def snippet(text: str) -> str:
    """Return a line for show: trimmed, printable, short."""
    text = "".join(c if c.isprintable() else " " for c in text[: MAX_SNIPPET * 4])
    text = " ".join(text.split())
    return text if len(text) <= MAX_SNIPPET else text[: MAX_SNIPPET - 1] + "…"
