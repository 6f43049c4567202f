"""Load on a gateway that does not wait for answers: requests go out when they are due."""

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

_PATIENCE_S = 30.0
_STATUS = slice(9, 12)
_OK = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """A part of the load."""

    name: str
    share: float
    within_s: float
    headers: str = ""


@dataclass(slots=True)
class Tally:
    """What became of the requests of each kind."""

    asked: Counter[str] = field(default_factory=Counter)
    in_time: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    """By the code of the error."""
    retry_after: list[int] = field(default_factory=list[int])
    answered: list[str] = field(default_factory=list[str])
    """The ids of the requests with an answer."""

    @property
    def total(self) -> int:
        return sum(self.asked.values())

    def of_status(self, status: int) -> int:
        return sum(n for (_, s), n in self.statuses.items() if s == status)


class Client:
    """Keeps connections open; each carries one request at a time."""

    def __init__(self, port: int, path: str = "/v1/chat/completions") -> None:
        self._port = port
        self._path = path
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(
        self, headers: str = "", body: bytes | None = None, *, path: str | None = None
    ) -> tuple[int, bytes, bytes]:
        """Return the status, the head and the body of the answer; 0: there is none."""
        method = "GET" if body is None else "POST"
        head = (
            f"{method} {path or self._path} HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body or b'')}\r\n{headers}\r\n"
        )
        try:
            async with asyncio.timeout(_PATIENCE_S):
                found, data = await self._exchange(head.encode() + (body or b""))
        except (OSError, asyncio.IncompleteReadError):
            return 0, b"", b""
        return int(found[_STATUS]), found, data

    async def _exchange(self, request: bytes) -> tuple[bytes, bytes]:
        reader, writer = await self._open()
        whole = False
        try:
            writer.write(request)
            found = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", found)
            data = await reader.readexactly(int(length[1]) if length else 0)
            whole = True
        finally:
            if not whole:
                writer.close()
        self._idle.append((reader, writer))
        return found, data

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


def chat(text: str = "hi", tokens: int = 100) -> bytes:
    """Return the body of a request."""
    messages = [{"role": "user", "content": text}]
    return json.dumps({"model": "bench", "messages": messages, "max_tokens": tokens}).encode()


@dataclass(frozen=True, slots=True)
class Plan:
    """How much load, and for how long."""

    per_s: float
    seconds: float
    warm_up_s: float = 0.0
    """Requests of the first so many seconds do not count."""
    seed: int = 1


async def offer(
    client: Client, kinds: Sequence[Kind], plan: Plan, stop: asyncio.Event | None = None
) -> Tally:
    """Send requests at random moments, as planned or until `stop` is set."""
    source = random.Random(plan.seed)
    tally = Tally()
    body = chat()
    began = time.perf_counter()

    async def one(kind: Kind) -> None:
        came = time.perf_counter()
        counted = came - began >= plan.warm_up_s
        status, head, data = await client.ask(kind.headers, body)
        took = time.perf_counter() - came
        if not counted:
            return
        tally.asked[kind.name] += 1
        tally.statuses[kind.name, status] += 1
        tally.in_time[kind.name] += status == _OK and took <= kind.within_s
        named = re.search(rb"(?i)\r\nx-request-id: *([^\r]+)", head)
        if status == _OK and named:
            tally.answered.append(named[1].decode())
        if status != _OK:
            code = re.search(rb'"code":"([^"]*)"', data)
            tally.refusals[code[1].decode() if code else ""] += 1
        after = re.search(rb"(?i)\r\nretry-after: *(\d+)", head)
        if after:
            tally.retry_after.append(int(after[1]))

    due = 0.0
    async with asyncio.TaskGroup() as group:
        while due < plan.seconds and not (stop and stop.is_set()):
            due += source.expovariate(plan.per_s)
            await asyncio.sleep(max(0.0, began + due - time.perf_counter()))
            (kind,) = source.choices(kinds, [kind.share for kind in kinds])
            group.create_task(one(kind))
    return tally


@dataclass(slots=True)
class Watch:
    """Reads the metrics page over and over, and keeps what a reading makes of it."""

    client: Client
    every_s: float
    headers: str = ""
    pages: list[tuple[float, dict[str, float]]] = field(
        default_factory=list[tuple[float, dict[str, float]]]
    )

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(self.every_s)

    async def read(self) -> dict[str, float]:
        """Read the page once."""
        _, _, page = await self.client.ask(self.headers, path="/metrics")
        found: dict[str, float] = {}
        for line in page.decode().splitlines():
            name, _, value = line.rpartition(" ")
            if name and not line.startswith("#"):
                found[name] = float(value)
        self.pages.append((time.perf_counter(), found))
        return found

    def first(self, name: str, value: float, since: float) -> float:
        """Return how long after `since` the series had that value first; inf: it never had."""
        hits = (at - since for at, page in self.pages if at >= since and page.get(name) == value)
        return next(hits, float("inf"))

    def most(self, *names: str) -> float:
        """Return the highest sum of these series."""
        return max((sum(page.get(n, 0.0) for n in names) for _, page in self.pages), default=0.0)
