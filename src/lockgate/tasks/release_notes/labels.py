"""What the labels and the title of a pull request say about a change that says nothing itself."""

from collections.abc import Mapping
from dataclasses import replace

from lockgate.tasks.release_notes import conventional, subjects
from lockgate.tasks.release_notes.commits import Change, Pull

_TYPES: Mapping[str, str] = {
    word: kind
    for kind, words in {
        "security": "security,vulnerability",
        "feat": "feature,enhancement,new feature,feat",
        "fix": "bug,bugfix,fix,regression,hotfix",
        "docs": "documentation,docs",
        "perf": "performance,perf",
        "deps": "dependencies,deps",
        "test": "test,tests,testing",
        "ci": "ci,github actions,github_actions",
        "refactor": "refactor,refactoring,cleanup",
        "build": "build,packaging",
        "chore": "chore,maintenance,internal",
        "deprecate": "deprecation,deprecated",
    }.items()
    for word in words.split(",")
}
_BREAKING = frozenset({
    "breaking", "breaking change", "breaking-change", "semver-major", "semver major", "major",
})  # fmt: skip
_CONFIDENCE = 0.95  # people set labels for triage, not for the notes


def apply(change: Change, pull: Pull | None) -> Change:
    """Return `change` with what its pull request adds; what the commit itself says comes first."""
    if pull is None:
        return change
    names = [_word(label) for label in pull.labels]
    if any(name in _BREAKING for name in names):
        change = replace(change, breaking=True)
    header = conventional.header(pull.title)
    if header is not None and header.breaking:
        change = replace(change, breaking=True)
    if change.type is not None:
        return change
    if header is not None and header.kind is not None:
        text = subjects.polish(subjects.without_numbers(header.description)[0]) or change.text
        return replace(
            change,
            text=change.text if change.branch else text,
            type=header.kind,
            scope=change.scope or header.scope,
            by="label",
        )
    kind = next((_TYPES[name] for name in names if name in _TYPES), None)
    if kind is None:
        return change
    return replace(change, type=kind, by="label", confidence=_CONFIDENCE)


def _word(label: str) -> str:
    """Cut the group off a label: `type: bug`, `kind/bug` and `C-bug` are `bug`."""
    name = label.lower().strip()
    for mark in (":", "/"):
        name = name.rpartition(mark)[2].strip()
    return name.removeprefix("c-").removeprefix("t-")
