"""Releases through Debian's registry, read back by skopeo."""

import json
import random
from pathlib import Path

import pytest

from lockgate.domain.artifact import INDEX, MANIFEST, Descriptor, Manifest
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, LockgateError, NotFound, UsageError
from lockgate.oci.closure import copy, pull_closure, push_closure
from lockgate.oci.layout import Layout
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.referrers import fallback_tag
from lockgate.oci.registry.repository import Repository
from oci import artifacts
from oci.doubles import Counter
from oci.registry.samples import as_root, release
from oci.samples import noise
from registries import Running, skopeo


@pytest.fixture
def elsewhere(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "elsewhere")
    made.prepare()
    return made


def contents(layout: Layout, root: Digest) -> set[Digest]:
    return set(layout.closure([root]).all)


def test_a_release_arrives_with_all_that_belongs_to_it(
    repository: Repository, layout: Layout, elsewhere: Layout, progress: Counter
) -> None:
    made = release(layout)
    pushed = push_closure(layout, repository, made.release.digest, tag="1", progress=progress)
    assert progress.done == pushed.size

    there = Repository(repository.registry, repository.name, elsewhere)
    pulled = pull_closure(there, elsewhere, "1", names=as_root, progress=progress)

    assert pulled.root == made.release.digest
    assert (pulled.manifests, pulled.sent) == (pushed.manifests, pushed.sent) == (8, 10)
    assert progress.done == pulled.size
    assert contents(elsewhere, pulled.root) == contents(layout, pulled.root)
    for subject in (made.release, *made.models):
        assert elsewhere.referrers(subject.digest) == layout.referrers(subject.digest)
    assert list(elsewhere.ingest.iterdir()) == []


def test_the_same_again_moves_nothing(
    repository: Repository, layout: Layout, elsewhere: Layout, progress: Counter
) -> None:
    root = release(layout).release.digest
    push_closure(layout, repository, root, tag="1", progress=progress)
    assert push_closure(layout, repository, root, tag="1", progress=progress).sent == 0
    pull_closure(repository, elsewhere, root, names=as_root, progress=progress)
    assert pull_closure(repository, elsewhere, root, names=as_root, progress=progress).sent == 0


def test_a_damaged_file_of_the_store_is_fetched_again(
    repository: Repository, layout: Layout, elsewhere: Layout, progress: Counter
) -> None:
    made = release(layout)
    there = Repository(repository.registry, repository.name, elsewhere)
    push_closure(layout, repository, made.release.digest, tag="1", progress=progress)
    pull_closure(there, elsewhere, "1", names=as_root, progress=progress)
    blob = max(elsewhere.blobs(), key=lambda path: path.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[5_000_000] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)

    assert pull_closure(there, elsewhere, "1", names=as_root, progress=progress).sent == 1
    assert Digest.of(blob.read_bytes()).hex == blob.name


def test_digests_survive_skopeo_there_and_back(
    repository: Repository,
    debian: Running,
    layout: Layout,
    elsewhere: Layout,
    tmp_path: Path,
    progress: Counter,
) -> None:
    made = release(layout)
    push_closure(layout, repository, made.release.digest, tag="1", progress=progress)
    here, there = f"docker://{repository.place}:1", f"docker://{debian.host}/away/back:1"
    insecure = ("--src-tls-verify=false", "--dest-tls-verify=false")

    for source, target in ((here, f"oci:{tmp_path}/image:1"), (f"oci:{tmp_path}/image:1", there)):
        done = skopeo("copy", *insecure, source, target)
        assert done.returncode == 0, done.stderr
    shown = skopeo("inspect", "--raw", "--tls-verify=false", there)

    assert Digest.of(shown.stdout.encode()) == made.release.digest
    for at in (*made.models, *made.attached):
        raw = skopeo(
            "inspect", "--raw", "--tls-verify=false", f"docker://{repository.place}@{at.digest}"
        )
        assert Digest.of(raw.stdout.encode()) == at.digest


def test_skopeo_moves_a_whole_release_by_its_closure(
    repository: Repository, debian: Running, layout: Layout, elsewhere: Layout, progress: Counter
) -> None:
    made = release(layout)
    push_closure(layout, repository, made.release.digest, tag="1", progress=progress)
    moved = "away/closure"

    done = skopeo(
        "copy",
        "--all",
        "--preserve-digests",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        f"docker://{repository.place}:1.closure",
        f"docker://{debian.host}/{moved}:1.closure",
    )
    assert done.returncode == 0, done.stderr
    there = Repository(repository.registry, moved, elsewhere)
    pulled = pull_closure(there, elsewhere, "1.closure", names=as_root, progress=progress)

    assert pulled.root == made.release.digest
    assert contents(elsewhere, pulled.root) == contents(layout, pulled.root)


def test_within_a_registry_blobs_are_mounted_not_sent(
    repository: Repository, debian: Running, layout: Layout, elsewhere: Layout, progress: Counter
) -> None:
    root = release(layout).release.digest
    push_closure(layout, repository, root, tag="1", progress=progress)
    target = Repository(repository.registry, "away/mounted", elsewhere)

    copy(repository, target, elsewhere, "1", tag="2", progress=progress)

    assert elsewhere.blobs() == []
    pulled = pull_closure(target, elsewhere, "2", names=as_root, progress=progress)
    assert contents(elsewhere, pulled.root) == contents(layout, root)


def test_a_copy_between_registries_keeps_every_digest(
    repository: Repository, locked: Running, layout: Layout, elsewhere: Layout, progress: Counter
) -> None:
    from lockgate.oci.registry.settings import RegistrySettings

    root = release(layout).release.digest
    push_closure(layout, repository, root, tag="1", progress=progress)
    settings = RegistrySettings(auth_files=(locked.docker_config,))
    with Registry(locked.host, settings) as other:
        target = Repository(other, "a/b", elsewhere)
        copied = copy(
            Repository(repository.registry, repository.name, elsewhere),
            target,
            elsewhere,
            "1",
            tag="1",
            progress=progress,
        )
        assert copied.root == root
        assert elsewhere.manifests() == {}
        pull_closure(target, elsewhere, "1", names=as_root, progress=progress)
    assert contents(elsewhere, root) == contents(layout, root)


def test_a_push_mounts_what_another_repository_has(
    repository: Repository, layout: Layout, progress: Counter
) -> None:
    root = release(layout).release.digest
    push_closure(layout, repository, root, progress=progress)
    target = Repository(repository.registry, "away/second", layout)
    moved = push_closure(
        layout, target, root, tag="1", mount_from=[repository.name], progress=progress
    )
    assert moved.sent == 0


def test_the_registry_without_referrers_api_lists_them_under_a_tag(
    repository: Repository, layout: Layout, progress: Counter
) -> None:
    made = release(layout)
    push_closure(layout, repository, made.release.digest, tag="1", progress=progress)

    index = json.loads(repository.manifests.get(fallback_tag(made.release.digest)).data)

    assert {entry["digest"] for entry in index["manifests"]} == {
        str(at.digest) for at in layout.referrers(made.release.digest)
    }
    assert {entry["artifactType"] for entry in index["manifests"]} == {artifacts.BUNDLE}
    found = repository.referrers.list(made.release.digest)
    assert [at.digest for at in found] == [
        at.digest for at in layout.referrers(made.release.digest)
    ]
    assert repository.referrers.list(made.release.digest, artifact_type="x/y") == []
    assert sorted(repository.manifests.tags()) == ["1", "1.closure"]


def test_what_is_listed_for_a_release_but_about_another_stays_away(
    repository: Repository, layout: Layout, elsewhere: Layout, progress: Counter
) -> None:
    made = release(layout)
    push_closure(layout, repository, made.release.digest, tag="1", progress=progress)
    other = artifacts.attestation(layout, made.models[0], b"about a model")
    push = Manifest.parse(other)
    repository.uploads.push(push.layers[0].digest, layout.blob(push.layers[0].digest), print)
    repository.manifests.put(other, MANIFEST)
    false = Descriptor(
        media_type=MANIFEST, digest=Digest.of(other), size=len(other), artifact_type="x/y"
    )
    listed = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [false.document]}
    repository.manifests.put(
        json.dumps(listed).encode(), INDEX, tag=fallback_tag(made.release.digest)
    )

    there = Repository(repository.registry, repository.name, elsewhere)
    pull_closure(there, elsewhere, "1", names=as_root, progress=progress)

    assert Digest.of(other) not in {at.digest for at in elsewhere.referrers(made.release.digest)}


def test_nothing_is_visible_when_a_byte_in_the_registry_is_wrong(
    debian: Running, repository: Repository, layout: Layout, elsewhere: Layout, progress: Counter
) -> None:
    made = release(layout)
    push_closure(layout, repository, made.release.digest, tag="1", progress=progress)
    stored = max(debian.folder.rglob("data"), key=lambda path: path.stat().st_size)
    good = stored.read_bytes()
    stored.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))

    there = Repository(repository.registry, repository.name, elsewhere)
    try:
        with pytest.raises(Corrupt, match="expected"):
            pull_closure(there, elsewhere, "1", names=as_root, progress=progress)
    finally:
        stored.write_bytes(good)

    assert elsewhere.manifests() == {}
    assert not any(path.stat().st_size == len(good) for path in elsewhere.blobs())
    pull_closure(there, elsewhere, "1", names=as_root, progress=progress)


def test_what_the_store_lacks_is_not_pushed(
    repository: Repository, layout: Layout, progress: Counter
) -> None:
    made = release(layout)
    layout.blob(made.models[0].digest).unlink()
    with pytest.raises(NotFound, match=str(made.models[0].digest)):
        push_closure(layout, repository, made.release.digest, tag="1", progress=progress)
    with pytest.raises(NotFound, match="404"):
        repository.manifests.tags()


def test_an_index_of_something_else_is_refused(
    repository: Repository, layout: Layout, progress: Counter
) -> None:
    empty = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    repository.manifests.put(json.dumps(empty).encode(), INDEX, tag="1")
    with pytest.raises(UsageError, match="not the closure of a release"):
        pull_closure(repository, layout, "1", names=as_root, progress=progress)


def test_any_byte_that_is_wrong_in_the_registry_is_refused(
    debian: Running, repository: Repository, layout: Layout, tmp_path: Path, progress: Counter
) -> None:
    """One random position in each file of the release, a few times over."""
    at = artifacts.release(layout, "small", artifacts.named(layout, "m", noise(5000), b"tokens"))
    layout.attach(artifacts.attestation(layout, at, b"statement"))
    push_closure(layout, repository, at.digest, tag="1", progress=progress)
    listed = [repository.manifests.get(tag) for tag in ("1.closure", fallback_tag(at.digest))]
    hashes = sorted({digest.hex for digest in contents(layout, at.digest)})
    hashes += [fetched.digest.hex for fetched in listed]
    stored = debian.folder / "docker/registry/v2/blobs/sha256"
    chooser = random.Random(7)  # noqa: S311  the same positions each time
    for number, name in enumerate(hashes * 4):
        path = stored / name[:2] / name / "data"
        good = path.read_bytes()
        position = chooser.randrange(len(good))
        bad = bytearray(good)
        bad[position] ^= 1 << chooser.randrange(8)
        path.write_bytes(bad)
        target = Layout(tmp_path / f"target{number}")
        there = Repository(repository.registry, repository.name, target)
        try:
            pulled = _pulled(there, target, progress)
        finally:
            path.write_bytes(good)
        # What only lists is a hint: without it the same closure is found, or the pull is refused.
        if pulled:
            assert name == listed[0].digest.hex
            assert contents(target, at.digest) == contents(layout, at.digest)
        else:
            assert target.manifests() == {}


def _pulled(source: Repository, target: Layout, progress: Counter) -> bool:
    try:
        pull_closure(source, target, "1", names=as_root, progress=progress)
    except LockgateError:
        return False
    return True


def test_a_registry_can_be_used_after_a_push_that_failed(
    repository: Repository, layout: Layout, progress: Counter
) -> None:
    made = artifacts.named(layout, "m", b"one", b"two")
    damaged = layout.blob(Digest.of(b"two"))
    damaged.chmod(0o644)
    damaged.write_bytes(b"tow")
    with pytest.raises(Corrupt, match="DIGEST_INVALID"):
        push_closure(layout, repository, made.digest, tag="1", progress=progress)
    damaged.write_bytes(b"two")
    push_closure(layout, repository, made.digest, tag="1", progress=progress)
    assert repository.manifests.tags() == ["1"]
