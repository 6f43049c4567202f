"""Calls of tasks that all replicas know of, before and after a start.

Those with an idempotency key are made once; those that are accepted are asked for later. Who claims
a call makes it and keeps its answer in the database; whoever is asked again reads it there. What an
answer says is kept no longer than payloads of the audit log are.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from lockgate.app.background import Job, until
from lockgate.app.gateway_admin import StateBridge
from lockgate.domain.call import Answer, EngineKind
from lockgate.domain.digest import Digest, JsonObject, canonical
from lockgate.errors import Corrupt, LockgateError
from lockgate.ports import Clock, GatewayState, KeptCall

CLAIM: Final = timedelta(minutes=3)
"""A claim that nobody prolongs for so long is that of a process that died."""
PROLONG_S: Final = 45.0
_EVERY_S: Final = 60.0
_BATCH: Final = 1000
Describe: TypeAlias = Callable[[LockgateError], JsonObject]
"""Says what is told of a failure."""
_Change: TypeAlias = Callable[[GatewayState, KeptCall], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What identifies a call that is to be made once."""

    id: str
    owner: str
    task: str
    digest: str
    """Of its input."""
    holder: str
    """Unique to this attempt."""


class OnceCalls:
    """Makes calls once. `keep`: how long answers are kept."""

    def __init__(self, bridge: StateBridge, *, clock: Clock, keep: timedelta) -> None:
        self._bridge = bridge
        self._clock = clock
        self._keep = keep

    async def claim(self, claim: Claim) -> KeptCall | None:
        """Return the call if it was made, or is being made, elsewhere; None: make it.

        Raises:
            StorageFailed, Unavailable: the database does not answer, so that nobody knows.

        """
        held = self._held(claim)
        while True:
            if await self._bridge.do(lambda state: _claim(state, held, self._clock())):
                return None
            found = await self.find(claim.id)
            if found is not None and found.failure is None:
                return found

    async def accept(
        self,
        claim: Claim,
        make: Callable[[], Awaitable[Answer]],
        *,
        describe: Describe,
        recorded: asyncio.Event,
    ) -> Answer:
        """Make a call that nobody else has a name for. Raises as `make`.

        It is made though the database does not answer; then others do not know of it. `recorded`
        is set as soon as they do, or as it is clear that they will not.
        """
        making = asyncio.ensure_future(make())
        try:
            with suppress(LockgateError):
                await self.claim(claim)
        except asyncio.CancelledError:
            making.cancel()
            raise
        finally:
            recorded.set()
        return await self.make(claim, lambda: making, describe=describe)

    async def make(
        self,
        claim: Claim,
        make: Callable[[], Awaitable[Answer]],
        *,
        describe: Describe | None = None,
    ) -> Answer:
        """Make a call that was claimed, and keep its answer. Raises as `make`; then anybody may.

        With `describe` its failure is kept too, for whoever asks what became of it.
        """
        making = asyncio.ensure_future(make())
        try:
            while not (await asyncio.wait({making}, timeout=PROLONG_S))[0]:
                await self._try(_keep, self._held(claim))
            found = making.result()
        except (LockgateError, asyncio.CancelledError) as error:
            if making.cancel():
                await asyncio.wait({making})
            if describe is None:
                await self._try(_give_up, self._held(claim))
            elif not isinstance(error, LockgateError):
                # Cancelled, as this process ends: lost from now on, and anybody's to make.
                ended = self._clock() - timedelta(seconds=1)
                await self._try(_keep, replace(self._held(claim), until=ended))
            else:
                failure = canonical(describe(error)).decode()
                await self._try(_keep, replace(self._ended(claim), failure=failure))
            raise
        await self._try(_keep, replace(self._ended(claim), answer=_written(found).decode()))
        return found

    async def find(self, name: str) -> KeptCall | None:
        """Return a call by its id, if its time is not over, or it was lost a short while ago."""
        found = await self._bridge.do(lambda state: _find(state, name))
        if found is None:
            return None
        kept = self._keep if _is_claim(found) else timedelta()
        return None if found.until + kept < self._clock() else found

    def is_lost(self, call: KeptCall) -> bool:
        """Say whether the process that made a call has died: nobody prolongs its claim."""
        return _is_claim(call) and call.until < self._clock()

    def _held(self, claim: Claim) -> KeptCall:
        return KeptCall(
            id=claim.id,
            owner=claim.owner,
            task=claim.task,
            digest=claim.digest,
            holder=claim.holder,
            until=self._clock() + CLAIM,
        )

    def _ended(self, claim: Claim) -> KeptCall:
        return replace(self._held(claim), until=self._clock() + self._keep)

    async def _try(self, change: _Change, call: KeptCall) -> None:
        """Write; where that fails the claim ends by itself, and the call is made all the same."""
        with suppress(LockgateError):
            await asyncio.shield(self._bridge.do(lambda state: change(state, call)))


def _is_claim(call: KeptCall) -> bool:
    return call.answer is None and call.failure is None


def expired_calls_job(
    clock: Clock, failed: Callable[[LockgateError], None], *, keep: timedelta
) -> Job:
    """Return the job that deletes answers past their time, and lost claims so long after theirs."""

    async def work(state: GatewayState, stop: asyncio.Event) -> None:
        while not stop.is_set():
            more = False
            try:
                async with state.begin() as unit:
                    now = clock()
                    gone = await unit.calls.drop_expired(now, lost=now - keep, limit=_BATCH)
                    more = gone == _BATCH
            except LockgateError as error:
                failed(error)
            await until(stop, 0 if more else _EVERY_S)

    return work


def kept_answer(call: KeptCall) -> Answer | None:
    """Return the answer that is kept; None: the call is being made, or it failed."""
    return None if call.answer is None else _answer(call)


def kept_failure(call: KeptCall) -> JsonObject | None:
    """Return what is told of the failure that is kept; None: there is none.

    Raises:
        Corrupt: it was edited.

    """
    if call.failure is None:
        return None
    try:
        found = json.loads(call.failure)
    except ValueError as error:
        raise _malformed("failure", call, error) from error
    if not isinstance(found, dict):
        raise _malformed("failure", call, "it is no object")
    return found


async def _claim(state: GatewayState, call: KeptCall, now: datetime) -> bool:
    async with state.begin() as unit:
        return await unit.calls.claim(call, now)


async def _keep(state: GatewayState, call: KeptCall) -> None:
    async with state.begin() as unit:
        await unit.calls.keep(call)


async def _find(state: GatewayState, name: str) -> KeptCall | None:
    async with state.begin() as unit:
        return await unit.calls.find(name)


async def _give_up(state: GatewayState, call: KeptCall) -> None:
    async with state.begin() as unit:
        await unit.calls.give_up(call)


def _written(answer: Answer) -> bytes:
    """Write an answer without its usage: who gets it again has used nothing."""
    return canonical(
        {
            "call": answer.call,
            "at": answer.at.isoformat(),
            "task": answer.task,
            "output": answer.output,
            "engine": str(answer.engine),
            "degraded": list(answer.degraded),
            "evidence": list(answer.evidence),
            "confidence": answer.confidence,
            "release": str(answer.release),
        }
    )


def _answer(call: KeptCall) -> Answer:
    try:
        found: dict[str, Any] = json.loads(call.answer or "")
        return Answer(
            call=found["call"],
            at=datetime.fromisoformat(found["at"]),
            task=found["task"],
            output=found["output"],
            engine=EngineKind(found["engine"]),
            degraded=tuple(found["degraded"]),
            evidence=tuple(found["evidence"]),
            confidence=found["confidence"],
            release=Digest.parse(found["release"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _malformed("answer", call, error) from error


def _malformed(what: str, call: KeptCall, why: object) -> Corrupt:
    return Corrupt(f"the kept {what} of the call `{call.id}` is malformed: {why}")
