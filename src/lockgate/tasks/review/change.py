"""A change as the analysers see it: files with their added and removed lines."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from lockgate.domain.redact import Redaction

Status: TypeAlias = Literal["added", "deleted", "modified", "renamed", "copied"]


class Line(NamedTuple):
    """One line of a change. A tuple: a large diff has a million of them."""

    number: int
    """1-based, in the new file. A removed line has the number of the line before it."""
    text: str
    """Without the line ending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What happened to one file."""

    path: str
    """In the new tree; in the old one for a deleted file."""
    old_path: str
    status: Status = "modified"
    binary: bool = False
    old_mode: str | None = None
    new_mode: str | None = None
    added: tuple[Line, ...] = ()
    removed: tuple[Line, ...] = ()
    cut_short: bool = False
    """A hunk has fewer lines than its header promises."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def mode_changed(self) -> bool:
        """Whether the file's mode is another, such as 100755 for 100644."""
        return None not in {self.old_mode, self.new_mode} and self.old_mode != self.new_mode

    @property
    def gone(self) -> tuple[Line, ...]:
        """The removed lines that were not added again: neither moved nor indented anew."""
        kept = {line.text.strip() for line in self.added}
        return tuple(line for line in self.removed if line.text.strip() not in kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Omitted:
    """What was past the budget: counted, not analysed."""

    files: int = 0
    bytes: int = 0
    names: tuple[str, ...] = ()
    """The first of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A parsed diff, with what the engine knows about it."""

    files: tuple[File, ...]
    redactions: tuple[Redaction, ...] = ()
    omitted: Omitted = field(default_factory=Omitted)

    @property
    def lines(self) -> int:
        """How many lines were added or removed."""
        return sum(len(file.added) + len(file.removed) for file in self.files)
