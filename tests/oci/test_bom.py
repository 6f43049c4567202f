import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from lockgate.domain.artifact import MANIFEST, Descriptor, Kind
from lockgate.domain.digest import Digest, canonical
from lockgate.domain.predicates.bom import hashes
from lockgate.domain.release import Pin, Release
from lockgate.errors import Corrupt
from lockgate.oci.bom import bill_of_materials, release_bill_of_materials
from lockgate.oci.kinds.dataset import pack_dataset
from lockgate.oci.layout import Layout
from lockgate.oci.releases import ReleaseStore
from oci.doubles import Counter
from oci.samples import file_entry, gguf
from oci.test_models import store

GGUF = gguf(10)


@pytest.fixture
def model(tmp_path: Path) -> tuple[Layout, Digest]:
    """A model of a catalogue, whose file is here."""
    (tmp_path / "w.gguf").write_bytes(GGUF)
    entry = {
        "source": "file",
        "path": str(tmp_path),
        "backend": "llama_cpp",
        "licence": "Apache-2.0 OR MIT",
        "files": [file_entry("w.gguf", GGUF)],
    }
    models = store(tmp_path / "store", {"tiny": entry})
    models.pull("tiny", Counter())
    return Layout(tmp_path / "store"), models.digest("tiny")


def test_the_document_is_valid_cyclonedx_1_7(model: tuple[Layout, Digest]) -> None:
    text = canonical(bill_of_materials(*model)).decode()

    validator = JsonStrictValidator(SchemaVersion.V1_7)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace("SHA-256", "SHA-9")) is not None


def test_it_names_every_file_by_its_digest_and_says_the_same_each_time(
    model: tuple[Layout, Digest],
) -> None:
    document = bill_of_materials(*model)

    assert hashes(document) == {model[1], Digest.of(GGUF)}
    assert canonical(document) == canonical(bill_of_materials(*model))
    component = json.loads(canonical(document))["components"][0]
    assert component["licenses"] == [{"expression": "Apache-2.0 OR MIT"}]
    assert component["modelCard"]["modelParameters"]["architectureFamily"] == "llama"


def safetensors_model(layout: Layout, folder: Path) -> Digest:
    header = b'{"w":{"dtype":"BF16","shape":[1000,1500],"data_offsets":[0,3000000]}}'
    data = struct.pack("<Q", len(header)) + header + bytes(3_000_000)
    (folder / "w.safetensors").write_bytes(data)
    entry = {
        "source": "file",
        "path": str(folder),
        "backend": "served",
        "files": [file_entry("w.safetensors", data)],
    }
    models = store(layout.root, {"safe": entry})
    models.pull("safe", Counter())
    return models.digest("safe")


def test_a_model_of_safetensors_has_what_its_header_says(
    model: tuple[Layout, Digest], tmp_path: Path
) -> None:
    layout, _ = model
    document = bill_of_materials(layout, safetensors_model(layout, tmp_path))
    (component,) = json.loads(canonical(document))["components"]
    assert component["modelCard"]["modelParameters"]["modelArchitecture"] == "safetensors"
    text = canonical(document).decode()
    assert JsonStrictValidator(SchemaVersion.V1_7).validate_str(text) is None


def test_a_release_lists_each_pin_once_with_all_files(
    model: tuple[Layout, Digest], tmp_path: Path
) -> None:
    layout, digest = model
    dataset = pack_dataset("triage", "test", [{"name": "a"}])
    stored = dataset.put(layout, "cases")
    size = layout.blob(digest).stat().st_size
    weights = Pin(role="text", name="tiny", digest=digest, kind=Kind.MODEL, size=size)
    external = Pin(role="judge", name="large", digest=Digest("1" * 64), backend="far")
    release = Release(
        task="triage",
        version="2",
        code={"distribution": "lockgate", "version": "1", "digest": "sha256:" + "2" * 64},
        pins=(
            weights,
            replace(weights, role="again"),
            external,
            Pin(
                role="eval-dataset",
                name="triage",
                digest=stored.digest,
                kind=Kind.DATASET,
                size=stored.size,
            ),
        ),
        decoding={},
    )
    made = ReleaseStore(layout).put(release)

    document = release_bill_of_materials(layout, made)

    text = canonical(document).decode()
    assert JsonStrictValidator(SchemaVersion.V1_7).validate_str(text) is None
    found = json.loads(text)
    assert found["metadata"]["component"]["bom-ref"] == str(made)
    refs = [at["bom-ref"] for at in found["components"]]
    assert sorted(refs) == sorted({*refs})
    assert {"code", str(digest), str(stored.digest), str(external.digest)} == set(refs)
    assert set(found["dependencies"][0]["dependsOn"]) == set(refs)
    rows = Digest.of(dataset.blobs[1])
    assert {digest, Digest.of(GGUF), stored.digest, rows} <= hashes(document)
    assert document == release_bill_of_materials(layout, made)


def test_a_pin_that_is_not_here_has_no_bill_of_materials(
    model: tuple[Layout, Digest],
) -> None:
    layout, digest = model
    release = Release(
        task="t",
        version="1",
        code={},
        pins=(Pin(role="m", name="m", digest=digest, kind=Kind.MODEL, size=1),),
        decoding={},
    )
    for data in (release.config, release.manifest, b"{}"):
        layout.put(data)
    at = Descriptor(media_type=MANIFEST, digest=release.digest, size=len(release.manifest))
    assert layout.name("r", at)
    layout.discard(layout.blob(digest))
    with pytest.raises(Corrupt, match="missing from the store"):
        release_bill_of_materials(layout, release.digest)
