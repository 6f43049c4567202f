import json
import multiprocessing
import os
from pathlib import Path

import pytest

from lockgate.domain.artifact import EMPTY_BYTES, EMPTY_CONFIG, MANIFEST, Descriptor, Manifest
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt
from lockgate.oci.layout import Layout
from oci.artifacts import BUNDLE, attestation, named, release


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "store")
    made.prepare()
    made.put(EMPTY_BYTES)
    return made


def held(layout: Layout) -> int:
    return len(list((layout.root / "blobs" / "sha256").iterdir()))


def test_what_is_attached_is_found_by_its_subject_and_its_type(layout: Layout) -> None:
    one, two = named(layout, "one", b"1"), named(layout, "two", b"2")
    bundle = layout.attach(attestation(layout, one, b"provenance"))
    bill = layout.attach(attestation(layout, one, b"bom", "application/vnd.cyclonedx+json"))
    layout.attach(attestation(layout, two, b"other"))
    again = Layout(layout.root)
    assert again.referrers(one.digest) == sorted([bundle, bill], key=lambda at: at.digest)
    assert again.referrers(one.digest, artifact_type=BUNDLE) == [bundle]
    assert (bundle.artifact_type, bundle.annotations) == (
        BUNDLE,
        {"io.lockgate.predicate": "provenance"},
    )
    assert again.referrers(Digest.of(b"nothing")) == []


def test_attaching_again_changes_nothing(layout: Layout) -> None:
    one = named(layout, "one", b"1")
    first = layout.attach(attestation(layout, one, b"a"))
    index = layout.root / "index.json"
    before = index.stat()
    assert layout.attach(attestation(layout, one, b"a")) == first
    layout.name("one", one)
    assert os.path.samestat(index.stat(), before)


def test_an_attached_manifest_has_no_name(layout: Layout) -> None:
    one = named(layout, "one", b"1")
    layout.attach(attestation(layout, one, b"a"))
    assert dict(layout.manifests()) == {"one": one}


def test_an_attached_manifest_cannot_name_itself(layout: Layout) -> None:
    one = named(layout, "one", b"1")
    manifest = json.loads(attestation(layout, one, b"a"))
    manifest["annotations"]["org.opencontainers.image.ref.name"] = "one"
    layout.attach(json.dumps(manifest).encode())
    assert dict(layout.manifests()) == {"one": one}


@pytest.mark.parametrize("data", [b"", b"[]", b'{"schemaVersion": 2, "layers": []}'])
def test_what_is_no_manifest_is_not_attached(layout: Layout, data: bytes) -> None:
    with pytest.raises(Corrupt):
        layout.attach(data)
    assert not (layout.root / "index.json").exists()


def test_a_manifest_about_nothing_is_not_attached(layout: Layout) -> None:
    alone = Manifest(artifact_type=BUNDLE, config=EMPTY_CONFIG, layers=()).encode()
    with pytest.raises(Corrupt, match="has no `subject`"):
        layout.attach(alone)


def test_an_attestation_without_its_bytes_is_not_attached(layout: Layout) -> None:
    one = named(layout, "one", b"1")
    manifest = attestation(layout, one, b"a")
    layout.discard(layout.blob(Digest.of(b"a")))
    with pytest.raises(Corrupt, match=f"a blob of the manifest {Digest.of(manifest)} is not"):
        layout.attach(manifest)
    assert layout.referrers(one.digest) == []


def test_an_attestation_goes_with_its_subject_and_not_before(layout: Layout) -> None:
    one, two = named(layout, "one", b"1"), named(layout, "two", b"2")
    mine = layout.attach(attestation(layout, one, b"mine"))
    about_mine = layout.attach(attestation(layout, mine, b"about mine"))
    theirs = layout.attach(attestation(layout, two, b"theirs"))
    layout.name("also one", one)
    layout.forget("one")
    assert layout.referrers(one.digest) == [mine]
    layout.forget("also one")
    assert layout.referrers(one.digest) == []
    assert not any(layout.blob(at.digest).exists() for at in (one, mine, about_mine))
    assert layout.referrers(two.digest) == [theirs]
    assert held(layout) == 1 + 2 + 2  # the empty config, `two`, and what is attached to it


def test_an_attestation_does_not_keep_its_subject(layout: Layout) -> None:
    one = named(layout, "one", b"1")
    layout.attach(attestation(layout, one, b"a"))
    layout.forget("one")
    assert not layout.has(one.digest, one.size)


def test_what_a_release_pins_lives_with_its_attestations_as_long_as_the_release(
    layout: Layout,
) -> None:
    pinned = named(layout, "m", b"weights")
    bill = layout.attach(attestation(layout, pinned, b"bom"))
    elsewhere = Descriptor(media_type=MANIFEST, digest=Digest.of(b"in the package"), size=7)
    release(layout, "t", pinned, elsewhere)
    assert layout.forget("m") == 0
    assert layout.referrers(pinned.digest) == [bill]
    assert layout.has(Digest.of(b"weights"), 7)
    layout.forget("t")
    assert held(layout) == 0


def test_a_hint_in_the_index_makes_no_referrer(layout: Layout) -> None:
    one, two = named(layout, "one", b"1"), named(layout, "two", b"2")
    layout.attach(attestation(layout, one, b"a"))
    index = layout.root / "index.json"
    document = json.loads(index.read_text())
    for entry in document["manifests"]:
        if "io.lockgate.subject" in entry["annotations"]:
            entry["annotations"]["io.lockgate.subject"] = str(two.digest)
    index.write_text(json.dumps(document))
    assert layout.referrers(two.digest) == []


def test_an_attestation_that_another_tool_listed_is_found(layout: Layout) -> None:
    one = named(layout, "one", b"1")
    found = layout.attach(attestation(layout, one, b"a"))
    index = layout.root / "index.json"
    document = json.loads(index.read_text())
    document["manifests"][1].pop("annotations")
    document["manifests"].append({"mediaType": "x/y", "digest": str(layout.put(b"?")), "size": 1})
    index.write_text(json.dumps(document))
    assert layout.referrers(one.digest) == [found]


def test_a_damaged_attestation_is_named_and_attaching_it_again_repairs_it(layout: Layout) -> None:
    one = named(layout, "one", b"1")
    manifest = attestation(layout, one, b"a")
    at = layout.attach(manifest)
    path = layout.blob(at.digest)
    path.chmod(0o644)
    path.write_bytes(manifest.replace(b"predicate", b"Predicate"))
    with pytest.raises(Corrupt, match=f"{at.digest.hex}` does not match its name"):
        layout.referrers(one.digest)
    layout.attach(manifest)
    assert layout.referrers(one.digest) == [at]


def _attach(root: Path, subject: Descriptor, start: int) -> None:
    layout = Layout(root)
    for number in range(start, start + 10):
        layout.attach(attestation(layout, subject, b"%d" % number))


def test_processes_that_attach_at_the_same_time_lose_nothing(layout: Layout) -> None:
    one = named(layout, "one", b"1")
    root = layout.root
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_attach, args=(root, one, n)) for n in (0, 5, 10, 15)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = {at.annotations["io.lockgate.predicate"] for at in layout.referrers(one.digest)}
    assert found == {str(number) for number in range(25)}
