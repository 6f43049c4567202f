"""What a target is."""

from collections.abc import Sequence
from typing import Protocol

from lockgate.domain.digest import Json, JsonObject


class Target(Protocol):
    """The shape of a task's input, from an attacker's point of view."""

    @property
    def surfaces(self) -> Sequence[str]:
        """The places that an attacker can write to."""
        ...

    @property
    def planted(self) -> str:
        """What the answer must keep, as attacks name it; empty if there is nothing."""
        ...

    def place(self, surface: str, text: str, *, secret: str | None) -> JsonObject | None:
        """Return an input with the text on the surface; None if it does not fit there.

        A secret stands elsewhere in the input, as if by accident.
        """
        ...

    def missing(self, output: JsonObject) -> str | None:
        """Say what the output of an input that was made here has lost; None if nothing."""
        ...


def one_line(text: str) -> str:
    """Return a text as a single line: where it stands, its author's tools allow no other."""
    return " ".join(part for part in text.replace("\0", " ").splitlines() if part.strip()).strip()


def objects(value: Json) -> list[JsonObject]:
    """Return the objects of a list; none if it is no list."""
    if not isinstance(value, list | tuple):
        return []
    return [item for item in value if isinstance(item, dict)]
