from hypothesis import given
from hypothesis import strategies as st

from lockgate.upstream.cache import ExactCache, address


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_kept_for_its_time_and_no_longer() -> None:
    time = Time()
    cache = ExactCache(ttl_s=10, most_bytes=1000, clock=time)
    cache.put(b"a", b"answer")
    time.now = 9.9
    assert cache.get(b"a") == b"answer"
    time.now = 10
    assert cache.get(b"a") is None
    assert (len(cache), cache.bytes) == (0, 0)


def test_the_least_recently_used_make_room() -> None:
    cache = ExactCache(ttl_s=10, most_bytes=750, clock=Time())
    for name in (b"a", b"b", b"c"):
        cache.put(name, b"x" * 40)
    assert cache.get(b"a") is not None
    cache.put(b"d", b"x" * 40)
    assert [cache.get(name) is not None for name in (b"a", b"b", b"c", b"d")] == [
        True,
        False,
        True,
        True,
    ]


@given(st.lists(st.tuples(st.binary(max_size=2), st.integers(0, 400)), max_size=40))
def test_what_is_held_never_exceeds_the_bound(puts: list[tuple[bytes, int]]) -> None:
    cache = ExactCache(ttl_s=10, most_bytes=1500, clock=Time())
    for name, size in puts:
        cache.put(name, b"x" * size)
        assert cache.bytes <= 1500
        assert cache.bytes >= 200 * len(cache)


PARTS = st.lists(st.binary(max_size=6), min_size=1, max_size=4)


@given(one=PARTS, other=PARTS)
def test_no_two_requests_share_an_address(one: list[bytes], other: list[bytes]) -> None:
    assert (address(*one) == address(*other)) == (one == other)
