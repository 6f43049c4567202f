import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET  # our own reports

import jsonschema_rs
import pytest

from lockgate.domain.verdict import Outcome as Ruled
from lockgate.errors import StorageFailed, UsageError
from lockgate.evals.assertion import Response
from lockgate.evals.expand import Case
from lockgate.evals.gate.ruling import Ruling
from lockgate.evals.report.document import Report
from lockgate.evals.report.forms import FORMS, form_of, text_of, write_report
from lockgate.evals.results import Result, line_of, read_results

from .bench import load, run

SCHEMA = json.loads((Path(__file__).parents[1] / "assets" / "sarif-2.1.0.json").read_text())
HOSTILE = "<script>alert(1)</script> | `x` \x00\x1b [a](javascript:b) @team ]]> \ud800"
SUITE = """
description: A suite
prompts: ['{{x}}']
providers: [echo]
derivedMetrics: [{name: double, value: quality * 2}]
tests:
  - description: good
    vars: {x: a}
    assert: [{type: equals, value: a, metric: quality}]
  - description: bad
    vars: {x: b}
    assert: [{type: equals, value: c, metric: quality}]
  - description: broken
    vars: {x: d}
    assert: [{type: word-count, value: none}]
"""


def report(folder: Path, text: str = SUITE) -> Report:
    return run(load(folder, text))[2]


def text(form: str, made: Report) -> str:
    return "".join(text_of(form, made))


def sarif(made: Report) -> dict[str, object]:
    log = json.loads(text("sarif", made))
    jsonschema_rs.validator_for(SCHEMA).validate(log)
    run_: dict[str, object] = log["runs"][0]
    return run_


def test_sarif_points_at_the_line_of_each_case_that_did_not_pass(tmp_path: Path) -> None:
    found = sarif(report(tmp_path))

    results = found["results"]
    assert isinstance(results, list)
    assert [
        (r["ruleId"], r["locations"][0]["physicalLocation"]["region"]["startLine"]) for r in results
    ] == [("eval.equals", 10), ("eval.error.case", 13)]
    invocation = found["invocations"][0]  # type: ignore[index]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 100)


def test_sarif_of_a_run_that_only_failed_is_a_successful_execution(tmp_path: Path) -> None:
    found = sarif(report(tmp_path, SUITE[: SUITE.index("  - description: broken")]))

    assert found["invocations"][0]["executionSuccessful"] is True  # type: ignore[index]


def test_junit_names_are_stable_and_unique(tmp_path: Path) -> None:
    first = ET.fromstring(text("junit", report(tmp_path)))  # noqa: S314  our own report
    moved = SUITE.replace("tests:\n", "tests:\n  - vars: {x: new}\n", 1)
    second = ET.fromstring(text("junit", report(tmp_path, moved)))  # noqa: S314  our own report

    names = [case.get("name") for case in first.iter("testcase")]
    assert len(set(names)) == 3
    assert set(names) <= {case.get("name") for case in second.iter("testcase")}
    assert [(len(case), *(e.tag for e in case)) for case in first.iter("testcase")] == [
        (0,),
        (1, "failure"),
        (1, "error"),
    ]
    suite = first.find("testsuite")
    assert suite is not None
    assert [suite.get(n) for n in ("tests", "failures", "errors")] == ["3", "1", "1"]


def test_the_json_report_is_one_object_with_everything(tmp_path: Path) -> None:
    made = report(tmp_path)
    found = json.loads(text("json", made))

    assert found["summary"]["metrics"] == {"quality": 0.5, "double": 2.0}
    assert [r["outcome"] for r in found["results"]] == ["passed", "failed", "error"]
    assert text("jsonl", made) == (tmp_path / "results.jsonl").read_text()


def test_markdown_says_what_is_better_worse_new_and_fixed(tmp_path: Path) -> None:
    cases = "".join(
        f"  - {{description: {name}, vars: {{x: {name}}},"
        f" assert: [{{type: equals, value: {value}}}]}}\n"
        for name, value in (("kept", "kept"), ("fixed", "no"), ("worse", "worse"), ("gone", "gone"))
    )
    head = "prompts: ['{{x}}']\nproviders: [echo]\ntests:\n"
    run(load(tmp_path, head + cases))
    base = tmp_path / "base.jsonl"
    (tmp_path / "results.jsonl").rename(base)
    changed = (
        cases.replace("value: no", "value: fixed")
        .replace("value: worse", "value: other")
        .replace("gone", "fresh")
    )
    made = report(tmp_path, head + changed)
    made = replace(made, base=lambda: read_results(base))

    shown = text("markdown", made)

    assert "| cases | 1 | 0 | 1 | 1 | 1 | 1 |" in shown
    assert "Passed: 75.0% before, 75.0% now (+0.0%)." in shown
    assert "<summary>Worse: 1</summary>" in shown
    assert "<summary>Fixed: 1</summary>" in shown


def test_html_is_one_file_that_asks_for_nothing(tmp_path: Path) -> None:
    shown = text("html", report(tmp_path))

    assert "<svg" in shown
    assert re.findall(r"(?:src|href)\s*=|url\(|@import|<script|<link|https?://", shown) == []
    assert "default-src 'none'" in shown


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_hostile_output_stays_text(tmp_path: Path, form: str) -> None:
    suite = load(
        tmp_path,
        "prompts: [p]\nproviders: [echo]\ntests: [{assert: [{type: equals, value: y}]}]",
    )

    async def hostile(case: Case) -> Response:
        return Response(output=HOSTILE)

    made = run(suite, hostile)[2]
    shown = text(form, made)
    shown.encode("utf-8", "backslashreplace")

    if form == "junit":
        ET.fromstring(shown)  # noqa: S314  our own report
    elif form in {"json", "sarif"}:
        json.loads(shown)
    elif form == "markdown":
        assert "<script>" not in shown
        assert "@team" not in shown
        assert "\\[a\\](" in shown
    elif form == "html":
        assert "<script>" not in shown


def test_the_same_run_gives_the_same_report(tmp_path: Path) -> None:
    made = report(tmp_path)
    before = {form: text(form, made) for form in FORMS}

    again = report(tmp_path)

    assert {form: text(form, again) for form in FORMS} == before


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    made = report(tmp_path)
    old = tmp_path / "r.json"
    old.write_text("old")
    (tmp_path / "r.json.tmp").mkdir()

    with pytest.raises(StorageFailed, match=r"`.*r\.json` cannot be written"):
        write_report(old, made)

    assert old.read_text() == "old"


def test_a_name_that_is_no_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"names no kind of report"):
        form_of(tmp_path / "r.pdf")
    assert form_of(Path("a.sarif.json")) == "sarif"
    assert form_of(Path("junit.xml")) == "junit"


def test_a_degraded_run_says_so_everywhere(tmp_path: Path) -> None:
    suite = load(
        tmp_path, "prompts: [p]\nproviders: [echo]\ntests: [{vars: {x: a}}, {vars: {x: b}}]"
    )

    async def rules(case: Case) -> Response:
        return Response(output="x", degraded=("the model is missing",))

    made = run(suite, rules)[2]

    assert made.summary.exit_code == 105
    found = sarif(made)
    invocation = found["invocations"][0]  # type: ignore[index]
    assert invocation["executionSuccessful"] is False
    assert "2 case(s): the model is missing" in json.dumps(invocation)
    assert "the model is missing" in text("markdown", made)
    assert "the model is missing" in text("html", made)


def test_results_are_lines_with_sorted_keys(tmp_path: Path) -> None:
    _, results, _ = run(load(tmp_path, SUITE))

    def keys(result: Result) -> list[str]:
        return list(json.loads(line_of(result)))

    assert all(keys(result) == sorted(keys(result)) for result in results)


def test_a_base_that_is_no_results_file_is_a_clear_error(tmp_path: Path) -> None:
    made = report(tmp_path)
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"id": 1}\n')

    with pytest.raises(UsageError, match="line 1 is not a result"):
        text("markdown", replace(made, base=lambda: read_results(wrong)))


def test_verdicts_of_gates_stand_in_every_report(tmp_path: Path) -> None:
    made = report(tmp_path)
    made.summary.rulings = (
        Ruling(
            name="quality/pass-rate",
            outcome=Ruled.FAIL,
            reason="worse <b>",
            slice="language=go",
            samples=40,
            value=-0.1,
            reference=0.0,
            interval=(-0.2, -0.01),
            line=7,
        ),
        Ruling(name="calibration/ece", outcome=Ruled.INCONCLUSIVE, reason="too few", sampled=True),
        Ruling(name="performance/cost", outcome=Ruled.PASS, reason="fine"),
    )
    made = replace(made, gate_file="policy.yaml")

    suite = ET.fromstring(text("junit", made)).find("testsuite")  # noqa: S314  our own report
    assert suite is not None
    assert [suite.get(n) for n in ("tests", "failures", "errors")] == ["6", "2", "2"]
    gates = [case for case in suite if case.get("classname") == "gate"]
    assert [[e.tag for e in case] for case in gates] == [["failure"], ["error"], []]
    found = {r["ruleId"]: r for r in sarif(made)["results"]}  # type: ignore[attr-defined]
    place = found["gate.quality/pass-rate"]["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("policy.yaml", 7)
    assert found["gate.calibration/ece"]["level"] == "warning"
    assert "❌ fail" in text("markdown", made)
    assert "inconclusive, sampled" in text("markdown", made)
    shown = text("html", made)
    assert "worse &lt;b&gt;" in shown
    assert "Interval of quality/pass-rate" in shown
    stated = json.loads(text("json", made))["summary"]["verdicts"]
    assert [v["verdict"] for v in stated] == ["fail", "inconclusive", "pass"]
