import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.domain.digest import canonical
from lockgate.domain.finding import Finding, RuleText, Severity, number
from lockgate.domain.report.annotations import annotations
from lockgate.domain.report.code_quality import code_quality
from lockgate.domain.report.document import Report
from lockgate.domain.report.markdown import MAX_LISTED, markdown
from lockgate.domain.report.sarif import sarif

# The official schema: see tests/assets/SARIF.md.
SCHEMA = json.loads((Path(__file__).parents[2] / "assets" / "sarif-2.1.0.json").read_text())
SARIF = jsonschema_rs.Draft4Validator(SCHEMA, validate_formats=True)
RULE = RuleText(id="a.b", severity=Severity.HIGH, title="A title.", help="Do this.")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
FINDINGS = st.builds(
    Finding,
    rule=st.just("a.b"),
    severity=st.sampled_from(Severity),
    message=TEXT,
    path=TEXT,
    line=st.none() | st.integers(1, 10**9),
    snippet=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)


def report(*findings: Finding, notices: tuple[str, ...] = ()) -> Report:
    return Report(
        tool="lockgate",
        version="1",
        information="review",
        risk=Severity.HIGH,
        score=60,
        confidence=0.95,
        summary="High risk.",
        findings=number(findings),
        rules=(RULE,),
        notices=notices,
        release="sha256:0a",
    )


def finding(**members: Any) -> Finding:
    defaults: dict[str, Any] = {
        "rule": "a.b",
        "severity": Severity.HIGH,
        "message": "Bad.",
        "path": "src/a.py",
        "line": 3,
        "snippet": "x",
    }
    return Finding(**{**defaults, **members})


def valid(log: Any) -> None:
    SARIF.validate(json.loads(json.dumps(log)))


def test_sarif_without_findings_is_valid_and_says_that_it_ran() -> None:
    log: Any = sarif(report())

    valid(log)
    (run,) = log["runs"]
    assert run["results"] == []
    assert run["invocations"][0]["executionSuccessful"] is True


def test_the_sarif_schema_refuses_what_is_wrong() -> None:
    log: Any = sarif(report(finding()))
    log["runs"][0]["results"][0]["level"] = "terrible"

    assert not SARIF.is_valid(log)


@given(st.lists(FINDINGS, max_size=4), st.lists(TEXT, max_size=2))
@settings(max_examples=60, deadline=None)
def test_sarif_is_valid_for_any_findings(findings: list[Finding], notices: list[str]) -> None:
    log: Any = sarif(report(*findings, notices=tuple(notices)))

    valid(log)
    (run,) = log["runs"]
    assert len(run["results"]) == len(findings)
    said = [n["message"]["text"] for n in run["invocations"][0]["toolExecutionNotifications"]]
    assert said == notices


def test_a_sarif_result_names_rule_place_and_fingerprint() -> None:
    bad = finding(path="src/é a#b.py")
    log: Any = sarif(report(bad))

    (run,) = log["runs"]
    (result,) = run["results"]
    place = result["locations"][0]["physicalLocation"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "a.b"
    assert run["tool"]["driver"]["rules"][0]["help"]["text"] == "Do this."
    assert place["artifactLocation"]["uri"] == "src/%C3%A9%20a%23b.py"
    assert place["region"]["startLine"] == 3
    assert list(result["partialFingerprints"].values()) == [bad.fingerprint]


def test_annotations_escape_what_would_end_a_command_or_a_property() -> None:
    text = annotations(report(finding(message="100%\r\n::error::x", path="a,b:c%.py")))

    first, last = text.split("\n")
    assert first == (
        "::error file=a%2Cb%3Ac%25.py,line=3,title=a.b::100%25%0D%0A::error::x%0ADo this."
    )
    assert last == "::notice title=lockgate review::High risk."


@given(st.lists(FINDINGS, max_size=4), st.lists(TEXT, max_size=2))
@settings(max_examples=60, deadline=None)
def test_there_is_one_annotation_a_line_whatever_the_findings_hold(
    findings: list[Finding], notices: list[str]
) -> None:
    lines = annotations(report(*findings, notices=tuple(notices))).split("\n")

    assert len(lines) == len(findings) + len(notices) + 1
    assert all(line.startswith(("::error ", "::warning ", "::notice ")) for line in lines)
    assert not any("\r" in line for line in lines)


def test_each_code_quality_issue_has_what_gitlab_asks_for() -> None:
    issues: Any = code_quality(report(finding(), finding(line=None)))

    assert [issue["location"]["lines"]["begin"] for issue in issues] == [3, 1]
    assert len({issue["fingerprint"] for issue in issues}) == 2
    assert {issue["severity"] for issue in issues} == {"critical"}
    assert set(issues[0]) == {"description", "check_name", "fingerprint", "severity", "location"}


def test_markdown_cannot_be_broken_out_of() -> None:
    evil = finding(path="a`|b.py", snippet="``` | <img src=x> @all", message="Is [x](y) <b>.")

    text = markdown(report(evil))

    (row,) = [line for line in text.split("\n") if line.startswith("| high")]
    assert row.count("|") - row.count("\\|") == 4
    assert "[x](y)" not in row
    assert "```` ``` \\| <img src=x> @all ````" in row
    assert "<b>" not in row


def test_markdown_lists_the_first_findings_and_counts_the_others() -> None:
    text = markdown(report(*(finding(line=n + 1) for n in range(MAX_LISTED + 7))))

    assert text.count("\n| high") == MAX_LISTED
    assert "7 more findings" in text
    assert len(text) < 65_536


def test_markdown_without_findings_has_no_table_and_names_what_was_left_out() -> None:
    text = markdown(report(notices=("3 file(s) were left out",)))

    assert "| severity |" not in text
    assert "> Not whole: 3 file(s) were left out." in text


def test_equal_findings_have_fingerprints_of_their_own_and_lines_do_not_count() -> None:
    one, two = number([finding(line=1), finding(line=2)])
    moved, _ = number([finding(line=101), finding(line=102)])

    assert one.fingerprint != two.fingerprint
    assert one.fingerprint == moved.fingerprint


def test_the_number_of_a_secret_does_not_change_the_fingerprint() -> None:
    one = finding(snippet="k = <secret:aws-key:1>")
    two = finding(snippet="k = <secret:aws-key:2>")

    assert one.fingerprint == two.fingerprint
    assert one.fingerprint != finding(snippet="k = <secret:other:1>").fingerprint


@pytest.mark.parametrize("write", [sarif, code_quality])
def test_reports_of_equal_findings_are_equal_bytes(write: Any) -> None:
    assert canonical(write(report(finding()))) == canonical(write(report(finding())))
