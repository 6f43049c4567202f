"""Conventional Commits 1.0.0 (conventionalcommits.org), and what people write nearly like it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lockgate.tasks.release_notes import path_rules

# Rules 1, 4, 5 and 13: a noun, an optional scope, an optional `!`, a colon AND a space.
_HEADER = re.compile(
    r"(?P<type>[A-Za-z][A-Za-z0-9_-]{0,30})"
    r"(?:\((?P<scope>[^()\n]{1,80})\))?"
    r"(?P<bang>!)?: +(?P<description>\S.*)"
)
# A blank before the colon, or none after it: seen often, and never anything else than a prefix
# when the noun is a known type.
_LOOSE = re.compile(
    r"(?P<type>[A-Za-z]{2,12})"
    r" ?(?:\((?P<scope>[^()\n]{1,80})\))?"
    r" ?(?P<bang>!)? ?:(?!//) *(?P<description>\S.*)"
)
_BRACKETED = re.compile(r"\[(?P<type>[A-Za-z]{2,12})\]:? +(?P<description>\S.*)")
# Rules 8 to 12, 15 and 16: a word token or `BREAKING CHANGE`, then `: ` or ` #`. The breaking
# tokens must be upper case; a value may go on over lines until the next token.
_FOOTER = re.compile(
    r"^(?P<token>BREAKING[ -]CHANGE|[A-Za-z][A-Za-z0-9-]{0,40})(?:: | (?=#))(?P<value>.*)$",
    re.MULTILINE,
)
_BREAKING = frozenset({"BREAKING CHANGE", "BREAKING-CHANGE"})

TYPES: Mapping[str, str] = {
    alias: kind
    for kind, aliases in {
        "feat": "feat feature features feats enhancement enh",
        "fix": "fix fixes bugfix hotfix bug fixed",
        "docs": "docs doc documentation",
        "style": "style styles",
        "refactor": "refactor refactoring refac",
        "perf": "perf performance",
        "test": "test tests testing tst",
        "build": "build bld",
        "ci": "ci",
        "chore": "chore chores maint",
        "revert": "revert rvt",
        "security": "security sec",
        "deprecate": "deprecate deprecated depr",
        "remove": "remove removed",
        "bump": "bump",
        "release": "release",
        "deps": "deps",
    }.items()
    for alias in aliases.split()
}
"""Known type words, in lower case, with the type that each means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line of a message that has a prefix."""

    type: str
    """As written, in lower case (rule 15: case does not matter)."""
    description: str
    scope: str | None = None
    breaking: bool = False

    @property
    def kind(self) -> str | None:
        """The known type that the word means; None for a noun of the project's own."""
        return TYPES.get(self.type)


def header(subject: str) -> Header | None:
    """Parse a subject; None if it is not Conventional.

    `type: text` with any noun conforms to the specification. Nearly right prefixes are taken only
    with a known type.
    """
    found = _HEADER.fullmatch(subject)
    if found is None:
        return _nearly(subject)
    return _header(found)


def _nearly(subject: str) -> Header | None:
    if subject.startswith("["):
        tagged = _BRACKETED.fullmatch(subject)
        if tagged is None or tagged["type"].lower() not in TYPES:
            return None
        return Header(type=tagged["type"].lower(), description=tagged["description"].strip())
    found = _LOOSE.fullmatch(subject)
    if found is None or found["type"].lower() not in TYPES:
        return None
    return _header(found)


def _header(found: re.Match[str]) -> Header:
    return Header(
        type=found["type"].lower(),
        description=found["description"].strip(),
        scope=(found["scope"] or "").strip() or None,
        breaking=found["bang"] is not None,
    )


def breaking_notes(body: str) -> tuple[str, ...]:
    """Return what the `BREAKING CHANGE` footers of a body say, each as one line."""
    if "BREAKING" not in body:
        return ()
    footers = list(_FOOTER.finditer(body))
    notes = []
    for at, footer in enumerate(footers):
        if footer["token"] not in _BREAKING:
            continue
        end = footers[at + 1].start() if at + 1 < len(footers) else len(body)
        value = body[footer.start("value") : end].partition("\n\n")[0]
        if note := " ".join(value.split()):
            notes.append(note)
    return tuple(dict.fromkeys(notes))


def strip_label(subject: str) -> tuple[str | None, str]:
    """Split `[docs] text` and `Docs: text` into label and text; (None, subject) without one."""
    label, rest = path_rules.lead(subject)
    return label, rest or subject
