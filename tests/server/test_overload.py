"""Real gateway processes under too much load, before a broken upstream, and without a database.

Small versions of `bench/gateway_overload.py`: they count, and time nothing but deadlines.
"""

import math
from pathlib import Path

from gateway.outage import outage
from gateway.replicas import shared_limit
from gateway.scenarios import WAITING, WAITING_TOKENS, WORKERS, half_failing, overloaded
from postgres import postgres_server


def test_at_three_times_the_capacity_urgent_requests_are_in_time_and_the_rest_is_told_when_to_come(
    tmp_path: Path,
) -> None:
    found = overloaded(tmp_path / "g", seconds=2.0, warm_up_s=1.0, concurrency=WORKERS)

    tally = found.tally
    assert found.in_time("high") >= 0.9  # 0.99 on a quiet machine: see the bench
    assert tally.of_status(200) + tally.of_status(503) == tally.total
    assert tally.of_status(503) > tally.total / 3
    assert len(tally.retry_after) > 0.9 * tally.of_status(503)
    assert all(1 <= seconds <= 60 for seconds in tally.retry_after)
    assert 0 < found.most_waiting <= WAITING
    assert 0 < found.most_tokens <= WAITING_TOKENS


def test_an_upstream_that_fails_half_its_requests_is_retried_little_and_left_alone_until_it_works(
    tmp_path: Path,
) -> None:
    found = half_failing(tmp_path / "g", per_s=100, before_s=0.3, failing_s=1.2)

    assert math.isfinite(found.opened_after_s)
    assert math.isfinite(found.closed_after_s)
    assert 0 < found.retries <= 0.1 * found.tally.total
    assert found.tally.of_status(0) == 0


def test_while_the_database_is_away_requests_are_served_and_afterwards_all_is_known(
    tmp_path: Path,
) -> None:
    with postgres_server() as server:
        found = outage(tmp_path / "g", server, per_s=80, before_s=0.8, away_s=1.5)

    assert found.down > 0
    assert not found.tally.refusals
    assert found.tally.of_status(200) == found.tally.total > 150
    assert (found.unbooked, found.unaudited, found.lost) == (0, 0, 0)


def test_two_replicas_let_together_pass_what_one_limit_allows(tmp_path: Path) -> None:
    found = shared_limit(
        tmp_path,
        f"sqlite:{tmp_path}/shared.db",
        per_minute=6000,
        burst=0.02,
        loads=(160.0, 50.0),
        seconds=3.0,
    )

    # What is still in the common pot at the end counts as missing.
    assert -0.5 <= found.error <= 0.01  # a busy machine does not send all that it should
    assert all(tally.of_status(200) for tally in found.tallies)
    assert all(tally.of_status(0) == 0 for tally in found.tallies)
