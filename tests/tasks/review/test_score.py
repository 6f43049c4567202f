import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.finding import Finding, Severity
from lockgate.tasks.review.change import Change, File, Line, Omitted
from lockgate.tasks.review.score import confidence, risk, score

FINDINGS = st.lists(
    st.builds(
        Finding,
        rule=st.sampled_from("abcdef"),
        severity=st.sampled_from(Severity),
        message=st.just("m"),
        path=st.just("p"),
    ),
    max_size=30,
)


def of(*kinds: tuple[str, Severity]) -> list[Finding]:
    return [Finding(rule=rule, severity=s, message="m", path="p") for rule, s in kinds]


@pytest.mark.parametrize(
    ("findings", "points", "name"),
    [
        (of(), 0, "LOW"),
        (of(("a", Severity.LOW)), 5, "LOW"),
        (of(*[("a", Severity.LOW)] * 50), 10, "LOW"),
        (of(("a", Severity.MEDIUM)), 20, "MEDIUM"),
        (of(*[("a", Severity.MEDIUM)] * 50), 35, "MEDIUM"),
        (of(("a", Severity.MEDIUM), ("b", Severity.MEDIUM), ("c", Severity.MEDIUM)), 60, "HIGH"),
        (of(("a", Severity.HIGH)), 60, "HIGH"),
        (of(*[("a", Severity.HIGH)] * 3), 80, "HIGH"),
        (of(("a", Severity.HIGH), ("b", Severity.HIGH)), 100, "HIGH"),
    ],
)
def test_the_points_are_those_of_the_table(findings: list[Finding], points: int, name: str) -> None:
    assert score(findings) == points
    assert risk(points).name == name


@given(FINDINGS, FINDINGS)
def test_more_findings_never_lower_the_score(some: list[Finding], others: list[Finding]) -> None:
    assert score(some) <= score([*some, *others]) <= 100


def test_a_change_that_was_left_out_in_part_is_judged_with_less_confidence() -> None:
    file = File(path="a.py", old_path="a.py", added=(Line(1, "x"),))
    unknown = File(path="a.xyz", old_path="a.xyz", added=(Line(1, "x"),))

    assert confidence(Change(files=())) == 1.0
    assert confidence(Change(files=(file,))) == 0.95
    assert confidence(Change(files=(unknown,))) == 0.6
    assert confidence(Change(files=(file,), omitted=Omitted(files=3))) == 0.24
    assert confidence(Change(files=(), omitted=Omitted(files=3))) == 0.0
