import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from lockgate.cli.main import execute
from lockgate.cli.store import store
from lockgate.domain.digest import Digest
from lockgate.domain.promotion import Alias
from lockgate.oci.layout import Layout
from lockgate.store.sqlite import open_sqlite
from oci.artifacts import attestation, blob, model, named, release
from oci.samples import gguf


@pytest.fixture(autouse=True)
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A store with the model `m`, and an attestation of it."""
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    made = Layout(tmp_path / "data" / "models")
    made.prepare()
    made.attach(attestation(made, named(made, "m", b"weights"), b"bill"))
    return made


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = execute(["store", *arguments])
    output = capsys.readouterr()
    return status, output.out, output.err


def values(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> Any:
    found, out, _ = run(capsys, *arguments, "--json")
    assert found == status
    return json.loads(out)


def damage(layout: Layout, data: bytes) -> Path:
    path = layout.blob(Digest.of(data))
    path.chmod(0o644)
    path.write_bytes(data.upper())
    return path


@pytest.mark.parametrize("name", ["gc", "usage", "verify"])
def test_each_command_has_examples_and_prints_json(name: str) -> None:
    command = store.commands[name]
    assert f"lockgate store {name}" in str(command.epilog)
    assert "--json" in [o for p in command.params if isinstance(p, click.Option) for o in p.opts]


def test_usage_counts_by_kind_and_name(capsys: pytest.CaptureFixture[str], layout: Layout) -> None:
    blob(layout, b"garbage")
    status, out, err = run(capsys, "usage")
    assert status == 0
    assert [line.split()[:3] for line in out.splitlines()] == [
        ["KIND", "NAME", "FILES"],
        ["model", "m", "5"],
    ]
    assert "7 B unused; 0 B unfinished" in err
    found = values(capsys, "usage")
    assert (found["unused"], found["artifacts"][0]["name"]) == (7, "m")


def test_verify_of_a_whole_store_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "verify") == (0, "", "5 files, 1.1 kB, 0 damaged\n")
    assert values(capsys, "verify", "--full")["damages"] == []


def test_verify_names_the_file_both_digests_and_the_repair(
    capsys: pytest.CaptureFixture[str], layout: Layout
) -> None:
    path = damage(layout, b"weights")
    status, out, _ = run(capsys, "verify")
    assert status == 1
    assert out.splitlines() == [
        f"{path}: {Digest.of(b'WEIGHTS')}, expected {Digest.of(b'weights')}",
        "  repair: lockgate model pull PATH --name m",
    ]
    (found,) = values(capsys, "verify", status=1)["damages"]
    assert found["names"] == ["m"]


@pytest.mark.parametrize(
    ("data", "repair"),
    [
        (b"catalogued", "lockgate model pull smollm2"),
        (b"pinned", "then pull or import the release of `triage` again"),
        (b"bill", "then pull or import the release again"),
        (b"garbage", "lockgate store gc --older-than 0"),
    ],
)
def test_the_repair_fits_what_is_damaged(
    capsys: pytest.CaptureFixture[str], layout: Layout, data: bytes, repair: str
) -> None:
    named(layout, "smollm2", b"catalogued")
    release(layout, "triage", model(layout, b"pinned"))
    blob(layout, b"garbage")
    damage(layout, data)
    (found,) = values(capsys, "verify", status=1)["damages"]
    assert found["repair"].endswith(repair)


def test_the_repair_of_a_packed_model_repairs_it(
    capsys: pytest.CaptureFixture[str], layout: Layout, tmp_path: Path
) -> None:
    (tmp_path / "w.gguf").write_bytes(gguf())
    pull = ["model", "pull", "w.gguf", "--name", "mine"]
    assert execute(pull) == 0
    capsys.readouterr()
    for path in layout.blobs():
        data = path.read_bytes()
        if b"mine" in data or data == gguf():
            path.chmod(0o644)
            path.write_bytes(data[:-1] + b"?")
    found = values(capsys, "verify", status=1)["damages"]
    assert {at["repair"] for at in found} >= {"lockgate model pull PATH --name mine"}
    assert execute(pull) == 0
    capsys.readouterr()
    assert values(capsys, "verify")["damages"] == []


def test_gc_deletes_garbage_when_it_is_old_enough(
    capsys: pytest.CaptureFixture[str], layout: Layout
) -> None:
    garbage = layout.blob(blob(layout, b"garbage").digest)
    assert run(capsys, "gc")[1] == ""
    said = run(capsys, "gc", "--older-than", "0", "--dry-run")
    assert said == (0, f"{garbage}\n", "1 file, 7 B could be freed\n")
    assert garbage.exists()
    found = values(capsys, "gc", "--older-than", "0")
    assert found == {
        "dry_run": False,
        "blobs": [f"sha256:{garbage.name}"],
        "attachments": [],
        "partials": [],
        "size": 7,
    }
    assert not garbage.exists()
    assert values(capsys, "verify")["damages"] == []


def test_gc_keeps_a_release_that_only_an_alias_points_to(
    capsys: pytest.CaptureFixture[str], layout: Layout, tmp_path: Path
) -> None:
    top = release(layout, "triage", model(layout, b"pinned"))
    index = layout.root / "index.json"
    index.write_text('{"schemaVersion": 2, "manifests": []}')
    alias = Alias(
        task="triage", name="stable", release=top.digest, at=datetime.now(UTC), actor="ann"
    )

    async def point() -> None:
        async with open_sqlite(tmp_path / "state" / "lockgate.db") as state, state.begin() as unit:
            await unit.put_alias(alias)

    (tmp_path / "state").mkdir()
    asyncio.run(point())
    assert run(capsys, "gc", "--older-than", "0")[0] == 0
    assert layout.has(top.digest, top.size)
    assert layout.has(Digest.of(b"pinned"), 6)
    assert not layout.has(Digest.of(b"weights"), 7)


def test_gc_refuses_while_a_manifest_is_damaged(
    capsys: pytest.CaptureFixture[str], layout: Layout
) -> None:
    manifest = layout.blob(layout.manifests()["m"].digest)
    manifest.chmod(0o644)
    manifest.write_bytes(b"{}")
    status, _, err = run(capsys, "gc")
    assert status == 4
    assert "nothing can be deleted while the store is damaged" in err
    assert "hint: lockgate store verify" in err


@pytest.mark.parametrize("command", ["usage", "verify", "gc"])
def test_a_store_that_does_not_exist_is_empty(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "none"))
    assert run(capsys, command)[0] == 0
    assert not (tmp_path / "none").exists()
