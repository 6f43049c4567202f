"""What an upstream took that gave no answer: nothing if it did no work, else the most it may be."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_models import ServedModel
from lockgate.domain.budget import Budget, Period, UsageEvent
from lockgate.traffic.retry_budget import RetryBudget
from lockgate.upstream.limits import Limits
from server.booked import Books, chat
from server.serving import CHAT, Models, to, upstream
from upstream.chaotic import chaotic_model
from upstream.mock_model import USAGE, MockModel, mock_model

QUICK = Limits(connect_s=5.0, first_byte_s=0.2, idle_s=0.2, total_s=5.0)
A_TOKEN = 1_000_000  # nanos
MOST = 50
OK = b"HTTP/1.1 200 OK\r\n"


def whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def at(port: int, spare: int | None = None) -> Models:
    async def models() -> dict[str, ServedModel]:
        found: dict[str, ServedModel] = {"m": upstream("m", port, QUICK)}
        if spare is not None:
            found["spare"] = replace(upstream("spare", spare), upstream="at-spare")
        return found

    return models


def ask(books: Books, *budgets: Budget, **more: Any) -> tuple[int, list[UsageEvent]]:
    with books.serving(*budgets) as served:
        response, _ = chat(served, max_tokens=MOST, **more)
        served.noted()
    return response.status, books.events


UNHEARD = [
    (b"", False),
    (b"", True),
    (OK[:-6], True),
    (OK + b"Content-Length: 9\r\n\r\n{", False),
    (OK + b"Content-Length: 9\r\n\r\n{", True),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", True),
    (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", True),
]
NO_WORK = [
    whole(b'{"error": {"message": "no"}}', b"400 Bad"),
    whole(b"", b"401 Who"),
    whole(b"{}", b"404 Where"),
    whole(b"{}", b"429 Later"),
    whole(b"", b"500 Oops"),
    whole(b"", b"302 There"),
]
INSTEAD = [
    (whole(b'{"error": {"message": "out of memory", "code": 500}}'), False),
    (whole(b'{"error": "out of memory", "choices": []}'), False),
    (whole(b'data: {"error": {"message": "out of memory"}}\n\n'), True),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("said", "closes"), UNHEARD)
def test_a_call_of_which_nothing_was_heard_counts_as_the_most_that_it_may_have_written(
    tmp_path: Path, said: bytes, *, closes: bool, stream: bool
) -> None:
    with chaotic_model(said, closes=closes) as model:
        books = Books(tmp_path, at(model.port))
        status, (event,) = ask(books, stream=stream)

    assert status in {502, 504}
    assert event.flags == {"estimated", "cancelled"}
    assert event.counts.output_tokens == MOST
    assert 0 < event.counts.input_tokens < 60


def test_an_answer_that_cannot_be_read_counts_as_its_bytes_and_no_more_than_it_may_be(
    tmp_path: Path,
) -> None:
    for body, tokens in ((b"<html>", 2), (b"<html>" * 1000, MOST)):
        with chaotic_model(whole(body)) as model:
            books = Books(tmp_path, at(model.port))
            status, events = ask(books)
        assert status == 502
        assert events[-1].counts.output_tokens == tokens
        assert events[-1].flags == {"estimated", "cancelled"}


@pytest.mark.parametrize(("said", "closes"), UNHEARD[:3])
def test_it_counts_though_another_model_answers(
    tmp_path: Path, said: bytes, *, closes: bool
) -> None:
    with chaotic_model(said, closes=closes) as model, mock_model() as other:
        books = Books(tmp_path, at(model.port, other.port), fallbacks={"m": ("spare",)})
        status, (lost, given) = ask(books)

    assert status == 200
    assert (lost.model, lost.counts.output_tokens) == ("m", MOST)
    assert lost.flags == {"estimated", "cancelled"}
    assert (given.id, given.model, given.flags) == (f"{lost.id}.2", "spare", frozenset())
    assert given.nanos == 11 * 3 * A_TOKEN


def test_no_budget_pays_for_another_model_after_one_that_may_have_used_it_up(
    tmp_path: Path,
) -> None:
    with chaotic_model(b"", closes=True) as model, mock_model() as other:
        books = Books(tmp_path, at(model.port, other.port), fallbacks={"m": ("spare",)})
        least = Budget(account="team:local", period=Period.TOTAL, nanos=400 * A_TOKEN)
        status, (event,) = ask(books, least)
        assert other.requests == []

    assert (status, event.model) == (429, "m")


@pytest.mark.parametrize(
    ("said", "stream"), [*((s, on) for s in NO_WORK for on in (False, True)), *INSTEAD]
)
def test_an_upstream_that_says_no_is_not_paid(tmp_path: Path, said: bytes, *, stream: bool) -> None:
    with chaotic_model(said) as model:
        books = Books(tmp_path, at(model.port))
        limit = Budget(account="team:local", period=Period.TOTAL, nanos=300 * A_TOKEN)
        with books.serving(limit) as served:
            for _ in range(3):  # nothing of it is held either
                assert chat(served, max_tokens=MOST, stream=stream)[0].status >= 400
            model.says = whole(b'{"choices": [], "usage": {"prompt_tokens": 3}}')
            assert chat(served, max_tokens=MOST)[0].status == 200
    (event,) = books.events
    assert event.counts.input_tokens == 3


def test_an_upstream_that_is_not_there_is_not_paid(mock: MockModel, tmp_path: Path) -> None:
    with chaotic_model(b"") as model:
        gone = model.port
    status, events = ask(Books(tmp_path, at(gone)))
    assert (status, events) == (502, [])
    with mock_model() as other:
        books = Books(tmp_path, at(gone, other.port), fallbacks={"m": ("spare",)})
        status, (event,) = ask(books)
    assert (status, event.model) == (200, "spare")


def test_each_try_of_which_nothing_was_heard_is_booked(tmp_path: Path) -> None:
    def turns(number: int) -> bytes:
        return (
            b""
            if number == 0
            else whole(b'{"choices": [], "usage": %b}' % str(USAGE).replace("'", '"').encode())
        )

    saved = RetryBudget()
    for _ in range(20):
        saved.attempted()
    with chaotic_model(turns, closes=True) as model:
        books = Books(tmp_path, at(model.port), controls=Controls(retries=saved))
        status, (lost, given) = ask(books)

    assert status == 200
    assert lost.counts.output_tokens == MOST
    assert (given.id, given.counts.output_tokens) == (f"{lost.id}.2", 4)


def test_a_kept_connection_that_was_closed_meanwhile_has_cost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockgate.upstream.pool._CROSSED_S", 60.0)  # however slow this machine is
    good = whole(b'{"choices": [], "usage": {"prompt_tokens": 3}}')
    with chaotic_model(lambda number: b"" if number == 1 else good) as model:
        model.closes_after = 1
        books = Books(tmp_path, at(model.port))
        with books.serving() as served:
            assert chat(served, max_tokens=MOST)[0].status == 200
            assert chat(served, max_tokens=MOST)[0].status == 502
    assert model.asked == 2
    assert [event.counts.input_tokens for event in books.events] == [3]


def test_one_call_does_not_use_up_the_tries_that_all_have_saved(tmp_path: Path) -> None:
    saved = RetryBudget()
    for _ in range(500):
        saved.attempted()
    for said in (b"", whole(b"", b"500 Oops")):
        with chaotic_model(said, closes=not said) as model:
            books = Books(tmp_path, at(model.port), controls=Controls(retries=saved))
            assert ask(books)[0] == 502
            assert model.asked == 3


def test_a_client_that_leaves_before_anything_came_has_asked_for_the_most(
    mock: MockModel, tmp_path: Path
) -> None:
    mock.hang_after = 0
    books = Books(tmp_path, to(mock))
    with books.serving() as served:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        body = b'{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}'
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        served.leave(head + length + body, once=mock.asked)
        served.noted()
    (event,) = books.events
    assert event.counts.output_tokens == MOST
    assert event.flags == {"estimated", "cancelled"}


def test_a_model_that_limits_requests_leaves_the_rest_of_its_chain(
    mock: MockModel, tmp_path: Path
) -> None:
    mock.answer = whole(b'{"error": {"message": "slow down"}}', b"429 Later")
    with mock_model() as other:
        books = Books(tmp_path, to(mock, spare=other), fallbacks={"m": ("spare",)})
        with books.serving() as served:
            assert chat(served)[0].status == 200
            assert chat(served, stream=True)[0].status == 200
            assert served.noted()[3]["passed_over"] == ["m: upstream-busy"]
    assert [event.model for event in books.events] == ["spare", "spare"]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"id": "x"}',
        b'{"choices": [{"message": {"content": "\xff\xfe"}}], "usage": {"prompt_tokens": 7}}',
    ],
)
def test_what_is_no_answer_is_not_passed_on_as_one(
    mock: MockModel, tmp_path: Path, body: bytes
) -> None:
    mock.answer = whole(body)
    books = Books(tmp_path, to(mock))
    with books.serving() as served:
        response, _ = served.ask("POST", "/v1/chat/completions", CHAT)
    assert response.status == 502
