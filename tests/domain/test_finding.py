from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.finding import Finding, Severity, number

FINDING = Finding(
    rule="dangerous-call.python.eval",
    severity=Severity.HIGH,
    message="`eval` runs what it is given",
    path="src/app.py",
    line=10,
    snippet="    eval(text)",
)
FINDINGS = st.lists(
    st.builds(
        Finding,
        rule=st.sampled_from(["a", "b"]),
        severity=st.sampled_from(Severity),
        message=st.just("m"),
        path=st.sampled_from(["x", "y"]),
        line=st.integers(1, 9),
        snippet=st.sampled_from(["s", " s ", "t"]),
    ),
    max_size=12,
)


def test_a_fingerprint_survives_moved_lines_and_new_indentation() -> None:
    moved = replace(FINDING, line=99, snippet="\teval(text)  ", message="reworded")

    assert moved.fingerprint == FINDING.fingerprint
    assert len(FINDING.fingerprint) == 32


def test_another_rule_path_text_or_occurrence_is_another_fingerprint() -> None:
    others = [
        replace(FINDING, rule="x"),
        replace(FINDING, path="x"),
        replace(FINDING, snippet="exec(text)"),
        replace(FINDING, occurrence=1),
    ]

    assert len({f.fingerprint for f in [FINDING, *others]}) == 5


def test_the_number_of_a_secret_is_not_part_of_a_fingerprint() -> None:
    # It depends on what else the diff holds.
    first = replace(FINDING, snippet="k = <secret:github-pat:1>")

    assert replace(first, snippet="k = <secret:github-pat:7>").fingerprint == first.fingerprint
    assert replace(first, snippet="k = <secret:npm-token:1>").fingerprint != first.fingerprint


def test_a_path_that_is_not_utf8_has_a_fingerprint() -> None:
    assert replace(FINDING, path="caf\udce9.py").fingerprint


@given(FINDINGS)
def test_numbered_findings_have_fingerprints_of_their_own(findings: list[Finding]) -> None:
    numbered = number(findings)

    assert [replace(f, occurrence=0) for f in numbered] == findings
    assert len({f.fingerprint for f in numbered}) == len(findings)


def test_the_worst_severity_is_the_greatest() -> None:
    assert max(Severity) is Severity.HIGH
    assert max(Severity.LOW, Severity.MEDIUM) is Severity.MEDIUM
