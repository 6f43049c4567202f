import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.books.reader import ceiling, read_response, read_usage
from lockgate.domain.money import Price, TokenCounts, cost

PRICE = Price(input=2_500_000_001, cached_input=150_000_003, output=10_000_000_007, second=99)


def usage(given: int, cached: int | None, output: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "prompt_tokens": given,
        "completion_tokens": output,
        "total_tokens": given + output,
    }
    if cached is not None:
        made["prompt_tokens_details"] = {"cached_tokens": cached}
    return made


def pieces(text: str, chance: Random) -> list[str]:
    """Cut a text anywhere: between UTF-16 code units too, as JSON escapes may."""
    units = text.encode("utf-16-le", "surrogatepass")
    cuts = sorted(2 * chance.randint(0, len(units) // 2) for _ in range(chance.randint(0, 4)))
    bounds = zip([0, *cuts], [*cuts, len(units)], strict=True)
    return [units[i:j].decode("utf-16-le", "surrogatepass") for i, j in bounds]


def some_text(chance: Random) -> str:
    return "".join(chance.choices("ab c\u00e9\u4e2d\U0001f600\n", k=chance.randint(0, 30)))


def call(chance: Random) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One answer twice: whole, and as the chunks of a server with one of the known habits."""
    texts = [some_text(chance) for _ in range(chance.randint(1, 3))]
    arguments = some_text(chance)
    given_tokens, output = chance.randint(0, 10**6), chance.randint(0, 10**6)
    cached = chance.choice([None, chance.randint(0, given_tokens)])
    habit = chance.choice(["last", "running", "none", "repeated"])
    total = usage(given_tokens, cached, output)
    whole: dict[str, Any] = {
        "choices": [
            {"index": n, "message": {"role": "assistant", "content": text}}
            for n, text in enumerate(texts)
        ]
    }
    whole["choices"][0]["message"]["tool_calls"] = [{"function": {"arguments": arguments}}]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": n, "delta": {"content": part}}], "usage": None}
        for n, text in enumerate(texts)
        for part in pieces(text, chance)
    ]
    chunks += [
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"function": {"arguments": part}}]}}]}
        for part in pieces(arguments, chance)
    ]
    if habit == "running":
        for n, chunk in enumerate(chunks):
            chunk["usage"] = usage(given_tokens, cached, output * n // len(chunks))
    if habit != "none":
        whole["usage"] = total
        chunks.append({"choices": [], "usage": total})
    if habit == "repeated":
        chunks.append({"choices": [], "usage": total})
    return whole, chunks


def test_a_streamed_call_costs_what_the_buffered_one_does_in_ten_thousand_cases() -> None:
    estimated = 0
    for seed in range(10_000):
        chance = Random(seed)  # noqa: S311
        whole, chunks = call(chance)
        prompt_bytes, time = chance.randint(0, 10**5), chance.randint(0, 10**8)

        buffered = read_response([whole], prompt_bytes=prompt_bytes, duration_us=time)
        streamed = read_response(
            map(json.loads, map(json.dumps, chunks)), prompt_bytes=prompt_bytes, duration_us=time
        )

        assert streamed == buffered, seed
        assert cost(streamed, PRICE) == cost(buffered, PRICE), seed
        estimated += streamed.estimated

    assert 2_000 < estimated < 3_000


def test_a_stream_that_was_cut_off_costs_what_was_delivered() -> None:
    chunks = [{"choices": [{"delta": {"content": "nine bytes" * 9}}]}]

    found = read_response(chunks, prompt_bytes=100)

    assert found == TokenCounts(input_tokens=34, output_tokens=30, estimated=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"usage": 7},
        {"usage": {"prompt_tokens": -1}},
        {"usage": {"prompt_tokens": True}},
        {"usage": {"prompt_tokens": 1.5}},
        {"usage": {"prompt_tokens": 2**70}},
        {"usage": {"prompt_tokens": "9"}},
        {"choices": {}},
        {"choices": [7, None, {"delta": 7}, {"delta": {"tool_calls": [7, {"function": 7}]}}]},
    ],
)
def test_nonsense_counts_as_unreported_and_not_as_free(wrong: dict[str, Any]) -> None:
    found = read_response([wrong], prompt_bytes=30)

    assert found == TokenCounts(input_tokens=10, estimated=True)


def test_totals_that_shrink_do_not_make_a_call_cheaper() -> None:
    chunks = [{"usage": usage(100, 10, 50)}, {"usage": usage(0, 0, 0)}]

    found = read_response(chunks, prompt_bytes=0)

    assert found == TokenCounts(input_tokens=100, cached_tokens=10, output_tokens=50)


def test_embeddings_and_the_other_names_of_the_counts_are_read() -> None:
    assert read_usage({"prompt_tokens": 8, "total_tokens": 8}) == TokenCounts(input_tokens=8)
    other = {"input_tokens": 5, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 9}}
    expected = TokenCounts(input_tokens=5, cached_tokens=5, output_tokens=3)
    assert read_usage(other) == expected


@given(st.text(max_size=200), st.integers(0, 500))
def test_the_ceiling_is_above_whatever_tokens_of_a_byte_or_more_there_are(
    prompt: str, output: int
) -> None:
    size = len(prompt.encode("utf-8", "replace"))
    most = ceiling(prompt_bytes=size, messages=1, output_tokens=output, choices=2)
    assert cost(most, PRICE) >= cost(
        TokenCounts(input_tokens=size, output_tokens=2 * output), PRICE
    )
