from datetime import UTC, datetime, timedelta

import pytest

from lockgate.domain.digest import Digest
from lockgate.domain.promotion import Action, Promotion, earlier, running_since

NOON = datetime(2026, 1, 7, 12, tzinfo=UTC)


def history(steps: str) -> list[Promotion]:
    """Read `A B -A`: A and B were promoted, then A came back by a rollback. Newest first."""
    made: list[Promotion] = []
    for step in steps.split():
        release = Digest.of(step.removeprefix("-").encode())
        made.insert(
            0,
            Promotion(
                environment="production",
                task="triage",
                release=release,
                previous=made[0].release if made else None,
                action=Action.ROLLBACK if step.startswith("-") else Action.PROMOTE,
                at=NOON + timedelta(hours=len(made)),
                actor="ana",
                reason="",
                decision=release,
            ),
        )
    return made


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("", None),
        ("A", None),
        ("A A", None),
        ("A B", "A"),
        ("A B B", "A"),
        ("A B -A", None),
        ("C A B -A", "C"),
        ("C A B -A -C", None),
        ("A B -A C", "A"),
        ("A B -A B", "A"),
        ("A B -A B C", "B"),
    ],
)
def test_a_rollback_goes_to_an_earlier_release_that_was_not_rolled_back_itself(
    steps: str, expected: str | None
) -> None:
    assert earlier(history(steps)) == (None if expected is None else Digest.of(expected.encode()))


@pytest.mark.parametrize(
    ("steps", "hours"),
    [("A", 0), ("A A", 0), ("B A A", 1), ("A B A", 2), ("A B -A", 2), ("A B", None), ("", None)],
)
def test_a_release_runs_since_it_came_and_not_since_it_was_promoted_again(
    steps: str, hours: int | None
) -> None:
    expected = None if hours is None else NOON + timedelta(hours=hours)
    assert running_since(history(steps), Digest.of(b"A")) == expected
