import asyncio
from collections.abc import Callable

import pytest

from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest
from lockgate.domain.inference import (
    Classify,
    Completion,
    Dispatch,
    Embed,
    Generate,
    Inference,
    Message,
    Result,
    Row,
)
from lockgate.domain.usage import Usage
from lockgate.errors import ModelMissing, Overloaded, Unavailable
from lockgate.traffic.breaker import Breaker, BreakerSettings, BreakerState
from lockgate.traffic.concurrency import FixedConcurrency
from lockgate.traffic.controlled import ControlledBackend, Urgency, cost_of
from lockgate.traffic.queue import Queue, QueueSettings
from lockgate.traffic.retry_budget import RetryBudget
from virtual_time import now, run

Behaviour = Callable[[int], Result | Exception | float]
ANSWER = Completion(text="yes", usage=Usage())


class Scripted:
    """Answers, fails, or takes so many seconds, by the number of the call."""

    data_classes = frozenset({DataClass.PUBLIC})

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.calls = 0

    async def infer(self, dispatch: Dispatch) -> Result:
        self.calls += 1
        found = self.behaviour(self.calls)
        if isinstance(found, Exception):
            raise found
        if isinstance(found, float):
            await asyncio.sleep(found)
            return ANSWER
        return found


def ask(request: Inference | None = None) -> Dispatch:
    wanted = request or Generate(messages=(Message(role="user", content="x" * 40),), max_tokens=10)
    return Dispatch(model="m", digest=Digest.of(b"m"), request=wanted)


class Rig:
    def __init__(self, behaviour: Behaviour, *, saved: int = 0, concurrency: int = 4) -> None:
        self.inner = Scripted(behaviour)
        self.breaker = Breaker(BreakerSettings(slow_s=5.0), clock=now)
        self.budget = RetryBudget()
        for _ in range(10 * saved):
            self.budget.attempted()
        self.queue = Queue(FixedConcurrency(concurrency), QueueSettings(), clock=now)
        self.backend = ControlledBackend(
            "local",
            self.inner,
            queue=self.queue,
            breaker=self.breaker,
            budget=self.budget,
            urgency=lambda: Urgency(deadline=now() + 60),
        )


def test_a_failed_call_is_made_again_while_the_budget_lasts() -> None:
    async def work() -> None:
        rig = Rig(lambda n: Unavailable("no") if n <= 2 else ANSWER, saved=2)
        assert await rig.backend.infer(ask()) is ANSWER
        assert rig.inner.calls == 3
        poor = Rig(lambda _: Unavailable("no"))
        with pytest.raises(Unavailable, match="no"):
            await poor.backend.infer(ask())
        assert poor.inner.calls == 1
        assert poor.queue.in_flight == 0

    run(work())


def test_one_call_does_not_use_up_what_all_have_saved() -> None:
    async def work() -> None:
        rig = Rig(lambda _: Unavailable("no"), saved=50)
        with pytest.raises(Unavailable):
            await rig.backend.infer(ask())
        assert rig.inner.calls == 3

    run(work())


def test_an_open_circuit_refuses_with_the_time_to_come_back_and_calls_nothing() -> None:
    async def work() -> None:
        rig = Rig(lambda _: Unavailable("no"))
        for _ in range(10):
            with pytest.raises(Unavailable):
                await rig.backend.infer(ask())
        with pytest.raises(Overloaded, match="`local` fails") as refused:
            await rig.backend.infer(ask())
        assert refused.value.retry_after_s == 1.0
        assert rig.inner.calls == 10
        await asyncio.sleep(1.1)
        rig.inner.behaviour = lambda _: ANSWER
        for _ in range(3):
            await rig.backend.infer(ask())
        assert rig.breaker.state is BreakerState.CLOSED

    run(work())


def test_a_call_whose_patience_ended_counts_as_failed_and_a_client_that_left_does_not() -> None:
    async def work() -> None:
        rig = Rig(lambda _: 3600.0, concurrency=100)

        async def give_up_after(seconds: float) -> None:
            calls = (asyncio.wait_for(rig.backend.infer(ask()), seconds) for _ in range(20))
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(error, TimeoutError) for error in ended)

        states = []
        for patience_s in (1.0, 6.0):
            await give_up_after(patience_s)
            states.append(rig.breaker.state)
        assert states == [BreakerState.CLOSED, BreakerState.OPEN]
        assert rig.queue.in_flight == 0

    run(work())


def test_a_missing_model_is_neither_a_failure_of_the_backend_nor_tried_again() -> None:
    async def work() -> None:
        rig = Rig(lambda _: ModelMissing("pull it"), saved=10)
        for _ in range(20):
            with pytest.raises(ModelMissing):
                await rig.backend.infer(ask())
        assert rig.inner.calls == 20
        assert rig.breaker.state is BreakerState.CLOSED

    run(work())


def test_what_may_be_sent_there_stays_what_the_backend_says() -> None:
    async def work() -> None:
        assert Rig(lambda _: ANSWER).backend.data_classes == {DataClass.PUBLIC}

    run(work())


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        (Generate(messages=(Message(role="user", content="x" * 400),), max_tokens=50), 150),
        (Embed(texts=("x" * 40, "y" * 40)), 20),
        (Embed(texts=()), 1),
        (Classify(rows=(Row(), Row())), 2),
    ],
)
def test_a_dispatch_costs_what_it_reads_and_may_write(request_: Inference, tokens: int) -> None:
    assert cost_of(ask(request_)) == tokens
