from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.verdict import Outcome, Verdict, worst

VERDICTS = st.lists(st.builds(Verdict, check=st.just("x"), outcome=st.sampled_from(Outcome)))


def test_outcomes_are_ordered_from_best_to_worst() -> None:
    assert sorted(Outcome) == [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL, Outcome.ERROR]


def test_no_verdict_is_a_pass() -> None:
    assert worst([]) is Outcome.PASS


@given(VERDICTS, VERDICTS)
def test_more_verdicts_never_make_it_better(some: list[Verdict], more: list[Verdict]) -> None:
    assert worst([*some, *more]) == max(worst(some), worst(more))
