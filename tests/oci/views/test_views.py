"""Views in Debian's registry, and what other tools find in them."""

import json
import tarfile
from pathlib import Path

import pytest

from lockgate.domain.artifact import EMPTY_BYTES, MANIFEST, Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, UsageError
from lockgate.oci.closure import pull_closure, push_closure
from lockgate.oci.foreign.pull import foreign_manifest, pull_foreign
from lockgate.oci.headers.weights import read_weights
from lockgate.oci.integrity import check
from lockgate.oci.kinds.dataset import pack_dataset
from lockgate.oci.kinds.table import fault
from lockgate.oci.layout import Layout
from lockgate.oci.packing import pack_file
from lockgate.oci.registry.repository import Repository
from lockgate.oci.views.make import attach_view
from lockgate.oci.views.view import View
from oci.doubles import Counter
from oci.registry.conftest import debian, layout, registry, repository
from oci.registry.samples import as_root
from oci.samples import gguf
from registries import Running, skopeo

__all__ = ["debian", "layout", "registry", "repository"]  # fixtures
GGUF = gguf(500)


@pytest.fixture
def model(layout: Layout, tmp_path: Path) -> Digest:
    (tmp_path / "mine.gguf").write_bytes(GGUF)
    path = tmp_path / "mine.gguf"
    return pack_file(layout, path, "mine", link=False, progress=Counter()).digest


def stored(layout: Layout) -> int:
    return sum(path.stat().st_size for path in layout.blobs())


@pytest.mark.parametrize("view", [View.DOCKER, View.OLLAMA])
def test_a_view_is_a_few_hundred_bytes_over_the_same_blob(
    layout: Layout, model: Digest, view: View
) -> None:
    before = stored(layout)
    made = attach_view(layout, model, view)
    assert attach_view(layout, model, view) == made
    assert stored(layout) - before < 1700
    manifest = Manifest.parse(layout.read(made.digest))
    assert Digest.of(GGUF) in [layer.digest for layer in manifest.layers]
    assert manifest.subject is not None
    assert manifest.subject.digest == model
    assert [at.digest for at in layout.referrers(model)] == [made.digest]
    assert check(layout).damages == []


@pytest.mark.parametrize(
    ("view", "packer"), [(View.DOCKER, "Docker Model Runner"), (View.OLLAMA, "Ollama")]
)
def test_what_is_viewed_for_another_tool_is_pulled_as_that_tools(
    repository: Repository, layout: Layout, model: Digest, tmp_path: Path, view: View, packer: str
) -> None:
    made = attach_view(layout, model, view)
    push_closure(layout, repository, model, tag="1", progress=Counter())
    repository.manifests.put(layout.read(made.digest), made.media_type, tag=f"1-{view}")
    target = Layout(tmp_path / "target")
    target.prepare()
    source = Repository(repository.registry, repository.name, target)
    found = foreign_manifest(source, f"1-{view}")
    assert found is not None
    assert found[1] == packer
    result = pull_foreign(source, target, found, "back", Counter())
    assert target.blob(Digest.of(GGUF)).read_bytes() == GGUF
    assert result.fetched


def test_views_move_with_what_they_are_of(
    repository: Repository, layout: Layout, model: Digest, tmp_path: Path
) -> None:
    views = {attach_view(layout, model, view).digest for view in (View.DOCKER, View.OLLAMA)}
    push_closure(layout, repository, model, tag="1", progress=Counter())
    target = Layout(tmp_path / "target")
    source = Repository(repository.registry, repository.name, target)
    pull_closure(source, target, "1", names=as_root, progress=Counter())
    assert {at.digest for at in target.referrers(model)} == views


def test_an_image_view_holds_the_files_and_skopeo_copies_it(
    debian: Running, repository: Repository, layout: Layout, model: Digest, tmp_path: Path
) -> None:
    made = attach_view(layout, model, View.IMAGE)
    (layer,) = Manifest.parse(layout.read(made.digest)).layers
    with tarfile.open(layout.blob(layer.digest)) as archive:
        (member,) = archive.getmembers()
        assert (member.name, member.mtime, member.uid) == ("models/mine.gguf", 0, 0)
        assert member.offset_data % 4096 == 0
        file = archive.extractfile(member)
        assert file is not None
        assert file.read() == GGUF
    push_closure(layout, repository, model, tag="1", progress=Counter())
    repository.manifests.put(layout.read(made.digest), made.media_type, tag="1-image")
    place = f"{debian.host}/{repository.name}:1-image"
    done = skopeo(
        "copy", "--src-tls-verify=false", f"docker://{place}", f"dir:{tmp_path / 'image'}"
    )
    assert done.returncode == 0, done.stderr
    copied = json.loads((tmp_path / "image" / "manifest.json").read_bytes())
    assert copied["layers"][0]["digest"] == str(layer.digest)
    assert list(layout.ingest.iterdir()) == []


def test_an_image_of_a_damaged_file_is_not_made(layout: Layout, model: Digest) -> None:
    blob = layout.blob(Digest.of(GGUF))
    blob.chmod(0o644)
    blob.write_bytes(GGUF[:-1] + b"!")
    with pytest.raises(Corrupt, match=f"expected {Digest.of(GGUF)}"):
        attach_view(layout, model, View.IMAGE)
    assert list(layout.ingest.iterdir()) == []


def test_a_data_set_can_be_read_as_modelpack(layout: Layout) -> None:
    dataset = pack_dataset("triage", "test", [{"name": "one"}]).put(layout, "dataset/x")
    made = attach_view(layout, dataset.digest, View.MODELPACK)
    manifest = Manifest.parse(layout.read(made.digest))
    assert manifest.artifact_type == Kind.MODEL.artifact_type
    assert manifest.layers == Manifest.parse(layout.read(dataset.digest)).layers
    assert fault(layout, made.digest) == ""


def test_what_has_no_such_view_is_said(layout: Layout, model: Digest, tmp_path: Path) -> None:
    dataset = pack_dataset("triage", "test", [{"name": "one"}]).put(layout, "dataset/x")
    with pytest.raises(UsageError, match="has no view `ollama`"):
        attach_view(layout, dataset.digest, View.OLLAMA)
    with pytest.raises(UsageError, match="has no view `modelpack`"):
        attach_view(layout, model, View.MODELPACK)
    layer = Descriptor(media_type="x", digest=layout.put(b"weights"), size=7)
    layout.put(EMPTY_BYTES)
    config = Descriptor(media_type="y", digest=Digest.of(EMPTY_BYTES), size=2)
    made = Manifest(artifact_type=Kind.MODEL.artifact_type, config=config, layers=(layer,))
    at = layout.put(made.encode())
    assert layout.name("m", Descriptor(media_type=MANIFEST, digest=at, size=len(made.encode())))
    with pytest.raises(UsageError, match="not a model of one GGUF file"):
        attach_view(layout, at, View.DOCKER)
    assert read_weights(layout.blob(Digest.of(GGUF)), shown="m").format == "gguf"
