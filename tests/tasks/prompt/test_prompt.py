import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from lockgate.domain.call import EngineKind
from lockgate.domain.inference import Completion, Generate
from lockgate.domain.usage import Usage
from lockgate.errors import InvalidConfig, InvalidInput, NoAnswer, Unavailable, UsageError
from lockgate.ports import Context, Models, Progress, Retriever
from lockgate.tasks.prompt.folder import create, read
from lockgate.tasks.prompt.task import PromptTask


@dataclass
class OneReply:
    """Implements `generate` of ports.Models with one text."""

    text: str
    asked: Generate | None = None

    async def generate(self, request: Generate) -> Completion:
        self.asked = request
        return Completion(text=self.text, usage=Usage(), logprobs=(-0.5, -1.5))


def context(models: object = None) -> Context:
    return Context(
        models=cast("Models", models),
        retriever=cast("Retriever", None),
        progress=cast("Progress", None),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create(tmp_path / "triage", "triage")
    return tmp_path / "triage"


def test_a_new_task_reads_back_and_its_cases_pass_by_its_rules(folder: Path) -> None:
    task = PromptTask(read(folder))

    for case in task.spec.cases:
        draft = task.rules(case.input, context())
        assert draft.engine is EngineKind.RULES
        assert {**draft.output, **case.expect} == draft.output


def test_the_model_is_asked_under_the_schema_and_its_json_is_the_output(folder: Path) -> None:
    task = PromptTask(read(folder))
    models = OneReply('{"category": "disk", "words": "no space"}')

    draft = asyncio.run(task.run({"text": "no space left"}, context(models)))

    assert draft.output == {"category": "disk", "words": "no space"}
    assert draft.confidence == pytest.approx(0.3679, abs=1e-4)
    assert models.asked is not None
    assert models.asked.schema == task.spec.output_schema
    assert "no space left" in models.asked.messages[-1].content


@pytest.mark.parametrize("text", ["", '{"category": "di', "[1]", "[" * 100_000])
def test_a_text_that_is_no_object_is_no_output(text: str, folder: Path) -> None:
    with pytest.raises(Unavailable):
        asyncio.run(PromptTask(read(folder)).run({"text": "x"}, context(OneReply(text))))


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ text.__init__.__globals__ }}",
        "{% for i in range(999999999) %}x{% endfor %}",
        "{{ missing }}",
        "{{ 1 / 0 }}",
    ],
)
def test_a_hostile_or_broken_template_ends_in_a_clear_error(template: str, folder: Path) -> None:
    (folder / "rules.json.j2").write_text(template)

    with pytest.raises(NoAnswer):
        PromptTask(read(folder)).rules({"text": "x"}, context())


def test_all_problems_of_a_folder_are_listed_at_once(folder: Path) -> None:
    (folder / "task.toml").write_text(
        'name = "triage"\nversion = 1\ntitel = "x"\nmax_tokens = 0\non_unavailable = "hope"\n'
    )
    (folder / "prompt.j2").unlink()
    (folder / "output.schema.json").write_text("[]")
    (folder / "cases.jsonl").write_text('{"name": "a"}\nnot json\n')

    with pytest.raises(InvalidConfig) as caught:
        read(folder)

    for part in (
        "`version` is a int",
        "unknown key `titel`, did you mean `title`?",
        "`title` is missing",
        "max_tokens is 0",
        "on_unavailable is `hope`",
        "prompt.j2: the file is missing",
        "output.schema.json: not a JSON object",
        "cases.jsonl:1",
        "cases.jsonl:2: not JSON",
    ):
        assert part in caught.value.message


def test_a_template_that_does_not_parse_is_refused(folder: Path) -> None:
    (folder / "prompt.j2").write_text("{{ text")

    with pytest.raises(InvalidConfig, match="does not parse"):
        PromptTask(read(folder))


@pytest.mark.parametrize("name", ["", "Triage", "a b", "../up", "über"])
def test_a_name_that_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        create(tmp_path / "new", name)


def test_the_input_comes_from_a_file_an_option_or_json(folder: Path, tmp_path: Path) -> None:
    task = PromptTask(read(folder))
    (tmp_path / "log").write_bytes(b"caf\xe9")
    (tmp_path / "in.json").write_text(json.dumps({"text": "from json"}))

    assert task.collect({"file": str(tmp_path / "log")}) == {"text": "caf\ufffd"}
    assert task.collect({"text": "given"}) == {"text": "given"}
    assert task.collect({"input": str(tmp_path / "in.json")}) == {"text": "from json"}
    with pytest.raises(InvalidInput, match="cannot be read"):
        task.collect({"file": str(tmp_path / "none")})
