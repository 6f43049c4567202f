import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt
from lockgate.oci.garbage import Garbage, collect
from lockgate.oci.layout import Layout
from oci.artifacts import attestation, blob, model, named, release

DAY = 86400.0


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "store")
    made.prepare()
    return made


def collected(layout: Layout, *, after: float = 2 * DAY, dry_run: bool = False) -> Garbage:
    """Collect what is older than a day, some time from now."""
    return collect(layout, older_than_s=DAY, now=time.time() + after, dry_run=dry_run)


def held(layout: Layout) -> set[str]:
    return {path.name for path in layout.blobs()}


def test_only_what_nothing_leads_to_is_deleted(layout: Layout) -> None:
    first = named(layout, "m", b"weights")
    top = release(layout, "triage", model(layout, b"pinned"), first)
    layout.attach(attestation(layout, top, b"approval"))
    layout.forget("m")
    kept = held(layout)
    garbage = [blob(layout, b"one"), blob(layout, b"two!")]
    found = collected(layout)
    assert {path.name for path in found.blobs} == {at.digest.hex for at in garbage}
    assert found.size == 7
    assert held(layout) == kept
    assert collected(layout).size == 0


def test_what_is_young_stays(layout: Layout) -> None:
    blob(layout, b"of a pull that goes on")
    (layout.ingest / "x.part").write_bytes(b"half")
    found = collected(layout, after=0)
    assert (list(found.blobs), list(found.partials)) == ([], [])
    assert len(held(layout)) == 1


def test_a_dry_run_says_the_same_and_deletes_nothing(layout: Layout) -> None:
    blob(layout, b"garbage")
    (layout.ingest / "x.part").write_bytes(b"half")
    before = held(layout)
    said = collected(layout, dry_run=True)
    assert held(layout) == before
    assert (layout.ingest / "x.part").exists()
    assert collected(layout) == said


def test_an_attachment_goes_when_its_subject_is_gone(layout: Layout) -> None:
    lost = model(layout, b"never named")
    at = layout.attach(attestation(layout, lost, b"about it"))
    assert list(collected(layout, after=0).attachments) == []
    assert layout.referrers(lost.digest) == [at]
    assert list(collected(layout).attachments) == [at.digest]
    assert layout.referrers(lost.digest) == []
    assert held(layout) == set()


def test_what_others_refer_to_is_kept_with_all_that_it_pins(layout: Layout) -> None:
    top = release(layout, "triage", model(layout, b"pinned"))
    (layout.root / "index.json").write_text('{"schemaVersion": 2, "manifests": []}')
    before = held(layout)
    absent = Digest.of(b"the embedded release")
    collect(layout, older_than_s=0, now=time.time() + DAY, keep=[top.digest, absent])
    assert held(layout) == before


def test_an_unfinished_file_goes_unless_somebody_works_on_it(layout: Layout) -> None:
    for name in ("a.part", "a.etag", "b.part", "import-1-1.abc.tmp", "dead.lock"):
        (layout.ingest / name).write_bytes(b"1234")
    with layout.lock("b"):
        found = collected(layout)
        assert [path.name for path in found.partials] == [
            "a.etag",
            "a.part",
            "dead.lock",
            "import-1-1.abc.tmp",
        ]
        assert sorted(path.name for path in layout.ingest.iterdir()) == ["b.lock", "b.part"]
    collected(layout)
    assert list(layout.ingest.iterdir()) == []


def test_a_lock_that_is_held_is_never_taken_away(layout: Layout) -> None:
    path = layout.ingest / "a.lock"
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.utime(path, (1, 1))
        collected(layout)
        assert path.exists()


def test_nothing_is_deleted_while_a_manifest_is_damaged(layout: Layout) -> None:
    first = named(layout, "m", b"weights")
    blob(layout, b"garbage")
    path = layout.blob(first.digest)
    path.chmod(0o644)
    path.write_bytes(b"{}")
    before = held(layout)
    with pytest.raises(
        Corrupt, match="nothing can be deleted while the store is damaged"
    ) as caught:
        collected(layout)
    assert caught.value.hint == "lockgate store verify"
    assert held(layout) == before


def test_what_other_tools_listed_or_left_is_not_touched(layout: Layout) -> None:
    theirs = model(layout, b"theirs")
    entry = {"mediaType": theirs.media_type, "digest": str(theirs.digest), "size": theirs.size}
    (layout.root / "index.json").write_text(json.dumps({"manifests": [entry]}))
    (layout.root / "blobs" / "sha256" / "README").write_text("mine")
    before = held(layout)
    collected(layout)
    assert held(layout) == before


def test_a_store_that_does_not_exist_has_no_garbage(tmp_path: Path) -> None:
    assert collected(Layout(tmp_path / "none")).size == 0
    assert list(tmp_path.iterdir()) == []
