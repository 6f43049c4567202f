"""A call with an idempotency key is made once, by whichever process is asked."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from conftest import Opener
from ledgers import refused
from lockgate.app import task_calls
from lockgate.app.gateway_admin import StateBridge, open_bridge
from lockgate.app.task_calls import Claim, OnceCalls, expired_calls_job, kept_answer, kept_failure
from lockgate.domain.call import Answer, EngineKind
from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.usage import Usage
from lockgate.errors import Corrupt, LockgateError, NoAnswer, Unavailable
from lockgate.ports import KeptCall
from waiting import until, wait_until

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEEP = timedelta(hours=24)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def claim(holder: str, digest: str = "d") -> Claim:
    return Claim(id="c", owner="shop/ci", task="review", digest=digest, holder=holder)


ANSWER = Answer(
    call="first",
    at=NOON,
    task="review",
    output={"risk": "high", "ratio": 0.5, "text": "\u00fc"},
    engine=EngineKind.MODEL,
    degraded=("a reason",),
    evidence=("a.py:1",),
    confidence=0.25,
    release=Digest.of(b"r"),
    usage=Usage(input_tokens=7),
)


def described(error: LockgateError) -> JsonObject:
    return {"error": {"code": error.code, "message": error.message}}


async def is_held(calls: OnceCalls, to: datetime) -> bool:
    held = await calls.find("c")
    return held is not None and held.until >= to


async def answer() -> Answer:
    return ANSWER


def run(opener: Opener, work: Callable[[OnceCalls, OnceCalls, Clock], Awaitable[None]]) -> None:
    """Work with two processes that share a database."""
    clock = Clock()
    with ExitStack() as stack:
        bridges = [stack.enter_context(open_bridge(opener, failed=refused)) for _ in range(2)]
        wait_until(lambda: all(bridge.is_open for bridge in bridges))
        one, other = (OnceCalls(bridge, clock=clock, keep=KEEP) for bridge in bridges)

        async def main() -> None:
            await work(one, other, clock)

        asyncio.run(main())


def test_what_one_process_answered_the_other_reads_without_usage(opener: Opener) -> None:
    async def work(one: OnceCalls, other: OnceCalls, clock: Clock) -> None:
        assert await one.claim(claim("h1")) is None
        assert await one.make(claim("h1"), answer) == ANSWER
        known = await other.claim(claim("h2", "another"))
        assert known is not None
        assert (known.digest, known.owner, known.task) == ("d", "shop/ci", "review")
        again = kept_answer(known)
        assert again is not None
        assert again.document == ANSWER.document
        assert (again.call, again.at, again.usage) == ("first", NOON, Usage())
        clock.now += KEEP + timedelta(seconds=1)
        assert await other.find("c") is None
        assert await other.claim(claim("h3")) is None

    run(opener, work)


def test_of_many_who_claim_at_once_one_makes_the_call(opener: Opener) -> None:
    async def work(one: OnceCalls, other: OnceCalls, clock: Clock) -> None:
        found = await asyncio.gather(
            *((one, other)[n % 2].claim(claim(f"h{n}")) for n in range(20))
        )
        assert found.count(None) == 1
        assert {kept_answer(call) for call in found if call is not None} == {None}

    run(opener, work)


def test_a_call_that_failed_or_was_given_up_can_be_made_again(opener: Opener) -> None:
    async def fail() -> Answer:
        raise NoAnswer("down")

    async def work(one: OnceCalls, other: OnceCalls, clock: Clock) -> None:
        assert await one.claim(claim("h1")) is None
        with pytest.raises(NoAnswer):
            await one.make(claim("h1"), fail)

        assert await other.claim(claim("h2")) is None
        began, ended = asyncio.Event(), asyncio.Event()

        async def wait() -> Answer:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            raise AssertionError

        making = asyncio.create_task(other.make(claim("h2"), wait))
        await began.wait()
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        assert ended.is_set()
        assert await one.claim(claim("h3")) is None

    run(opener, work)


def test_the_failure_of_an_accepted_call_is_kept_until_its_key_is_used_again(
    opener: Opener,
) -> None:
    async def fail() -> Answer:
        raise NoAnswer("down")

    async def work(one: OnceCalls, other: OnceCalls, clock: Clock) -> None:
        assert await one.claim(claim("h1")) is None
        with pytest.raises(NoAnswer):
            await one.make(claim("h1"), fail, describe=described)
        known = await other.find("c")
        assert known is not None
        assert kept_failure(known) == {"error": {"code": "no-answer", "message": "down"}}
        clock.now += KEEP + timedelta(seconds=1)
        assert not other.is_lost(known)
        assert await other.find("c") is None
        assert await other.claim(claim("h2")) is None
        running = await one.find("c")
        assert running is not None
        assert (kept_failure(running), kept_answer(running)) == (None, None)
        await other.make(claim("h2"), answer, describe=described)
        known = await one.claim(claim("h3"))
        assert known is not None
        assert kept_failure(known) is None
        assert kept_answer(known) is not None

    run(opener, work)


def test_an_accepted_call_is_known_elsewhere_while_it_runs_and_when_it_ended(
    opener: Opener,
) -> None:
    async def work(one: OnceCalls, other: OnceCalls, clock: Clock) -> None:
        recorded, go = asyncio.Event(), asyncio.Event()

        async def slow() -> Answer:
            await go.wait()
            return ANSWER

        making = asyncio.create_task(
            one.accept(claim("h1"), slow, describe=described, recorded=recorded)
        )
        await recorded.wait()
        known = await other.find("c")
        assert known is not None
        assert kept_answer(known) is None
        go.set()
        assert await making == ANSWER
        known = await other.find("c")
        assert known is not None
        again = kept_answer(known)
        assert again is not None
        assert again.document == ANSWER.document

    run(opener, work)


def test_an_accepted_call_is_made_though_no_database_answers() -> None:
    once = OnceCalls(StateBridge(), clock=Clock(), keep=KEEP)

    async def work() -> None:
        recorded = asyncio.Event()
        made = once.accept(claim("h1"), answer, describe=described, recorded=recorded)
        assert await made == ANSWER
        assert recorded.is_set()

    asyncio.run(work())


def test_the_claim_of_a_process_that_died_ends_and_one_that_lives_is_prolonged(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_calls, "PROLONG_S", 0.01)

    async def work(one: OnceCalls, other: OnceCalls, clock: Clock) -> None:
        assert await one.claim(claim("dead")) is None
        clock.now += task_calls.CLAIM + timedelta(seconds=1)
        assert await other.claim(claim("lives")) is None
        go = asyncio.Event()

        async def slow() -> Answer:
            await go.wait()
            return ANSWER

        making = asyncio.create_task(other.make(claim("lives"), slow))
        for _ in range(3):
            clock.now += task_calls.CLAIM - timedelta(seconds=1)
            await until(lambda: is_held(one, clock.now + timedelta(seconds=2)))
            assert await one.claim(claim("waits")) is not None
        go.set()
        assert await making == ANSWER
        # The one that died and comes back writes nothing over it.
        await one.make(claim("dead"), answer)
        known = await one.find("c")
        assert known is not None
        assert known.holder == "lives"

    run(opener, work)


def test_a_call_whose_process_died_is_told_from_one_that_never_was(opener: Opener) -> None:
    async def work(one: OnceCalls, other: OnceCalls, clock: Clock) -> None:
        assert await one.claim(claim("dead")) is None
        running = await other.find("c")
        assert running is not None
        assert not other.is_lost(running)
        clock.now += task_calls.CLAIM + timedelta(seconds=1)
        lost = await other.find("c")
        assert lost is not None
        assert other.is_lost(lost)
        assert await other.claim(claim("again")) is None
        await other.make(claim("again"), answer)
        made = await one.find("c")
        assert made is not None
        clock.now += KEEP - timedelta(seconds=1)
        assert not one.is_lost(made)
        assert kept_answer(made) is not None
        clock.now += timedelta(seconds=2)
        assert await one.find("c") is None

    run(opener, work)


def test_an_accepted_call_that_a_process_ends_with_is_lost_at_once_and_can_be_made_again(
    opener: Opener,
) -> None:
    async def work(one: OnceCalls, other: OnceCalls, clock: Clock) -> None:
        began = asyncio.Event()

        async def slow() -> Answer:
            began.set()
            await asyncio.Event().wait()
            raise AssertionError

        assert await one.claim(claim("ends")) is None
        making = asyncio.create_task(one.make(claim("ends"), slow, describe=described))
        await began.wait()
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        lost = await other.find("c")
        assert lost is not None
        assert other.is_lost(lost)
        assert await other.claim(claim("again")) is None

    run(opener, work)


def test_without_a_database_nobody_knows_and_nothing_is_made() -> None:
    once = OnceCalls(StateBridge(), clock=Clock(), keep=KEEP)
    with pytest.raises(Unavailable):
        asyncio.run(once.claim(claim("h1")))


def test_an_answer_that_was_made_is_given_where_it_cannot_be_kept() -> None:
    once = OnceCalls(StateBridge(), clock=Clock(), keep=KEEP)
    assert asyncio.run(once.make(claim("h1"), answer)) == ANSWER


def test_answers_past_their_time_are_deleted(opener: Opener) -> None:
    def kept(name: str, until: datetime) -> KeptCall:
        return KeptCall(id=name, owner="o", task="t", digest="d", holder="h", until=until)

    async def work() -> None:
        async with opener() as store:
            async with store.begin() as unit:
                await unit.calls.claim(kept("old", NOON), NOON)
                await unit.calls.keep(replace(kept("old", NOON), answer="{}"))
                await unit.calls.claim(kept("failed", NOON), NOON)
                await unit.calls.keep(replace(kept("failed", NOON), failure="{}"))
                await unit.calls.claim(kept("lost", NOON), NOON)
                await unit.calls.claim(kept("long lost", NOON - KEEP), NOON - 2 * KEEP)
                await unit.calls.claim(kept("new", NOON + KEEP), NOON)
            stop = asyncio.Event()
            asyncio.get_running_loop().call_soon(stop.set)
            later = NOON + timedelta(seconds=1)
            await expired_calls_job(lambda: later, refused, keep=KEEP)(store, stop)
            async with store.begin() as unit:
                assert await unit.calls.find("old") is None
                assert await unit.calls.find("failed") is None
                assert await unit.calls.find("long lost") is None
                assert await unit.calls.find("lost") is not None
                assert await unit.calls.find("new") is not None

    asyncio.run(work())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"call": "c"}'])
def test_an_answer_that_was_edited_is_damage(text: str) -> None:
    call = KeptCall(id="c", owner="o", task="t", digest="d", holder="h", until=NOON, answer=text)
    with pytest.raises(Corrupt, match="`c`"):
        kept_answer(call)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_failure_that_was_edited_is_damage(text: str) -> None:
    call = KeptCall(id="c", owner="o", task="t", digest="d", holder="h", until=NOON, failure=text)
    with pytest.raises(Corrupt, match="failure of the call `c`"):
        kept_failure(call)
