import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from cli.test_promote import Run, run, to_production, workplace
from lockgate.cli.main import execute
from registries import Running, running_registry

__all__ = ["run", "workplace"]  # fixtures
SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def registry() -> Generator[Running]:
    with running_registry() as running:
        yield running


def elsewhere(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go on as another machine, which trusts the same people and has the same policy."""
    assert execute(["trust", "export", "-o", "trust.json"]) == 0
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(workplace / "other-data"))
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(workplace / "other-state"))
    assert execute(["trust", "accept", "trust.json"]) == 0
    shutil.copytree(workplace / "data" / "keys", workplace / "other-data" / "keys")


def test_without_a_tag_the_version_of_a_release_is_its_tag(registry: Running, run: Run) -> None:
    address = f"oci://{registry.host}/ai/versioned"
    status, shown = run("release", "push", "triage:candidate", address)
    assert status == 0, shown

    status, pulled = run("release", "pull", f"{address}:0.1.0")

    assert (status, pulled.splitlines()[0]) == (0, shown.splitlines()[0]), pulled


def test_a_release_reaches_another_machine_through_a_registry_with_its_attestations(
    registry: Running, run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_production(run)
    status, shown = run(
        "release", "push", "triage@production", f"oci://{registry.host}/ai/triage:1"
    )
    assert status == 0, shown
    digest = shown.splitlines()[0]
    status, shown = run(
        "release", "copy", f"oci://{registry.host}/ai/triage:1", f"oci://{registry.host}/prod/t:1"
    )
    assert (status, shown.splitlines()[0]) == (0, digest), shown
    elsewhere(workplace, monkeypatch)

    status, shown = run("release", "pull", f"oci://{registry.host}/prod/t:1")

    assert (status, shown.splitlines()[0]) == (0, digest), shown
    status, shown = run("release", "verify", digest, "--json")
    assert status == 0, shown
    assert len(json.loads(shown)["attestations"]) == 9
    assert run("promote", digest, "--to", "staging")[0] == 0
    status, shown = run("promote", digest, "--to", "production", "--sign", "gate")
    assert status == 0, shown
    assert run("audit", "verify")[0] == 0


def test_a_release_reaches_another_machine_in_one_file(
    run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_production(run)
    status, shown = run("release", "export", "triage@production", "-o", "r.tar", "--json")
    assert status == 0, shown
    digest = json.loads(shown)["release"]
    elsewhere(workplace, monkeypatch)

    status, shown = run("release", "import", "r.tar")

    assert (status, shown.split()[0]) == (0, digest), shown
    status, shown = run("release", "verify", digest, "--json")
    assert (status, len(json.loads(shown)["attestations"])) == (0, 9)


def test_a_registry_that_is_not_there_is_said(run: Run) -> None:
    status, shown = run("release", "pull", "oci://127.0.0.1:9/a/b:1")

    assert status == 4
    assert "error[unavailable]" in shown
    assert "127.0.0.1:9" in shown


def test_what_is_not_there_is_said(registry: Running, run: Run) -> None:
    status, shown = run("release", "pull", f"oci://{registry.host}/no/such:1")

    assert status == 2
    assert "error[not-found]" in shown


@pytest.mark.parametrize(
    "address", ["http://a/b", "oci://", "oci://h", "oci://u:p@h/r", "oci://h/R:1", "oci://h/r:!"]
)
def test_what_is_no_address_is_refused(address: str, run: Run) -> None:
    status, shown = run("release", "push", "triage:candidate", address)

    assert status == 2
    assert "oci://host[:port]/repository:tag" in shown


def build(folder: Path, source: Path, **environment: str) -> str:
    """Make the releases of the built-in tasks in a process of its own; return their digests."""
    folder.mkdir()
    script = (
        "import os\n"
        "from lockgate.app.models import model_store\n"
        "from lockgate.app.releases import release_of\n"
        "from lockgate.app.tasks import find_task\n"
        "from lockgate.config.environment import Environment\n"
        "from lockgate.config.load import load\n"
        "from pathlib import Path\n"
        "loaded = load(None, start=Path.cwd())\n"
        "models = model_store(loaded, Environment.read(os.environ))\n"
        "for name in ('review', 'release-notes'):\n"
        "    print(release_of(loaded, models, find_task(loaded, name).spec).digest)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(source), **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_checkouts_build_the_same_releases(tmp_path: Path) -> None:
    # Another folder, user name, locale, time zone, hash seed and file times. Nothing in the program
    # reads a clock for it.
    second = tmp_path / "elsewhere" / "src"
    shutil.copytree(SOURCE, second, ignore=shutil.ignore_patterns("__pycache__"))
    for path in second.rglob("*"):
        os.utime(path, (86_400, 86_400))

    one = build(tmp_path / "one", SOURCE, HOME=str(tmp_path), USER="ana", TZ="UTC", LC_ALL="C")
    two = build(
        tmp_path / "two",
        second,
        HOME="/nonexistent",
        USER="ben",
        LOGNAME="ben",
        TZ="Asia/Kathmandu",
        LC_ALL="tr_TR.UTF-8",
        SOURCE_DATE_EPOCH="1",
        PYTHONHASHSEED="7",
    )

    assert one == two
    assert one.count("sha256:") == 2
