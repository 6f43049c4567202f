"""The program as a pipeline uses it: real git, a real process, files and exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

SCHEMA = json.loads((Path(__file__).parents[2] / "assets" / "sarif-2.1.0.json").read_text())
KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"  # not a real one


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "app.py").write_text("import os\n\n\ndef run(name):\n    return name\n")
    commit(folder)
    git(folder, "checkout", "-q", "-b", "feature")
    return folder


def git(folder: Path, *arguments: str) -> bytes:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "x")


def lockgate(folder: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    state = folder.parent
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("LOCKGATE_")},
        "LOCKGATE_STATE_DIR": str(state / "state"),
        "LOCKGATE_DATA_DIR": str(state / "data"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", "run", "review", *arguments],
        cwd=folder,
        check=False,
        input=stdin,
        capture_output=True,
        env=environment,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def review(folder: Path, *arguments: str) -> dict[str, Any]:
    diff = git(folder, "diff", "--unified=0", "main...")
    done = lockgate(folder, "--engine", "rules", "--json", *arguments, stdin=diff)
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def test_the_usual_workflow_works(repository: Path) -> None:
    (repository / "app.py").write_text(f'import os\n\nKEY = "{KEY}"\nos.system("ls " + name)\n')
    commit(repository)
    (repository / "diff.patch").write_bytes(git(repository, "diff", "--unified=0", "main..feature"))

    done = lockgate(
        repository,
        "diff.patch",
        "--engine=rules",
        "--format=json=review.json",
        "--format=sarif=review.sarif",
        "--format=markdown",
    )

    assert done.returncode == 0, done.stderr
    found = json.loads((repository / "review.json").read_text())
    assert found["risk"] == "high"
    assert [(f["rule"], f["line"]) for f in found["findings"]] == [
        ("secret.added", 3),
        ("dangerous-call.python.shell", 4),
    ]
    assert done.stdout.startswith("## Review: high risk")
    sarif = json.loads((repository / "review.sarif").read_text())
    jsonschema_rs.Draft4Validator(SCHEMA).validate(sarif)
    written = done.stdout + done.stderr + json.dumps(found) + json.dumps(sarif)
    assert KEY not in written


def test_fail_on_decides_the_exit_code(repository: Path) -> None:
    (repository / "app.py").write_text("value = eval(text)\n")
    commit(repository)
    diff = git(repository, "diff", "main...")

    failed = lockgate(repository, "-", "--engine=rules", "--fail-on=high", stdin=diff)
    passed = lockgate(repository, "--engine=rules", "--fail-on=low", stdin=b"")

    assert failed.returncode == 1
    assert "## Review: high risk" in failed.stdout
    assert "--fail-on is high" in failed.stderr
    assert passed.returncode == 0


def test_an_empty_diff_passes_and_its_sarif_is_valid(repository: Path) -> None:
    done = lockgate(repository, "--engine=rules", "--fail-on=medium", "--format=sarif")

    assert done.returncode == 0, done.stderr
    jsonschema_rs.Draft4Validator(SCHEMA).validate(json.loads(done.stdout))


def test_what_is_no_diff_is_a_usage_error_that_shows_how_to_make_one(repository: Path) -> None:
    done = lockgate(repository, "--engine=rules", stdin=f"token {KEY}\n".encode())

    assert done.returncode == 2
    assert "not a diff" in done.stderr
    assert "git diff --unified=0 main..." in done.stderr
    assert KEY not in done.stderr
    assert done.stdout == ""


def test_a_diff_past_the_budget_is_degraded_and_says_what_was_left_out(repository: Path) -> None:
    (repository / "big.py").write_text("x = 1\n" * 2000)
    commit(repository)
    diff = git(repository, "diff", "--unified=0", "main...")

    done = lockgate(
        repository, "--engine=rules", "--max-bytes=500", "--strict", "--json", stdin=diff
    )

    value = json.loads(done.stdout)
    assert done.returncode == 3
    assert value["degraded"] is True
    assert value["omitted"]["names"] == ["big.py"]


def test_bytes_of_every_kind_are_reviewed(repository: Path) -> None:
    (repository / "logo.png").write_bytes(bytes(range(256)) * 8)
    (repository / "latin.py").write_bytes(b"name = '\xe9'\r\nvalue = eval(name)\r\n")
    (repository / "app.py").chmod(0o755)
    (repository / "app.py").rename(repository / "main.py")
    commit(repository)

    found = review(repository)

    rules = {(f["rule"], f["path"], f["line"]) for f in found["findings"]}
    assert rules == {
        ("dangerous-call.python.eval", "latin.py", 2),
        ("hidden.executable", "main.py", None),
    }


def test_fingerprints_survive_lines_that_are_added_above(repository: Path) -> None:
    risky = f'KEY = "{KEY}"\nvalue = eval(text)\nvalue = eval(text)\n'
    (repository / "app.py").write_text(risky)
    commit(repository)
    before = review(repository)["findings"]
    (repository / "app.py").write_text(f'OTHER = "{KEY[:-1]}Z"\n' + "\n" * 30 + risky)
    commit(repository)

    after = review(repository)["findings"]

    moved = {f["fingerprint"]: f["line"] for f in after}
    assert len(before) == 3
    assert {f["fingerprint"] for f in before} <= set(moved)
    assert len(moved) == 4
    assert moved[before[1]["fingerprint"]] == before[1]["line"] + 31


def test_two_runs_give_the_same_bytes(repository: Path) -> None:
    (repository / "app.py").write_text("value = eval(text)\n")
    commit(repository)
    diff = git(repository, "diff", "main...")

    one, two = (lockgate(repository, "--engine=rules", "--json", stdin=diff) for _ in range(2))

    assert one.stdout == two.stdout
    assert json.loads(one.stdout)["release"].startswith("sha256:")
