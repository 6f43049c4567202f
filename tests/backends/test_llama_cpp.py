import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lockgate.backends.llama_cpp import LlamaCppBackend
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Classify, Completion, Dispatch, Generate, Message
from lockgate.errors import Corrupt, Unavailable
from lockgate.oci.models import ModelStore

SCHEMA = {
    "type": "object",
    "required": ["colour"],
    "additionalProperties": False,
    "properties": {"colour": {"enum": ["red", "green", "blue"]}},
}


@pytest.fixture(scope="module")
def backend(real_models: ModelStore) -> Iterator[LlamaCppBackend]:
    made = LlamaCppBackend(real_models)
    yield made
    made.close()


def ask(backend: LlamaCppBackend, text: str, **changes: object) -> Completion:
    request = Generate(messages=(Message(role="user", content=text),), max_tokens=24, **changes)  # type: ignore[arg-type]
    dispatch = Dispatch(model="smollm2", digest=Digest.of(b"m"), request=request)
    result = asyncio.run(backend.infer(dispatch))
    assert isinstance(result, Completion)
    return result


def test_text_is_generated_and_metered(backend: LlamaCppBackend) -> None:
    completion = ask(backend, "Name three colours.")

    assert completion.text
    assert completion.usage.input_tokens > 5
    assert 0 < completion.usage.output_tokens <= 24


def test_a_schema_constrains_the_text(backend: LlamaCppBackend) -> None:
    completion = ask(backend, "What is the colour of grass?", schema=SCHEMA)

    assert json.loads(completion.text)["colour"] in {"red", "green", "blue"}


def test_log_probabilities_come_a_token_and_are_not_positive(backend: LlamaCppBackend) -> None:
    completion = ask(backend, "Name three colours.", logprobs=True)

    assert len(completion.logprobs) >= completion.usage.output_tokens - 1
    assert all(value <= 0 for value in completion.logprobs)
    assert ask(backend, "Name three colours.").logprobs == ()


def test_the_same_request_gives_the_same_result_whatever_came_before(
    backend: LlamaCppBackend,
) -> None:
    first = ask(backend, "Tell me about locks.", logprobs=True)
    ask(backend, "Tell me about locks. And about keys, at some length.")
    ask(backend, "Something else.", schema=SCHEMA)

    assert ask(backend, "Tell me about locks.", logprobs=True) == first
    script = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_llama_cpp import *\nimport conftest\n"
        "backend = LlamaCppBackend(conftest.real_models.__wrapped__())\n"
        "print(repr(ask(backend, 'Tell me about locks.', logprobs=True)))"
    )
    other = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parent)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert other.stdout.strip() == repr(first)


def test_a_prompt_longer_than_the_context_is_refused_with_both_sizes(
    backend: LlamaCppBackend,
) -> None:
    with pytest.raises(Unavailable, match=r"\d+ tokens.*2048 tokens"):
        ask(backend, "word " * 4000)
    assert ask(backend, "Name three colours.").text


def test_a_cancelled_call_leaves_the_backend_usable(backend: LlamaCppBackend) -> None:
    async def cancel() -> None:
        request = Generate(messages=(Message(role="user", content="Count."),), max_tokens=64)
        dispatch = Dispatch(model="smollm2", digest=Digest.of(b"m"), request=request)
        running = asyncio.create_task(backend.infer(dispatch))
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancel())
    assert ask(backend, "Name three colours.").text


def test_it_does_not_classify(backend: LlamaCppBackend) -> None:
    dispatch = Dispatch(model="smollm2", digest=Digest.of(b"m"), request=Classify(rows=()))

    with pytest.raises(Unavailable, match="it cannot classify"):
        asyncio.run(backend.infer(dispatch))


class Elsewhere:
    """Implements ports.ModelFiles with one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def files(self, model: str) -> Mapping[str, Path]:
        return {"weights": self.path}


@pytest.mark.parametrize("size", [0, 4, 1000, 1_000_000])
def test_a_truncated_model_is_a_clear_error_and_no_crash(
    size: int, real_models: ModelStore, tmp_path: Path
) -> None:
    whole = real_models.files("smollm2")["weights"]
    with whole.open("rb") as file:
        (tmp_path / "cut").write_bytes(file.read(size))

    with pytest.raises(Corrupt, match="does not load"):
        ask(LlamaCppBackend(Elsewhere(tmp_path / "cut")), "x")
