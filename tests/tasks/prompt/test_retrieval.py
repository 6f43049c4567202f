import asyncio
from pathlib import Path

import pytest

from lockgate.errors import InvalidConfig, Unavailable
from lockgate.tasks.prompt.folder import create, read
from lockgate.tasks.prompt.task import PromptTask
from tasks.prompt.test_prompt import OneReply, context

GIVEN = 'index = "index/handbook"\nquery = "{{ text }}"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create(tmp_path / "triage", "triage")
    return tmp_path / "triage"


def declare(folder: Path, table: str) -> None:
    with (folder / "task.toml").open("a") as file:
        file.write(f"\n[retrieval]\n{table}")


def test_a_task_names_its_index_and_the_model_of_its_vectors(folder: Path) -> None:
    declare(folder, f'{GIVEN}embedder = "minilm"\n')
    spec = PromptTask(read(folder)).spec
    assert spec.indexes == ("handbook",)
    assert spec.roles[1:] == (("embedder", "minilm"),)


def test_what_is_searched_is_part_of_the_tasks_digest(folder: Path) -> None:
    without = read(folder).digest
    declare(folder, GIVEN)
    four = read(folder).digest
    text = (folder / "task.toml").read_text()
    (folder / "task.toml").write_text(f"{text}k = 5\n")
    assert len({without, four, read(folder).digest}) == 3


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('query = "x"', "`retrieval.index` is missing"),
        ('index = "x"', "`retrieval.query` is missing"),
        (f"{GIVEN}k = 0", "retrieval.k is 0, allowed is 1 to 20"),
        (f"{GIVEN}k = 21", "retrieval.k is 21, allowed is 1 to 20"),
        (f'{GIVEN}k = "3"', "`retrieval.k` is a str, not a int"),
        (f"{GIVEN}limit = 3", "unknown key `retrieval.limit`"),
    ],
)
def test_a_malformed_table_is_refused(folder: Path, table: str, said: str) -> None:
    declare(folder, table)
    with pytest.raises(InvalidConfig, match=said):
        read(folder)


def test_an_input_that_is_called_passages_is_refused(folder: Path) -> None:
    declare(folder, GIVEN)
    (folder / "input.schema.json").write_text(
        '{"type": "object", "properties": {"text": {}, "passages": {}}}'
    )
    with pytest.raises(InvalidConfig, match="`passages` is what"):
        read(folder)


def test_a_query_that_is_no_template_is_refused(folder: Path) -> None:
    declare(folder, 'index = "x"\nquery = "{{ text"\n')
    with pytest.raises(InvalidConfig, match="does not parse"):
        PromptTask(read(folder))


def test_rules_search_nothing(folder: Path) -> None:
    declare(folder, GIVEN)
    (folder / "rules.json.j2").write_text(
        '{"category": "other", "words": "{{ passages | length }}"}'
    )
    assert PromptTask(read(folder)).rules({"text": "x"}, context()).output["words"] == "0"


def test_where_nothing_can_be_searched_the_task_says_so(folder: Path) -> None:
    declare(folder, GIVEN)
    task = PromptTask(read(folder))
    with pytest.raises(Unavailable, match="nothing searches `handbook`"):
        asyncio.run(task.run({"text": "x"}, context(OneReply("{}"))))
