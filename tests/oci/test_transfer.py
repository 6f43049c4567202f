import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, Denied, NotFound, Unavailable, UsageError
from lockgate.oci.transfer import Connection, Remote, Transfer
from oci.doubles import Counter
from oci.loopback import Fault, Site
from oci.samples import noise

DATA = noise(300_000)
PATH = "/big.bin"
HALF = 150_000


class Bench:
    """A transfer with one file to fetch."""

    def __init__(self, site: Site, folder: Path, client: httpx2.Client) -> None:
        site.files[PATH] = DATA
        self.site = site
        self.path = folder / "big.part"
        self.progress = Counter()
        self.pauses: list[float] = []
        self.transfer = Transfer(client, self.progress, pause=self.pauses.append)

    def remote(self, *, sized: bool = True) -> Remote:
        return Remote(
            url=self.site.url + PATH,
            digest=Digest.of(DATA),
            size=len(DATA) if sized else None,
            access_hint="log in",
        )

    def fetch(self, *, sized: bool = True) -> None:
        self.transfer.fetch(self.remote(sized=sized), self.path, label="big")

    @property
    def ranges(self) -> list[str | None]:
        return [seen.range for seen in self.site.gets(PATH)]


@pytest.fixture
def bench(site: Site, tmp_path: Path) -> Iterator[Bench]:
    with Connection().open() as client:
        yield Bench(site, tmp_path, client)


def test_a_file_arrives_whole_and_progress_counts_its_bytes(bench: Bench) -> None:
    bench.fetch()
    assert bench.path.read_bytes() == DATA
    assert bench.progress.started == [("big", len(DATA))]
    assert (bench.progress.done, bench.progress.finished) == (len(DATA), 1)


def test_a_file_of_unknown_size_arrives_whole(bench: Bench) -> None:
    bench.site.faults = [Fault(chunked=True)]
    bench.fetch(sized=False)
    assert bench.path.read_bytes() == DATA


def test_only_the_rest_is_asked_for_when_a_part_is_here(bench: Bench) -> None:
    bench.path.write_bytes(DATA[:HALF])
    bench.fetch()
    assert bench.ranges == [f"bytes={HALF}-"]
    assert bench.site.sent == len(DATA) - HALF
    assert bench.path.read_bytes() == DATA


@pytest.mark.parametrize("sized", [True, False])
def test_nothing_of_the_file_is_sent_again_when_all_of_it_is_here(
    bench: Bench, *, sized: bool
) -> None:
    bench.path.write_bytes(DATA)
    bench.fetch(sized=sized)
    assert bench.site.sent == 0


def test_a_cut_connection_is_taken_up_where_it_broke(bench: Bench) -> None:
    bench.site.faults = [Fault(cut=HALF)]
    bench.fetch()
    assert bench.ranges[0] is None
    assert bench.ranges[1] == f"bytes={HALF}-"
    assert bench.site.gets(PATH)[1].headers["if-range"] == '"v1"'
    assert bench.path.read_bytes() == DATA


def test_a_file_that_changed_on_the_server_in_between_starts_anew(bench: Bench) -> None:
    bench.site.faults = [Fault(body=noise(len(DATA), b"old"), cut=HALF, headers={"ETag": '"v0"'})]
    bench.site.etag = None
    bench.fetch()
    assert bench.path.read_bytes() == DATA


def test_a_server_without_ranges_sends_all_of_it_again(bench: Bench) -> None:
    bench.site.ranges = False
    bench.site.faults = [Fault(cut=HALF)]
    bench.fetch()
    assert bench.path.read_bytes() == DATA
    assert len(bench.progress.started) == 2


def test_another_range_than_asked_for_is_not_appended(bench: Bench) -> None:
    bench.path.write_bytes(DATA[:HALF])
    bench.site.faults = [
        Fault(status=206, headers={"Content-Range": f"bytes 0-9/{len(DATA)}"}, body=DATA[:10])
    ]
    bench.fetch()
    assert bench.path.read_bytes() == DATA


def test_a_prefix_of_another_file_is_replaced(bench: Bench) -> None:
    bench.path.write_bytes(noise(HALF, b"other"))
    bench.fetch()
    assert bench.path.read_bytes() == DATA


def test_wrong_bytes_are_refused_with_both_digests_and_leave_nothing(bench: Bench) -> None:
    wrong = noise(len(DATA), b"wrong")
    bench.site.files[PATH] = wrong
    with pytest.raises(Corrupt) as caught:
        bench.fetch()
    assert str(Digest.of(wrong)) in caught.value.message
    assert str(Digest.of(DATA)) in caught.value.message
    assert list(bench.path.parent.iterdir()) == []


def test_a_file_that_is_too_long_is_refused_before_it_is_read(bench: Bench) -> None:
    bench.site.files[PATH] = DATA + b"x"
    with pytest.raises(Corrupt, match="300,001 bytes, expected 300,000"):
        bench.fetch()
    assert bench.path.read_bytes() == b""


def test_an_endless_answer_is_broken_off(bench: Bench) -> None:
    bench.site.faults = [Fault(body=DATA * 20, chunked=True)]
    with pytest.raises(Corrupt, match="expected 300,000"):
        bench.fetch()
    assert bench.path.stat().st_size == 0


def test_a_copy_that_is_too_short_is_refused(bench: Bench) -> None:
    bench.site.files[PATH] = DATA[:HALF]
    with pytest.raises(Corrupt, match="150,000 bytes, expected 300,000"):
        bench.fetch()


def test_a_server_that_always_breaks_at_the_same_byte_is_given_up(bench: Bench) -> None:
    bench.site.ranges = False
    bench.site.faults = [Fault(cut=HALF)] * 50
    with pytest.raises(Unavailable) as caught:
        bench.fetch()
    assert len(bench.ranges) == 5
    assert "150,000 bytes that are here" in str(caught.value.hint)


def test_errors_of_the_server_are_tried_again_with_growing_pauses(bench: Bench) -> None:
    bench.site.faults = [Fault(status=500), Fault(status=503), Fault(status=502)]
    bench.fetch()
    assert bench.path.read_bytes() == DATA
    assert bench.pauses == [0.5, 1.0, 2.0]


def test_a_server_that_keeps_failing_is_given_up(bench: Bench) -> None:
    bench.site.faults = [Fault(status=500)] * 50
    with pytest.raises(Unavailable, match="500 Internal Server Error"):
        bench.fetch()
    assert len(bench.ranges) == 5


def test_the_pause_that_a_busy_server_asks_for_is_kept(bench: Bench) -> None:
    bench.site.faults = [Fault(status=429, headers={"Retry-After": "7"})]
    bench.fetch()
    assert bench.pauses == [7.0]


def test_a_pause_that_is_too_long_is_left_to_the_caller(bench: Bench) -> None:
    bench.site.faults = [Fault(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(Unavailable) as caught:
        bench.fetch()
    assert (bench.pauses, caught.value.hint) == (
        [],
        "run the same command again in 3600 seconds, as the server asks",
    )


def test_a_server_that_is_not_there_is_unavailable(bench: Bench) -> None:
    remote = Remote(url="http://127.0.0.1:1/x", digest=Digest.of(DATA))
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:1/x could not be fetched"):
        bench.transfer.fetch(remote, bench.path, label="big")


def test_a_missing_file_is_not_asked_for_twice(bench: Bench) -> None:
    bench.site.files.clear()
    with pytest.raises(NotFound, match="404"):
        bench.fetch()
    assert len(bench.ranges) == 1


def test_a_refusal_says_how_to_get_access_and_shows_no_password(bench: Bench) -> None:
    bench.site.login = "me:right"
    url = bench.site.url.replace("://", "://me:wrong@") + PATH + "?signature=abc"
    remote = Remote(url=url, digest=Digest.of(DATA), access_hint="log in")
    with pytest.raises(Denied) as caught:
        bench.transfer.fetch(remote, bench.path, label="big")
    assert caught.value.hint == "log in"
    assert "wrong" not in caught.value.message
    assert "abc" not in caught.value.message
    assert "wrong" not in repr(remote).replace(url, "")


def test_credentials_in_the_address_are_sent(bench: Bench) -> None:
    bench.site.login = "me:right"
    url = bench.site.url.replace("://", "://me:right@") + PATH
    remote = Remote(url=url, digest=Digest.of(DATA), size=len(DATA))
    bench.transfer.fetch(remote, bench.path, label="big")
    assert bench.path.read_bytes() == DATA


def test_memory_does_not_grow_with_the_file(bench: Bench) -> None:
    data = noise(24_000_000)
    bench.site.files[PATH] = data
    remote = Remote(url=bench.site.url + PATH, digest=Digest.of(data), size=len(data))
    tracemalloc.start()
    try:
        bench.transfer.fetch(remote, bench.path, label="big")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6_000_000


def test_a_ca_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.pem"):
        Connection(ca_file=tmp_path / "none.pem").open()


@given(
    kept=st.integers(0, 400),
    torn=st.booleans(),
    ranges=st.booleans(),
    cuts=st.lists(st.integers(0, 300), max_size=3),
)
def test_whatever_is_here_and_whatever_breaks_the_file_ends_up_right(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    kept: int,
    torn: bool,
    ranges: bool,
    cuts: list[int],
) -> None:
    data = DATA[:300]
    path = tmp_path_factory.mktemp("any") / "x.part"
    path.write_bytes(bytes(kept) if torn else DATA[:kept])
    left = list(cuts)

    def answer(request: httpx2.Request) -> httpx2.Response:
        window = request.headers.get("range", "") if ranges else ""
        start = int(window.removeprefix("bytes=").rstrip("-") or 0)
        if start >= len(data):
            return httpx2.Response(416, headers={"Content-Range": f"bytes */{len(data)}"})
        body = data[start : start + left.pop()] if left else data[start:]
        stream = httpx2.ByteStream(body)
        if start:
            headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            return httpx2.Response(206, headers=headers, stream=stream)
        return httpx2.Response(200, stream=stream)

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
        transfer = Transfer(client, Counter(), pause=lambda _: None)
        remote = Remote(url="http://x/y", digest=Digest.of(data), size=len(data))
        transfer.fetch(remote, path, label="any")
    assert path.read_bytes() == data
