"""GGUF models in several files, as llama.cpp's `gguf-split` makes them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate.domain.artifact import Manifest
from lockgate.errors import Corrupt, InvalidConfig, NotFound, UsageError
from lockgate.oci.catalogue import parse_catalogue
from lockgate.oci.conversion import quantise_model
from lockgate.oci.gguf import Shard, read_header
from lockgate.oci.kinds.table import fault
from lockgate.oci.layout import Layout
from lockgate.oci.manifest import pack
from lockgate.oci.model_files import stored_model
from lockgate.oci.models import ModelStore
from lockgate.oci.packing import publish
from lockgate.oci.quantise import Quantisation
from lockgate.oci.settings import ModelSettings
from lockgate.oci.shards import ordered
from lockgate.oci.views.make import attach_view
from lockgate.oci.views.view import View
from oci.doubles import Counter
from oci.samples import file_entry, folder_entry
from oci.splits import several


@pytest.fixture
def models(tmp_path: Path) -> ModelStore:
    settings = ModelSettings(package_root=tmp_path)
    return ModelStore(tmp_path / "store", parse_catalogue({}, {}), settings)


@pytest.fixture
def parts(tmp_path: Path) -> Sequence[Path]:
    files = several(tmp_path / "whole.gguf", 3)
    return written(tmp_path / "parts", files)


def written(folder: Path, files: Sequence[bytes]) -> Sequence[Path]:
    folder.mkdir(exist_ok=True)
    count = len(files)
    paths = [folder / f"big-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1)]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    return paths


def test_any_of_the_files_stands_for_the_whole_model(
    models: ModelStore, parts: Sequence[Path], progress: Counter
) -> None:
    digests = {models.pull_file(path, f"m{at}", progress).digest for at, path in enumerate(parts)}
    assert len({models.show(f"m{at}").model.files for at in range(3)}) == 1
    assert len(digests) == 3  # the name is in the config, as it is for every model
    found = models.files("m0")
    assert [found[at].read_bytes() for at in ("weights", "shard-2", "shard-3")] == [
        path.read_bytes() for path in parts
    ]
    assert models.show("m2").model.architecture == "llama"
    assert models.verify("m1").problems == ()


def test_each_file_is_a_layer_of_weights_with_its_name(
    models: ModelStore, parts: Sequence[Path], progress: Counter
) -> None:
    digest = models.pull_file(parts[1], "m", progress, link=True).digest
    layers = Manifest.parse(models.layout.read(digest)).layers
    assert {layer.media_type for layer in layers} == {"application/vnd.cncf.model.weight.v1.raw"}
    named = [layer.annotations["org.cncf.model.filepath"] for layer in layers]
    assert named == [path.name for path in parts]
    assert fault(models.layout, digest) == ""


def test_a_missing_file_is_named_before_a_byte_is_copied(
    models: ModelStore, parts: Sequence[Path], progress: Counter
) -> None:
    parts[1].unlink()
    with pytest.raises(NotFound, match=r"1 of 3.*1 of them not in.*big-00002-of-00003"):
        models.pull_file(parts[0], "m", progress)
    assert models.layout.blobs() == []


def test_a_file_of_another_name_than_its_header_says_is_refused(
    models: ModelStore, parts: Sequence[Path], progress: Counter
) -> None:
    other = parts[0].rename(parts[0].with_name("big.gguf"))
    with pytest.raises(UsageError, match="file 1 of 3 of a model by its header") as caught:
        models.pull_file(other, "m", progress)
    assert "NAME-00001-of-00003.gguf" in (caught.value.hint or "")


def test_files_that_were_exchanged_are_refused(
    models: ModelStore, parts: Sequence[Path], progress: Counter
) -> None:
    second = parts[1].read_bytes()
    parts[1].write_bytes(parts[2].read_bytes())
    parts[2].write_bytes(second)
    with pytest.raises(Corrupt, match="not the parts of one model, in order"):
        models.pull_file(parts[0], "m", progress)


def test_a_file_of_another_model_is_refused(
    models: ModelStore, parts: Sequence[Path], progress: Counter, tmp_path: Path
) -> None:
    parts[1].write_bytes(several(tmp_path / "other.gguf", 3, tensors=7)[1])
    with pytest.raises(Corrupt, match=r"3 files with 7 tensors, .*in 3 with 5"):
        models.pull_file(parts[0], "m", progress)


def shard(number: int, *, count: int = 2, tensors: int = 1, total: int = 2) -> Shard:
    return Shard(number=number, count=count, tensors=tensors, total=total)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([shard(1)], "in 2 files, and file 2 is missing"),
        ([shard(1), shard(1)], "`1` and `0` are both file 1 of 2"),
        ([shard(1), shard(3)], "is file 3 of 2"),
        ([shard(1), shard(2, tensors=9)], "have 10 tensors, `0` says 2"),
        ([shard(1, count=60_000)], "in 60,000 files, at most 512"),
    ],
)
def test_headers_that_do_not_add_up_are_refused(found: Sequence[Shard], said: str) -> None:
    with pytest.raises(Corrupt, match=said):
        ordered([(str(at), one) for at, one in enumerate(found)])


def test_a_file_that_is_whole_by_itself_is_no_part(tmp_path: Path) -> None:
    (tmp_path / "one.gguf").write_bytes(several(tmp_path / "whole.gguf", 1)[0])
    assert read_header(tmp_path / "one.gguf").shard is None


def test_a_pinned_model_that_lacks_a_part_is_not_whole(
    models: ModelStore, parts: Sequence[Path], progress: Counter
) -> None:
    digest = models.pull_file(parts[0], "m", progress).digest
    model = stored_model(models.layout, "m", digest)
    cut = pack(replace(model, files=model.files[:2]))
    assert publish(models.layout, "cut", cut, [])
    assert "file 3 is missing" in fault(models.layout, cut.digest)


def test_docker_gets_every_part_and_ollama_refuses_them(
    models: ModelStore, parts: Sequence[Path], progress: Counter
) -> None:
    digest = models.pull_file(parts[0], "m", progress).digest
    view = attach_view(models.layout, digest, View.DOCKER)
    layers = Manifest.parse(models.layout.read(view.digest)).layers
    assert [layer.media_type for layer in layers] == ["application/vnd.docker.ai.gguf.v3"] * 3
    with pytest.raises(UsageError, match="in 3 files, and Ollama runs those of one"):
        attach_view(models.layout, digest, View.OLLAMA)


def test_a_model_in_several_files_is_not_quantised(
    models: ModelStore, parts: Sequence[Path], progress: Counter, tmp_path: Path
) -> None:
    digest = models.pull_file(parts[0], "m", progress).digest
    with pytest.raises(UsageError, match="is 3 file"):
        quantise_model(Layout(tmp_path / "store"), "m", digest, "small", Quantisation.Q8_0)


@pytest.mark.parametrize(
    ("roles", "valid"),
    [
        (("weights", "shard-2", "shard-3"), True),
        (("weights", "shard-3"), False),
        (("weights", "shard-1"), False),
    ],
)
def test_a_catalogue_entry_numbers_its_parts_from_two_on(
    tmp_path: Path, roles: Sequence[str], *, valid: bool
) -> None:
    files = [file_entry(f"{role}.gguf", role.encode(), role) for role in roles]
    entry = {"mine": folder_entry(tmp_path, files)}
    if valid:
        assert len(parse_catalogue({}, entry).models["mine"].files) == 3
        return
    with pytest.raises(InvalidConfig, match="must have shard-2"):
        parse_catalogue({}, entry)
