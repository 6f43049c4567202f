"""Implementations of ports for tests, and the loss of rights."""

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

NOBODY = 65534


@dataclass
class Counter:
    """Remembers progress."""

    started: list[tuple[str, int]] = field(default_factory=list)
    done: int = 0
    finished: int = 0

    def start(self, label: str, total: int) -> None:
        self.started.append((label, total))
        self.done = 0

    def advance(self, steps: int = 1) -> None:
        self.done += steps

    def finish(self) -> None:
        self.finished += 1


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be a user for whom permissions count: for root they do not."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Have a disk that is full after that many bytes of a file: the kernel answers EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python keeps what it could write of a module that is imported meanwhile.
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sys.dont_write_bytecode = written
