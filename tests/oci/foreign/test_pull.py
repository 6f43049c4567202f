"""Models of other packers, pushed to Debian's registry and taken in from there."""

import io
import pickle
import struct
import tarfile
from pathlib import Path

import pytest

from lockgate.domain.artifact import Kind, Manifest
from lockgate.domain.digest import Digest
from lockgate.domain.release import Pin
from lockgate.errors import Corrupt, Denied, LockgateError, NotFound, UsageError
from lockgate.oci.catalogue import OciSource
from lockgate.oci.facts import Inspector
from lockgate.oci.foreign.pull import foreign_manifest, pull_foreign
from lockgate.oci.integrity import check
from lockgate.oci.inventory import PullResult
from lockgate.oci.layout import Layout
from lockgate.oci.manifest import SOURCE_MANIFEST
from lockgate.oci.model_files import stored_model
from lockgate.oci.registry.repository import Repository
from oci.doubles import Counter
from oci.foreign.packers import GGUF, Made, docker, kitops, manifest, modelpack, ollama, tape
from oci.samples import gguf
from oci.splits import several
from registries import Running

_HEADER = b'{"w":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}}'
SAFETENSORS = struct.pack("<Q", len(_HEADER)) + _HEADER + bytes(8)


@pytest.fixture
def target(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "target")


def pull(repository: Repository, made: Made, target: Layout, name: str = "m") -> PullResult:
    """Push as the other tool does, and pull as we do."""
    made.push(repository)
    return again(repository, target, name)


def again(repository: Repository, target: Layout, name: str = "m") -> PullResult:
    target.prepare()
    source = Repository(repository.registry, repository.name, target)
    found = foreign_manifest(source, "1")
    assert found is not None
    return pull_foreign(source, target, found, name, Counter())


def roles(target: Layout, digest: Digest) -> dict[str, bytes]:
    model = stored_model(target, "m", digest)
    return {file.role: target.blob(file.digest).read_bytes() for file in model.files}


@pytest.mark.parametrize(
    ("made", "packer", "expected"),
    [
        (modelpack({"model.gguf": GGUF, "LICENSE": b"MIT"}), "ModelPack", {"license": b"MIT"}),
        (
            modelpack({"a/model.gguf": GGUF, "config.json": b"{}"}, wrapping="tar+gzip"),
            "ModelPack",
            {"config": b"{}"},
        ),
        (kitops({"x/model.gguf": GGUF}), "KitOps", {"model-card": b"# Kit\n"}),
        (kitops({"model.gguf": GGUF}, wrapping="tar+gzip"), "KitOps", {}),
        (docker(), "Docker Model Runner", {"chat-template": b"{{ messages }}"}),
        (docker(version="0.2"), "Docker Model Runner", {"license": b"MIT License\n"}),
        (
            ollama(system=b"You help.", params=b'{"stop":["<end>"]}'),
            "Ollama",
            {"license": b"Apache License", "license-2": b"Second licence", "system": b"You help."},
        ),
    ],
)
def test_a_model_of_each_packer_becomes_one_of_ours(
    repository: Repository,
    target: Layout,
    made: Made,
    packer: str,
    expected: dict[str, bytes],
) -> None:
    result = pull(repository, made, target)

    assert result.fetched
    assert result.note.startswith(f"packed by {packer} as {made.digest}")
    manifest_ = Manifest.parse(target.read(result.digest))
    assert manifest_.artifact_type == Kind.MODEL.artifact_type
    found = roles(target, result.digest)
    assert found["weights"] == GGUF
    assert found[SOURCE_MANIFEST] == made.data
    assert expected.items() <= found.items()
    model = stored_model(target, "m", result.digest)
    assert isinstance(model.source, OciSource)
    assert model.source.digest == made.digest
    assert (model.format, model.architecture, model.quantisation) == ("gguf", "llama", "F32")
    assert check(target, full=True).damages == []
    kept = {Digest(path.name) for path in target.blobs()}
    assert kept == set(target.closure([result.digest]).all)
    assert list(target.ingest.iterdir()) == []


def test_code_and_data_of_a_modelkit_are_left_out_and_named(
    repository: Repository, target: Layout
) -> None:
    result = pull(repository, kitops({"model.gguf": GGUF}), target)
    assert "left out: application/vnd.kitops.modelkit.code.v1.tar" in result.note
    assert b"{}" not in roles(target, result.digest).values()


def test_a_folder_of_safetensors_keeps_every_file_apart(
    repository: Repository, target: Layout
) -> None:
    files = {
        "model-00001-of-00002.safetensors": SAFETENSORS,
        "model-00002-of-00002.safetensors": SAFETENSORS[:-8] + b"12345678",
        "tokenizer.json": b"{}",
        "merges.txt": b"a b\n",
    }
    result = pull(repository, kitops(files), target)
    model = stored_model(target, "m", result.digest)
    assert (model.format, model.quantisation, model.backend) == ("safetensors", "BF16", "")
    assert set(roles(target, result.digest)) >= {"weights", "weights-2", "tokenizer", "file"}


def test_a_gguf_model_in_several_files_is_put_into_its_order(
    repository: Repository, target: Layout, tmp_path: Path
) -> None:
    parts = several(tmp_path / "whole.gguf", 3)
    # Other tools list files by name; a name proves nothing.
    result = pull(
        repository, modelpack({"a.gguf": parts[2], "b.gguf": parts[0], "c.gguf": parts[1]}), target
    )
    found = roles(target, result.digest)
    assert [found[at] for at in ("weights", "shard-2", "shard-3")] == list(parts)
    assert stored_model(target, "m", result.digest).architecture == "llama"


def test_a_gguf_model_that_lacks_a_file_is_refused_and_nothing_is_kept(
    repository: Repository, target: Layout, tmp_path: Path
) -> None:
    parts = several(tmp_path / "whole.gguf", 3)
    with pytest.raises(Corrupt, match="in 3 files, and file 2 is missing"):
        pull(repository, kitops({"a.gguf": parts[2], "b.gguf": parts[0]}), target)
    assert (target.manifests(), target.blobs()) == ({}, [])


def test_the_same_again_fetches_nothing_and_a_damaged_file_is_fetched_again(
    repository: Repository, target: Layout
) -> None:
    first = pull(repository, kitops({"model.gguf": GGUF}), target)
    second = again(repository, target)
    assert (second.digest, second.fetched) == (first.digest, False)
    weights = target.blob(Digest.of(GGUF))
    weights.chmod(0o644)
    weights.write_bytes(GGUF[:-1] + b"x")
    assert again(repository, target).digest == first.digest
    assert check(target, full=True).damages == []


def test_two_machines_repack_to_the_same_digest(
    repository: Repository, target: Layout, tmp_path: Path
) -> None:
    first = pull(repository, docker(), target)
    assert again(repository, Layout(tmp_path / "second")).digest == first.digest


def test_a_manifest_of_ours_or_of_no_packer_is_not_taken_for_a_foreign_one(
    repository: Repository,
) -> None:
    plain = manifest("application/vnd.oci.image.config.v1+json", {}, [("text/plain", b"x", {})])
    plain.push(repository)
    assert foreign_manifest(repository, "1") is None
    ours = {"org.cncf.model.filepath": "m.gguf", "io.lockgate.role": "weights"}
    made = manifest(
        Kind.MODEL.config_type,
        {},
        [("application/vnd.cncf.model.weight.v1.raw", GGUF, ours)],
        artifact_type=Kind.MODEL.artifact_type,
    )
    made.push(repository, "2")
    assert foreign_manifest(repository, "2") is None


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("ran",)


def linked() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("model.gguf")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    return buffer.getvalue()


KIT = "application/vnd.kitops.modelkit"
WEIGHT = "application/vnd.cncf.model.weight.v1"


def kit(*layers: tuple[str, bytes]) -> Made:
    return manifest(f"{KIT}.config.v1+json", {}, [(kind, data, {}) for kind, data in layers])


@pytest.mark.parametrize(
    ("made", "error", "said"),
    [
        (modelpack({"model.gguf": pickle.dumps(Bomb())}), Denied, "`pickle`"),
        (modelpack({"model.gguf": GGUF, "a.json": pickle.dumps(Bomb())}), Denied, "`pickle`"),
        (modelpack({"m.gguf": GGUF, "pytorch_model.bin": b"x"}), Denied, "pytorch_model.bin"),
        (modelpack({"model.gguf": GGUF[:-40]}), Corrupt, "cut off"),
        (modelpack({"model.gguf": b"GGUF" + b"\xff" * 40}), Corrupt, "GGUF version"),
        (modelpack({"m.safetensors": SAFETENSORS[:-1]}), Corrupt, "not a whole safetensors"),
        (modelpack({"model.gguf": b"text"}), Denied, "is `text`, taken as weights"),
        (modelpack({"../model.gguf": GGUF}), Corrupt, "a file called"),
        (modelpack({"/model.gguf": GGUF}), Corrupt, "a file called"),
        (modelpack({"LICENSE": b"MIT"}), UsageError, "no layer with weights"),
        (kitops({"../../m.gguf": GGUF}), Corrupt, "a file called"),
        (kitops({"m.gguf": GGUF, "modeling.py": b"import os\n"}), Denied, "modeling.py"),
        (kitops({"readme.md": b"nothing else"}), Corrupt, "no weights in its archives"),
        (kit((f"{KIT}.model.v1.tar", linked())), Corrupt, "neither a file nor a folder"),
        (kit((f"{KIT}.model.v1.tar", b"no tar" * 200)), Corrupt, "is damaged"),
        (kit((f"{KIT}.model.v1.tar+gzip", b"no gzip")), Corrupt, "is not gzip, or cut off"),
        (
            kit((f"{KIT}.model.v1.tar+gzip", tape({"m.gguf": bytes(90 << 20)}, "gzip"))),
            Corrupt,
            "holds more than",
        ),
        (docker(b"\x7fELF" + bytes(100)), Denied, "is `elf`"),
        (
            manifest(
                "application/vnd.docker.container.image.v1+json",
                {},
                [("application/vnd.ollama.image.tensor; name=w; dtype=BF16; shape=4", b"x", {})],
                media_type="application/vnd.docker.distribution.manifest.v2+json",
            ),
            UsageError,
            "vnd.ollama.image.tensor",
        ),
    ],
)
def test_what_is_not_safe_or_not_whole_is_refused_and_nothing_is_kept(
    repository: Repository, target: Layout, made: Made, error: type[LockgateError], said: str
) -> None:
    with pytest.raises(error, match=said):
        pull(repository, made, target)
    assert target.manifests() == {}
    assert target.blobs() == []
    assert list(target.ingest.iterdir()) == []


def stored(debian: Running, data: bytes) -> Path:
    """Return where Debian's registry keeps a blob."""
    digest = Digest.of(data).hex
    return debian.folder / "docker/registry/v2/blobs/sha256" / digest[:2] / digest / "data"


def test_other_bytes_under_a_layers_digest_are_refused(
    debian: Running, repository: Repository, target: Layout
) -> None:
    weights = gguf(300, name="Tampered")
    ollama(weights).push(repository)
    stored(debian, weights).write_bytes(weights[:-1] + b"!")
    with pytest.raises(Corrupt, match=f"{Digest.of(weights)}"):
        again(repository, target)
    assert target.manifests() == {}


def test_a_layer_that_the_registry_lost_is_said(
    debian: Running, repository: Repository, target: Layout
) -> None:
    weights = gguf(301, name="Lost")
    docker(weights).push(repository)
    stored(debian, weights).unlink()
    with pytest.raises(NotFound, match="404"):
        again(repository, target)
    assert target.manifests() == {}


@pytest.mark.parametrize(
    ("template", "safe"), [("{{ messages }}", True), ("{{ messages.__class__ }}", False)]
)
def test_a_chat_template_in_a_file_of_its_own_is_judged_too(
    repository: Repository, target: Layout, template: str, *, safe: bool
) -> None:
    made = modelpack({"model.gguf": GGUF, "template.jinja": template.encode()})
    # `modctl` takes what it does not know for documentation.
    result = pull(repository, made, target)
    size = target.blob(result.digest).stat().st_size
    pin = Pin(role="text", name="m", digest=result.digest, kind=Kind.MODEL, size=size)
    verdict = Inspector(target).pin(pin).chat_template
    assert verdict is not None
    assert verdict.safe is safe
