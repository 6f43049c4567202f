from pathlib import Path

from lockgate.app.attesting import making_provenance
from lockgate.app.making import making_of
from lockgate.domain.digest import Digest
from lockgate.domain.predicates.provenance import BuildType, Provenance
from lockgate.oci.kinds.dataset import pack_dataset
from lockgate.oci.kinds.search_index import pack_index
from lockgate.oci.layout import Layout
from oci.kinds.test_kinds import CHUNKER, CHUNKS, DOCUMENTS, EMBEDDER, INDEX


def test_an_index_names_its_embedder_and_every_document(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store")
    stored = INDEX.put(layout, "index/x")
    said = making_provenance(layout, "handbook", stored.digest, None)
    found = Provenance.read(said.predicate)
    assert found.build_type == BuildType.INDEX_BUILD
    assert found.parameters["chunker"] == CHUNKER
    assert found.parameters["metric"] == "cosine"
    materials = {at.name: at.digest for at in found.materials}
    assert materials["embedder"] == EMBEDDER
    assert materials["a.md"] == Digest("a" * 64)
    assert materials["b.md"] == Digest("b" * 64)
    assert "vectors.safetensors" in materials


def test_an_index_of_words_has_no_embedder(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store")
    stored = pack_index("w", DOCUMENTS, CHUNKS, chunker=CHUNKER).put(layout, "index/w")
    assert "embedder" not in {at.name for at in making_of(layout, stored.digest).materials}


def test_what_was_only_packed_is_an_import(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store")
    stored = pack_dataset("triage", "test", [{"a": 1}]).put(layout, "dataset/x")
    found = making_of(layout, stored.digest)
    assert found.build_type == BuildType.IMPORT
    assert found.parameters["files"] == ["test.jsonl"]
