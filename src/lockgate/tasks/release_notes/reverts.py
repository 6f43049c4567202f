"""Cancels reverts: what came in and went out again within the range is no change."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.tasks.release_notes import subjects
from lockgate.tasks.release_notes.commits import Commit

_REVERT = re.compile(
    r"(?:\w{1,12}(?:\([^)]{1,60}\))?!?: )?revert(?:ed|s)?,?:? \"(.+)\"\s*", re.IGNORECASE
)
_REAPPLY = re.compile(
    r"(?:\w{1,12}(?:\([^)]{1,60}\))?!?: )?(?:reapply|reland|unrevert):? \"(.+)\"\s*", re.IGNORECASE
)
_PREFIX = re.compile(r"revert(?:\([^)]{1,60}\))?!?: (.+)", re.IGNORECASE)
_SHA = re.compile(
    r"\b(?:reverts? commits?|this reverts|refs:)\s{1,3}"
    r"([0-9a-f]{7,64}(?:[, \n]{1,3}(?:and )?[0-9a-f]{7,64}){0,20})",
    re.IGNORECASE,
)
_HEX = re.compile(r"[0-9a-f]{7,64}")
_ABBREVIATED = 7
_MAX_BODY = 4_100


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a commit says that it takes back."""

    shas: tuple[str, ...]
    subject: str | None


@dataclass(slots=True)
class _State:
    """The commits so far, and which of them still count."""

    active: dict[str, bool] = field(default_factory=dict)
    undone: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """For a revert, the commits that it took back."""
    by_subject: dict[str, list[str]] = field(default_factory=dict)
    by_prefix: dict[str, list[str]] = field(default_factory=dict)
    """Seven digits are the least that git abbreviates to."""


def cancelled(commits: Sequence[Commit], branches: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return the commits that cancel out. `commits` are newest first.

    A revert of a commit outside the range stays: it is a change to what was released. Reverting
    a revert brings back what it took. `branches` has the commits that each merge brought in.
    """
    state = _State()
    for commit in reversed(commits):
        state.active[commit.sha] = True
        claim = _claim(commit)
        if claim is not None:
            _take_back(state, commit.sha, _targets(state, claim, branches))
        state.by_subject.setdefault(_key(commit.subject), []).append(commit.sha)
        state.by_prefix.setdefault(commit.sha[:_ABBREVIATED], []).append(commit.sha)
    return frozenset(sha for sha, active in state.active.items() if not active)


def _take_back(state: _State, revert: str, found: tuple[tuple[str, ...], bool]) -> None:
    targets, all_found = found
    if not targets:
        return
    for target in targets:
        state.active[target] = False
        for restored in state.undone.get(target, ()):
            state.active[restored] = True
    state.undone[revert] = targets
    if all_found:
        state.active[revert] = False


def _claim(commit: Commit) -> _Claim | None:
    quoted = _REVERT.fullmatch(_bare(commit.subject))
    again = _REAPPLY.fullmatch(_bare(commit.subject)) if quoted is None else None
    prefixed = _PREFIX.fullmatch(commit.subject) if quoted is None and again is None else None
    if quoted is None and again is None and prefixed is None:
        return None
    shas = tuple(
        sha.lower()
        for group in _SHA.findall(commit.body[:_MAX_BODY])
        for sha in _HEX.findall(group)
    )
    if quoted is not None:
        return _Claim(shas, quoted[1])
    if again is not None:
        return _Claim(shas, f'Revert "{again[1]}"')
    assert prefixed is not None
    return _Claim(shas, prefixed[1])


def _targets(
    state: _State, claim: _Claim, branches: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, ...], bool]:
    """Return the commits of the range that are taken back, and whether those are all."""
    found: list[str] = []
    missing = False
    for sha in claim.shas:
        near = state.by_prefix.get(sha[:_ABBREVIATED], ())
        known = [s for s in near if s.startswith(sha)]
        if len(known) == 1:
            found += [known[0], *branches.get(known[0], ())]
        else:
            missing = True
    if found or not claim.subject:
        return tuple(dict.fromkeys(found)), not missing
    for sha in reversed(state.by_subject.get(_key(claim.subject), ())):
        # The newest one that still counts, or a revert that did its work and is now undone.
        if state.active[sha] or sha in state.undone:
            return (sha, *branches.get(sha, ())), True
    return (), False


def _bare(subject: str) -> str:
    return subjects.without_numbers(subject)[0]


def _key(subject: str) -> str:
    text = _bare(subject)
    if text.endswith('"'):
        text = f'{_bare(text[:-1])}"'
    return subjects.plain(text)
