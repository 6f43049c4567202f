import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lockgate.domain.audit import AuditEvent, Entry, Head, seal, verify
from lockgate.domain.call import Answer, Call, DataClass, Draft, EngineKind, Principal
from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.inference import Completion, Dispatch, Generate, Message, Result
from lockgate.domain.redact import Redaction, Sanitised
from lockgate.domain.release import Pin, Release
from lockgate.domain.task import OnUnavailable, TaskSpec
from lockgate.domain.usage import Budget, Usage
from lockgate.domain.verdict import Outcome, Verdict
from lockgate.engine.answer import Answering, Plan
from lockgate.engine.infer import Inferring
from lockgate.engine.record import Ledger
from lockgate.engine.replay import Replaying
from lockgate.engine.retrieve import Retrieving
from lockgate.errors import (
    Corrupt,
    Denied,
    InvalidInput,
    LockgateError,
    ModelMissing,
    NoAnswer,
    NotFound,
    Unavailable,
    UsageError,
)
from lockgate.ports import Backend, Check, Context, Document, Index, Options, Payload

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANA = Principal(name="ana", scopes=frozenset({"task:echo"}))


@dataclass
class MemoryStore:
    """Implements ports.Store and ports.Unit in memory: one transaction at a time."""

    chain: list[AuditEvent] = field(default_factory=list)
    payloads: dict[Digest, Payload] = field(default_factory=dict)

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator["MemoryStore"]:
        yield self

    async def append(self, entry: Entry) -> AuditEvent:
        event = seal(await self.head(), entry)
        self.chain.append(event)
        return event

    async def head(self) -> Head:
        if not self.chain:
            return Head()
        return Head(seq=self.chain[-1].seq, digest=self.chain[-1].digest)

    async def event(self, call: str) -> AuditEvent | None:
        return next((e for e in reversed(self.chain) if e.entry.id == call), None)

    async def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[AuditEvent]:
        return self.chain[after : after + limit]

    async def recent(
        self, *, limit: int, task: str | None = None, before: int | None = None
    ) -> Sequence[AuditEvent]:
        return list(reversed(self.chain))[:limit]

    async def put_payload(self, digest: Digest, payload: Payload) -> None:
        self.payloads[digest] = payload

    async def payload(self, digest: Digest) -> bytes | None:
        found = self.payloads.get(digest)
        return found.data if found else None

    async def drop_expired(self, now: datetime, *, limit: int = 1000) -> int:
        return 0


class NoFindings:
    """Implements ports.Guard, ports.SchemaValidator, ports.Retriever and ports.Progress."""

    def sanitise(self, value: Json, *, data_class: DataClass = DataClass.INTERNAL) -> Sanitised:
        assert isinstance(value, Mapping)
        if "hunter2" not in str(value["text"]):
            return Sanitised(value=value)
        clean = {"text": str(value["text"]).replace("hunter2", "<secret:password:1>")}
        found = Redaction(placeholder="<secret:password:1>", rule="password", description="it")
        return Sanitised(value=clean, redactions=(found,))

    def problems(self, schema: JsonObject, value: Json) -> Sequence[str]:
        assert isinstance(value, Mapping)
        wanted = str(schema["needs"])
        return [] if wanted in value else [f"`{wanted}` is missing in {value}"]

    def search(self, documents: Sequence[Document], query: str, *, limit: int) -> Sequence[str]:
        return []

    def open(self, digest: Digest) -> Index:
        raise AssertionError("this task searches nothing")

    def start(self, label: str, total: int) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def finish(self) -> None: ...


class NoSudo:
    name = "no-sudo"

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        bad = "sudo" in str(draft.output["said"])
        outcome = Outcome.FAIL if bad else Outcome.PASS
        return Verdict(check=self.name, outcome=outcome, reason="found `sudo`" if bad else "")


class Echo:
    """Says what the model says to the text; its rules say the text itself."""

    spec = TaskSpec(
        name="echo",
        version="1",
        title="Echo",
        input_schema={"needs": "text"},
        output_schema={"needs": "said"},
        roles=(("text", "tiny"),),
    )
    checks: Sequence[Check] = (NoSudo(),)

    def collect(self, options: Options) -> JsonObject:
        raise AssertionError("the engine never collects")

    async def run(self, given: JsonObject, context: Context) -> Draft:
        message = Message(role="user", content=str(given["text"]))
        completion = await context.models.generate(Generate(messages=(message,), max_tokens=10))
        return Draft(output={"said": completion.text}, confidence=0.5)

    def rules(self, given: JsonObject, context: Context) -> Draft:
        return Draft(output={"said": given["text"]}, engine=EngineKind.RULES)

    def render(self, answer: Answer, form: str) -> str:
        return str(answer.output["said"])

    def gate(self, answer: Answer, options: Options) -> Verdict | None:
        return None


class Scripted:
    """Implements ports.Backend with one reply, or one error, for everything."""

    def __init__(self, reply: str | LockgateError | None, *, classes: frozenset[DataClass]) -> None:
        self.reply = reply
        self.data_classes = classes
        self.seen: list[Dispatch] = []

    async def infer(self, dispatch: Dispatch) -> Result:
        self.seen.append(dispatch)
        if self.reply is None:
            await asyncio.Event().wait()
        if isinstance(self.reply, LockgateError):
            raise self.reply
        return Completion(text=str(self.reply), usage=Usage(input_tokens=3, output_tokens=2))


@dataclass
class Policy:
    """Implements `ports.Admission`."""

    admits: bool

    def admit(self, release: Release) -> JsonObject:
        if not self.admits:
            raise Denied(f"{release.task} was never promoted", hint="promote it")
        return {"environment": "here"}


@dataclass
class House:
    """An engine on fakes, and the fakes."""

    store: MemoryStore
    backend: Scripted
    answering: Answering

    def ask(self, text: str = "rotate logs", **changes: object) -> Answer:
        return asyncio.run(self.answering.answer(call(text, **changes), NoFindings()))

    @property
    def detail(self) -> JsonObject:
        return self.store.chain[-1].entry.detail


def call(text: str = "rotate logs", **changes: object) -> Call:
    made = Call(id="c1", principal=ANA, task="echo", input={"text": text})
    return replace(made, **changes)  # type: ignore[arg-type]


def house(
    reply: str | LockgateError | None = "logs rotated",
    *,
    policy: OnUnavailable = OnUnavailable.RULES,
    classes: frozenset[DataClass] = frozenset(DataClass),
    budget: Budget | None = None,
    retention: timedelta = timedelta(days=1),
    admits: bool = True,
) -> House:
    store, backend, ticks = MemoryStore(), Scripted(reply, classes=classes), iter(range(10**6))
    backends: Mapping[str, Backend] = {"fake": backend}
    pin = Pin(role="text", name="tiny", backend="fake", digest=Digest.of(b"tiny"))
    release = Release(task="echo", version="1", code={}, pins=(pin,), decoding={})
    plan = Plan(task=Echo(), release=release, budget=budget or Budget(), on_unavailable=policy)

    def stopwatch() -> int:
        return next(ticks)

    def clock() -> datetime:
        return NOON

    answering = Answering(
        plans={"echo": plan},
        admission=Policy(admits=admits),
        guard=NoFindings(),
        validator=NoFindings(),
        retrieving=Retrieving(indexes=NoFindings(), retriever=NoFindings(), guard=NoFindings()),
        inferring=Inferring(backends=backends, stopwatch=stopwatch),
        ledger=Ledger(store=store, clock=clock, stopwatch=stopwatch, retention=retention),
    )
    return House(store=store, backend=backend, answering=answering)


def test_a_model_answer_that_passes_is_returned_and_metered() -> None:
    made = house()

    answer = made.ask()

    assert (answer.output, answer.engine, answer.degraded) == (
        {"said": "logs rotated"},
        EngineKind.MODEL,
        (),
    )
    assert (answer.usage.inferences, answer.usage.output_tokens) == (1, 2)
    assert [v.check for v in answer.verdicts] == ["schema", "no-sudo"]
    assert made.detail["outcome"] == "answered"
    assert made.detail["release"] == str(answer.release)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("sudo rm", "check `no-sudo`: found `sudo`"),
        (ModelMissing("the model `tiny` is not here"), "the model `tiny` is not here"),
    ],
)
def test_a_rejected_or_missing_model_falls_back_to_the_rules_and_says_why(
    reply: str | LockgateError, why: str
) -> None:
    made = house(reply)

    answer = made.ask()

    assert (answer.output, answer.engine) == ({"said": "rotate logs"}, EngineKind.RULES)
    assert answer.degraded == (why,)
    assert [a["engine"] for a in made.detail["attempts"]] == ["model", "rules"]  # type: ignore[index, union-attr, call-overload]


def test_a_task_that_may_not_fall_back_refuses_with_the_reason_and_the_hint() -> None:
    missing = ModelMissing("the model `tiny` is not here", hint="lockgate model pull tiny")
    made = house(missing, policy=OnUnavailable.REFUSE)

    with pytest.raises(NoAnswer, match="the model `tiny` is not here") as caught:
        made.ask()

    assert "lockgate model pull tiny" in caught.value.message
    assert made.detail["outcome"] == "no-answer"


def test_a_call_without_models_is_answered_by_the_rules_and_says_why() -> None:
    made = house()

    answer = made.ask(without_models="`echo` is turned off: it leaks names")

    assert (answer.engine, made.backend.seen) == (EngineKind.RULES, [])
    assert answer.degraded == ("`echo` is turned off: it leaks names",)
    assert made.detail["outcome"] == "answered"


def test_a_call_without_models_of_a_task_that_may_not_fall_back_is_refused() -> None:
    made = house(policy=OnUnavailable.REFUSE)

    with pytest.raises(NoAnswer, match="is turned off: it leaks names"):
        made.ask(without_models="`echo` is turned off: it leaks names")

    assert made.backend.seen == []


def test_rules_that_were_asked_for_use_no_model_and_are_not_degraded() -> None:
    made = house()

    answer = made.ask(engine=EngineKind.RULES)

    assert (answer.engine, answer.degraded, made.backend.seen) == (EngineKind.RULES, (), [])


def test_rules_that_fail_a_check_are_no_answer() -> None:
    with pytest.raises(NoAnswer, match="found `sudo`"):
        house().ask("sudo make me", engine=EngineKind.RULES)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"principal": Principal(name="eve", scopes=frozenset({"task:other"}))}, Denied),
        ({"input": {"nothing": 1, "text2": ""}, "task": "none"}, Denied),
        (
            {"task": "none", "principal": Principal(name="root", scopes=frozenset({"task:*"}))},
            NotFound,
        ),
    ],
)
def test_refused_calls_raise_and_leave_an_event(
    changes: dict[str, Any], error: type[LockgateError]
) -> None:
    made = house()

    with pytest.raises(error):
        made.ask(**changes)

    assert made.detail["outcome"] == error.code
    assert made.backend.seen == []


def test_a_release_that_the_policy_does_not_admit_never_runs() -> None:
    made = house(admits=False)

    with pytest.raises(Denied, match="echo was never promoted"):
        made.ask()

    assert made.backend.seen == []
    assert (made.detail["outcome"], made.detail["admission"]) == ("denied", None)
    assert made.detail["release"] is not None


def test_what_admitted_a_release_is_in_the_log() -> None:
    made = house()
    made.ask()
    assert made.detail["admission"] == {"environment": "here"}


def test_an_invalid_input_is_refused_without_quoting_a_secret_in_the_log() -> None:
    made = house()
    made.answering.plans["echo"].task.spec.input_schema["needs"] = "more"  # type: ignore[index]
    try:
        with pytest.raises(InvalidInput):
            made.ask("hunter2")
    finally:
        made.answering.plans["echo"].task.spec.input_schema["needs"] = "text"  # type: ignore[index]

    assert "hunter2" not in str(made.store)
    assert "<secret:password:1>" in str(made.detail["error"])


def test_a_secret_reaches_neither_the_model_nor_the_store() -> None:
    made = house()

    made.ask("my password is hunter2")

    assert "hunter2" not in str(made.store)
    assert "hunter2" not in str(made.backend.seen)
    assert "<secret:password:1>" in str(made.backend.seen)


def test_data_does_not_reach_a_backend_that_does_not_take_its_class() -> None:
    made = house(classes=frozenset({DataClass.PUBLIC}))

    answer = made.ask(data_class=DataClass.CONFIDENTIAL)

    assert made.backend.seen == []
    assert answer.engine is EngineKind.RULES
    assert "may not reach the backend `fake`" in answer.degraded[0]


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        (Budget(inferences=0), "budget of 0 inference"),
        (Budget(output_tokens=9), "asks for 10 output tokens and its budget has 9 left"),
    ],
)
def test_a_call_stays_within_its_budget(budget: Budget, why: str) -> None:
    made = house(budget=budget)

    answer = made.ask()

    assert made.backend.seen == []
    assert why in answer.degraded[0]


def test_a_model_that_hangs_is_given_up_after_the_timeout() -> None:
    made = house(None, budget=Budget(timeout_s=0))

    answer = made.ask()

    assert "gave nothing in 0 s" in answer.degraded[0]


def test_a_cancelled_call_leaves_its_event() -> None:
    made = house(None)

    async def cancel() -> None:
        running = asyncio.create_task(made.answering.answer(call(), NoFindings()))
        while not made.backend.seen:  # noqa: ASYNC110  until the model was asked
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancel())

    assert made.detail["outcome"] == "cancelled"


def test_every_call_adds_one_event_to_a_chain_that_verifies() -> None:
    made = house()
    for text in ("a", "sudo b", "c"):
        made.ask(text)

    head = asyncio.run(made.store.head())
    assert verify(made.store.chain, head) == 3


def test_no_payload_is_kept_when_the_retention_is_zero() -> None:
    made = house(retention=timedelta(0))

    made.ask()

    assert made.store.payloads == {}


def test_a_replay_gives_the_same_bytes_and_is_recorded_as_one() -> None:
    made = house()
    first = made.ask("my password is hunter2")

    replaying = Replaying(store=made.store, answering=made.answering)
    result = asyncio.run(
        replaying.replay("c1", repeat_id="c2", principal=ANA, progress=NoFindings())
    )

    assert result.same
    assert result.answer.output == first.output
    assert (made.store.chain[-1].entry.action, made.detail["replay_of"]) == ("replay", "c1")


def test_a_replay_of_a_changed_model_shows_different_bytes() -> None:
    made = house()
    made.ask()
    made.backend.reply = "something else"

    replaying = Replaying(store=made.store, answering=made.answering)
    result = asyncio.run(
        replaying.replay("c1", repeat_id="c2", principal=ANA, progress=NoFindings())
    )

    assert not result.same


def test_only_answered_calls_whose_input_is_kept_can_be_replayed() -> None:
    made = house(Unavailable("down"), policy=OnUnavailable.REFUSE)
    replaying = Replaying(store=made.store, answering=made.answering)

    def replay() -> None:
        asyncio.run(replaying.replay("c1", repeat_id="c2", principal=ANA, progress=NoFindings()))

    with pytest.raises(NotFound, match="no call `c1`"):
        replay()
    with pytest.raises(NoAnswer):
        made.ask()
    with pytest.raises(UsageError, match="without an answer"):
        replay()
    made.backend.reply = "up"
    made.ask()
    made.store.payloads.clear()
    with pytest.raises(NotFound, match="no longer kept"):
        replay()


@pytest.mark.parametrize("text", ["half a character \ud83d", 2**60])
def test_an_input_that_has_no_canonical_form_is_refused_and_recorded(text: Any) -> None:
    made = house()

    with pytest.raises(InvalidInput, match="cannot be written as JSON"):
        made.ask(text)

    assert made.detail["outcome"] == "invalid-input"


def test_a_model_that_writes_half_a_character_is_replaced_by_the_rules() -> None:
    answer = house("half \ud83d").ask()

    assert answer.engine is EngineKind.RULES
    assert "not Unicode" in answer.degraded[0]


def test_a_damaged_model_falls_back_like_a_missing_one() -> None:
    answer = house(Corrupt("the model `tiny` is damaged")).ask()

    assert answer.degraded == ("the model `tiny` is damaged",)


def test_an_input_nested_too_deeply_is_refused() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]

    with pytest.raises(InvalidInput, match=r"nested too deeply|cannot be written"):
        house().ask(deep)
