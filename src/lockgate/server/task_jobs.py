"""Calls of tasks that were accepted: what is kept of them, and what is told of them."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from lockgate.domain.call import Answer
from lockgate.errors import LockgateError
from lockgate.server.exchange import Exchange
from lockgate.server.failures import HttpFailure, failure

_RECORDED_S: Final = 2.0


@dataclass(slots=True)
class Job:
    """A call that was accepted: running, or what came of it."""

    id: str
    task: str
    owner: str
    digest: bytes
    """Of the input: the same idempotency key with another one is a mistake."""
    working: "asyncio.Future[Answer]"
    until: float
    recorded: asyncio.Event | None
    """Set once other replicas know of it; None: they will not."""


def state_of(answer: Answer | None) -> dict[str, Any]:
    """Return what is told of a call; None: it runs."""
    if answer is None:
        return {"status": "running"}
    return {"status": "done", "answer": answer.document}


def failure_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of a call that failed."""
    return {"status": "failed", **told}


LOST: Final = HttpFailure(
    503, "call-lost", "the process that made the call ended before it had an answer: send it again"
)
"""The same idempotency key may be used again."""
BROKEN: Final = HttpFailure(500, "internal", "something went wrong here")


def told(error: LockgateError) -> dict[str, Any]:
    """Return what the answer to a request that failed so has in its body."""
    found: dict[str, Any] = json.loads(failure(error).body)
    return found


def is_later(exchange: Exchange) -> bool:
    """Say whether the client asks for the answer later."""
    return b"respond-async" in exchange.headers.get(b"prefer", b"").lower()


async def until_recorded(job: Job) -> None:
    """Wait until another replica can be asked for a call. A database that hangs is not waited for.

    A call that runs goes on without it.
    """
    if job.recorded is not None:
        with suppress(TimeoutError):
            await asyncio.wait_for(job.recorded.wait(), _RECORDED_S)


def has_failed(job: Job) -> bool:
    """Say whether a call ended without an answer: then its key may be used again."""
    if not job.working.done():
        return False
    return job.working.cancelled() or job.working.exception() is not None
