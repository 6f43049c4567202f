"""Keep a Changelog 1.1.0 sections, and the three that projects need beside them."""

import re
from collections.abc import Mapping, Sequence

from lockgate.tasks.release_notes import dependencies
from lockgate.tasks.release_notes.commits import Change

TITLES: Mapping[str, str] = {
    "breaking": "Breaking changes",
    "added": "Added",
    "changed": "Changed",
    "deprecated": "Deprecated",
    "removed": "Removed",
    "fixed": "Fixed",
    "security": "Security",
    "documentation": "Documentation",
    "dependencies": "Dependencies",
    "internal": "Internal",
    "other": "Other",
}
"""All sections in the order in which they stand."""

USER_FACING = frozenset(
    {"breaking", "added", "changed", "deprecated", "removed", "fixed", "security"}
)

_BY_TYPE: Mapping[str, str] = {
    "feat": "added",
    "fix": "fixed",
    "perf": "changed",
    "refactor": "changed",
    "revert": "changed",
    "security": "security",
    "deprecate": "deprecated",
    "remove": "removed",
    "docs": "documentation",
    "deps": "dependencies",
    "test": "internal",
    "ci": "internal",
    "build": "internal",
    "chore": "internal",
    "style": "internal",
    "bump": "internal",
    "release": "internal",
}
_DEPENDENCY_SCOPES = frozenset({
    "deps", "deps-dev", "dev-deps", "dependencies", "dependency", "dependencies-dev",
})  # fmt: skip
_BESIDE = frozenset({"test", "docs", "ci", "style"})
"""A test or a page about security repairs nothing, so nobody has to hurry for it."""
_ADVISORY = re.compile(r"\b(?:CVE-\d{4}-\d{4,9}|GHSA(?:-[0-9a-z]{4}){3})\b", re.IGNORECASE)
_REMOVES = re.compile(
    r"(?:remove|removes|removed|delete|deletes|drop|drops|dropped)\b", re.IGNORECASE
)
_ENDS_SUPPORT = re.compile(
    r"(?:drop|remove|end|discontinue)(?:s|ped|d|ed)? (?:\S{1,40} ){0,3}?support\b"
    r"|removal of (?:\S{1,40} ){0,3}?support\b"
    r"|drop(?:s|ped)? (?:end-of-life|eol|python|node|go|ruby|java|php|rust)\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\b(?:if|when|unless|once|after|that (?:are|is)|which)\b", re.IGNORECASE)
_DEPRECATES = re.compile(r"deprecat(?:e|es|ed|ing|ion)\b", re.IGNORECASE)


def section(change: Change) -> str:
    """Return the section that a classified change belongs to."""
    if change.breaking:
        return "breaking"
    scope = (change.scope or "").lower()
    if scope in _DEPENDENCY_SCOPES:
        return "dependencies"
    if scope == "security" and change.type not in _BESIDE:
        return "security"
    place = _BY_TYPE.get(change.type or "", "other")
    return _refined(change, place)


def _refined(change: Change, place: str) -> str:
    """Let the words settle what the type leaves open."""
    if place in {"documentation", "other"}:
        return place
    if _ADVISORY.search(change.text):
        return "security"
    if place != "fixed" and _ENDS_SUPPORT.match(change.text):
        return "removed"
    if place == "internal":
        return "dependencies" if _is_bump(change) else place
    if place in {"added", "changed"} and _DEPRECATES.match(change.text):
        return "deprecated"
    # `Remove the chunk if it is unused` is what the program now does, not what it lost.
    removes = _REMOVES.match(change.text) and not _CONDITION.search(change.text)
    return "removed" if place == "added" and removes else place


def _is_bump(change: Change) -> bool:
    if change.type not in {"chore", "build", "bump"}:
        return False
    return dependencies.parse(change.text) is not None


def group(changes: Sequence[Change]) -> Mapping[str, Sequence[Change]]:
    """Return the changes by section, in the sections' order; empty sections are left out.

    Inside a section, changes without a scope come first, then scope by scope; otherwise the
    order stays.
    """
    found: dict[str, list[Change]] = {name: [] for name in TITLES}
    for change in changes:
        found[section(change)].append(change)
    found["dependencies"] = list(dependencies.fold(found["dependencies"]))
    return {
        name: sorted(listed, key=lambda change: (change.scope or "").lower())
        for name, listed in found.items()
        if listed
    }
