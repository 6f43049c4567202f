"""A model of this machine as a suite's provider: prompts as promptfoo writes them."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lockgate.app.evals_models import MODEL_PREFIX, Models, messages_of, models_of
from lockgate.cli.main import execute
from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest, Json
from lockgate.domain.inference import Completion, Dispatch, Generate, Result
from lockgate.domain.usage import Usage
from lockgate.errors import InvalidInput
from lockgate.evals.assertion import Response
from lockgate.evals.expand import Case, Expansion
from lockgate.evals.files import Files

from .bench import load

DIGEST = Digest.of(b"model")


class Talking:
    """A backend that says how it was asked."""

    asked: list[Dispatch]

    def __init__(self) -> None:
        self.asked = []

    @property
    def data_classes(self) -> frozenset[DataClass]:
        return frozenset()

    async def infer(self, dispatch: Dispatch) -> Result:
        self.asked.append(dispatch)
        return Completion(
            text="an answer",
            usage=Usage(output_tokens=2),
            finish_reason="length",
            logprobs=(-0.1, -0.2),
        )


def answered(
    folder: Path, prompt: str, config: Mapping[str, Json] | None = None
) -> tuple[Response, Dispatch]:
    provider = json.dumps({"id": f"{MODEL_PREFIX}tiny", "config": dict(config or {})})
    suite = load(
        folder,
        f"prompts: [{json.dumps(prompt)}]\nproviders: [{provider}]\n"
        "tests: [{vars: {who: Ana}, assert: [{type: contains, value: answer}]}]",
    )
    store: Any = SimpleNamespace(backend=lambda _: "talking", digest=lambda _: DIGEST)
    backend = Talking()
    models = Models(
        digests=models_of(suite, lambda: store),
        store=lambda: store,
        backends=lambda: {"talking": backend},
    )
    (case,) = Expansion(suite, Files(suite.folder, suite.folder.resolve()))
    response = asyncio.run(models.respond(cast("Case", case)))
    return response, backend.asked[0]


def test_a_prompt_is_one_turn_and_the_answer_has_all_that_assertions_ask(tmp_path: Path) -> None:
    response, asked = answered(tmp_path, "Greet {{who}}", {"max_tokens": 9})

    assert isinstance(asked.request, Generate)
    assert [(m.role, m.content) for m in asked.request.messages] == [("user", "Greet Ana")]
    assert (asked.model, asked.digest, asked.request.max_tokens) == ("tiny", DIGEST, 9)
    assert (response.output, response.finish_reason) == ("an answer", "length")
    assert response.logprobs == (-0.1, -0.2)
    assert response.measures["tokens_per_s"] > 0


def test_a_chat_in_json_is_its_turns(tmp_path: Path) -> None:
    chat = json.dumps(
        [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Greet {{who}}"}]
    )

    _, asked = answered(tmp_path, chat)

    assert isinstance(asked.request, Generate)
    assert [(m.role, m.content) for m in asked.request.messages] == [
        ("system", "Be short."),
        ("user", "Greet Ana"),
    ]


@pytest.mark.parametrize("prompt", ["[draft] say hello", "[]", "[1, 2]", '["a"]', "[{}]"])
def test_a_prompt_that_only_begins_like_a_chat_is_text(prompt: str) -> None:
    (message,) = messages_of(prompt)

    assert (message.role, message.content) == ("user", prompt)


@pytest.mark.parametrize(
    "turn", [{"role": "tool", "content": "x"}, {"role": "user", "content": [1]}, {"role": "user"}]
)
def test_a_turn_that_a_model_cannot_be_told_is_refused(turn: Json) -> None:
    with pytest.raises(InvalidInput, match="a turn of the prompt"):
        messages_of(json.dumps([turn]))


@pytest.mark.parametrize("most", [0, -1, True, "9", 10**9, 1.5])
def test_a_length_that_is_none_is_refused(tmp_path: Path, most: Json) -> None:
    with pytest.raises(InvalidInput, match="`max_tokens`"):
        answered(tmp_path, "x", {"max_tokens": most})


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [("smollm2", 103, "lockgate model pull smollm2"), ("smollm9", 2, "did you mean `smollm2`?")],
)
def test_a_model_that_is_missing_is_a_provider_that_is_down(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    status: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "promptfooconfig.yaml").write_text(
        f"prompts: [x]\nproviders: ['{MODEL_PREFIX}{name}']\n"
        "tests: [{assert: [{type: contains, value: x}]}]"
    )

    assert execute(["eval"]) == status
    out, err = capsys.readouterr()
    assert says in out + err
