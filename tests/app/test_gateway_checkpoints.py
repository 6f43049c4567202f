"""Checkpoints that gateways sign by themselves, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conftest import Opener
from lockgate.app.gateway_checkpoints import (
    NEWEST,
    RETRY_S,
    TURN,
    Checkpointer,
    Place,
    newest_checkpoint,
)
from lockgate.domain.audit import Entry, Head
from lockgate.domain.checkpoint import Watch
from lockgate.errors import Corrupt, LockgateError, Unavailable
from lockgate.ports import GatewayState
from lockgate.signing.checkpoint import verified
from lockgate.signing.keys import PrivateKey
from lockgate.store.sqlite import open_sqlite

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
EVERY_S = 600.0


class Broken:
    """Implements `Signer` as a device that is unplugged."""

    fingerprint = "0" * 64

    def sign(self, data: bytes) -> bytes:
        raise Unavailable("the device does not answer")


class House:
    """Replicas with one key and one clock, each with a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.key = PrivateKey.new()
        self.now = NOON
        self.failures: list[LockgateError] = []

    def replica(self, name: str, *, broken: bool = False) -> Checkpointer:
        place = Place(
            signer=Broken() if broken else self.key,
            keys={self.key.fingerprint: self.key.pem.decode()},
            folder=self.root / name,
        )
        return Checkpointer(
            place=place, every_s=EVERY_S, clock=lambda: self.now, failed=self.failures.append
        )

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def heads(self, name: str) -> list[Head]:
        """What the checkpoints of a replica say, each with its signature checked."""
        files = sorted((self.root / name).glob("*.checkpoint"))
        keys = {self.key.fingerprint: self.key.pem.decode()}
        return [verified(file.read_bytes(), keys).head for file in files]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "replicas")


async def grow(state: GatewayState, *names: str) -> Head:
    async with state.begin() as unit:
        for name in names:
            entry = Entry(id=name, at=NOON, actor="a", action="call", subject="s", detail={})
            await unit.append(entry)
        return await unit.head()


def run(opener: Opener, work: Callable[[GatewayState], Awaitable[None]]) -> None:
    async def main() -> None:
        async with opener() as state:
            await work(state)

    asyncio.run(main())


def test_the_log_is_signed_when_that_is_due_and_has_grown(opener: Opener, house: House) -> None:
    async def work(state: GatewayState) -> None:
        one = house.replica("one")
        assert await one.turn(state) == EVERY_S  # nothing to sign
        house.later(EVERY_S)
        first = await grow(state, "a", "b")
        assert await one.turn(state) == EVERY_S
        await grow(state, "c")
        house.later(200)
        assert await one.turn(state) == EVERY_S - 200
        assert house.heads("one") == [first]
        house.later(400)
        await one.turn(state)
        house.later(EVERY_S)
        await one.turn(state)  # it has not grown
        second = await grow(state)
        assert house.heads("one") == [first, second]
        assert one.counts.newest_at == (NOON + timedelta(seconds=2 * EVERY_S)).timestamp()

        kept = await newest_checkpoint(state)
        assert kept is not None
        assert kept.data == (house.root / "one" / f"{second.seq:020}.checkpoint").read_bytes()
        assert (kept.said.head, kept.key) == (second, house.key.fingerprint)
        async with state.begin() as unit:
            events = await unit.events()
        watch = Watch([kept.said])
        for event in events:
            watch.follow(event)
        watch.end(second)

    run(opener, work)
    assert house.failures == []


def test_of_several_replicas_one_signs_at_each_interval(opener: Opener, house: House) -> None:
    async def work(state: GatewayState) -> None:
        replicas = [house.replica(name) for name in ("one", "two", "three")]
        for round_ in range(1, 4):
            house.later(EVERY_S)
            await grow(state, f"{round_}")
            waits = await asyncio.gather(*(replica.turn(state) for replica in replicas))
            assert waits == [EVERY_S] * 3
            signed = sum(len(house.heads(name)) for name in ("one", "two", "three"))
            assert signed == round_
        house.later(1)
        for replica in replicas:  # the others learn of it
            await replica.turn(state)
            assert replica.counts.newest_at == (house.now - timedelta(seconds=1)).timestamp()

    run(opener, work)
    assert house.failures == []


def test_another_replica_takes_the_turn_of_one_that_cannot_sign(
    opener: Opener, house: House
) -> None:
    async def work(state: GatewayState) -> None:
        broken, other = house.replica("broken", broken=True), house.replica("other")
        head = await grow(state, "a")
        assert await broken.turn(state) == RETRY_S
        assert broken.counts.failures == 1
        assert await other.turn(state) == RETRY_S
        house.later(RETRY_S)
        await other.turn(state)
        assert house.heads("other") == [head]
        assert await broken.turn(state) == EVERY_S

    run(opener, work)
    assert [error.code for error in house.failures] == ["unavailable"]


def test_the_end_of_a_replica_is_signed_out_of_turn(opener: Opener, house: House) -> None:
    async def work(state: GatewayState) -> None:
        one, two = house.replica("one"), house.replica("two")
        first = await grow(state, "a")
        await one.turn(state)
        stop = asyncio.Event()
        following = asyncio.create_task(two.follow(state, stop))
        await asyncio.sleep(0)
        last = await grow(state, "b")
        stop.set()
        await following
        await one.end(state)  # there is nothing more
        assert (house.heads("one"), house.heads("two")) == ([first], [last])

    run(opener, work)
    assert house.failures == []


def test_a_log_that_was_rewritten_is_never_signed_not_even_after_a_start(
    opener: Opener, house: House, tmp_path: Path
) -> None:
    async def work(state: GatewayState) -> None:
        one = house.replica("one")
        await grow(state, "a", "b")
        await one.turn(state)
        house.later(EVERY_S)
        async with open_sqlite(tmp_path / "rewritten.db") as rewritten:
            await grow(rewritten, "x", "y", "z")
            for replica in (one, house.replica("one")):
                await replica.turn(rewritten)
                assert replica.counts.failures == 1
                house.later(EVERY_S)
            # Not even where the database alone remembers what was signed.
            remembered = await newest_checkpoint(state)
            assert remembered is not None
            await rewritten.change(NEWEST, lambda _: remembered.data.decode())
            await house.replica("elsewhere").turn(rewritten)
        assert len(house.heads("one")) == 1
        assert house.heads("elsewhere") == []

    run(opener, work)
    assert [type(error) for error in house.failures] == [Corrupt] * 3
    assert "another event 2 than the checkpoint" in house.failures[0].message


def test_what_others_wrote_into_the_shared_rows_is_told_and_replaced(
    opener: Opener, house: House
) -> None:
    async def work(state: GatewayState) -> None:
        head = await grow(state, "a")
        await state.change(NEWEST, lambda _: "{}")
        far = (NOON + timedelta(days=9000)).isoformat()
        await state.change(TURN, lambda _: f'{{"holder": "x", "due": "{far}"}}')
        one = house.replica("one")
        await one.turn(state)
        assert house.heads("one") == [head]
        kept = await newest_checkpoint(state)
        assert kept is not None
        assert kept.data == next((house.root / "one").iterdir()).read_bytes()
        for malformed in ("", "[]", '{"holder": 1}', '{"holder": "x", "due": "soon"}'):
            await state.change(TURN, lambda _, text=malformed: text)  # type: ignore[misc]
            assert await one.turn(state) == EVERY_S

    run(opener, work)
    assert [error.code for error in house.failures] == ["corrupt"]


def test_after_the_key_was_rotated_the_new_one_signs_on(opener: Opener, house: House) -> None:
    async def work(state: GatewayState) -> None:
        await grow(state, "a")
        await house.replica("one").turn(state)
        (house.root / "one").rename(house.root / "before")
        house.key = PrivateKey.new()
        house.later(EVERY_S)
        head = await grow(state, "b")
        await house.replica("one").turn(state)
        assert house.heads("one") == [head]

    run(opener, work)
    assert house.failures == []


def test_a_folder_that_cannot_be_written_is_a_failure_that_is_lived_through(
    opener: Opener, house: House
) -> None:
    async def work(state: GatewayState) -> None:
        house.root.write_text("a file where the folder should be")
        one = house.replica("one")
        await grow(state, "a")
        assert await one.turn(state) == RETRY_S
        house.root.unlink()
        house.later(RETRY_S)
        assert await one.turn(state) == EVERY_S

    run(opener, work)
    assert [error.code for error in house.failures] == ["storage-failed"]
