"""The id of a call."""

import time
import uuid

import pytest

from lockgate.app.calls import new_id, uuid7


@pytest.mark.parametrize("random", [0, (1 << 80) - 1, 0x0123_4567_89AB_CDEF_0123])
def test_an_id_is_a_uuid_of_version_7_of_this_moment_with_the_random_bits(random: int) -> None:
    before = time.time_ns() // 1_000_000
    found = uuid.UUID(uuid7(random))
    after = time.time_ns() // 1_000_000

    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert before <= found.int >> 80 <= after
    # RFC 9562, 5.7: all but the version's four bits and the variant's two.
    kept = ~(0xF << 76 | 0x3 << 62)
    assert found.int & ((1 << 80) - 1) & kept == random & kept


def test_ids_are_told_apart_and_written_as_uuids_are() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(str(uuid.UUID(one)) == one for one in ids)
