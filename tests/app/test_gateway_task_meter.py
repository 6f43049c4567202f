"""What is counted of calls of tasks, and what is noted while they run."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lockgate.app.gateway_observed import Observation, ObservedBackends, Observer, _ObservedPassages
from lockgate.app.gateway_task_meter import TaskMeter, task_variant
from lockgate.domain.artifact import Kind
from lockgate.domain.call import Answer, DataClass, EngineKind
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Dispatch, Embed, Embedding, Result
from lockgate.domain.release import Pin, Release
from lockgate.domain.search import Passage
from lockgate.domain.task import TaskSpec
from lockgate.domain.usage import Usage
from lockgate.errors import InvalidInput, LockgateError, NoAnswer, Unavailable, UpstreamTimeout
from lockgate.telemetry.metrics import Metrics

MODEL = Digest.of(b"model")
RELEASE = Release(
    task="triage",
    version="1.2.0",
    code={"distribution": "folder", "version": "0", "digest": "d"},
    pins=(
        Pin(role="text", name="smollm2", digest=MODEL, kind=Kind.MODEL, backend="llama_cpp"),
        Pin(role="prompt", name="triage", digest=Digest.of(b"prompt"), kind=Kind.PROMPT),
        Pin(role="index", name="handbook", digest=Digest.of(b"index"), kind=Kind.INDEX),
    ),
    decoding={},
)
SPEC = TaskSpec(
    name="triage",
    version="1.2.0",
    title="Triage",
    input_schema={},
    output_schema={
        "properties": {
            "note": {"type": "string"},
            "verdict": {"properties": {"urgency": {"enum": ["low", "high"]}}},
        }
    },
)
ANSWER = Answer(
    call="c",
    at=datetime(2026, 11, 21, 12, tzinfo=UTC),
    task="triage",
    output={"note": "x", "verdict": {"urgency": "high"}},
    engine=EngineKind.MODEL,
    degraded=(),
    evidence=(),
    confidence=0.83,
    release=RELEASE.digest,
    usage=Usage(input_tokens=30, output_tokens=10),
)


def lines(metrics: Metrics) -> list[str]:
    return [line for line in metrics.exposition().decode().splitlines() if line[:1] != "#"]


def test_an_answer_is_counted_by_all_that_made_it() -> None:
    metrics = Metrics()
    TaskMeter(metrics).answered(SPEC, ANSWER, Observer(release=RELEASE), 0.5)
    variant = (
        f'model="smollm2",prompt_version="triage@{Digest.of(b"prompt").hex[:12]}",'
        f'data_snapshot="handbook@{Digest.of(b"index").hex[:12]}",'
        f'release="{RELEASE.digest}",flags="engine=model"'
    )
    found = lines(metrics)
    assert f'lockgate_responses_total{{outcome="ok",{variant}}} 1' in found
    assert f'lockgate_confidence_bucket{{{variant},le="0.8"}} 0' in found
    assert f'lockgate_confidence_bucket{{{variant},le="0.9"}} 1' in found
    assert f'lockgate_tokens_total{{direction="input",{variant}}} 30' in found
    assert 'lockgate_task_results_total{task="triage",result="high"} 1' in found
    assert 'lockgate_task_seconds_count{task="triage"} 1' in found


def test_what_a_call_cost_is_counted_for_its_release_and_its_team_answered_or_not() -> None:
    metrics = Metrics()
    meter = TaskMeter(metrics)
    observer = Observer(release=RELEASE, nanos=250_000_000)
    meter.answered(SPEC, ANSWER, observer, 0.5)
    meter.failed(NoAnswer("no"), observer)
    meter.paid("shop", observer)
    meter.paid("shop", Observer(release=RELEASE))
    found = [line for line in lines(metrics) if "cost_total" in line]
    assert [line.rpartition(" ")[2] for line in found if "engine=model" in line] == ["0.25"]
    assert [line.rpartition(" ")[2] for line in found if "engine=none" in line] == ["0.25"]
    assert 'lockgate_team_cost_total{team="shop"} 0.25' in found


@pytest.mark.parametrize(
    ("failure", "kind"), [("check:schema", "schema"), ("check:no-secrets", "check")]
)
def test_a_check_that_failed_is_a_failure_of_the_release(failure: str, kind: str) -> None:
    metrics = Metrics()
    fallen = replace(ANSWER, engine=EngineKind.RULES, degraded=("check",), failure=failure)
    TaskMeter(metrics).answered(SPEC, fallen, Observer(release=RELEASE), 0.5)
    found = "\n".join(lines(metrics))
    assert f'lockgate_failures_total{{type="{kind}",model="smollm2"' in found
    assert 'lockgate_fallbacks_total{task="triage",step="rules"} 1' in found
    assert 'lockgate_responses_total{outcome="degraded",model="smollm2"' in found


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (NoAnswer("no"), "refused"),
        (UpstreamTimeout("slow"), "failed"),
        (None, "cancelled"),
        (InvalidInput("the caller's"), ""),
    ],
)
def test_a_call_without_an_answer_is_counted_by_why(
    error: LockgateError | None, outcome: str
) -> None:
    metrics = Metrics()
    TaskMeter(metrics).failed(error, Observer(release=RELEASE))
    counted = [line for line in lines(metrics) if line.startswith("lockgate_responses_total{")]
    assert [f'outcome="{outcome}"' in line for line in counted] == ([True] if outcome else [])


def test_releases_that_differ_in_a_pin_differ_in_their_labels() -> None:
    other = replace(RELEASE, pins=(RELEASE.pins[0],))
    assert task_variant(other, engine="model") != task_variant(RELEASE, engine="model")


class Slow:
    data_classes = frozenset(DataClass)

    def __init__(self, error: LockgateError | None) -> None:
        self._error = error

    async def infer(self, dispatch: Dispatch) -> Result:
        await asyncio.sleep(0)
        if self._error is not None:
            raise self._error
        return Embedding(vectors=(), usage=Usage(input_tokens=4))


def test_each_inference_of_a_call_is_noted_whether_it_succeeds_or_not() -> None:
    observer = Observer(release=RELEASE)
    backends = {"good": Slow(None), "bad": Slow(UpstreamTimeout("slow"))}
    observed = ObservedBackends(backends, observer)
    dispatch = Dispatch(model="smollm2", digest=MODEL, request=Embed(texts=("a",)))
    asyncio.run(observed["good"].infer(dispatch))
    with pytest.raises(UpstreamTimeout):
        asyncio.run(observed["bad"].infer(dispatch))
    kinds = [(note.backend, note.operation, note.failure) for note in observer.found]
    assert kinds == [("good", "embeddings", ""), ("bad", "embeddings", "timeout")]
    assert observer.found[0].usage.input_tokens == 4

    metrics = Metrics()
    TaskMeter(metrics).failed(NoAnswer("no"), observer)
    found = "\n".join(lines(metrics))
    assert 'lockgate_upstream_calls_total{upstream="good",result="ok"} 1' in found
    assert 'lockgate_upstream_calls_total{upstream="bad",result="failed"} 1' in found
    assert 'lockgate_failures_total{type="timeout",model="smollm2",prompt_version="",' in found


def test_a_search_is_noted_without_a_backend_to_count() -> None:
    metrics = Metrics()
    search = Observation(operation="retrieval", start_ns=1, end_ns=2)
    TaskMeter(metrics).failed(None, Observer(found=[search], release=RELEASE))
    assert not any("upstream_calls" in line for line in lines(metrics))


class Shelf:
    async def find(self, index: str, query: str, *, limit: int) -> Sequence[Passage]:
        await asyncio.sleep(0)
        if index == "gone":
            raise Unavailable("it is not here")
        return ()


def test_each_search_of_an_index_is_noted_by_its_name_whether_it_succeeds_or_not() -> None:
    observer = Observer()
    passages = _ObservedPassages(Shelf(), observer)
    asyncio.run(passages.find("docs", "q", limit=1))
    with pytest.raises(Unavailable):
        asyncio.run(passages.find("gone", "q", limit=1))
    noted = [(note.model, note.backend, note.code) for note in observer.found]
    assert noted == [("docs", "", ""), ("gone", "", "unavailable")]
