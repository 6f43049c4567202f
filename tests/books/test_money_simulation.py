"""The large run is `bench/money_simulation.py`."""

from pathlib import Path

from money_simulation import Load, simulate


def test_four_replicas_that_are_killed_at_random_neither_overshoot_nor_lose_nor_double(
    postgres_dsn: str, tmp_path: Path
) -> None:
    load = Load(seconds=5, replicas=4, clients=64, limit=4_000_000)

    report = simulate(postgres_dsn, tmp_path, load)

    assert (report.overshoot, report.lost, report.doubled, report.free) == (0, 0, 0, 0), report
    assert (report.wrong, report.audit_lost) == (0, 0), report
    assert (report.open_leases, report.still_lent) == (0, 0), report
    # It is a test only if there was something to go wrong.
    assert report.kills >= 5, report
    assert report.exhausted > 0, report
    assert report.unknown_outcome > 0, report
