import json
import threading
from pathlib import Path

import pytest

from lockgate.domain.artifact import MANIFEST, Descriptor
from lockgate.domain.digest import Digest, Json, canonical
from lockgate.errors import Corrupt, StorageFailed
from lockgate.oci.disk import hash_file
from lockgate.oci.layout import Layout
from oci.doubles import unprivileged


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "store")
    made.prepare()
    return made


def manifest(layout: Layout, *files: Digest) -> Descriptor:
    layers: Json = [{"mediaType": "x", "digest": str(digest), "size": 1} for digest in files]
    data = canonical({"layers": layers})
    return Descriptor(media_type=MANIFEST, digest=layout.put(data), size=len(data))


def test_the_store_is_an_oci_image_layout(layout: Layout, tmp_path: Path) -> None:
    first = manifest(layout, layout.put(b"a"))
    layout.name("one", first)
    root = tmp_path / "store"
    assert json.loads((root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads((root / "index.json").read_text()) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": MANIFEST,
                "digest": str(first.digest),
                "size": first.size,
                "annotations": {"org.opencontainers.image.ref.name": "one"},
            }
        ],
    }
    for path in (root / "blobs" / "sha256").iterdir():
        assert hash_file(path)[0].hex == path.name
        assert path.stat().st_mode & 0o777 == 0o444


def test_a_store_that_does_not_exist_is_empty_and_stays_so(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "none")
    assert dict(layout.manifests()) == {}
    assert not layout.has(Digest.of(b""), 0)
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_with_a_missing_file_gets_no_name(layout: Layout) -> None:
    assert not layout.name("one", manifest(layout, Digest.of(b"elsewhere")))
    assert dict(layout.manifests()) == {}


def test_forgetting_frees_what_nobody_else_uses(layout: Layout) -> None:
    shared, own = layout.put(b"shared"), layout.put(b"own")
    first, second = manifest(layout, shared, own), manifest(layout, shared)
    layout.name("one", first)
    layout.name("two", second)
    freed = layout.forget("one")
    assert freed == first.size + len(b"own")
    assert layout.has(shared, 6)
    assert not layout.has(own, 3)
    assert dict(layout.manifests()) == {"two": second}


def test_a_name_that_moves_on_frees_what_it_stood_for(layout: Layout) -> None:
    old, new = layout.put(b"old"), layout.put(b"new!")
    layout.name("one", manifest(layout, old))
    layout.name("one", manifest(layout, new))
    assert not layout.has(old, 3)
    assert layout.has(new, 4)


def test_nothing_is_freed_when_another_manifest_cannot_be_read(layout: Layout) -> None:
    shared = layout.put(b"shared")
    layout.name("one", manifest(layout, shared))
    other = manifest(layout, shared, layout.put(b"x"))
    layout.name("two", other)
    layout.discard(layout.blob(other.digest))
    assert layout.forget("one") == 0
    assert layout.has(shared, 6)


def test_entries_of_other_tools_are_kept(layout: Layout, tmp_path: Path) -> None:
    layout.name("one", manifest(layout, layout.put(b"a")))
    index = tmp_path / "store" / "index.json"
    document = json.loads(index.read_text())
    foreign = {"mediaType": "x/y", "digest": str(layout.put(b"{}")), "size": 2, "data": "e30="}
    document["manifests"].append(foreign)
    index.write_text(json.dumps(document))
    layout.name("two", manifest(layout, layout.put(b"b")))
    layout.forget("one")
    assert foreign in json.loads(index.read_text())["manifests"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"manifests": 7}',
        '{"manifests": [7]}',
        '{"manifests": [{"annotations": {"org.opencontainers.image.ref.name": "a"}}]}',
    ],
)
def test_a_broken_index_is_named(layout: Layout, tmp_path: Path, text: str) -> None:
    (tmp_path / "store" / "index.json").write_text(text)
    with pytest.raises(Corrupt, match=r"index\.json` is not an OCI image index"):
        layout.manifests()


def test_a_changed_document_is_found(layout: Layout) -> None:
    digest = layout.put(b"document")
    path = layout.blob(digest)
    path.chmod(0o644)
    path.write_bytes(b"Document")
    with pytest.raises(Corrupt, match="does not match its name"):
        layout.read(digest)


def test_names_given_at_the_same_time_are_all_kept(layout: Layout) -> None:
    def work(number: int) -> None:
        layout.name(f"m{number}", manifest(layout, layout.put(b"%d" % number)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(layout.manifests()) == [f"m{number}" for number in range(8)]


def test_a_lock_is_held_by_one_at_a_time_and_leaves_no_file(layout: Layout) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(25):
            with layout.lock("x"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most)) == (100, 1)
    assert list(layout.ingest.iterdir()) == []


def test_more_space_than_there_is_is_refused_with_both_figures(layout: Layout) -> None:
    with pytest.raises(StorageFailed, match=r"bytes free, 1,000,000,000,000,000,000 are needed"):
        layout.require_space(10**18)


def test_a_read_only_folder_is_named_with_what_to_do(open_folder: Path) -> None:
    with unprivileged(), pytest.raises(StorageFailed) as caught:
        Layout(open_folder / "store").prepare()
    assert f"`{open_folder}/store` cannot be used: permission denied" in caught.value.message
    assert "LOCKGATE_DATA_DIR" in str(caught.value.hint)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(StorageFailed, match="not a directory"):
        Layout(tmp_path / "store" / "inner").prepare()
