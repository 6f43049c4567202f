import random
from pathlib import Path

import pytest
from blake3 import blake3

from lockgate.domain.artifact import EMPTY_BYTES, EMPTY_CONFIG, MANIFEST, Descriptor, Manifest
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt
from lockgate.oci.archive import export, import_
from lockgate.oci.integrity import check
from lockgate.oci.layout import Layout
from oci.artifacts import attestation, named, release
from oci.samples import noise

BLAKE3 = "io.lockgate.digest.blake3"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "store")
    made.prepare()
    return made


def claiming(layout: Layout, name: str, data: bytes, claim: str) -> Descriptor:
    """Name a manifest that says the BLAKE3 of its one blob."""
    layout.put(EMPTY_BYTES)
    at = Descriptor(
        media_type="x/y",
        digest=layout.put(data),
        size=len(data),
        annotations={BLAKE3: f"blake3:{claim}"},
    )
    encoded = Manifest(artifact_type="x", config=EMPTY_CONFIG, layers=(at,)).encode()
    made = Descriptor(media_type=MANIFEST, digest=layout.put(encoded), size=len(encoded))
    assert layout.name(name, made)
    return made


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def test_a_whole_store_has_no_damage(layout: Layout) -> None:
    claiming(layout, "m", b"weights", blake3(b"weights").hexdigest())
    named(layout, "n", b"other")
    for full in (False, True):
        found = check(layout, full=full)
        assert (found.files, list(found.damages)) == (5, [])
        assert found.size == sum(path.stat().st_size for path in layout.blobs())


def test_a_damaged_blob_is_named_with_both_digests_and_what_uses_it(layout: Layout) -> None:
    named(layout, "one", b"shared")
    named(layout, "two", b"shared", b"more")
    path = layout.blob(Digest.of(b"shared"))
    overwrite(path, b"Shared")
    (damage,) = check(layout).damages
    assert (damage.path, damage.digest) == (path, str(Digest.of(b"shared")))
    assert damage.found == str(Digest.of(b"Shared"))
    assert list(damage.names) == ["one", "two"]


def test_a_missing_blob_is_damage_and_a_pin_from_elsewhere_is_not(layout: Layout) -> None:
    release(layout, "t", Descriptor(media_type=MANIFEST, digest=Digest.of(b"builtin"), size=3))
    named(layout, "m", b"weights")
    layout.discard(layout.blob(Digest.of(b"weights")))
    (damage,) = check(layout).damages
    assert (damage.digest, damage.found) == (str(Digest.of(b"weights")), "missing")


def test_the_second_digest_finds_what_the_first_does(layout: Layout) -> None:
    claiming(layout, "m", b"weights", blake3(b"weights").hexdigest())
    path = layout.blob(Digest.of(b"weights"))
    overwrite(path, b"Weights")
    for full in (False, True):
        (damage,) = check(layout, full=full).damages
        assert damage.found == str(Digest.of(b"Weights"))


def test_a_manifest_that_lies_about_the_second_digest_is_found(layout: Layout) -> None:
    claiming(layout, "m", b"weights", blake3(b"evil").hexdigest())
    overwrite(layout.blob(Digest.of(b"weights")), b"evil")
    claiming(layout, "honest", b"weights", blake3(b"weights").hexdigest())
    overwrite(layout.blob(Digest.of(b"weights")), b"evil")
    (damage,) = check(layout).damages  # two claims: SHA-256 decides
    assert damage.found == str(Digest.of(b"evil"))
    overwrite(layout.blob(Digest.of(b"weights")), b"weights")
    (damage,) = check(layout).damages
    assert "but a manifest says blake3:" in damage.found


def test_an_archive_whose_manifest_lies_about_the_second_digest_is_refused(
    layout: Layout, tmp_path: Path
) -> None:
    claiming(layout, "m", b"weights", blake3(b"evil").hexdigest())
    export(layout, layout.manifests(), tmp_path / "x.tar")
    there = Layout(tmp_path / "there")
    with pytest.raises(Corrupt, match=f"{blake3(b'weights').hexdigest()} as blake3:"):
        import_(there, tmp_path / "x.tar")
    assert dict(there.manifests()) == {}


def test_a_claim_of_a_damaged_manifest_is_not_believed(layout: Layout) -> None:
    made = claiming(layout, "m", b"weights", blake3(b"weights").hexdigest())
    overwrite(layout.blob(Digest.of(b"weights")), b"evil")
    path = layout.blob(made.digest)
    data = path.read_bytes()
    overwrite(path, data.replace(blake3(b"weights").hexdigest().encode(), b"0" * 64))
    assert {damage.path for damage in check(layout).damages} == {
        path,
        layout.blob(Digest.of(b"weights")),
    }


def test_a_file_with_a_strange_name_or_a_folder_is_damage(layout: Layout) -> None:
    folder = layout.root / "blobs" / "sha256"
    (folder / "README").write_text("hello")
    (folder / ("a" * 64)).mkdir()
    found = {damage.path.name: damage.found for damage in check(layout).damages}
    assert found == {"README": "its name is no digest", "a" * 64: "unreadable: is a directory"}


@pytest.mark.parametrize("full", [False, True])
def test_any_byte_that_flips_in_a_stored_closure_is_found(layout: Layout, *, full: bool) -> None:
    pinned = claiming(layout, "m", noise(3000), blake3(noise(3000)).hexdigest())
    top = release(layout, "triage", pinned, named(layout, "n", noise(50), b"tokenizer"))
    layout.attach(attestation(layout, top, b"approval"))
    paths = layout.blobs()
    sizes = [path.stat().st_size for path in paths]
    for path in paths:
        path.chmod(0o644)
    dice = random.Random(20)  # noqa: S311  positions, not keys
    for _ in range(500):
        (path,) = dice.choices(paths, sizes)
        original = path.read_bytes()
        data = bytearray(original)
        data[dice.randrange(len(data))] ^= dice.randrange(1, 256)
        path.write_bytes(data)
        assert path in {damage.path for damage in check(layout, full=full).damages}
        path.write_bytes(original)
    assert list(check(layout, full=full).damages) == []
