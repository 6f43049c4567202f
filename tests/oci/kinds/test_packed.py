import hashlib
import json
from pathlib import Path

import pytest

from lockgate.domain.artifact import Kind, Manifest
from lockgate.domain.digest import Digest
from lockgate.oci.kinds.dataset import pack_dataset
from lockgate.oci.kinds.merkle import merkle_root
from lockgate.oci.kinds.task import pack_task
from lockgate.oci.layout import Layout

FILES = {"prompt.j2": b"Sort {{ text }}", "task.toml": b'name = "triage"\n'}


def test_a_task_is_packed_the_same_whatever_the_order_of_its_files() -> None:
    reversed_files = dict(reversed(FILES.items()))

    packed = pack_task("triage", "1", FILES)

    assert pack_task("triage", "1", reversed_files) == packed
    manifest = Manifest.parse(packed.manifest)
    assert manifest.artifact_type == Kind.TASK.artifact_type
    assert [layer.annotations["io.lockgate.role"] for layer in manifest.layers] == [
        "user",
        "manifest",
    ]
    for layer in manifest.layers:
        title = layer.annotations["org.opencontainers.image.title"]
        assert layer.annotations["org.cncf.model.filepath"] == title
        assert layer.digest == Digest.of(FILES[title])


def test_a_changed_byte_is_another_artifact() -> None:
    changed = {**FILES, "prompt.j2": b"Sort {{ text }}!"}
    assert pack_task("triage", "1", FILES).digest != pack_task("triage", "1", changed).digest


def test_a_dataset_says_how_many_rows_it_has_and_their_root(tmp_path: Path) -> None:
    packed = pack_dataset("triage", "test", [{"b": 1, "a": 2}, {"a": 3}])

    config = json.loads(packed.blobs[0])
    assert packed.blobs[1] == b'{"a":2,"b":1}\n{"a":3}\n'
    assert config["splits"]["test"]["rows"] == 2
    assert config["splits"]["test"]["layer"] == str(Digest.of(packed.blobs[1]))
    layout = Layout(tmp_path / "store")
    assert packed.put(layout, "dataset/triage") == packed.put(layout, "dataset/triage")
    assert layout.read(packed.digest) == packed.manifest


def _reference(leaves: list[bytes]) -> bytes:
    """The recursive definition of RFC 6962, section 2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = _reference(leaves[:split]), _reference(leaves[split:])
    return hashlib.sha256(b"\1" + left + right).digest()


@pytest.mark.parametrize("count", range(18))
def test_the_root_is_that_of_the_standards_definition(count: int) -> None:
    leaves = [bytes([at]) for at in range(count)]
    assert merkle_root(leaves) == _reference(leaves)
