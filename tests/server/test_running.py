import pytest

from lockgate.server.running import left_s


@pytest.mark.parametrize(
    ("since", "now", "left"), [(None, 100.0, 30.0), (100.0, 112.0, 18.0), (100.0, 140.0, 0.0)]
)
def test_requests_and_accepted_calls_share_the_time_that_there_is_to_drain(
    since: float | None, now: float, left: float
) -> None:
    assert left_s(30.0, since, now) == left
