import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from lockgate.domain.digest import Digest, canonical
from lockgate.domain.predicates.bom import hashes
from lockgate.oci.bom import bill_of_materials
from lockgate.oci.layout import Layout
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
