"""What calls of models leave in the ledger, over HTTP: by the model that answered."""

import asyncio
import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lockgate.app.gateway_models import EmbeddedModel, ServedModel
from lockgate.domain.budget import Budget, Period
from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Completion, Dispatch
from lockgate.domain.usage import Usage
from lockgate.errors import Unavailable
from lockgate.upstream.limits import Limits
from server.booked import PRICES, Books, chat
from server.serving import Models, to, upstream
from upstream.mock_model import USAGE, MockModel, mock_model
from waiting import wait_until

FAILS = b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}"
GARBLED = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nno {"
JSON = {"type": "json_object"}
ANSWER = {"choices": [{"message": {"role": "assistant", "content": "x" * 30}}]}


def test_a_fallback_is_booked_at_its_own_price_under_its_own_name(
    mock: MockModel, tmp_path: Path
) -> None:
    mock.answer = FAILS
    with mock_model() as other:
        books = Books(tmp_path, to(mock, spare=other), fallbacks={"m": ("spare",)})
        with books.serving() as served:
            assert chat(served, max_tokens=10)[0].status == 200
            assert chat(served, max_tokens=10, stream=True)[0].status == 200
            served.noted()

    for event in books.events:
        assert (event.model, event.release) == ("spare", "of-spare")
        assert (event.counts.input_tokens, event.counts.output_tokens) == (7, 4)
        assert event.nanos == 11 * 3_000_000
        assert event.flags == frozenset()
    assert len(books.events) == 2


def test_the_dearest_of_a_chain_is_what_is_reserved(mock: MockModel, tmp_path: Path) -> None:
    # Enough for the model that is asked for, not for its fallback.
    least = Budget(account="team:local", period=Period.TOTAL, nanos=1_000_000_000)
    with mock_model() as other:
        alone = Books(tmp_path, to(mock, spare=other))
        with alone.serving(least) as served:
            assert chat(served, max_tokens=600)[0].status == 200
            assert chat(served, "spare", max_tokens=600)[0].status == 429
        chained = Books(tmp_path, to(mock, spare=other), fallbacks={"m": ("spare",)})
        with chained.serving(least) as served:
            response, body = chat(served, max_tokens=600)
            assert (response.status, body["error"]["code"]) == (429, "over-budget")
            assert response.headers["x-should-retry"] == "false"


def test_a_fallback_without_a_price_is_not_asked(mock: MockModel, tmp_path: Path) -> None:
    with mock_model() as other:
        books = Books(tmp_path, to(mock, free=other), fallbacks={"m": ("free",)})
        with books.serving() as served:
            assert chat(served)[0].status == 200
            assert served.noted()[3]["passed_over"] == ["free: no-price"]
            mock.answer = FAILS
            assert chat(served)[0].status == 502
            assert chat(served, "free")[0].status == 403
        assert other.requests == []


def test_an_answer_without_usage_costs_as_much_whole_as_in_parts(
    mock: MockModel, tmp_path: Path
) -> None:
    def sent(kind: bytes, body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
            kind,
            len(body),
            body,
        )

    chunks = [{"choices": [{"index": 0, "delta": {"content": "x" * 10}}]}] * 3
    stream = b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks)
    books = Books(tmp_path, to(mock))
    with books.serving() as served:
        mock.answer = sent(b"application/json", json.dumps(ANSWER).encode())
        assert chat(served)[0].status == 200
        mock.answer = sent(b"text/event-stream", stream + b"data: [DONE]\n\n")
        assert chat(served, stream=True)[0].status == 200

    whole, streamed = books.events
    assert whole.counts.output_tokens == streamed.counts.output_tokens == 10
    assert whole.flags == streamed.flags == {"estimated"}


REFUSED = b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("more", [{}, {"stream": True}])
@pytest.mark.parametrize("status", [302, 400, 401, 429, 500, 503])
def test_what_an_upstream_refuses_costs_nothing(
    mock: MockModel, tmp_path: Path, status: int, more: dict[str, Any]
) -> None:
    mock.answer = REFUSED % status
    books = Books(tmp_path, to(mock))
    with books.serving(Budget(account="team:local", period=Period.TOTAL, nanos=10**10)) as served:
        assert chat(served, **more)[0].status >= 400
        assert served.noted()[3]["cost_nanos"] == 0
        mock.answer = None
        assert chat(served)[0].status == 200
    assert [event.nanos for event in books.events] == [11 * 1_000_000]


def test_what_never_reached_an_upstream_costs_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]

    async def models() -> dict[str, ServedModel]:
        return {"m": upstream("m", port)}

    books = Books(tmp_path, models)
    with books.serving() as served:
        assert chat(served)[0].status == 502
        assert served.noted()[3]["error"] == "upstream-failed"
    assert books.events == []


def test_what_an_upstream_was_at_work_on_is_paid_though_no_answer_came(
    mock: MockModel, tmp_path: Path
) -> None:
    async def models() -> dict[str, ServedModel]:
        return {"m": upstream("m", mock.port, Limits(first_byte_s=0.1))}

    mock.hang_after = 0
    books = Books(tmp_path, models)
    with books.serving() as served:
        assert chat(served)[0].status == 504
    (event,) = books.events
    assert event.flags == {"cancelled", "estimated"}
    assert event.nanos > 0


def badly(content: str = "no JSON", **more: Any) -> bytes:
    """A whole answer that does not match, and says what it took unless `more` does."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    body = json.dumps({"choices": [choice], "usage": USAGE, **more}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def test_an_answer_that_fails_its_schema_is_paid_though_another_model_answers(
    mock: MockModel, tmp_path: Path
) -> None:
    with mock_model() as other:
        books = Books(tmp_path, to(mock, spare=other), fallbacks={"m": ("spare",)})
        with books.serving() as served:
            other.answer = badly("{}")
            bads = (badly(), badly("x" * 30, usage=None), badly("", usage=None), GARBLED)
            for bad in bads:
                mock.answer = bad
                assert chat(served, response_format=JSON)[0].status == 200
            assert served.noted()[3]["cost_nanos"] == 11 * 1_000_000 + 11 * 3_000_000
            wait_until(lambda: len(served.engine.notes) == len(bads))
            page = served.ask("GET", "/metrics")[1].decode()

    lost = [event for event in books.events if event.model == "m"]
    given = [event for event in books.events if event.model == "spare"]
    assert [event.counts.output_tokens for event in lost] == [4, 10, 0, 2]
    assert (lost[0].nanos, lost[0].release) == (11 * 1_000_000, f"sha256:{0:064}")
    assert lost[0].flags == {"cancelled"}
    assert lost[1].flags == lost[2].flags == lost[3].flags == {"cancelled", "estimated"}
    assert [event.id for event in given] == [f"{event.id}.2" for event in lost]
    assert {(event.nanos, event.flags) for event in given} == {(11 * 3_000_000, frozenset())}
    assert 'lockgate_responses_total{outcome="degraded",model="spare"' in page
    assert 'outcome="failed",model="m"' not in page
    spent = sum(event.nanos for event in books.events) / 10**9
    assert f'lockgate_team_cost_total{{team="local"}} {spent:.9g}' in page


def test_no_budget_pays_for_a_second_answer_that_it_could_not_reserve(
    mock: MockModel, tmp_path: Path
) -> None:
    mock.answer = badly(usage={"prompt_tokens": 60, "completion_tokens": 500})
    most = 1_000_000_000  # either of the models, and not the one after the other
    least = Budget(account="team:local", period=Period.TOTAL, nanos=most)
    with mock_model() as other:
        books = Books(tmp_path, to(mock, spare=other), fallbacks={"m": ("spare",)})
        with books.serving(least) as served:
            response, body = chat(served, max_tokens=200, response_format=JSON)
            assert (response.status, body["error"]["code"]) == (429, "over-budget")
            assert served.noted()[3]["passed_over"] == ["m: upstream-failed"]
        assert other.requests == []
    (event,) = books.events
    assert (event.model, event.nanos) == ("m", 560 * 1_000_000)


def test_an_answer_that_nobody_got_is_not_paid_twice_where_no_other_may_be_asked(
    mock: MockModel, tmp_path: Path
) -> None:
    async def models() -> dict[str, ServedModel]:
        spare = replace(upstream("spare", 1), data_classes=frozenset[DataClass]())
        return {"m": upstream("m", mock.port), "spare": await asyncio.sleep(0, spare)}

    mock.answer = badly()
    books = Books(tmp_path, models, fallbacks={"m": ("spare",)})
    with books.serving() as served:
        assert chat(served, response_format=JSON)[0].status == 403
    (event,) = books.events
    assert (event.model, event.nanos) == ("m", 11 * 1_000_000)


class Slow:
    """Implements `ports.Backend`: its time is what it costs."""

    data_classes = frozenset(DataClass)

    def __init__(self) -> None:
        self.fails = False

    async def infer(self, dispatch: Dispatch) -> Completion:
        await asyncio.sleep(0.02)
        if self.fails:
            raise Unavailable("out of memory")
        return Completion(text="x", usage=Usage(input_tokens=3, output_tokens=1))


def here(name: str, backend: Slow) -> Models:
    async def models() -> dict[str, ServedModel]:
        return {
            name: EmbeddedModel(
                name=name,
                backend_name="llama_cpp",
                backends={"llama_cpp": backend},
                digest=Digest.of(b""),
                generates=True,
                release=b"r",
                most_s=60.0,
            )
        }

    return models


def test_a_model_in_this_process_costs_its_seconds(tmp_path: Path) -> None:
    books = Books(tmp_path, here("here", Slow()))
    with books.serving() as served:
        assert chat(served, "here")[0].status == 200
        assert chat(served, "here", stream=True)[0].status == 200
        assert chat(served, "here", n=2)[0].status == 400

    assert len(books.events) == 2
    for event in books.events:
        assert event.counts.duration_us >= 15_000
        assert event.nanos == event.counts.duration_us * 500
        assert event.flags == frozenset()


def test_all_the_seconds_that_a_model_may_take_are_reserved(tmp_path: Path) -> None:
    less = Budget(account="key:local", period=Period.DAY, nanos=30 * 10**9 - 1)
    books = Books(tmp_path, here("here", Slow()))
    with books.serving(less) as served:
        assert chat(served, "here")[0].status == 429
    with books.serving(replace(less, nanos=30 * 10**9)) as served:
        assert chat(served, "here")[0].status == 200
    assert len(books.events) == 1


def test_local_second_is_the_price_of_every_model_in_this_process(tmp_path: Path) -> None:
    backend = Slow()
    books = Books(tmp_path, here("new", backend))
    with books.serving(prices=f'local_second = "0.25"\n{PRICES}') as served:
        assert chat(served, "new")[0].status == 200
        backend.fails = True
        assert chat(served, "new")[0].status == 503

    answered, failed = books.events
    assert answered.nanos == answered.counts.duration_us * 250
    assert answered.flags == frozenset()
    assert failed.nanos == failed.counts.duration_us * 250 > 0
    assert failed.flags == {"estimated", "cancelled"}
