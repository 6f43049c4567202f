"""Calls of tasks are charged, inference by inference, to who calls."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from conftest import Opener
from ledgers import ledger, now, ready_books, set_budgets
from lockgate.app.billing import BilledCall, Billing
from lockgate.app.books import Books
from lockgate.app.calls import new_id
from lockgate.app.gateway_controls import Switch
from lockgate.app.gateway_engine import EngineRoom
from lockgate.app.gateway_observed import Observer
from lockgate.app.task_billing import Payer, Stopwatch, TaskBilling, Timed, TimedBackends
from lockgate.books.prices import read_prices
from lockgate.cli.main import execute
from lockgate.config.environment import Environment
from lockgate.config.load import load
from lockgate.domain.budget import Budget, Period, UsageEvent
from lockgate.domain.call import Answer, Call, DataClass, EngineKind, Principal
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Completion, Dispatch, Embed
from lockgate.domain.money import TokenCounts
from lockgate.errors import NoAnswer, OverBudget
from lockgate.store.sqlite import open_sqlite
from lockgate.telemetry.entropy import Entropy
from lockgate.telemetry.sampling import Sampler, SamplingRule
from lockgate.telemetry.spans import Span, Trace, Tracer
from price_files import price_file
from upstream.mock_model import MockModel, mock_model
from waiting import until

TASK = "log-triage"
MOST = 80
"""Tokens of an answer of a new task."""
PAYER = Payer(key="ci", team="shop", route="call")
PRICES = price_file(smollm2=("1000", "1000"))


def reply(text: str) -> bytes:
    usage = {"prompt_tokens": 30, "completion_tokens": 10}
    choice = {"message": {"content": text}, "finish_reason": "stop"}
    body = json.dumps({"choices": [choice], "usage": usage}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


GOOD = reply('{"category": "disk", "words": "no space left"}')
BAD = reply('{"category": "weather", "words": ""}')


@dataclass
class House:
    room: EngineRoom
    books: Books
    mock: MockModel

    async def ask(
        self, payer: Payer = PAYER, observer: Observer | None = None, **changes: Any
    ) -> Answer:
        call = Call(
            id=new_id(),
            principal=Principal(name="shop/ci", scopes=frozenset({"task:*"})),
            task=TASK,
            input={"text": "no space left on device"},
        )
        return await self.room.answer(replace(call, **changes), payer, observer)


Work = Callable[[House], Coroutine[Any, Any, None]]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    assert execute(["task", "new", TASK]) == 0
    return tmp_path


@asynccontextmanager
async def house(
    folder: Path, mock: MockModel, *, policy: str = "rules", prices: str = PRICES
) -> AsyncGenerator[House]:
    (folder / "lockgate.toml").write_text(
        f'[backends.far]\nkind = "openai"\nurl = "http://127.0.0.1:{mock.port}/v1"\n'
        f'data_classes = ["internal"]\n[tasks.{TASK}]\non_unavailable = "{policy}"\n'
        f'models = {{text = {{backend = "far"}}}}\n'
    )
    loaded = load(None, start=folder)
    environment = Environment.read(
        {"LOCKGATE_STATE_DIR": str(folder / "state"), "LOCKGATE_DATA_DIR": str(folder / "data")}
    )
    room = EngineRoom(loaded, environment, Switch())
    await room.start()
    try:
        with ready_books(opener_in(folder), folder / "spool") as books:
            room.bill(Billing(books.budgets, read_prices(prices.encode()), clock=now))
            try:
                yield House(room, books, mock)
            finally:
                await room.stop()
    finally:
        await room.stop()


def opener_in(folder: Path) -> Opener:
    return lambda: open_sqlite(folder / "books.db")


def run(folder: Path, work: Work, *budgets: Budget, **given: Any) -> list[UsageEvent]:
    async def main() -> list[UsageEvent]:
        await set_budgets(opener_in(folder), *budgets)
        with mock_model() as mock:
            mock.answer = GOOD
            async with house(folder, mock, **given) as made:
                await work(made)
        return await ledger(opener_in(folder))

    return asyncio.run(main())


def test_an_inference_of_a_task_is_one_event_with_its_task_and_release(workplace: Path) -> None:
    answers: list[Answer] = []

    async def work(made: House) -> None:
        answers.append(await made.ask())
        answers.append(await made.ask())
        assert len(made.mock.requests) == 2

    events = run(workplace, work)
    assert [answer.degraded for answer in answers] == [(), ()]
    assert [event.id for event in events] == [f"{answer.call}.1" for answer in answers]
    for event, answer in zip(events, answers, strict=True):
        assert (event.key, event.team, event.task, event.route) == ("ci", "shop", TASK, "call")
        assert (event.model, event.release) == ("smollm2", str(answer.release))
        assert (event.counts.input_tokens, event.counts.output_tokens) == (30, 10)
        assert event.counts.duration_us > 0
        assert (event.nanos, event.flags) == (40 * 1_000_000, frozenset())
        assert answer.usage.cost_micros == 40_000


@pytest.mark.parametrize("account", [f"task:{TASK}", "team:shop", "key:ci"])
def test_a_budget_that_is_used_up_leaves_the_rules_which_cost_nothing(
    workplace: Path, account: str
) -> None:
    async def work(made: House) -> None:
        answer = await made.ask()
        assert answer.engine is EngineKind.RULES
        assert f"the budget of `{account}`" in answer.degraded[0]
        assert made.mock.requests == []
        other = await made.ask(Payer(key="other", team="other", route="call"))
        assert (other.engine is EngineKind.RULES) is account.startswith("task:")

    events = run(workplace, work, Budget(account=account, period=Period.DAY, nanos=1))
    assert len(events) == (0 if account.startswith("task:") else 1)


def test_a_task_that_may_not_fall_back_says_that_the_budget_is_used_up(workplace: Path) -> None:
    async def work(made: House) -> None:
        with pytest.raises(OverBudget, match=f"the budget of `task:{TASK}`"):
            await made.ask()

    less = Budget(account=f"task:{TASK}", period=Period.TOTAL, nanos=1)
    assert run(workplace, work, less, policy="refuse") == []


def test_an_answer_that_the_checks_refuse_has_been_paid_for(workplace: Path) -> None:
    async def work(made: House) -> None:
        made.mock.answer = BAD
        observer = Observer()
        with pytest.raises(NoAnswer):
            await made.ask(observer=observer)
        assert observer.nanos == 40 * 1_000_000

    (event,) = run(workplace, work, policy="refuse")
    assert event.nanos == 40 * 1_000_000


def test_what_the_rules_answer_is_no_event(workplace: Path) -> None:
    async def work(made: House) -> None:
        assert (await made.ask(engine=EngineKind.RULES)).degraded == ()
        assert (await made.ask(without_models="turned off")).engine is EngineKind.RULES

    assert run(workplace, work) == []


def test_a_model_without_a_price_is_not_asked_by_a_task(workplace: Path) -> None:
    async def work(made: House) -> None:
        answer = await made.ask()
        assert "`smollm2` has no price" in answer.degraded[0]
        assert made.mock.requests == []

    other = PRICES.replace("smollm2", "other")
    assert run(workplace, work, prices=other) == []


def test_many_calls_at_once_never_spend_more_than_a_tasks_budget(workplace: Path) -> None:
    # Room for about ten reservations of the ceiling: bytes of the prompt and 80 tokens each.
    limit = Budget(account=f"task:{TASK}", period=Period.DAY, nanos=1_000_000_000)

    async def work(made: House) -> None:
        answers = await asyncio.gather(*(made.ask() for _ in range(40)))
        spent = sum(answer.usage.cost_micros * 1000 for answer in answers)
        assert 0 < spent <= limit.nanos

    events = run(workplace, work, limit)
    assert sum(event.nanos for event in events) <= limit.nanos
    assert {event.flags for event in events} == {frozenset()}


def trace(parent: bytes | None, *, recorded: bool) -> Trace:
    rule = SamplingRule(ratio=1.0 if recorded else 0.0)
    sampler = Sampler([rule], clock=time.monotonic, follow_caller=False)
    tracer = Tracer(sampler, nowhere, clock_ns=time.time_ns, random_bits=Entropy())
    return tracer.begin("x", route="call", traceparent=parent, tracestate=[b"a=1"])


def nowhere(span: Span) -> None:
    """Take a span that nobody looks at."""


def headers(head: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b": ") for line in head.split(b"\r\n"))
    return {name.lower(): value for name, _, value in lines}


def test_the_servers_that_a_task_asks_are_told_whose_trace_it_is(workplace: Path) -> None:
    came = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    recorded = Observer(trace=trace(came, recorded=True))
    watchers = (
        recorded,
        Observer(trace=trace(came, recorded=False)),
        Observer(trace=trace(None, recorded=False)),
        Observer(),
    )
    told: list[dict[bytes, bytes]] = []

    async def work(made: House) -> None:
        for observer in watchers:
            await made.ask(observer=observer)
        told.extend(map(headers, made.mock.heads))

    run(workplace, work)

    below, carried, *untold = told
    (note,) = recorded.found
    assert below[b"traceparent"] == came[:36] + b"%016x-01" % note.span_id
    assert (carried[b"traceparent"], carried[b"tracestate"]) == (came, b"a=1")
    assert not any(name.startswith(b"trace") for head in untold for name in head)
    assert [observer.found[0].span_id for observer in watchers[1:]] == [0, 0, 0]
    assert note.destination.startswith("127.0.0.1:")


def test_a_call_that_is_given_up_pays_for_what_was_asked_and_holds_nothing(
    workplace: Path,
) -> None:
    async def work(made: House) -> None:
        made.mock.answer = None
        made.mock.hang_after = 0
        asking = asyncio.create_task(made.ask())
        await asyncio.to_thread(made.mock.asked.wait, 10)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    (event,) = run(workplace, work)
    assert event.flags == {"estimated", "cancelled"}
    assert event.counts.input_tokens > 0
    assert event.counts.output_tokens == MOST


@pytest.mark.parametrize("status", [b"400 X", b"404 X", b"429 X", b"500 X"])
def test_a_server_that_says_no_is_not_paid(workplace: Path, status: bytes) -> None:
    async def work(made: House) -> None:
        made.mock.answer = b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status
        assert (await made.ask()).engine is EngineKind.RULES

    assert run(workplace, work) == []


def test_a_server_that_answers_nonsense_is_paid_for_each_time_that_it_was_asked(
    workplace: Path,
) -> None:
    async def work(made: House) -> None:
        for _ in range(12):
            await made.ask()  # each of which earns a part of a retry
        made.mock.answer = b"nothing that is HTTP\r\n\r\n"
        assert (await made.ask()).engine is EngineKind.RULES

    *_, event = run(workplace, work)
    assert event.flags == {"estimated", "cancelled"}
    assert event.counts.output_tokens == 2 * MOST


def test_a_call_that_runs_when_the_engine_closes_is_cancelled_and_in_the_audit_log(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work(made: House) -> None:
        made.mock.answer = None
        made.mock.hang_after = 0
        asking = asyncio.create_task(made.ask())
        await asyncio.to_thread(made.mock.asked.wait, 10)
        await made.room.stop()
        with pytest.raises(asyncio.CancelledError):
            await asking

    (event,) = run(workplace, work)
    assert event.flags == {"estimated", "cancelled"}
    capsys.readouterr()
    assert execute(["audit", "list", "--json"]) == 0
    (call,) = json.loads(capsys.readouterr().out)
    assert (call["subject"], call["detail"]["outcome"]) == (TASK, "cancelled")


def test_a_reservation_that_comes_after_its_call_was_given_up_is_given_back(
    tmp_path: Path,
) -> None:
    """The loan is awaited on one loop; the call that wanted it is cancelled on another."""

    async def main() -> None:
        all_of_it = Budget(account="team:shop", period=Period.DAY, nanos=10**9)
        await set_budgets(opener_in(tmp_path), all_of_it)
        with ready_books(opener_in(tmp_path), tmp_path / "spool") as books:
            billing = Billing(books.budgets, read_prices(PRICES.encode()), clock=now)
            here = asyncio.get_running_loop()
            tasks = TaskBilling(billing, here, is_local=lambda _: False)
            call = BilledCall(id="c.1", key="ci", team="shop", task=TASK, model="smollm2")

            async def give_up() -> None:
                opening = asyncio.create_task(tasks.open(call, TokenCounts(input_tokens=500)))
                await asyncio.sleep(0)
                opening.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await opening

            await asyncio.to_thread(asyncio.run, give_up())
            # All of the budget can be had again, so nothing is held.
            await until(lambda: fits(billing, call, TokenCounts(input_tokens=1000)))

    async def fits(billing: Billing, call: BilledCall, counts: TokenCounts) -> bool:
        try:
            bill = await billing.open(call._replace(id=new_id()), counts)
        except OverBudget:
            return False
        bill.cancel()
        return True

    asyncio.run(main())
    assert asyncio.run(ledger(opener_in(tmp_path))) == []


def test_the_wait_in_a_queue_is_no_time_of_the_model() -> None:
    clock = iter([10.0, 12.5])

    class Model:
        data_classes = frozenset(DataClass)

        async def infer(self, dispatch: Dispatch) -> Completion:
            raise OverBudget("whatever")

    backends = TimedBackends({"here": Model()}, clock=lambda: next(clock))
    watch = Stopwatch()
    timed = Timed(model="m", digest=Digest.of(b""), request=Embed(texts=()), stopwatch=watch)
    with pytest.raises(OverBudget):
        asyncio.run(backends["here"].infer(timed))
    assert (watch.unheard, watch.seconds) == (1, 2.5)
