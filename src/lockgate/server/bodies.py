"""How much of the bodies of requests this process holds at a time."""

from typing import Final

FREE: Final = 64 << 10
"""Bytes of each body that are not counted: the number of connections bounds those, and whoever
fills the room with large bodies refuses no small ones."""
MOST: Final = 256 << 20


class Room:
    """Bytes for large bodies, from when they are read until their request has ended.

    A team gets half of it at most, so that its bodies leave room for those of the others. Belongs
    to one event loop.
    """

    def __init__(self, most: int = MOST, *, largest: int = 0) -> None:
        """`largest` is the longest body that is allowed: one of them always finds room."""
        self._most = max(most, 2 * largest)
        self._held = 0
        self._of: dict[str, int] = {}

    @property
    def held(self) -> int:
        """Bytes that are taken."""
        return self._held

    def take(self, team: str, size: int) -> bool:
        """Take `size` bytes more; return False, and take none, if they are not there."""
        theirs = self._of.get(team, 0) + size
        if self._held + size > self._most or theirs > self._most // 2:
            return False
        self._held += size
        self._of[team] = theirs
        return True

    def give(self, team: str, size: int) -> None:
        """Give bytes back."""
        self._held -= size
        left = self._of[team] - size
        if left:
            self._of[team] = left
        else:
            del self._of[team]
