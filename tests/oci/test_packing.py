import json
import os
import stat
import time
from pathlib import Path

import pytest
from blake3 import blake3

from lockgate.domain.artifact import Manifest
from lockgate.errors import Corrupt
from lockgate.oci.catalogue import parse_catalogue
from lockgate.oci.chunks import ARTIFACT_TYPE, ChunkTable
from lockgate.oci.ingest import ingest_file
from lockgate.oci.layout import Layout
from lockgate.oci.models import ModelStore
from lockgate.oci.settings import ModelSettings
from oci.doubles import Counter
from oci.samples import gguf

GGUF = gguf()


@pytest.fixture
def models(tmp_path: Path) -> ModelStore:
    settings = ModelSettings(package_root=tmp_path)
    return ModelStore(tmp_path / "store", parse_catalogue({}, {}), settings)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "mine.gguf"
    path.write_bytes(GGUF)
    return path


def layer(models: ModelStore, root: Path, name: str = "mine") -> dict[str, str]:
    manifest = json.loads(Layout(root).read(models.digest(name)))
    found: dict[str, str] = manifest["layers"][0]["annotations"]
    return found


def test_a_packed_file_carries_its_second_digest(
    models: ModelStore, source: Path, tmp_path: Path, progress: Counter
) -> None:
    models.pull_file(source, "mine", progress)
    found = layer(models, tmp_path / "store")
    assert found["io.lockgate.digest.blake3"] == f"blake3:{blake3(GGUF).hexdigest()}"
    assert "io.lockgate.chunks.digest" not in found
    assert models.verify("mine").problems == ()


def test_a_large_model_is_packed_with_its_chunk_table(
    models: ModelStore, source: Path, tmp_path: Path, progress: Counter
) -> None:
    size = 65 << 20
    with source.open("r+b") as file:
        file.truncate(size)
    model = models.pull_file(source, "mine", progress).digest
    layout = Layout(tmp_path / "store")
    (holder,) = layout.referrers(model, artifact_type=ARTIFACT_TYPE)
    (layer_of_table,) = Manifest.parse(layout.read(holder.digest)).layers
    found = layer(models, tmp_path / "store")["io.lockgate.chunks.digest"]
    assert found == str(layer_of_table.digest)
    table = ChunkTable.parse(layout.read(layer_of_table.digest))
    with source.open("rb") as file:
        assert all(table.verify(index, file.read(16 << 20)) for index in range(5))
    models.remove("mine")
    assert layout.blobs() == []


def test_the_same_bytes_get_the_same_digest_whatever_the_file_looks_like(
    models: ModelStore, source: Path, progress: Counter, tmp_path: Path
) -> None:
    first = models.pull_file(source, "mine", progress).digest
    (tmp_path / "else").mkdir()
    other = tmp_path / "else" / "mine.gguf"
    other.write_bytes(GGUF)
    other.chmod(0o600)
    os.utime(other, (1, 1))
    assert models.pull_file(other, "mine", progress).digest == first


def test_packing_an_unchanged_file_again_fetches_nothing(
    models: ModelStore, source: Path, progress: Counter, tmp_path: Path
) -> None:
    ingest_file(Layout(tmp_path / "store"), source, clock=lambda: time.time_ns() + 10**10)
    assert models.pull_file(source, "mine", progress).fetched
    assert not models.pull_file(source, "mine", progress).fetched
    assert models.pull_file(source, "other", progress).fetched


def test_a_linked_model_shares_the_users_file(
    models: ModelStore, source: Path, progress: Counter
) -> None:
    models.pull_file(source, "mine", progress, link=True)
    assert source.samefile(models.files("mine")["weights"])
    assert stat.S_IMODE(source.stat().st_mode) == 0o444
    models.remove("mine")
    assert source.read_bytes() == GGUF


def test_a_linked_model_that_is_written_to_is_found(
    models: ModelStore, source: Path, progress: Counter
) -> None:
    models.pull_file(source, "mine", progress, link=True)
    source.chmod(0o644)
    source.write_bytes(GGUF[:-1] + b"!")
    assert "mine.gguf` has" in models.verify("mine").problems[0]


def test_a_file_that_is_no_model_leaves_nothing(
    models: ModelStore, tmp_path: Path, progress: Counter
) -> None:
    (tmp_path / "x.gguf").write_bytes(GGUF[:-5])
    with pytest.raises(Corrupt, match=r"x\.gguf` is cut off"):
        models.pull_file(tmp_path / "x.gguf", "mine", progress)
    assert not (tmp_path / "store").exists()
