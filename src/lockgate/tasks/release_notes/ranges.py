"""Finds the commits that a range expression names, and the release before them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from lockgate.errors import InvalidInput, NotFound
from lockgate.tasks.release_notes import versions
from lockgate.tasks.release_notes.git import Repository

_MAX_REVISION = 200
_PLAIN = ("v[0-9]*", "V[0-9]*", "[0-9]*")
_PLAIN_TAG = re.compile(r"[vV]?[0-9]")
_FORMS = "a range is `v1..v2`, `v1..` (up to now) or `v2` (the release that `v2` ends)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One end of a range."""

    name: str
    """As the caller wrote it, or the tag that was found."""
    sha: str
    tag: str | None
    """The tag on that commit; of several the highest version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The commits that `end` has and `start` has not."""

    expression: str
    start: Point | None
    """None: from the first commit on."""
    end: Point
    previous_tag: str | None
    """The last tag at or before `start`."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """Turns a range expression into a `Range`."""

    repository: Repository
    patterns: Sequence[str] = ()
    """Globs of the tags that count; none: the plain version tags, or all if there are none."""
    paths: Sequence[str] = ()
    shallow: bool = False

    def resolve(self, expression: str | None) -> Range:
        """Find both ends. None means: since the last tag, or the release that HEAD is.

        Raises:
            InvalidInput: the expression is not a range.
            NotFound: an end is no revision of this repository.

        """
        tags = self._tags()
        match = self._match(tags)
        expression = expression.strip() if expression is not None else None
        if expression == "":
            raise InvalidInput("the range is empty text", hint=_FORMS)
        if expression is None or ".." not in expression:
            end = self._point(expression or "HEAD", tags)
            start = self._last_tag(end, tags, match, at_end=end.tag is None)
            label = end.name if end.tag is not None and expression is None else "HEAD"
            shown = expression or (f"{start.name}..{label}" if start else label)
            return Range(
                expression=shown, start=start, end=end, previous_tag=start.tag if start else None
            )
        left, dots, right = expression.partition("..")
        if right.startswith(".") or not left or ".." in right:
            raise InvalidInput(f"`{expression[:_MAX_REVISION]}` is not a range", hint=_FORMS)
        start, end = self._point(left, tags), self._point(right or "HEAD", tags)
        before = start if start.tag else self._last_tag(start, tags, match, at_end=True)
        return Range(
            expression=f"{left}{dots}{right}",
            start=start,
            end=end,
            previous_tag=before.tag if before else None,
        )

    def is_ancestor(self, older: Point, newer: Point) -> bool:
        """Say whether `newer` has `older` in its history."""
        found = self.repository.read(
            ("rev-list", "--max-count=1", older.sha, f"^{newer.sha}"), accept=(128,)
        )
        return not found.strip()

    def _tags(self) -> Mapping[str, Sequence[str]]:
        """Return the tags on each commit."""
        form = "%(refname:strip=2)%00%(objectname)%00%(*objectname)"
        listed = self.repository.read(("for-each-ref", f"--format={form}", "refs/tags"))
        found: dict[str, list[str]] = {}
        for line in listed.splitlines():
            name, direct, peeled = line.split("\0")
            found.setdefault(peeled or direct, []).append(name)
        return found

    def _match(self, tags: Mapping[str, Sequence[str]]) -> Sequence[str]:
        """Choose the globs of the tags that count as releases."""
        if self.patterns:
            return self.patterns
        names = [name for group in tags.values() for name in group]
        folders = {PurePosixPath(p.strip("/")).name for p in self.paths} - {""}
        for folder in sorted(folders):
            heads = [folder + mark for mark in ("@", "-v", "/v", "-", "_v", "/")]
            own = [head for head in heads if any(name.startswith(head) for name in names)]
            if own:
                return [f"{_literal(own[0])}*"]
        return _PLAIN if any(_PLAIN_TAG.match(name) for name in names) else ()

    def _point(self, revision: str, tags: Mapping[str, Sequence[str]]) -> Point:
        if (
            revision.startswith("-")
            or len(revision) > _MAX_REVISION
            or not revision.isprintable()
            or revision != revision.strip()
        ):
            raise InvalidInput(f"`{revision[:_MAX_REVISION]}` is not a revision", hint=_FORMS)
        # Revisions go in by standard input, where none can be taken for an option.
        said = self.repository.read(
            ("cat-file", "--batch-check=%(objectname) %(objecttype)"),
            given=f"{revision}^{{commit}}\n",
        )
        sha, _, kind = said.strip().partition(" ")
        if kind == "commit":
            here = tags.get(sha, ())
            return Point(name=revision, sha=sha, tag=revision if revision in here else best(here))
        if revision == "HEAD":
            raise NotFound("the repository has no commits", hint="make one, or name another range")
        problem = "names several commits" if said.rstrip().endswith("ambiguous") else "is unknown"
        raise NotFound(
            f"the revision `{revision}` {problem} in `{self.repository.path}`",
            hint="see `git tag` and `git branch -a`; fetch what is missing with "
            f"`git fetch --tags{' --unshallow' if self.shallow else ''}`",
        )

    def _last_tag(
        self,
        point: Point,
        tags: Mapping[str, Sequence[str]],
        match: Sequence[str],
        *,
        at_end: bool,
    ) -> Point | None:
        """Return the nearest tag before `point`; with `at_end` a tag on it counts."""
        starts = [point.sha] if at_end else self._parents(point.sha)
        for sha in starts:
            found = self.repository.read(
                ("describe", "--tags", "--abbrev=0", *(f"--match={m}" for m in match), sha),
                accept=(128,),
            ).strip()
            if not found:
                continue
            there = next((commit for commit, names in tags.items() if found in names), None)
            if there is None:  # the tag object was moved to another name, which git refuses to use
                return self._newest_tag(sha, tags, match)
            counted = [n for n in tags[there] if any(fnmatchcase(n, m) for m in match)]
            wanted = best(counted) or found
            return Point(name=wanted, sha=there, tag=wanted)
        return None

    def _newest_tag(
        self, sha: str, tags: Mapping[str, Sequence[str]], match: Sequence[str]
    ) -> Point | None:
        form = "--format=%(refname:strip=2)"
        listed = self.repository.read(
            ("for-each-ref", f"--merged={sha}", "--sort=-creatordate", form, "refs/tags")
        ).splitlines()
        for name in listed:
            if not match or any(fnmatchcase(name, m) for m in match):
                there = next(commit for commit, names in tags.items() if name in names)
                return Point(name=name, sha=there, tag=name)
        return None

    def _parents(self, sha: str) -> Sequence[str]:
        return self.repository.read(("rev-list", "--parents", "--max-count=1", sha)).split()[1:]


def best(names: Sequence[str]) -> str | None:
    """Return the tag of the highest version; by name among those without one."""
    if not names:
        return None
    with_version = [(v.order, n) for n in names if (v := versions.parse(n)) is not None]
    return max(with_version)[1] if with_version else max(names)


def _literal(text: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)
