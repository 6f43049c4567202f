"""How often, and how long, a failing server is waited for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lockgate.errors import Unavailable
from lockgate.oci.registry.answers import Interrupted

_ATTEMPTS: Final = 5
_LONGEST_WAIT_S: Final = 60.0
_FIRST_WAIT_S: Final = 0.5

Pause = Callable[[float], object]
"""Waits so many seconds."""


@dataclass(slots=True)
class Patience:
    """Counts failures in a row."""

    place: str
    """What does not answer; in messages."""
    pause: Pause = field(repr=False)
    failures: int = 0

    def wait(self, reason: Interrupted, *, further: bool = False, kept: str = "") -> None:
        """Wait before the next attempt. `further` says that the last one was of some use.

        Raises:
            Unavailable: that was one failure too many, or the server wants a longer wait.

        """
        self.failures = 1 if further else self.failures + 1
        delay = _FIRST_WAIT_S * 2 ** (self.failures - 1)
        if reason.wait_s is not None:
            delay = reason.wait_s
        if self.failures < _ATTEMPTS and delay <= _LONGEST_WAIT_S:
            self.pause(delay)
            return
        again = "run the same command again"
        if delay > _LONGEST_WAIT_S:
            again += f" in {delay:.0f} seconds, as the server asks"
        tries = "" if self.failures < _ATTEMPTS else f" {_ATTEMPTS} times in a row"
        raise Unavailable(
            f"{self.place} failed{tries}: {reason}", hint=f"{again}{kept and f': {kept}'}"
        )
