import io
import json
import os
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.domain.artifact import MANIFEST, Descriptor
from lockgate.domain.digest import Digest, canonical
from lockgate.errors import Corrupt, Denied, LockgateError, NotFound, StorageFailed
from lockgate.oci.archive import export, import_
from lockgate.oci.layout import Layout
from oci.artifacts import attestation, model, named, release
from oci.doubles import files_of_at_most
from oci.samples import noise

REF_NAME = "org.opencontainers.image.ref.name"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A store with a release that pins two models, an attestation of each, and a bystander."""
    made = Layout(tmp_path / "here")
    made.prepare()
    first, second = named(made, "m", noise(5000), b"tokenizer"), model(made, noise(70))
    top = release(made, "triage", first, second)
    about = made.attach(attestation(made, top, b"approval"))
    made.attach(attestation(made, about, b"of the approval"))
    made.attach(attestation(made, first, b"bill of materials"))
    named(made, "bystander", b"not asked for")
    return made


@pytest.fixture
def there(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "there")


@pytest.fixture
def file(layout: Layout, tmp_path: Path) -> Path:
    path = tmp_path / "release.tar"
    export(layout, {"triage": layout.manifests()["triage"]}, path)
    return path


def blobs(layout: Layout) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (layout.root / "blobs/sha256").iterdir()}


def nothing(layout: Layout) -> bool:
    """Say that nothing of an import can be seen, and nothing half-done is left."""
    return dict(layout.manifests()) == {} and list(layout.ingest.glob("*")) == []


def test_a_release_moves_with_its_pins_and_attestations(
    layout: Layout, there: Layout, file: Path
) -> None:
    found = import_(there, file)
    assert dict(there.manifests()) == {"triage": layout.manifests()["triage"]}
    top = layout.manifests()["triage"].digest
    pinned = layout.manifests()["m"].digest
    for subject in (top, pinned, layout.referrers(top)[0].digest):
        assert there.referrers(subject) == layout.referrers(subject) != []
    moved = blobs(there)
    assert moved.items() <= blobs(layout).items()
    assert Digest.of(b"not asked for").hex not in moved
    assert (found.blobs, found.attached) == (len(moved), 3)
    assert list(there.ingest.iterdir()) == []


def test_the_same_closure_gives_the_same_bytes(there: Layout, file: Path, tmp_path: Path) -> None:
    import_(there, file)
    again = tmp_path / "again.tar"
    export(there, there.manifests(), again)
    assert again.read_bytes() == file.read_bytes()


def test_every_member_begins_on_a_page_and_says_nothing_of_its_maker(file: Path) -> None:
    with tarfile.open(file) as archive:
        members = archive.getmembers()
    assert [m.name for m in members] == sorted(m.name for m in members)
    assert {m.offset_data % 4096 for m in members} == {0}
    assert {(m.uid, m.gid, m.mtime, m.uname, m.gname, m.mode) for m in members} == {
        (0, 0, 0, "", "", 0o644)
    }


def test_skopeo_reads_the_file_and_its_own_is_read(
    there: Layout, file: Path, tmp_path: Path
) -> None:
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        assert not os.environ.get("CI"), "skopeo has to be installed"
        pytest.skip("needs skopeo")
    copied = tmp_path / "copied"
    for source, target in (
        (f"oci-archive:{file}:triage", f"oci:{copied}:triage"),
        (f"oci:{copied}:triage", f"oci-archive:{tmp_path}/theirs.tar:triage"),
    ):
        subprocess.run([skopeo, "copy", "--quiet", source, target], check=True)
    import_(there, tmp_path / "theirs.tar")
    with tarfile.open(file) as archive:
        ours = json.load(archive.extractfile("index.json") or io.BytesIO())
    top = next(m for m in ours["manifests"] if m["annotations"].get(REF_NAME) == "triage")
    assert str(there.manifests()["triage"].digest) == top["digest"]


def test_a_release_whose_pins_are_not_here_is_not_exported(layout: Layout, tmp_path: Path) -> None:
    absent = Descriptor(media_type=MANIFEST, digest=Digest.of(b"in the package"), size=9)
    top = release(layout, "other", absent)
    with pytest.raises(NotFound, match=f"pins {absent.digest}, which is not in the store"):
        export(layout, {"other": top}, tmp_path / "x.tar")
    found = export(layout, {"other": top}, tmp_path / "x.tar", may_lack={absent.digest})
    assert found.absent == (absent.digest,)
    import_(Layout(tmp_path / "there"), tmp_path / "x.tar")


def test_a_damaged_blob_is_not_exported(layout: Layout, tmp_path: Path) -> None:
    path = layout.blob(Digest.of(b"tokenizer"))
    path.chmod(0o644)
    path.write_bytes(b"Tokenizer")
    with pytest.raises(Corrupt, match=f"has the digest {Digest.of(b'Tokenizer')}, expected"):
        export(layout, {"m": layout.manifests()["m"]}, tmp_path / "x.tar")
    assert list(tmp_path.glob("x.tar*")) == []


def test_a_name_that_stands_for_something_else_is_kept(there: Layout, file: Path) -> None:
    there.prepare()
    mine = named(there, "triage", b"mine")
    with pytest.raises(Denied, match=f"`triage` stands for {mine.digest} here and for"):
        import_(there, file)
    assert dict(there.manifests()) == {"triage": mine}
    import_(there, file, replace_names=True)
    assert there.manifests()["triage"] != mine


def test_an_archive_gives_no_name_that_was_not_asked_for(there: Layout, file: Path) -> None:
    with pytest.raises(Denied, match="has the name `triage`, expected names that begin with `re"):
        import_(there, file, prefix="release/")
    assert nothing(there)
    import_(there, file, prefix="tri")


def test_importing_repairs_what_is_damaged(there: Layout, file: Path) -> None:
    import_(there, file)
    path = there.blob(Digest.of(noise(70)))
    path.chmod(0o644)
    path.write_bytes(bytes(70))
    import_(there, file)
    assert path.read_bytes() == noise(70)


Member = tuple[str, bytes, bytes]


def members(file: Path) -> list[Member]:
    with tarfile.open(file) as archive:
        return [(m.name, b"0", (archive.extractfile(m) or io.BytesIO()).read()) for m in archive]


def written(path: Path, contents: list[Member]) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, data in contents:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(data)
            if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE}:
                info.linkname, info.size = data.decode(), 0
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("../evil", b"0", b"x"),
        ("/etc/evil", b"0", b"x"),
        ("blobs/sha256/../../evil", b"0", b"x"),
        ("blobs/sha256/" + "A" * 64, b"0", b"x"),
        ("blobs/sha256/" + "a" * 63, b"0", b"x"),
        ("blobs/sha512/" + "a" * 128, b"0", b"x"),
        ("evil\udcff", b"0", b"x"),
        ("x" * 300, b"0", b"x"),
        ("blobs/sha256/" + "a" * 64, tarfile.SYMTYPE, b"/etc/passwd"),
        ("blobs/sha256/" + "a" * 64, tarfile.LNKTYPE, b"index.json"),
        ("blobs/sha256/" + "a" * 64, tarfile.CHRTYPE, b""),
        ("blobs/sha256/" + "a" * 64, tarfile.FIFOTYPE, b""),
        ("blobs/sha256/" + "a" * 64, tarfile.GNUTYPE_SPARSE, b""),
        ("index.json", b"0", b"{}"),
        ("blobs/sha256/" + Digest.of(b"extra").hex, b"0", b"extra"),
    ],
)
def test_a_member_that_does_not_belong_is_refused(
    there: Layout, file: Path, tmp_path: Path, name: str, kind: bytes, data: bytes
) -> None:
    evil = written(tmp_path / "evil.tar", [(name, kind, data), *members(file)])
    with pytest.raises(Corrupt, match=r"archive holds|not ASCII"):
        import_(there, evil)
    assert nothing(there)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "evil.tar",
        "here",
        "release.tar",
        "there",
    ]


def index(change: Callable[[dict[str, object]], object]) -> Callable[[list[Member]], list[Member]]:
    def apply(found: list[Member]) -> list[Member]:
        changed = []
        for name, kind, data in found:
            document = data
            if name == "index.json":
                parsed = json.loads(data)
                change(parsed["manifests"][-1])
                document = canonical(parsed)
            changed.append((name, kind, document))
        return changed

    return apply


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: [m for m in found if m[0] != "index.json"],
        lambda found: [m for m in found if m[0] != "oci-layout"],
        lambda found: found[1:],
        lambda found: [(m[0], m[1], b"{}") if m[0] == "oci-layout" else m for m in found],
        lambda found: [(m[0], m[1], b"[" * 9999) if m[0] == "index.json" else m for m in found],
        lambda found: [(m[0], m[1], b" " * 2000) if m[0] == "oci-layout" else m for m in found],
        lambda found: [(m[0], m[1], b"0" * len(m[2])) for m in found],
        lambda found: [(m[0], m[1], m[2] + b"!") for m in found],
        index(lambda entry: entry.update(size=1)),
        index(lambda entry: entry.update(digest="sha256:zz")),
        index(lambda entry: entry.update(mediaType="text/plain")),
        index(lambda entry: entry.update(annotations={REF_NAME: "../x"})),
        index(lambda entry: entry.update(annotations={REF_NAME: "triage"})),
    ],
)
def test_an_archive_that_contradicts_itself_is_refused(
    there: Layout,
    file: Path,
    tmp_path: Path,
    damage: Callable[[list[Member]], list[Member]],
) -> None:
    with pytest.raises(Corrupt):
        import_(there, written(tmp_path / "evil.tar", damage(members(file))))
    assert nothing(there)


def test_any_flipped_bit_that_matters_is_found(there: Layout, file: Path, tmp_path: Path) -> None:
    original = file.read_bytes()
    contents = {name: data for name, _, data in members(file)}
    dice = random.Random(7)  # noqa: S311  positions, not keys
    evil = tmp_path / "evil.tar"
    refused = 0
    for _ in range(300):
        data = bytearray(original)
        at = dice.randrange(len(data))
        data[at] ^= 1 << dice.randrange(8)
        evil.write_bytes(data)
        try:
            import_(there, evil)
        except LockgateError:
            refused += 1
            assert nothing(there)
        else:
            # Padding and what a reader need not look at may change; what is taken in may not.
            assert (
                blobs(there).items()
                <= {name.rpartition("/")[2]: blob for name, blob in contents.items()}.items()
            )
            shutil.rmtree(there.root)
    assert refused > 30


@pytest.mark.parametrize("kept", [0, 100, 512, 4096, 5000, -1024, -2000])
def test_an_archive_that_is_cut_off_is_refused(
    there: Layout, file: Path, tmp_path: Path, kept: int
) -> None:
    cut = tmp_path / "cut.tar"
    cut.write_bytes(file.read_bytes()[: kept or None] if kept else b"")
    if kept == -1024:  # only the end marks are gone
        import_(there, cut)
        return
    with pytest.raises(Corrupt):
        import_(there, cut)
    assert nothing(there)


def test_sizes_that_no_file_has_are_refused(there: Layout, tmp_path: Path) -> None:
    evil = tmp_path / "evil.tar"
    block = bytearray(tarfile.TarInfo("oci-layout").tobuf(tarfile.GNU_FORMAT))
    for field in (b"77777777777\0", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"-0000000001\0"):
        block[124:136] = field
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        evil.write_bytes(bytes(block) + bytes(4096))
        with pytest.raises(Corrupt):
            import_(there, evil)


@pytest.mark.parametrize("records", [b"9 size=9\n", b"11 size=-1\n", b"x", b"0 a=b\n", b"99 a=b\n"])
def test_a_malformed_extended_header_is_refused(
    there: Layout, tmp_path: Path, records: bytes
) -> None:
    evil = tmp_path / "evil.tar"
    written(evil, [("x", tarfile.XHDTYPE, records), ("oci-layout", b"0", b"{}")])
    with pytest.raises(Corrupt):
        import_(there, evil)


def test_a_full_disk_leaves_nothing_visible_and_says_so(
    layout: Layout, there: Layout, file: Path, tmp_path: Path
) -> None:
    there.prepare()
    with files_of_at_most(4999), pytest.raises(StorageFailed, match="cannot be written"):
        import_(there, file)
    assert nothing(there)
    assert blobs(there) == {}
    top = {"triage": layout.manifests()["triage"]}
    with files_of_at_most(4999), pytest.raises(StorageFailed, match="cannot be written") as caught:
        export(layout, top, tmp_path / "full.tar")
    assert "--output" in (caught.value.hint or "")
    assert list(tmp_path.glob("full*")) == []


def test_what_is_not_there_is_named(there: Layout, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="none` is not a file"):
        import_(there, tmp_path / "none")
