"""Whole answers to equal requests, for a short time and in bounded memory.

The address of an answer is a digest over the tenant, the release and the canonical request: one
team never meets another's answers, and a new release starts with an empty cache.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

_OVERHEAD = 200
"""Bytes that an entry takes beside its body, about."""


class _Kept(NamedTuple):
    body: bytes
    until: float


def address(body: bytes, *names: bytes) -> bytes:
    """Return the address of the answer to a body under some names; no two lists share one."""
    head = b"".join([b"%d:%b" % (len(name), name) for name in names])
    return hashlib.sha256(b"%b%d:%b" % (head, len(body), body)).digest()


class ExactCache:
    """Used from one thread. `clock` gives monotonic seconds."""

    def __init__(self, *, ttl_s: float, most_bytes: int, clock: Callable[[], float]) -> None:
        self._ttl_s = ttl_s
        self._most_bytes = most_bytes
        self._clock = clock
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self.bytes = 0
        """What is held."""

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, address: bytes) -> bytes | None:
        """Return the answer of that address, if it is young enough."""
        kept = self._kept.get(address)
        if kept is None:
            return None
        if kept.until <= self._clock():
            self._drop(address)
            return None
        self._kept.move_to_end(address)
        return kept.body

    def put(self, address: bytes, body: bytes) -> None:
        """Keep an answer that passed every check; the least recently used ones make room."""
        size = len(body) + _OVERHEAD
        if size > self._most_bytes:
            return
        if address in self._kept:
            self._drop(address)
        self._kept[address] = _Kept(body, self._clock() + self._ttl_s)
        self.bytes += size
        while self.bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, address: bytes) -> None:
        self.bytes -= len(self._kept.pop(address).body) + _OVERHEAD
