"""Cancels reverts: what came in and went out again within the range is no change."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from lockgate.tasks.release_notes import subjects
from lockgate.tasks.release_notes.commits import Commit

_TYPE = r"(?:\w{1,12}(?:\([^)]{1,60}\))?!?: )?"
_REVERT = re.compile(_TYPE + r"revert(?:ed|s)?,?:? \"(.+)\"\s*", re.IGNORECASE)
_REAPPLY = re.compile(_TYPE + r"(?:reapply|reland|unrevert):? \"(.+)\"\s*", re.IGNORECASE)
_NUMBER = re.compile(_TYPE + r"reverts? (?:pr )?#(\d{1,9})(?:: .*)?", re.IGNORECASE)
_PREFIX = re.compile(r"revert(?:\([^)]{1,60}\))?!?: (.+)", re.IGNORECASE)
_BARE = re.compile(_TYPE + r"reverts? (?!part|some)(.+)", re.IGNORECASE)
_SHA = re.compile(
    r"\b(?:reverts? commits?|this reverts|refs:)\s{1,3}"
    r"([0-9a-f]{7,64}(?:[, \n]{1,3}(?:and )?[0-9a-f]{7,64}){0,20})",
    re.IGNORECASE,
)
_HEX = re.compile(r"[0-9a-f]{7,64}")
_ABBREVIATED = 7
_MOST = 100
"""Commits of one name that are looked through: the newest are meant."""
_MAX_BODY = 4_100


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a commit says that it takes back."""

    shas: tuple[str, ...]
    subject: str | None = None
    number: int | None = None


@dataclass(slots=True)
class _State:
    """The commits so far, and which of them still count."""

    active: dict[str, bool] = field(default_factory=dict)
    undone: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """For a revert, the commits that it took back."""
    by_subject: dict[str, list[str]] = field(default_factory=dict)
    by_number: dict[int, list[str]] = field(default_factory=dict)
    by_prefix: dict[str, list[str]] = field(default_factory=dict)
    """Seven digits are the least that git abbreviates to."""


def cancelled(commits: Sequence[Commit], branches: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return the commits that cancel out. `commits` are newest first.

    A revert of a commit outside the range stays: it is a change to what was released. Reverting
    a revert brings back what it took. `branches` has the commits that each merge brought in.
    """
    claims = {c.sha: claim for c in commits if (claim := _claim(c)) is not None}
    if not claims:
        return frozenset()
    state = _State()
    for commit in reversed(commits):
        state.active[commit.sha] = True
        claim = claims.get(commit.sha)
        if claim is not None:
            _take_back(state, commit.sha, _targets(state, claim, branches))
        for name in dict.fromkeys(_names(commit)):
            state.by_subject.setdefault(name, []).append(commit.sha)
        for number in _numbers(commit):
            state.by_number.setdefault(number, []).append(commit.sha)
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
    said = _said(commit)
    if "re" not in said[:40].lower():  # cheap, and true of every form below
        return None
    bare = subjects.without_numbers(said)[0]
    shas = tuple(
        sha.lower()
        for group in _SHA.findall(commit.body[:_MAX_BODY])
        for sha in _HEX.findall(group)
    )
    if again := _REAPPLY.fullmatch(bare):
        return _Claim(shas, f'Revert "{again[1]}"')
    if numbered := _NUMBER.fullmatch(bare):
        return _Claim(shas, number=int(numbered[1]))
    for pattern in (_REVERT, _PREFIX, _BARE):
        if found := pattern.fullmatch(bare):
            return _Claim(shas, found[1])
    return None


def _said(commit: Commit) -> str:
    """Return the subject; for a merge, the title of what it merged."""
    found = subjects.merge(commit)
    return found.title if found and found.title else commit.subject


def _names(commit: Commit) -> Iterator[str]:
    """Yield the ways in which a revert may name this commit."""
    said = _said(commit)
    yield _key(said)
    _, colon, description = said.partition(": ")
    if colon:
        yield _key(description)


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
    if found:
        return tuple(dict.fromkeys(found)), not missing
    named = state.by_subject.get(_key(claim.subject), ()) if claim.subject else ()
    numbered = state.by_number.get(claim.number, ()) if claim.number else ()
    for sha in islice(chain(reversed(named), reversed(numbered)), _MOST):
        # The newest one that still counts, or a revert that did its work and is now undone.
        if state.active[sha] or sha in state.undone:
            return (sha, *branches.get(sha, ())), True
    return (), False


def _numbers(commit: Commit) -> tuple[int, ...]:
    found = subjects.merge(commit)
    if found is not None and found.number is not None:
        return (found.number,)
    return subjects.without_numbers(commit.subject)[1]


def _bare(subject: str) -> str:
    return subjects.without_numbers(subject)[0]


def _key(subject: str) -> str:
    text = _bare(subject)
    if text.endswith('"'):
        text = f'{_bare(text[:-1])}"'
    return subjects.plain(text)
