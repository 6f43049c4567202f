from itertools import count

from lockgate.telemetry.entropy import Entropy


def test_bits_are_used_once_and_fetched_when_they_run_out() -> None:
    fetched = count()

    def fetch(size: int) -> bytes:
        first = next(fetched) * size
        return b"".join((first // 4 + n).to_bytes(4, "big") for n in range(size // 4))

    entropy = Entropy(fetch)
    assert [entropy(32) for _ in range(3000)] == list(range(3000))


def test_ids_are_of_the_width_asked_for_and_differ() -> None:
    entropy = Entropy()
    ids = [entropy(128) for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert 120 < max(ids).bit_length() <= 128
