"""A server of PostgreSQL at the other end of a network."""

import asyncio
import os
import socket
from collections.abc import Generator
from pathlib import Path

import pytest

from lockgate.store.postgres import open_postgres
from postgres import Postgres, postgres_server


def patience_ms(port: int) -> set[int]:
    """Return how long this process' connections to a port wait for an acknowledgement."""
    found = set()
    for file in Path("/proc/self/fd").iterdir():
        if not file.is_symlink() or not str(file.readlink()).startswith("socket:"):
            continue
        with socket.socket(fileno=os.dup(int(file.name))) as one:
            try:
                peer = one.getpeername()
            except OSError:
                continue
            if one.family is socket.AF_INET and peer[1] == port:
                found.add(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
                assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    return found


@pytest.fixture(scope="module")
def server() -> Generator[Postgres]:
    with postgres_server() as found:
        yield found


@pytest.mark.parametrize(("more", "expected"), [("", 15_000), ("?tcp_user_timeout=700", 700)])
def test_a_host_that_vanishes_without_a_word_is_not_waited_for_long(
    server: Postgres, more: str, expected: int
) -> None:
    async def work() -> None:
        async with open_postgres(server.dsn + more) as store, store.begin() as unit:
            await unit.budgets.all()
            assert patience_ms(server.port) == {expected}

    asyncio.run(work())
