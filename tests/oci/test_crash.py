import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lockgate.domain.digest import Digest
from lockgate.oci.archive import export
from lockgate.oci.layout import Layout
from oci import crash
from oci.artifacts import attestation, blob, model, named, release
from oci.samples import noise

TESTS = Path(__file__).parents[1]


def run(module: str, *arguments: str) -> list[dict[str, Any]]:
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with something old, garbage and an orphan; an archive, and files to take in."""
    layout = Layout(tmp_path / "store")
    layout.prepare()
    old = named(layout, "old", b"what is old", b"shared")
    layout.attach(attestation(layout, old, b"of old"))
    named(layout, "other", b"shared", b"other")
    layout.attach(attestation(layout, model(layout, b"never named"), b"orphan"))
    blob(layout, b"garbage")
    (layout.ingest / "broken-off.part").write_bytes(b"half")
    there = Layout(tmp_path / "there")
    there.prepare()
    top = release(there, "triage", named(there, "m", noise(5000)), model(there, b"pinned"))
    there.attach(attestation(there, top, b"approval"))
    export(there, {"triage": top}, tmp_path / "release.tar")
    (tmp_path / "file").write_bytes(noise(9000, b"file"))
    (tmp_path / "linked").write_bytes(noise(9000, b"linked"))
    return tmp_path


@pytest.mark.parametrize("operation", crash.OPERATIONS)
def test_a_process_killed_at_any_step_leaves_all_or_nothing_visible(
    folder: Path, operation: str
) -> None:
    before = Layout(folder / "store").manifests()
    lines = run("oci.crash", operation, str(folder))
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert len(lines) > 4
    names_before = {name: at.digest.hex for name, at in before.items()}
    names_after = lines[-1]["killed"]["names"]
    for line in lines:
        assert line["killed"]["damages"] == []
        assert line["killed"]["names"] in (names_before, names_after)
        # Done again and cleaned, nothing tells that there was a crash.
        assert line["again"] == lines[-1]["again"]
    assert lines[-1]["again"]["ingest"] == []
    assert Digest.of(b"garbage").hex not in lines[-1]["again"]["blobs"]


def test_processes_that_pack_and_collect_at_the_same_time_miss_nothing(tmp_path: Path) -> None:
    (tmp_path / "shared").write_bytes(noise(5 << 20))
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "oci.contention", role, str(tmp_path), str(number)],
            env={**os.environ, "PYTHONPATH": path},
        )
        for number, role in enumerate(["pack", "pack", "pack", "collect"])
    ]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0, 0, 0]
    layout = Layout(tmp_path / "store")
    assert dict(layout.manifests()) == {}
    assert [path for path in layout.ingest.iterdir() if path.suffix == ".tmp"] == []
