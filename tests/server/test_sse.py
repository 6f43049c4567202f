from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import UpstreamFailed
from lockgate.server.sse import MAX_EVENT_BYTES, Events

LINES = st.sampled_from(
    [b"data: a", b"data:b", b"data: ", b"event: x", b": comment", b"id: 1", b"", b"", b"retry: 3"]
)
ENDS = st.sampled_from([b"\n", b"\r\n"])


def events(parts: list[bytes]) -> list[bytes]:
    reader = Events()
    return [found for part in parts for found in reader.feed(part)]


@given(
    lines=st.lists(st.tuples(LINES, ENDS), max_size=12),
    cuts=st.lists(st.integers(0, 120), max_size=6),
)
def test_however_a_stream_is_cut_its_events_are_the_same(
    lines: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    data = b"".join(line + end for line, end in lines)
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    assert events([data[a:b] for a, b in pairwise(edges)]) == events([data])


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data: a\r\n\r\n", [b"a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b": hello\n\nevent: x\ndata: a\nid: 7\n\n", [b"a"]),
        (b"data: a\n", []),
        (b"data:  a\n\n", [b" a"]),
        (b"\xef\xbb\xbfdata: a\n\ndata: b\n\n", [b"a", b"b"]),
    ],
)
def test_the_data_of_events_is_read_as_the_standard_says(data: bytes, found: list[bytes]) -> None:
    assert events([data]) == found


def test_an_event_without_an_end_is_not_held_for_ever() -> None:
    reader = Events()
    with pytest.raises(UpstreamFailed, match="longer than"):
        for _ in range(MAX_EVENT_BYTES // 1_000_000 + 2):
            reader.feed(b"data: " + b"x" * 1_000_000)
