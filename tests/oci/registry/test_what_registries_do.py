"""What Debian's registry and skopeo do with our documents, and with those that we avoid.

The shape of releases and closures rests on these observations. A newer version that does better
breaks a test here, and then the shape may be simplified.
"""

import gzip
import io
import json
import tarfile
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from lockgate.domain.artifact import EMPTY_CONFIG, INDEX, MANIFEST, Descriptor, Manifest
from lockgate.domain.digest import Digest, Json, canonical
from lockgate.errors import UsageError
from lockgate.oci.layout import Layout
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.repository import Repository
from registries import Running, skopeo

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


def put_blob(repository: Repository, layout: Layout, data: bytes, media_type: str) -> Descriptor:
    digest = layout.put(data)
    repository.uploads.push(digest, layout.blob(digest), lambda _: None)
    return Descriptor(media_type=media_type, digest=digest, size=len(data))


def put_manifest(
    repository: Repository, layout: Layout, name: str, subject: Descriptor | None = None
) -> Descriptor:
    put_blob(repository, layout, b"{}", EMPTY_CONFIG.media_type)
    config = put_blob(repository, layout, name.encode(), "application/vnd.test.config.v1+json")
    layer = put_blob(repository, layout, name.encode() * 9, "application/vnd.test.weight.v1.raw")
    data = Manifest(
        artifact_type="application/vnd.test.v1+json",
        config=config,
        layers=(layer,),
        subject=subject,
    ).encode()
    repository.manifests.put(data, MANIFEST, tag=name)
    return Descriptor(media_type=MANIFEST, digest=Digest.of(data), size=len(data))


def index_of(*children: Json, **members: Json) -> bytes:
    return canonical(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(children), **members}
    )


def child(at: Descriptor, **members: Json) -> Json:
    return {"mediaType": at.media_type, "digest": str(at.digest), "size": at.size, **members}


def copied(source: str, target: str, *options: str) -> tuple[int, str]:
    done = skopeo(
        "copy", "--src-tls-verify=false", "--dest-tls-verify=false", *options, source, target
    )
    return done.returncode, done.stderr


def digest_at(address: str) -> Digest:
    done = skopeo("inspect", "--raw", "--tls-verify=false", address)
    assert done.returncode == 0, done.stderr
    return Digest.of(done.stdout.encode())


def digest_in(folder: Path) -> str:
    [entry] = json.loads((folder / "index.json").read_bytes())["manifests"]
    return str(entry["digest"])


def test_a_manifest_of_unknown_types_with_a_subject_keeps_its_digest(
    repository: Repository, layout: Layout, debian: Running, tmp_path: Path
) -> None:
    subject = put_manifest(repository, layout, "subject")
    at = put_manifest(repository, layout, "a", subject)
    source = f"docker://{repository.place}:a"
    assert copied(source, f"docker://{debian.host}/copies/a:1")[0] == 0
    assert digest_at(f"docker://{debian.host}/copies/a:1") == at.digest
    assert copied(source, f"oci:{tmp_path}/a:1")[0] == 0
    assert digest_in(tmp_path / "a") == str(at.digest)


def test_skopeo_rewrites_an_index_with_types_in_its_children(
    repository: Repository, layout: Layout, debian: Running
) -> None:
    at = put_manifest(repository, layout, "a")
    data = index_of(child(at, artifactType="application/vnd.test.v1+json"))
    repository.manifests.put(data, INDEX, tag="index")
    source, target = f"docker://{repository.place}:index", f"docker://{debian.host}/copies/b"

    assert copied(source, f"{target}:1", "--all")[0] == 0
    assert digest_at(f"{target}:1") != Digest.of(data)
    status, said = copied(source, f"{target}:2", "--all", "--preserve-digests")
    assert status != 0
    assert "digest" in said


def test_an_index_with_types_at_its_top_alone_keeps_its_digest(
    repository: Repository, layout: Layout, debian: Running
) -> None:
    at = put_manifest(repository, layout, "a")
    data = index_of(
        child(at, annotations={"io.lockgate.role": "model"}),
        artifactType="application/vnd.test.closure.v1+json",
        annotations={"io.lockgate.release": str(at.digest)},
    )
    repository.manifests.put(data, INDEX, tag="index")
    target = f"docker://{debian.host}/copies/c:1"
    assert copied(f"docker://{repository.place}:index", target, "--all")[0] == 0
    assert digest_at(target) == Digest.of(data)


def test_an_index_of_a_manifest_in_another_repository_is_refused(
    repository: Repository, registry: Registry, layout: Layout
) -> None:
    at = put_manifest(repository, layout, "a")
    other = Repository(registry, f"{repository.name}/other", layout)
    with pytest.raises(UsageError, match=r"400.*MANIFEST_BLOB_UNKNOWN"):
        other.manifests.put(index_of(child(at)), INDEX, tag="index")


def test_skopeo_compresses_a_plain_tar_layer_unless_it_must_keep_digests(
    repository: Repository, layout: Layout, tmp_path: Path
) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tape:
        tape.addfile(tarfile.TarInfo("empty"))
    kind = "application/vnd.oci.image.layer.v1.tar"
    layer = put_blob(repository, layout, file.getvalue(), kind)
    config = canonical(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [str(layer.digest)]},
        }
    )
    described = put_blob(repository, layout, config, "application/vnd.oci.image.config.v1+json")
    data = Manifest(artifact_type="", config=described, layers=(layer,)).encode()
    repository.manifests.put(data, MANIFEST, tag="image")
    source = f"docker://{repository.place}:image"

    assert copied(source, f"docker://{repository.place}/zipped:1")[0] == 0
    zipped = repository_at(repository, "zipped", layout).manifests.get("1")
    assert zipped.digest != Digest.of(data)
    [only] = Manifest.parse(zipped.data).layers
    there = repository_at(repository, "zipped", layout)
    assert gzip.decompress(there.downloads.read(only)) == file.getvalue()

    assert copied(source, f"docker://{repository.place}/kept:1", "--preserve-digests")[0] == 0
    assert digest_at(f"docker://{repository.place}/kept:1") == Digest.of(data)


def repository_at(repository: Repository, below: str, layout: Layout) -> Repository:
    return Repository(repository.registry, f"{repository.name}/{below}", layout)


def test_the_registry_takes_a_manifest_of_ollama_and_skopeo_does_not(
    repository: Repository, layout: Layout, tmp_path: Path
) -> None:
    config = put_blob(
        repository,
        layout,
        b'{"model_format":"gguf"}',
        "application/vnd.docker.container.image.v1+json",
    )
    layer = put_blob(repository, layout, b"weights", "application/vnd.ollama.image.model")
    data = canonical(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER,
            "config": config.document,
            "layers": [layer.document],
        }
    )
    repository.manifests.put(data, DOCKER, tag="ollama")
    assert repository.manifests.get("ollama").digest == Digest.of(data)
    status, said = copied(f"docker://{repository.place}:ollama", f"oci:{tmp_path}/o:1")
    assert status != 0
    assert "unsupported docker v2s2 media type" in said


def test_the_registry_has_no_referrers_api(
    repository: Repository, layout: Layout, debian: Running
) -> None:
    at = put_manifest(repository, layout, "a")
    opener = build_opener(ProxyHandler({}))
    with pytest.raises(OSError, match="404") as caught:
        opener.open(f"{debian.url}/v2/{repository.name}/referrers/{at.digest}", timeout=10)
    caught.value.close()  # type: ignore[attr-defined]
