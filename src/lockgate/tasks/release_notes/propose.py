"""Proposes the next version by Semantic Versioning 2.0.0, and says why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lockgate.tasks.release_notes import versions
from lockgate.tasks.release_notes.commits import Change

_FIRST = "0.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A next version."""

    previous: str | None
    bump: versions.Bump | None
    version: str | None
    tag: str | None
    reason: str
    because: tuple[str, ...] = ()
    """Commits that decide it."""


def propose(previous_tag: str | None, sections: Mapping[str, Sequence[Change]]) -> Proposal:
    """Propose the version after `previous_tag` for changes grouped by section."""
    bump, why, because = _step(sections)
    if previous_tag is None:
        return Proposal(
            previous=None,
            bump=bump,
            version=_FIRST,
            tag=None,
            reason="there is no earlier release tag",
            because=because,
        )
    version = versions.parse(previous_tag)
    if version is None or version.calendar:
        what = "names no version" if version is None else "is a calendar version"
        return Proposal(
            previous=previous_tag,
            bump=bump,
            version=None,
            tag=None,
            reason=f"{why}; the tag `{previous_tag}` {what}",
            because=because,
        )
    raised, taken = versions.following(version, bump)
    if version.pre:
        why = f"`{version}` is a pre-release of `{raised}`"
    elif taken != bump:
        why += "; below 1.0.0 that raises the minor number"
    return Proposal(
        previous=previous_tag,
        bump=taken,
        version=str(raised),
        tag=f"{raised.prefix}{raised}",
        reason=why,
        because=because,
    )


def _step(
    sections: Mapping[str, Sequence[Change]],
) -> tuple[versions.Bump, str, tuple[str, ...]]:
    if breaking := sections.get("breaking"):
        return "major", f"{_count(len(breaking), 'breaking change')}", _commits(breaking)
    for name, what in (
        ("added", "addition"),
        ("deprecated", "deprecation"),  # semver.org, 7: a deprecation raises the minor number
        ("removed", "removal"),
    ):
        if found := sections.get(name):
            return "minor", _count(len(found), what), _commits(found)
    if fixed := [c for n in ("fixed", "security", "changed") for c in sections.get(n, ())]:
        return "patch", "fixes and changes only", _commits(fixed)
    return "patch", "nothing that users see", ()


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _commits(changes: Sequence[Change]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sha for change in changes for sha in change.commits))
