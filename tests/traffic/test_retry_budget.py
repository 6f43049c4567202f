import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.traffic.retry_budget import RetryBudget


@given(st.lists(st.booleans(), max_size=500))
def test_retries_are_never_more_than_a_tenth_of_the_attempts(fails: list[bool]) -> None:
    budget, retries = RetryBudget(), 0
    for attempts, failed in enumerate(fails, 1):
        budget.attempted()
        retries += failed and budget.may_retry()
        assert retries <= 0.1 * attempts + 1e-9


def test_a_tenth_of_the_attempts_may_be_retried() -> None:
    budget = RetryBudget()
    for _ in range(100):
        budget.attempted()
    assert [budget.may_retry() for _ in range(11)] == [True] * 10 + [False]


def test_what_is_saved_is_bounded() -> None:
    budget = RetryBudget(most_saved=2)
    for _ in range(1000):
        budget.attempted()
    assert [budget.may_retry() for _ in range(4)] == [True, True, False, False]


def test_without_a_share_nothing_is_retried() -> None:
    budget = RetryBudget(share=0)
    for _ in range(1000):
        budget.attempted()
    assert not budget.may_retry()


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_is_between_nothing_and_all(share: float) -> None:
    with pytest.raises(ValueError, match="not a retry budget"):
        RetryBudget(share=share)
