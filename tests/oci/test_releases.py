from pathlib import Path

import pytest

from lockgate.domain.artifact import MANIFEST, Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest
from lockgate.domain.release import Pin, Release
from lockgate.errors import Corrupt, NotFound
from lockgate.oci.layout import Layout
from lockgate.oci.releases import ReleaseStore


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "store")
    made.prepare()
    return made


def prompt(layout: Layout, text: bytes) -> Pin:
    """Store an artifact with one text file, and pin it."""
    config = layout.put(b"{}")
    layer = Descriptor(
        media_type="application/vnd.cncf.model.code.v1.raw",
        digest=layout.put(text),
        size=len(text),
        annotations={"org.opencontainers.image.title": "prompt.j2"},
    )
    manifest = Manifest(
        artifact_type=Kind.PROMPT.artifact_type,
        config=Descriptor(media_type=Kind.PROMPT.config_type, digest=config, size=2),
        layers=(layer,),
    ).encode()
    return Pin(
        role="prompt",
        name="prompt",
        digest=layout.put(manifest),
        kind=Kind.PROMPT,
        size=len(manifest),
    )


def release(*pins: Pin, task: str = "triage") -> Release:
    return Release(task=task, version="1", code={"digest": "x"}, pins=pins, decoding={})


def test_a_release_comes_back_by_its_digest_and_by_its_first_digits(layout: Layout) -> None:
    store, made = ReleaseStore(layout), release(prompt(layout, b"Sort this."))

    digest = store.put(made)

    assert digest == made.digest
    assert store.get(digest).release == made
    assert store.put(made) == digest
    assert [item.digest for item in store.list()] == [digest]
    assert store.list("other") == []
    for text in (str(digest), digest.hex, digest.hex[:6]):
        assert store.find(text) == digest


@pytest.mark.parametrize("text", ["", "sha256:", "12345", "zzzzzz", "../../x"])
def test_what_no_release_begins_with_is_not_found(layout: Layout, text: str) -> None:
    ReleaseStore(layout).put(release(prompt(layout, b"a")))

    with pytest.raises(NotFound, match="no release here"):
        ReleaseStore(layout).find(text)


def test_a_release_whose_pins_are_not_here_is_not_stored(layout: Layout) -> None:
    pin = prompt(layout, b"a")
    layout.blob(pin.digest).unlink()

    with pytest.raises(NotFound, match=f"prompt `prompt` .{pin.digest}"):
        ReleaseStore(layout).put(release(pin))

    assert ReleaseStore(layout).list() == []


def test_a_pin_that_went_missing_later_is_named(layout: Layout) -> None:
    pin = prompt(layout, b"a")
    digest = ReleaseStore(layout).put(release(pin))
    layout.blob(pin.digest).unlink()

    assert ReleaseStore(layout).get(digest).missing == (pin,)


def test_the_texts_of_a_pin_are_read_by_their_titles(layout: Layout) -> None:
    assert ReleaseStore(layout).texts(prompt(layout, b"Sort.\n")) == {"prompt.j2": "Sort.\n"}
    assert ReleaseStore(layout).texts(prompt(layout, b"\0binary")) == {}


def test_what_is_not_a_release_is_refused(layout: Layout) -> None:
    pin = prompt(layout, b"a")

    with pytest.raises(Corrupt, match="is not a release"):
        ReleaseStore(layout).get(pin.digest)
    with pytest.raises(NotFound, match="is not here"):
        ReleaseStore(layout).get(Digest.of(b"nothing"))


def test_a_release_with_the_manifest_of_another_document_is_refused(layout: Layout) -> None:
    made = release(prompt(layout, b"a"))
    other = release(prompt(layout, b"a"), task="other")
    layout.put(other.config)
    manifest = Manifest.parse(made.manifest)
    forged = Manifest(
        artifact_type=manifest.artifact_type,
        config=Manifest.parse(other.manifest).config,
        layers=manifest.layers,
        annotations=manifest.annotations,
    ).encode()
    digest = layout.put(forged)
    layout.name(
        f"release/triage/{digest.hex}",
        Descriptor(media_type=MANIFEST, digest=digest, size=len(forged)),
    )

    with pytest.raises(Corrupt, match="has the document of"):
        ReleaseStore(layout).get(digest)
