"""What the steps of this task pass to each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from lockgate.domain.digest import Json, JsonObject

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit of the range, as read."""

    sha: str
    subject: str
    body: str = ""
    files: tuple[tuple[str, str], ...] = ()
    """(status letter, path)."""
    parents: tuple[str, ...] = ()
    """Only known if the range has merges."""
    merge: bool = False
    bot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A pull request of the range: what `gh pr list --json` knows of it."""

    number: int
    title: str = ""
    body: str = ""
    labels: tuple[str, ...] = ()
    bot: bool = False
    commit: str | None = None
    """The commit that merged it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that changed: a line of the notes in the making."""

    text: str
    """What changed, without prefix and pull request numbers."""
    commits: tuple[str, ...]
    type: str | None = None
    """A Conventional Commits type; None if nothing says which."""
    scope: str | None = None
    breaking: bool = False
    notes: tuple[str, ...] = ()
    """What a breaking change asks of its users."""
    pulls: tuple[int, ...] = ()
    branch: bool = False
    """A commit of a branch: its pull request number comes from the merge, not from its subject."""
    body: str = ""
    files: tuple[tuple[str, str], ...] = ()
    also: tuple[str, ...] = ()
    """Subjects that were folded into this one."""
    by: str | None = None
    """What decided the type: `conventional`, `label`, `model`, `rules`."""
    confidence: float = 1.0


def commits_of(given: JsonObject) -> tuple[Commit, ...]:
    """Return the commits of a valid input, newest first."""
    return tuple(
        Commit(
            sha=cast("str", row["sha"]),
            subject=cast("str", row["subject"]),
            body=cast("str", row.get("body", "")),
            files=tuple((f[0], f[2:]) for f in cast("Sequence[str]", row.get("files", ()))),
            parents=tuple(cast("Sequence[str]", row.get("parents", ()))),
            merge=bool(row.get("merge", False)),
            bot=bool(row.get("bot", False)),
        )
        for row in rows(given, "commits")
    )


def pulls_of(given: JsonObject) -> tuple[Pull, ...]:
    """Return the pull requests of a valid input, in its order."""
    return tuple(
        Pull(
            number=cast("int", row["number"]),
            title=cast("str", row.get("title", "")),
            body=cast("str", row.get("body", "")),
            labels=tuple(cast("Sequence[str]", row.get("labels", ()))),
            bot=bool(row.get("bot", False)),
            commit=cast("str | None", row.get("commit")),
        )
        for row in rows(given, "pull_requests")
    )


def rows(value: Mapping[str, Json], key: str) -> Sequence[JsonObject]:
    """Return the objects under `key`; none if it is absent."""
    return cast("Sequence[JsonObject]", value.get(key, ()))


def member(value: Mapping[str, Json], key: str) -> JsonObject:
    """Return the object under `key`, empty if it is absent or null."""
    return cast("JsonObject", value.get(key) or {})


def text(value: Mapping[str, Json], key: str) -> str | None:
    """Return the string under `key`, or None."""
    found = value.get(key)
    return found if isinstance(found, str) else None
