"""Blobs from servers that misbehave. Chunks are 16 MiB, so the blob has three."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate.domain.artifact import Descriptor
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, Denied, NotFound, Unavailable
from lockgate.oci.chunks import CHUNK_BYTES, ChunkTable
from lockgate.oci.index import BLAKE3
from lockgate.oci.layout import Layout
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.download import Downloads, Wanted
from lockgate.oci.registry.settings import RegistrySettings
from oci.loopback import Fault, Site, serve
from oci.registry.samples import BIG, table
from oci.samples import noise

DIGEST = Digest.of(BIG)
PATH = f"/v2/m/blobs/{DIGEST}"
BLOB = Descriptor(media_type="application/octet-stream", digest=DIGEST, size=len(BIG))
PLAIN = Wanted(blob=BLOB)
TABLED = Wanted(blob=BLOB, table=table(BIG), table_suffices=True)
RANGES = ["bytes=0-16777215", "bytes=16777216-33554431", "bytes=33554432-33555431"]


def damaged(at: int) -> bytes:
    data = bytearray(BIG)
    data[at] ^= 1
    return bytes(data)


class Pauses:
    """Remembers how long was waited, and waits no time."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def downloads(site: Site, layout: Layout, pauses: Pauses) -> Iterator[Downloads]:
    """One connection: faults then meet requests in order."""
    site.files[PATH] = BIG
    settings = RegistrySettings(connections=1)
    with Registry(site.url.removeprefix("http://"), settings, pause=pauses) as registry:
        yield Downloads(registry, "m", layout)


def nothing(_count: int) -> None:
    return


def ranges(site: Site) -> list[str | None]:
    return [seen.range for seen in site.gets(PATH)]


def arrived(layout: Layout) -> bool:
    assert list(layout.ingest.iterdir()) == []
    return layout.blob(DIGEST).read_bytes() == BIG


def kept_nothing(layout: Layout) -> bool:
    return list(layout.ingest.iterdir()) == [] and layout.blobs() == []


@pytest.mark.parametrize("wanted", [PLAIN, TABLED])
def test_several_connections_bring_each_chunk_once(
    site: Site, layout: Layout, wanted: Wanted
) -> None:
    site.files[PATH] = BIG
    counted: list[int] = []
    with Registry(site.url.removeprefix("http://"), RegistrySettings()) as registry:
        assert Downloads(registry, "m", layout).fetch(wanted, counted.append)
        assert not Downloads(registry, "m", layout).fetch(wanted, nothing)
    assert sorted(map(str, ranges(site))) == RANGES
    assert sum(counted) == len(BIG)
    assert arrived(layout)
    assert layout.blob(DIGEST).stat().st_mode & 0o777 == 0o444


def test_a_bad_chunk_is_fetched_again_alone(
    site: Site, layout: Layout, downloads: Downloads
) -> None:
    site.faults = [Fault(), Fault(body=damaged(CHUNK_BYTES)), Fault(body=damaged(CHUNK_BYTES + 9))]
    counted: list[int] = []
    downloads.fetch(TABLED, counted.append)
    assert ranges(site) == [RANGES[0], RANGES[1], RANGES[1], RANGES[1], RANGES[2]]
    assert sum(counted) == len(BIG)
    assert arrived(layout)


def test_a_table_that_is_not_trusted_finds_the_bad_chunk_once_the_whole_is_wrong(
    site: Site, layout: Layout, downloads: Downloads
) -> None:
    bad = damaged(CHUNK_BYTES)
    site.faults = [Fault(), Fault(body=bad), Fault(), Fault(body=bad)]
    counted: list[int] = []
    downloads.fetch(replace(TABLED, table_suffices=False), counted.append)
    assert ranges(site) == [*RANGES, RANGES[1], RANGES[1]]
    assert sum(counted) == len(BIG)
    assert arrived(layout)


def test_a_chunk_that_is_bad_three_times_is_refused_with_both_hashes(
    site: Site, layout: Layout, downloads: Downloads
) -> None:
    bad = damaged(CHUNK_BYTES)
    site.faults = [Fault(), *[Fault(body=bad)] * 3]
    with pytest.raises(Corrupt) as caught:
        downloads.fetch(TABLED, nothing)
    assert TABLED.table is not None
    for said in (table(bad).hashes[1].hex(), TABLED.table.hashes[1].hex(), "16,777,216"):
        assert said in caught.value.message
    assert layout.blobs() == []
    site.seen.clear()
    downloads.fetch(TABLED, nothing)
    assert ranges(site) == RANGES[1:]  # the first chunk was right, and is here
    assert arrived(layout)


def test_wrong_bytes_without_a_table_are_refused_with_both_digests(
    site: Site, layout: Layout, downloads: Downloads
) -> None:
    site.files[PATH] = damaged(7)
    with pytest.raises(Corrupt) as caught:
        downloads.fetch(PLAIN, nothing)
    assert str(Digest.of(damaged(7))) in caught.value.message
    assert str(DIGEST) in caught.value.message
    assert kept_nothing(layout)


def test_a_forged_table_does_not_bring_other_bytes_under_a_digest(
    site: Site, layout: Layout, downloads: Downloads
) -> None:
    site.files[PATH] = damaged(7)
    with pytest.raises(Corrupt, match="expected"):
        downloads.fetch(Wanted(blob=BLOB, table=table(damaged(7))), nothing)
    assert kept_nothing(layout)


def test_a_wrong_claim_about_the_second_digest_is_refused(
    layout: Layout, downloads: Downloads
) -> None:
    claimed = replace(BLOB, annotations={BLAKE3: f"blake3:{'0' * 64}"})
    with pytest.raises(Corrupt, match="second digest"):
        downloads.fetch(Wanted(blob=claimed), nothing)
    assert kept_nothing(layout)


@pytest.mark.parametrize("wanted", [PLAIN, TABLED])
def test_a_server_that_ignores_ranges_is_read_in_one_stream(
    site: Site, layout: Layout, downloads: Downloads, wanted: Wanted
) -> None:
    site.ranges = False
    downloads.fetch(wanted, nothing)
    assert ranges(site) == [RANGES[0], None]
    assert arrived(layout)


def test_a_stream_that_breaks_off_keeps_its_finished_chunks(
    site: Site, layout: Layout, downloads: Downloads
) -> None:
    site.ranges = False
    site.faults = [Fault(), Fault(cut=CHUNK_BYTES + 5), Fault(body=damaged(3))]
    downloads.fetch(TABLED, nothing)  # byte 3 is of a chunk that was finished before
    assert arrived(layout)


def test_an_answer_that_breaks_off_goes_on_at_its_next_byte(
    site: Site, layout: Layout, downloads: Downloads
) -> None:
    site.faults = [Fault(cut=5_000_000)]
    downloads.fetch(PLAIN, nothing)
    assert ranges(site) == [RANGES[0], "bytes=5000000-16777215", *RANGES[1:]]
    assert arrived(layout)


def test_a_server_that_always_breaks_off_is_given_up_and_what_came_is_kept(
    site: Site, layout: Layout, downloads: Downloads, pauses: Pauses
) -> None:
    site.faults = [Fault(), *[Fault(cut=0)] * 5]
    with pytest.raises(Unavailable, match="5 times in a row") as caught:
        downloads.fetch(PLAIN, nothing)
    assert "16,777,216 bytes that are here" in str(caught.value.hint)
    assert pauses.seconds == [0.5, 1, 2, 4]
    site.seen.clear()
    downloads.fetch(PLAIN, nothing)
    assert ranges(site) == RANGES[1:]
    assert arrived(layout)


def test_a_busy_server_is_waited_for_as_it_asks(
    site: Site, layout: Layout, downloads: Downloads, pauses: Pauses
) -> None:
    site.faults = [Fault(status=429, headers={"Retry-After": "7"}), Fault(status=503)]
    downloads.fetch(PLAIN, nothing)
    assert pauses.seconds == [7, 1]
    assert arrived(layout)


def test_a_server_that_asks_for_an_hour_is_not_waited_for(
    site: Site, downloads: Downloads, pauses: Pauses
) -> None:
    site.faults = [Fault(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(Unavailable, match="429") as caught:
        downloads.fetch(PLAIN, nothing)
    assert "3600 seconds" in str(caught.value.hint)
    assert pauses.seconds == []


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Denied), (403, Denied), (404, NotFound), (500, Unavailable)]
)
def test_a_refusal_says_what_the_registry_answered(
    site: Site, downloads: Downloads, status: int, kind: type[Exception]
) -> None:
    body = b'{"errors": [{"code": "WHY", "message": "because"}]}'
    site.faults = [Fault(status=status, body=body)] * 5
    with pytest.raises(kind, match=f"{status}.*WHY: because") as caught:
        downloads.fetch(PLAIN, nothing)
    assert getattr(caught.value, "hint", None)


def test_a_file_of_another_size_is_refused_with_both_sizes(
    site: Site, layout: Layout, downloads: Downloads
) -> None:
    site.files[PATH] = BIG + b"x"
    with pytest.raises(Corrupt, match=r"33,555,433 bytes, expected 33,555,432"):
        downloads.fetch(PLAIN, nothing)
    assert kept_nothing(layout)


def test_a_shorter_file_is_refused_with_both_sizes(site: Site, downloads: Downloads) -> None:
    site.files[PATH] = BIG[:100]
    with pytest.raises(Corrupt, match=r"100 bytes, expected 33,555,432"):
        downloads.fetch(PLAIN, nothing)


@pytest.mark.parametrize("said", ["bytes 5-9/33555432", "", "bytes 0-16777214/33555432", "x"])
def test_another_range_than_the_one_asked_for_is_not_taken(
    site: Site, layout: Layout, downloads: Downloads, said: str
) -> None:
    site.faults = [
        Fault(status=206, headers={"Content-Range": said}, body=noise(CHUNK_BYTES, b"other"))
    ]
    downloads.fetch(PLAIN, nothing)
    assert ranges(site)[:2] == [RANGES[0], RANGES[0]]
    assert arrived(layout)


def test_bytes_that_were_encoded_on_the_way_are_not_taken(
    site: Site, layout: Layout, downloads: Downloads
) -> None:
    site.faults = [Fault(headers={"Content-Encoding": "gzip"})]
    downloads.fetch(PLAIN, nothing)
    assert arrived(layout)


def test_a_redirect_to_another_host_gets_no_credentials(
    site: Site, layout: Layout, tmp_path: Path
) -> None:
    config = tmp_path / "docker.json"
    host = site.url.removeprefix("http://")
    login = {"username": "u", "password": "hidden"}
    config.write_text(json.dumps({"auths": {host: login}}))
    site.login = "u:hidden"
    with serve() as away:
        site.faults = [Fault(status=307, headers={"Location": f"{away.url}/signed?sig=1"})] * 4
        away.files["/signed?sig=1"] = BIG
        site.files[PATH] = BIG
        settings = RegistrySettings(auth_files=(config,), connections=1)
        with Registry(host, settings) as registry:
            Downloads(registry, "m", layout).fetch(PLAIN, nothing)
        assert len(away.seen) == 3
        assert all("authorization" not in seen.headers for seen in away.seen)
        assert [seen.range for seen in away.seen] == RANGES
    assert sum("authorization" in seen.headers for seen in site.seen) == 3
    assert arrived(layout)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("https://10.1.2.3/x", "`10.1.2.3`, which is in a private network"),
        ("https://169.254.169.254/latest", "link-local"),
        ("https://[fe80::1]/x", "link-local"),
        ("http://198.51.100.7/x?secret=1", "without TLS"),
        ("file:///etc/passwd", "not an http"),
        ("https://user:pw@127.0.0.1/x", "without credentials"),
    ],
)
def test_a_redirect_into_a_network_where_the_registry_is_not_is_refused(
    site: Site, downloads: Downloads, location: str, said: str
) -> None:
    site.faults = [Fault(status=302, headers={"Location": location})]
    with pytest.raises(Denied, match=said) as caught:
        downloads.fetch(PLAIN, nothing)
    assert "secret" not in caught.value.message
    assert "pw" not in caught.value.message


def test_redirects_in_a_circle_end(site: Site, downloads: Downloads) -> None:
    site.faults = [Fault(status=302, headers={"Location": PATH})] * 20
    with pytest.raises(Denied, match="more than 5 times"):
        downloads.fetch(PLAIN, nothing)
    assert len(site.seen) == 5


def test_two_that_want_the_same_blob_fetch_it_once(site: Site, layout: Layout) -> None:
    site.files[PATH] = BIG
    fetched: list[bool] = []

    def fetch() -> None:
        with Registry(site.url.removeprefix("http://"), RegistrySettings()) as registry:
            fetched.append(Downloads(registry, "m", layout).fetch(PLAIN, nothing))

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fetched) == [False, False, False, True]
    assert len(site.gets(PATH)) == 3


@pytest.mark.parametrize(("wanted", "again"), [(TABLED, RANGES), (PLAIN, [*RANGES[1:], *RANGES])])
def test_a_chunk_that_a_power_cut_tore_is_noticed(
    site: Site, layout: Layout, downloads: Downloads, wanted: Wanted, again: list[str]
) -> None:
    site.faults = [Fault(), *[Fault(cut=0)] * 5]
    with pytest.raises(Unavailable):
        downloads.fetch(PLAIN, nothing)
    partial = layout.ingest / f"{DIGEST.hex}.blob"
    with partial.open("r+b") as file:
        file.seek(1000)
        file.write(bytes(4096))
    site.seen.clear()
    downloads.fetch(wanted, nothing)
    assert ranges(site) == again
    assert arrived(layout)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES])
def test_a_blob_of_at_most_one_chunk_is_asked_for_whole(
    site: Site, layout: Layout, downloads: Downloads, size: int
) -> None:
    data = noise(size) if size else b""
    blob = Descriptor(media_type="x/y", digest=Digest.of(data), size=size)
    path = f"/v2/m/blobs/{blob.digest}"
    site.files[path] = data
    downloads.fetch(Wanted(blob=blob), nothing)
    assert [seen.range for seen in site.gets(path)] == [None] * bool(size)
    assert layout.blob(blob.digest).read_bytes() == data


def test_a_small_blob_is_read_only_if_it_is_the_right_one(site: Site, downloads: Downloads) -> None:
    blob = Descriptor(media_type="x/y", digest=Digest.of(b"right"), size=5)
    site.files[f"/v2/m/blobs/{blob.digest}"] = b"right"
    assert downloads.read(blob) == b"right"
    with pytest.raises(Corrupt, match="expected 6"):
        downloads.read(replace(blob, size=6))
    site.files[f"/v2/m/blobs/{blob.digest}"] = b"wrong"
    with pytest.raises(Corrupt, match=str(Digest.of(b"wrong"))):
        downloads.read(blob)


def test_a_table_of_another_blob_is_of_no_use(downloads: Downloads, layout: Layout) -> None:
    other = ChunkTable.of(len(BIG), [bytes(32)] * 3)
    with pytest.raises(Corrupt, match="came 3 times"):
        downloads.fetch(Wanted(blob=BLOB, table=other, table_suffices=True), nothing)
    assert layout.blobs() == []
