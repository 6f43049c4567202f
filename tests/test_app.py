import time
import uuid
from pathlib import Path

import pytest

from lockgate.app.calls import new_id, os_user
from lockgate.app.models import model_store
from lockgate.app.releases import release_of
from lockgate.app.tasks import find_task, task_names
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded, load
from lockgate.errors import InvalidConfig


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    return load(None, start=tmp_path)


def environment(folder: Path) -> Environment:
    return Environment.read({"HOME": str(folder)})


def test_ids_are_uuids_of_version_7_and_sort_by_time() -> None:
    before = time.time_ns() // 1_000_000
    ids = [new_id() for _ in range(100)]

    parsed = [uuid.UUID(text) for text in ids]
    assert {(u.version, u.variant) for u in parsed} == {(7, uuid.RFC_4122)}
    assert all(before <= u.int >> 80 <= before + 60_000 for u in parsed)
    assert len(set(ids)) == 100


def test_the_os_user_may_call_every_task() -> None:
    assert os_user().scopes == {"task:*"}
    assert os_user().name


def test_the_built_in_tasks_are_there_with_no_file_at_all(loaded: Loaded) -> None:
    assert task_names(loaded) == ["release-notes", "review"]
    changelog = find_task(loaded, "changelog")
    assert changelog is not None
    assert changelog.spec.name == "release-notes"
    assert find_task(loaded, "nothing") is None


@pytest.mark.parametrize("name", ["release-notes", "review"])
def test_a_release_is_the_same_in_another_folder_and_for_another_home(
    name: str, tmp_path: Path
) -> None:
    digests = set()
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        loaded = load(None, start=tmp_path / place)
        models = model_store(loaded, environment(tmp_path / place))
        task = find_task(loaded, name)
        assert task is not None
        digests.add(release_of(loaded, models, task.spec).digest)

    assert len(digests) == 1


def test_a_release_changes_with_its_models_and_its_backend(tmp_path: Path) -> None:
    def digest(text: str) -> str:
        (tmp_path / "lockgate.toml").write_text(text)
        loaded = load(None, start=tmp_path)
        task = find_task(loaded, "review")
        assert task is not None
        models = model_store(loaded, environment(tmp_path))
        return str(release_of(loaded, models, task.spec).digest)

    server = '[backends.s]\nkind = "openai"\nurl = "http://127.0.0.1:1/v1"\n'
    texts = [
        "",
        f'{server}[tasks.review.models]\ntext = {{backend = "s"}}\n',
        f'{server}[tasks.review.models]\ntext = {{backend = "s", model = "other"}}\n',
    ]
    assert len({digest(text) for text in texts}) == 3


def test_a_folder_cannot_take_over_a_built_in_name(tmp_path: Path) -> None:
    (tmp_path / "tasks" / "review").mkdir(parents=True)
    (tmp_path / "tasks" / "review" / "task.toml").write_text("name = 'review'")

    found = find_task(load(None, start=tmp_path), "review")

    assert found is not None
    assert type(found).__name__ == "Review"


def test_a_task_whose_folder_has_another_name_is_refused(tmp_path: Path) -> None:
    from lockgate.tasks.prompt.folder import create

    create(tmp_path / "tasks" / "one", "two")

    with pytest.raises(InvalidConfig, match="calls itself `two`, not `one`"):
        find_task(load(None, start=tmp_path), "one")
