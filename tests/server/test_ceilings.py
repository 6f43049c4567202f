"""What is reserved for a request is the most that its answers can cost."""

from pathlib import Path
from typing import Any

import pytest

from lockgate.domain.budget import Budget, Period
from server.booked import Books, chat
from server.serving import CHAT, to
from upstream.mock_model import MockModel

A_TOKEN = 1_000_000  # nanos


@pytest.mark.parametrize(
    ("more", "answers"),
    [
        ({}, 1),
        ({"n": 3}, 3),
        ({"n": None, "best_of": None}, 1),
        ({"best_of": 4}, 4),
        ({"n": 3, "best_of": 2}, 3),
        ({"prompt": ["a", "b", "c", "d", "e"]}, 5),
        ({"prompt": ["a", "b"], "n": 2, "best_of": 8}, 16),
    ],
    ids=str,
)
def test_every_answer_that_is_written_is_reserved(
    mock: MockModel, tmp_path: Path, more: dict[str, Any], answers: int
) -> None:
    body = {"model": "m", "prompt": "a", "max_tokens": 1000, **more}
    written = answers * 1000 * A_TOKEN
    less = Budget(account="team:local", period=Period.TOTAL, nanos=written)
    books = Books(tmp_path, to(mock))
    with books.serving(less) as served:
        response, refused = served.ask("POST", "/v1/completions", body)
        assert (response.status, refused["error"]["code"]) == (429, "over-budget")
    enough = Budget(account="team:local", period=Period.TOTAL, nanos=written + 1000 * A_TOKEN)
    with books.serving(enough) as served:
        assert served.ask("POST", "/v1/completions", body)[0].status == 200


def test_of_two_limits_of_an_answer_the_larger_one_is_reserved(
    mock: MockModel, tmp_path: Path
) -> None:
    """A server that has never heard of `max_completion_tokens` goes by the other one."""
    least = Budget(account="team:local", period=Period.TOTAL, nanos=1000 * A_TOKEN)
    books = Books(tmp_path, to(mock))
    with books.serving(least) as served:
        assert chat(served, max_tokens=10, max_completion_tokens=10)[0].status == 200
        assert chat(served, max_tokens=2000, max_completion_tokens=10)[0].status == 429
        assert chat(served, max_tokens=10, max_completion_tokens=2000)[0].status == 429
    assert len(mock.requests) == 1


def test_more_tokens_than_the_books_can_count_are_refused(mock: MockModel, tmp_path: Path) -> None:
    body = {"model": "m", "prompt": ["a"] * 200, "max_tokens": 1 << 24}
    books = Books(tmp_path, to(mock))
    with books.serving() as served:
        response, refused = served.ask("POST", "/v1/completions", body)
        assert (response.status, refused["error"]["code"]) == (400, "invalid-input")
        response, _ = served.ask("POST", "/v1/chat/completions", CHAT)
        assert response.status == 200
    assert len(books.events) == 1


def test_a_prompt_may_turn_out_to_be_of_the_dearer_kind_of_tokens(
    mock: MockModel, tmp_path: Path
) -> None:
    """A price file can have a dearer price for what the upstream keeps than for what it reads."""
    prices = (
        '[[price]]\nmodel = "m"\nvalid_from = 2020-01-01\n'
        'input = "1000"\ncached_input = "2000"\noutput = "1000"\n'
    )
    sent = 10_000
    long = {**CHAT, "max_tokens": 1, "messages": [{"role": "user", "content": "x" * sent}]}
    least = Budget(account="team:local", period=Period.TOTAL, nanos=(2 * sent - 1000) * A_TOKEN)
    books = Books(tmp_path, to(mock))
    with books.serving(least, prices=prices) as served:
        assert served.ask("POST", "/v1/chat/completions", long)[0].status == 429
