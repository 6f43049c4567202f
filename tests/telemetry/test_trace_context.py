import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.telemetry.trace_context import (
    Parent,
    read_traceparent,
    read_tracestate,
    write_traceparent,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


def test_a_traceparent_is_read() -> None:
    parent = read_traceparent(GOOD.encode())
    assert parent == Parent(int(TRACE, 16), int(SPAN, 16), 1)
    assert parent.sampled


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 3))
def test_what_is_written_is_read_again(trace_id: int, span_id: int, flags: int) -> None:
    parent = Parent(trace_id, span_id, flags)
    assert read_traceparent(write_traceparent(parent)) == parent


def test_unknown_flags_are_not_passed_on() -> None:
    parent = read_traceparent(f"00-{TRACE}-{SPAN}-ff".encode())
    assert parent is not None
    assert parent.flags == 3


@pytest.mark.parametrize(
    "later", [f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes-later"]
)
def test_a_later_version_is_read_as_far_as_known(later: str) -> None:
    parent = read_traceparent(later.encode())
    assert parent is not None
    assert parent.trace_id == int(TRACE, 16)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        GOOD + "-",
        GOOD + "-extra",
        GOOD + "\n",
        " " + GOOD,
        GOOD.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}0-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0x",
        f"00_{TRACE}_{SPAN}_01",
        f"01-{TRACE}-{SPAN}-01extra",
        GOOD + "," + GOOD,
        f"01-{TRACE}-{SPAN}-01-" + "x" * 10_000,
    ],
)
def test_what_is_wrong_in_any_way_is_as_good_as_none(wrong: str) -> None:
    assert read_traceparent(wrong.encode()) is None


@given(st.binary(max_size=100))
def test_no_bytes_break_the_readers(header: bytes) -> None:
    read_traceparent(header)
    state = read_tracestate([header])
    assert read_tracestate([state]) == state


def test_members_of_several_headers_become_one() -> None:
    assert (
        read_tracestate([b"a=1, b@c=2 ,", b"\tx/y*_-=three words"])
        == b"a=1,b@c=2,x/y*_-=three words"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        b"a",
        b"a=",
        b"=1",
        b"A=1",
        b"1=1",
        b"a=1,a=2",
        b"a=1=2",
        b"a=\x7f",
        b"a=\xc3\xbc",
        b"a@=1",
        b"a@b@c=1",
        b"a@" + b"b" * 15 + b"=1",
        b"a" * 257 + b"=1",
        b"a=" + b"1" * 257,
        b",".join(b"k%d=1" % n for n in range(33)),
        b",".join(b"k%d=%s" % (n, b"1" * 100) for n in range(6)),
    ],
)
def test_a_state_that_is_wrong_in_any_way_is_dropped_whole(wrong: bytes) -> None:
    assert read_tracestate([b"good=1", wrong]) == b""


def test_a_long_hostile_state_takes_no_time() -> None:
    hostile = [b"a" * 500_000 + b"@", b"," * 500_000, b"a=" + b" " * 500_000]
    assert timeit.timeit(lambda: read_tracestate(hostile), number=1) < 0.1
