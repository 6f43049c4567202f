"""Layers that are compressed with Zstandard, which Python reads itself from 3.14 on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.errors import Corrupt, UsageError
from lockgate.oci.foreign import expand
from lockgate.oci.foreign.media_types import Wrapping
from lockgate.oci.layout import Layout
from lockgate.oci.registry.repository import Repository
from oci.foreign.packers import GGUF, Made, kitops, manifest, modelpack, tape, zstd
from oci.foreign.test_pull import KIT, pull, roles


@pytest.fixture
def target(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "target")


@pytest.mark.parametrize("packer", [modelpack, kitops])
def test_a_model_in_zstd_layers_becomes_one_of_ours(
    repository: Repository, target: Layout, packer: Callable[..., Made]
) -> None:
    zstd()
    result = pull(repository, packer({"a/model.gguf": GGUF}, wrapping="tar+zstd"), target)
    assert roles(target, result.digest)["weights"] == GGUF
    assert list(target.ingest.iterdir()) == []


def layer(data: bytes) -> Made:
    return manifest(f"{KIT}.config.v1+json", {}, [(f"{KIT}.model.v1.tar+zstd", data, {})])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda packed: b"no zstd" + packed, "is not zstd, or cut off"),
        (lambda packed: packed[: len(packed) // 2], "is not zstd, or cut off"),
        (lambda packed: packed + b"\x28\xb5\x2f\xfd", "is not zstd, or cut off"),
    ],
)
def test_a_damaged_zstd_layer_is_refused_and_nothing_is_kept(
    repository: Repository, target: Layout, change: Callable[[bytes], bytes], said: str
) -> None:
    packed = zstd().compress(tape({"m.gguf": GGUF}))
    with pytest.raises(Corrupt, match=said):
        pull(repository, layer(change(packed)), target)
    assert (target.manifests(), target.blobs()) == ({}, [])
    assert list(target.ingest.iterdir()) == []


def test_a_zstd_bomb_is_refused_with_both_sizes(repository: Repository, target: Layout) -> None:
    packed = zstd().compress(tape({"m.gguf": bytes(90 << 20)}))
    with pytest.raises(Corrupt, match=f"of {len(packed):,} bytes holds more than"):
        pull(repository, layer(packed), target)
    assert target.blobs() == []


def test_a_zstd_window_beyond_128_mib_is_refused(tmp_path: Path) -> None:
    library = zstd()
    options = {
        library.CompressionParameter.window_log: 28,
        library.CompressionParameter.enable_long_distance_matching: 1,
    }
    writer = library.ZstdCompressor(options=options)
    blob = tmp_path / ("0" * 64)
    blob.write_bytes(writer.compress(bytes(1 << 20)) + writer.flush())
    with pytest.raises(Corrupt, match="is not zstd, or cut off"):
        expand.expand(blob, tmp_path / "out", Wrapping.TAR_ZSTD, most=1 << 30)


def test_without_the_library_a_zstd_layer_is_refused_before_it_is_fetched(
    repository: Repository, target: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expand, "_ZSTD", "lockgate_has_no_such.zstd")
    with pytest.raises(UsageError, match="reads zstd") as caught:
        pull(repository, layer(b"never looked at"), target)
    assert "lockgate[zstd]" in (caught.value.hint or "")
    assert target.blobs() == []
