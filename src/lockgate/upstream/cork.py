"""Sends what one turn of the event loop writes in one go.

A write to a socket wakes whoever reads it, and to wake a sleeping core costs more than the write:
some 10 µs. Of several requests that are ready at once, each would wake the client and the model
server again. What they write is held back until the last of them has written, so that the others
find their readers awake. One request alone is written at once.
"""

import asyncio
from typing import Protocol

MOST = 16
"""Writes that are held back at most."""


class Transport(Protocol):
    """What of an `asyncio.Transport` is used."""

    def write(self, data: bytes) -> None: ...
    def is_closing(self) -> bool: ...


class Cork:
    """Shared by all connections of one event loop.

    Who reads a message calls `expect`, and who writes what follows from it calls `write`. Where no
    write follows, others wait one turn of the loop longer, once.
    """

    __slots__ = ("_expected", "_held", "_turn")

    def __init__(self) -> None:
        self._expected = 0
        self._held: list[tuple[Transport, bytes]] = []
        self._turn = 0

    def expect(self) -> None:
        """Say that a message was read that something is written for in this turn."""
        self._expected += 1

    def write(self, transport: Transport, data: bytes) -> None:
        """Write, now or when what else is expected in this turn has been written."""
        held = self._held
        self._expected -= 1
        if self._expected > 0:
            held.append((transport, data))
            if len(held) == 1:
                asyncio.get_running_loop().call_soon(self._late, self._turn)
            elif len(held) >= MOST:
                self._release()
        elif held:
            held.append((transport, data))
            self.flush()
        else:
            self._expected = 0
            transport.write(data)

    def flush(self) -> None:
        """Write what is held back: something is to be written that must not overtake it."""
        self._expected = 0
        self._release()

    def _release(self) -> None:
        self._turn += 1
        held, self._held = self._held, []
        for transport, data in held:
            if not transport.is_closing():
                transport.write(data)

    def _late(self, turn: int) -> None:
        """Write what is still held: something that was expected waits for something else."""
        if turn == self._turn:
            self.flush()
