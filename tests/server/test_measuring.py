"""What an answer took: whole answers and streams through the gateway's own reading of them."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_meter import GatewayMeter
from lockgate.domain.call import DataClass
from lockgate.domain.money import Price, TokenCounts, cost
from lockgate.errors import UpstreamFailed
from lockgate.server.guarding import Guarding
from lockgate.server.measuring import counts_of
from lockgate.server.passing import Relay, read_usage
from lockgate.server.replies import Usage

PRICE = Price(input=2_500_000_001, cached_input=150_000_003, output=10_000_000_007, second=99)
CONTROLS = Controls()
GUARDING = Guarding(CONTROLS, GatewayMeter(CONTROLS), DataClass.INTERNAL)


@dataclass
class Note:
    usage: Usage | None = None
    written: int = 0
    measured: bool = False

    def counts(self, sent: int, time: int = 0) -> TokenCounts:
        return counts_of(self.usage, sent=sent, written=self.written, duration_us=time)


@dataclass
class Client:
    """Takes a stream, as `Exchange` does."""

    status: int = 0
    waited: float = 0.0
    sent: list[bytes] = field(default_factory=list[bytes])
    code: str = ""
    why: str = ""

    async def begin(self, status: int, kind: tuple[bytes, bytes]) -> None:
        self.status = status

    async def part(self, data: bytes) -> None:
        self.sent.append(data)

    async def end(self, data: bytes = b"") -> None:
        self.sent.append(data)


@dataclass
class Upstream:
    """Implements `upstream.reply.Stream`."""

    parts: list[bytes]
    status: int = 200
    headers: Sequence[tuple[bytes, bytes]] = ()

    async def part(self) -> bytes:
        return self.parts.pop(0) if self.parts else b""

    def close(self) -> None:
        self.parts.clear()


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
    cuts = sorted(chance.randint(0, len(text)) for _ in range(chance.randint(0, 4)))
    return [text[i:j] for i, j in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def some_text(chance: Random) -> str:
    return "".join(chance.choices("ab c\u00e9\u4e2d\U0001f600\n", k=chance.randint(0, 30)))


def call(chance: Random) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One answer twice: whole, and as the chunks of a server with one of the known habits."""
    texts = [some_text(chance) for _ in range(chance.randint(1, 3))]
    beside = {"reasoning_content": some_text(chance), "refusal": some_text(chance)}
    arguments = some_text(chance)
    given_tokens, output = chance.randint(1, 10**6), chance.randint(0, 10**6)
    cached = chance.choice([None, chance.randint(0, given_tokens)])
    habit = chance.choice(["last", "running", "none", "repeated", "zeros last"])
    total = usage(given_tokens, cached, output)
    whole: dict[str, Any] = {
        "choices": [
            {"index": n, "message": {"role": "assistant", "content": text}}
            for n, text in enumerate(texts)
        ]
    }
    whole["choices"][0]["message"]["tool_calls"] = [{"function": {"arguments": arguments}}]
    whole["choices"][-1]["message"].update(beside)
    deltas: list[tuple[int, dict[str, Any]]] = [
        (n, {"content": part}) for n, text in enumerate(texts) for part in pieces(text, chance)
    ]
    deltas += [
        (0, {"tool_calls": [{"function": {"arguments": part}}]})
        for part in pieces(arguments, chance)
    ]
    deltas += [
        (len(texts) - 1, {name: part})
        for name, text in beside.items()
        for part in pieces(text, chance)
    ]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": n, "delta": delta}], "usage": None} for n, delta in deltas
    ]
    if habit == "running":
        for n, chunk in enumerate(chunks):
            chunk["usage"] = usage(given_tokens, cached, output * n // len(chunks))
    if habit != "none":
        whole["usage"] = total
        chunks.append({"choices": [], "usage": total})
    if habit == "repeated":
        chunks.append({"choices": [], "usage": total})
    if habit == "zeros last":
        chunks.append({"choices": [], "usage": usage(0, None, 0)})
    return whole, chunks


async def relayed(chunks: Sequence[dict[str, Any]], chance: Random) -> Note:
    """Send chunks through the gateway, cut anywhere between two bytes."""
    wire = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    wire += b"data: [DONE]\n\n"
    cuts = sorted(chance.randint(1, len(wire)) for _ in range(3))
    bounds = zip([0, *cuts], [*cuts, len(wire)], strict=True)
    note = Note()
    relay = Relay(Client(), "there", note, GUARDING, wants_usage=True)  # type: ignore[arg-type]
    await relay.run(Upstream([wire[i:j] for i, j in bounds if i < j]))
    return note


def test_a_streamed_call_costs_what_the_buffered_one_does_in_ten_thousand_cases() -> None:
    async def compare() -> int:
        estimated = 0
        for seed in range(10_000):
            chance = Random(seed)  # noqa: S311
            whole, chunks = call(chance)
            sent, time = chance.randint(1, 10**5), chance.randint(0, 10**8)
            note = Note()
            read_usage("there", json.dumps(whole).encode(), note)

            buffered = note.counts(sent, time)
            streamed = (await relayed(chunks, chance)).counts(sent, time)

            assert streamed == buffered, seed
            assert cost(streamed, PRICE) == cost(buffered, PRICE) > 0, seed
            estimated += streamed.estimated
        return estimated

    assert 1_500 < asyncio.run(compare()) < 2_500


def test_a_stream_that_was_cut_off_costs_what_was_delivered() -> None:
    note = Note()
    relay = Relay(Client(), "there", note, GUARDING, wants_usage=False)  # type: ignore[arg-type]
    chunk = {"choices": [{"delta": {"content": "nine bytes" * 9}}]}
    asyncio.run(relay.run(Upstream([b"data: " + json.dumps(chunk).encode() + b"\n\n"])))

    assert note.counts(100) == TokenCounts(input_tokens=34, output_tokens=30, estimated=True)


@pytest.mark.parametrize(
    "said",
    [{}, {"usage": None}, {"usage": {}}, {"usage": usage(0, 0, 0)}, {"usage": usage(-5, None, -1)}],
)
def test_an_answer_that_does_not_say_what_it_took_is_estimated_and_not_free(
    said: dict[str, Any],
) -> None:
    note = Note()
    body = {"choices": [{"message": {"content": "nine bytes"}}], **said}
    read_usage("there", json.dumps(body).encode(), note)

    assert note.counts(30) == TokenCounts(input_tokens=10, output_tokens=4, estimated=True)


def test_an_embedding_without_usage_costs_its_input() -> None:
    note = Note()
    body = {"data": [{"embedding": [0.5], "index": 0}], "choices": "none"}
    read_usage("there", json.dumps(body).encode(), note)

    assert note.counts(30) == TokenCounts(input_tokens=10, estimated=True)


def test_more_cached_tokens_than_tokens_are_no_credit() -> None:
    note = Note()
    read_usage("there", json.dumps({"usage": usage(5, 9, 1)}).encode(), note)

    assert note.counts(1) == TokenCounts(input_tokens=5, cached_tokens=5, output_tokens=1)


@pytest.mark.parametrize(
    "odd", [{"tool_calls": [7, {"function": 7}, {"function": {"name": 7}}]}, {"reasoning": 7}]
)
def test_what_has_no_known_shape_counts_as_nothing(odd: dict[str, Any]) -> None:
    note = Note()
    body = {"choices": [{"message": {"content": "abc", **odd}}]}
    read_usage("there", json.dumps(body).encode(), note)

    assert note.counts(3).output_tokens == 1


def test_an_answer_that_is_no_json_is_the_fault_of_the_upstream() -> None:
    with pytest.raises(UpstreamFailed, match="there"):
        read_usage("there", b"{", Note())
