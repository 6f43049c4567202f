import json
import os
from typing import Any

import pytest

from lockgate.domain.digest import canonical
from lockgate.errors import Corrupt
from lockgate.oci.catalogue import Model, load_catalogue, parse_catalogue
from lockgate.oci.manifest import pack, unpack
from oci.samples import file_entry, hf_entry

# modelpack/model-spec `config.md`: the members that are allowed; all levels are closed.
DESCRIPTOR = {
    *("createdAt", "authors", "vendor", "family", "name", "version", "title", "description"),
    *("docURL", "sourceURL", "datasetsURL", "revision", "licenses"),
}
CONFIG = {"architecture", "format", "paramSize", "precision", "quantization", "capabilities"}


def model(**changes: Any) -> Model:
    files = [file_entry("a/w.gguf", b"weights"), file_entry("t.json", b"{}", "tokenizer")]
    entry = {**hf_entry("org/name", files), "licence": "MIT", "parameters": "7.1B", **changes}
    return parse_catalogue({"m": entry}, {}).models["m"]


def test_a_manifest_is_a_strict_modelpack_with_one_raw_file_a_layer() -> None:
    packed = pack(model())
    manifest, config = json.loads(packed.manifest), json.loads(packed.config)
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    assert [layer["mediaType"] for layer in manifest["layers"]] == [
        "application/vnd.cncf.model.weight.v1.raw",
        "application/vnd.cncf.model.weight.config.v1.raw",
    ]
    first = manifest["layers"][0]["annotations"]
    assert first["org.cncf.model.filepath"] == first["org.opencontainers.image.title"] == "w.gguf"
    assert json.loads(first["org.cncf.model.file.metadata+json"])["size"] == 7
    assert config["modelfs"]["type"] == "layers"
    assert config["modelfs"]["diffIds"] == [layer["digest"] for layer in manifest["layers"]]
    assert set(config) == {"descriptor", "config", "modelfs"}
    assert set(config["descriptor"]) <= DESCRIPTOR
    assert set(config["config"]) <= CONFIG


def test_both_documents_are_canonical() -> None:
    packed = pack(model())
    for data in (packed.manifest, packed.config):
        assert canonical(json.loads(data)) == data


def test_the_digests_of_the_default_models_never_change_unnoticed() -> None:
    models = load_catalogue().models
    assert {name: str(pack(models[name]).digest) for name in ("smollm2", "minilm")} == {
        "smollm2": "sha256:02f9814941349046f92c24047f8113b9fd19d8b153eb319f0e45095782936945",
        "minilm": "sha256:b40cb9982017fd4ae0ee05d2f04a5995402cd5b227016a1fd213077356633ce5",
    }


def test_where_the_package_is_does_not_matter_to_a_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = pack(model()).digest
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    monkeypatch.chdir(os.sep)
    assert pack(model()).digest == before


@pytest.mark.parametrize(
    "changes",
    [
        {"licence": "Apache-2.0"},
        {"parameters": "7.2B"},
        {"quantisation": "Q8_0"},
        {"revision": "b" * 40},
        {"files": [file_entry("a/w.gguf", b"Weights")]},
    ],
)
def test_another_entry_is_another_model(changes: dict[str, Any]) -> None:
    assert pack(model(**changes)).digest != pack(model()).digest


def test_what_was_packed_can_be_read() -> None:
    packed = pack(model(quantisation="Q4_0"))
    stored = unpack(packed.manifest, packed.config)
    assert [(f.role, f.member, f.digest) for f in stored.files] == [
        (f.role, f.title, f.digest) for f in model().files
    ]
    assert (stored.licence, stored.parameters, stored.quantisation) == ("MIT", "7.1B", "Q4_0")


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"layers":[{}]}'])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt, match="not one of a model"):
        unpack(data, b'{"config":{}}')
