import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lockgate.books.budgets import Budgets, Reservation
from lockgate.books.slices import Slice
from lockgate.books.spool import Spool
from lockgate.domain.budget import Budget, Loan, Period, UsageEvent
from lockgate.domain.money import TokenCounts
from lockgate.errors import OverBudget, StorageFailed, Unavailable

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TEAM, KEY = "team:shop", "key:k"


class Lender:
    """The shared account, in memory."""

    def __init__(self) -> None:
        self.lent: dict[object, int] = {}
        self.asked = 0
        self.delay_s = 0.0

    def __call__(self, one: Slice, need: int, ask: int) -> Future[Loan]:
        self.asked += 1
        answer: Future[Loan] = Future()
        left = one.limit - self.lent.get(one.bucket, 0)
        loan = 0 if left < need else min(left, max(ask, left // 8))
        self.lent[one.bucket] = self.lent.get(one.bucket, 0) + loan

        def send() -> None:
            answer.set_result(Loan(nanos=loan, left=left - loan))

        if self.delay_s:
            threading.Timer(self.delay_s, send).start()
        else:
            send()
        return answer


class Time:
    def __init__(self) -> None:
        self.now, self.seconds = NOON, 100.0

    def clock(self) -> datetime:
        return self.now

    def stopwatch(self) -> float:
        return self.seconds


class Shop:
    """Budgets with a lender and a clock that tests move."""

    def __init__(self, folder: Path, **limits: int) -> None:
        self.time, self.lender = Time(), Lender()
        self.spool = Spool(folder)
        self.budgets = Budgets(
            spool=self.spool, clock=self.time.clock, stopwatch=self.time.stopwatch
        )
        self.budgets.connect(self.lender)
        self.count = 0
        self.limit(**limits)

    def limit(self, **limits: int) -> None:
        kinds = {"team": (TEAM, Period.MONTH), "key": (KEY, Period.DAY)}
        self.budgets.load(
            Budget(account=kinds[name][0], period=kinds[name][1], nanos=nanos)
            for name, nanos in limits.items()
        )

    def event(self, nanos: int) -> UsageEvent:
        self.count += 1
        return UsageEvent(
            id=f"e{self.count}",
            at=self.time.now,
            key="k",
            team="shop",
            model="m",
            counts=TokenCounts(),
            nanos=nanos,
        )

    def acquire(self, nanos: int) -> Reservation:
        return asyncio.run(self.budgets.acquire((TEAM, KEY), self.event(nanos)))

    def settle(self, held: Reservation, nanos: int) -> None:
        event = self.event(nanos)
        values = {name: getattr(event, name) for name in UsageEvent._fields}
        self.budgets.settle(held, UsageEvent(**{**values, "id": held.event.id}))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Shop]:
    return lambda **limits: Shop(tmp_path, **limits)


def test_what_is_reserved_cannot_be_reserved_again_until_it_is_released(
    make: Callable[..., Shop],
) -> None:
    shop = make(team=100)
    held = shop.acquire(60)
    with pytest.raises(OverBudget, match=r"0\.00000004 left of 0\.0000001"):
        shop.acquire(41)
    shop.acquire(40)

    shop.budgets.release(held)
    shop.budgets.release(held)
    shop.acquire(60)


def test_settling_frees_what_was_not_spent_and_keeps_what_was(make: Callable[..., Shop]) -> None:
    shop = make(team=100)
    shop.settle(shop.acquire(80), 30)
    shop.settle(shop.acquire(70), 70)
    with pytest.raises(OverBudget):
        shop.acquire(1)
    assert shop.budgets.over_nanos == 0


def test_a_call_that_costs_more_than_its_ceiling_is_counted_in_full_and_noted(
    make: Callable[..., Shop],
) -> None:
    shop = make(team=100)
    shop.settle(shop.acquire(50), 90)
    assert shop.budgets.over_nanos == 40
    with pytest.raises(OverBudget):
        shop.acquire(11)


def test_every_budget_holds_and_one_that_refuses_leaves_the_others_as_they_were(
    make: Callable[..., Shop],
) -> None:
    shop = make(team=1000, key=50)
    shop.settle(shop.acquire(50), 50)
    with pytest.raises(OverBudget, match="key:k"):
        shop.acquire(1)

    shop.time.now += timedelta(days=1)
    shop.settle(shop.acquire(50), 50)
    month = {b.period: n for b, n in shop.budgets._slices.spent().items() if b.account == TEAM}
    assert month == {"month:2026-11": 100}


def test_an_account_without_a_budget_is_not_limited(make: Callable[..., Shop]) -> None:
    shop = make(team=10)
    event = shop.event(10**15)
    held = shop.budgets.reserve(("key:other", "task:review"), event)
    assert held is not None
    assert shop.lender.asked == 0


def test_nothing_can_be_reserved_before_the_limits_are_known(tmp_path: Path) -> None:
    time = Time()
    budgets = Budgets(spool=Spool(tmp_path), clock=time.clock, stopwatch=time.stopwatch)
    event = UsageEvent(id="e", at=NOON, key="k", team="t", model="m", counts=TokenCounts(), nanos=1)
    with pytest.raises(Unavailable):
        budgets.reserve((), event)


def test_a_reservation_needs_no_loan_while_there_is_money_at_hand(
    make: Callable[..., Shop],
) -> None:
    shop = make(team=8000)
    shop.acquire(1)
    asked = shop.lender.asked
    for _ in range(999):
        assert shop.budgets.reserve((TEAM,), shop.event(1)) is not None
    assert shop.lender.asked == asked
    assert shop.budgets.reserve((TEAM,), shop.event(1)) is None


def test_a_slice_that_runs_low_asks_for_more_and_an_idle_one_gives_back(
    make: Callable[..., Shop],
) -> None:
    shop = make(team=8000)
    held = shop.acquire(400)
    assert shop.budgets.wanting() == []
    shop.acquire(200)
    (low,) = shop.budgets.wanting()
    assert low.bucket.account == TEAM

    assert shop.budgets.idle() == []
    shop.time.seconds += 6
    (idle,) = shop.budgets.idle()
    assert shop.budgets.take_free(idle) == 400
    shop.settle(held, 100)
    assert shop.budgets.take_free(idle) == 300


def test_many_calls_at_once_share_one_loan_and_never_overshoot(
    make: Callable[..., Shop],
) -> None:
    shop = make(team=64 * 7 + 3)
    shop.lender.delay_s = 0.01
    done: list[Reservation | BaseException] = []

    async def work() -> None:
        calls = (shop.budgets.acquire((TEAM,), shop.event(7)) for _ in range(100))
        done.extend(await asyncio.gather(*calls, return_exceptions=True))

    asyncio.run(work())

    got = [one for one in done if isinstance(one, Reservation)]
    assert len(got) == 64
    assert all(isinstance(one, OverBudget) for one in done if one not in got)
    assert shop.lender.asked < 40


def test_threads_never_reserve_more_than_there_is(make: Callable[..., Shop]) -> None:
    shop = make(team=1000)
    shop.settle(shop.acquire(1000), 0)
    granted: list[int] = []

    def work(name: int) -> None:
        for n in range(200):
            event = UsageEvent(
                id=f"{name}-{n}", at=NOON, key="k", team="t", model="m",
                counts=TokenCounts(), nanos=3,
            )  # fmt: skip
            try:
                if shop.budgets.reserve((TEAM,), event):
                    granted.append(3)
            except OverBudget:
                pass

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 999


def test_a_lowered_limit_takes_back_what_is_free(make: Callable[..., Shop]) -> None:
    shop = make(team=800)
    shop.acquire(100)
    shop.limit(team=900)
    assert shop.budgets.load([Budget(account=TEAM, period=Period.MONTH, nanos=900)]) == ()

    (lowered,) = shop.budgets.load([Budget(account=TEAM, period=Period.MONTH, nanos=150)])
    assert shop.budgets.take_free(lowered) == 0
    with pytest.raises(OverBudget):
        shop.acquire(151)
    (gone,) = shop.budgets.load([])
    assert gone is lowered


class FullDisk(Spool):
    full = False

    def append(self, content: bytes) -> None:
        if self.full:
            raise StorageFailed("full")
        super().append(content)


def test_a_full_disk_refuses_new_calls_and_keeps_what_was_settled(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "unused", team=100)
    spool = FullDisk(tmp_path / "spool")
    shop.budgets._spool = spool
    held = shop.acquire(60)
    spool.full = True

    with pytest.raises(StorageFailed):
        shop.acquire(10)
    shop.settle(held, 50)
    with pytest.raises(StorageFailed):
        shop.budgets.maintain()
    spool.full = False
    shop.budgets.maintain()

    kinds = [record.content[:1] for record in spool.read(0, limit=9)]
    assert kinds == [b"R", b"S"]
    shop.acquire(50)


def test_a_new_segment_begins_with_the_calls_that_are_still_open(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "unused", team=100)
    shop.budgets._spool = spool = Spool(tmp_path / "spool", segment_bytes=500)
    held = shop.acquire(1)
    for _ in range(5):
        shop.settle(shop.acquire(1), 0)
    assert spool.is_full()
    end = spool.end
    shop.budgets.maintain()
    spool.forget(end)

    (carried,) = spool.read(spool.start, limit=9)
    assert carried.content[:1] == b"R"
    assert f'"{held.event.id}"'.encode() in carried.content
