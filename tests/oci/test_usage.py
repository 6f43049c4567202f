from pathlib import Path

import pytest

from lockgate.domain.artifact import EMPTY_BYTES
from lockgate.oci.layout import Layout
from lockgate.oci.usage import measure
from oci.artifacts import attestation, blob, named, release


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "store")
    made.prepare()
    return made


def test_shared_bytes_count_once_and_what_is_attached_counts_with_its_subject(
    layout: Layout,
) -> None:
    one = named(layout, "one", b"s" * 1000, b"1" * 10)
    two = named(layout, "two", b"s" * 1000, b"2" * 20)
    manifest = attestation(layout, two, b"bill")
    layout.attach(manifest)
    blob(layout, b"g" * 5)
    (layout.ingest / "x.part").write_bytes(b"123")

    found = measure(layout)

    assert [(share.kind, share.name) for share in found.shares] == [
        ("model", "one"),
        ("model", "two"),
    ]
    first, second = found.shares
    shared = 1000 + len(EMPTY_BYTES)
    assert (first.own, first.size) == (one.size + 10, one.size + 10 + shared)
    assert second.own == two.size + 20 + len(manifest) + 4
    assert second.files == 6
    assert found.used == first.own + second.own + shared
    assert (found.unused, found.partial) == (5, 3)
    assert found.size == found.used + found.unused


def test_a_release_counts_what_it_pins(layout: Layout) -> None:
    pinned = named(layout, "m", b"w" * 100)
    release(layout, "triage", pinned)
    shares = {share.name: share for share in measure(layout).shares}
    assert (shares["triage"].kind, shares["m"].own) == ("release", 0)
    assert shares["triage"].size > 100


def test_a_store_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    found = measure(Layout(tmp_path / "none"))
    assert (found.size, found.partial, list(found.shares)) == (0, 0, [])
