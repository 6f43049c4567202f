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
from oci.conftest import open_folder
from oci.doubles import NOBODY
from programs import require
from registries import Running, running_registry

__all__ = ["open_folder", "run", "workplace"]  # fixtures
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


_BUILD = """
import os
import time
from pathlib import Path
from lockgate.app.models import model_store
from lockgate.app.releases import release_of
from lockgate.app.tasks import find_task
from lockgate.cli.main import execute
from lockgate.config.environment import Environment
from lockgate.config.load import load

print(time.gmtime().tm_year, os.getuid())
loaded = load(None, start=Path.cwd())
models = model_store(loaded, Environment.read(os.environ))
for name in ("review", "release-notes"):
    print(release_of(loaded, models, find_task(loaded, name).spec).digest)
assert execute(["--quiet", "model", "pull", "tiny"]) == 0
assert execute(["--quiet", "release", "build", "triage"]) == 0
"""


# Another user, who may read all: the interpreter may lie in the home of the one who runs tests.
_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)


def build(folder: Path, source: Path, *wrapper: str, **environment: str) -> str:
    """Make releases in a process of its own, of built-in tasks and of one in a folder.

    Return a line with the year and the user, and a line for each digest.
    """
    from lockgate.tasks.prompt.folder import create
    from oci.samples import file_entry, gguf

    folder.mkdir()
    create(folder / "tasks" / "triage", "triage")
    (folder / "w.gguf").write_bytes(gguf(10))
    listed = "".join(
        f"{key} = {json.dumps(value)}\n" for key, value in file_entry("w.gguf", gguf(10)).items()
    )
    (folder / "lockgate.toml").write_text(
        '[models.tiny]\nsource = "file"\npath = "."\nbackend = "llama_cpp"\n'
        f'[[models.tiny.files]]\n{listed}[tasks.triage.models]\ntext = {{model = "tiny"}}\n'
    )
    if _NOBODY[0] in wrapper:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    done = subprocess.run(
        [*wrapper, sys.executable, "-c", _BUILD],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(source),
            "LOCKGATE_DATA_DIR": str(folder / "data"),
            "LOCKGATE_STATE_DIR": str(folder / "state"),
            **environment,
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_checkouts_build_the_same_releases(tmp_path: Path, open_folder: Path) -> None:
    # Another folder, user, clock, locale, time zone, hash seed and file times.
    second = open_folder / "elsewhere" / "src"
    shutil.copytree(SOURCE, second, ignore=shutil.ignore_patterns("__pycache__"))
    for path in second.rglob("*"):
        os.utime(path, (86_400, 86_400))

    one = build(tmp_path / "one", SOURCE, HOME=str(tmp_path), USER="ana", TZ="UTC", LC_ALL="C")
    two = build(
        open_folder / "two",
        second,
        *(() if os.geteuid() else _NOBODY),
        *(require("faketime"), "-f", "@2031-02-03 04:05:06"),
        HOME="/nonexistent",
        USER="ben",
        LOGNAME="ben",
        TZ="Asia/Kathmandu",
        LC_ALL="tr_TR.UTF-8",
        SOURCE_DATE_EPOCH="1",
        PYTHONHASHSEED="7",
    )

    (here, *digests), (there, *others) = one.splitlines(), two.splitlines()
    assert there.split() == ["2031", str(os.geteuid() or NOBODY)] != here.split()
    assert digests == others
    assert len(digests) == 3
