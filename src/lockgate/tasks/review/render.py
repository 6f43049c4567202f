"""Writes an answer in each of the task's formats."""

import json
from collections.abc import Callable, Mapping

from lockgate import __version__
from lockgate.domain.call import Answer
from lockgate.domain.digest import Json
from lockgate.domain.finding import RuleText, Severity
from lockgate.domain.report.annotations import annotations
from lockgate.domain.report.code_quality import code_quality
from lockgate.domain.report.document import Report
from lockgate.domain.report.markdown import markdown
from lockgate.domain.report.sarif import sarif
from lockgate.tasks.review import output
from lockgate.tasks.review.rule import Rule

_WRITERS: Mapping[str, Callable[[Report], str]] = {
    "markdown": markdown,
    "sarif": lambda report: _json(sarif(report)),
    "github": annotations,
    "gitlab": lambda report: _json(code_quality(report)),
}
FORMATS = ("markdown", "json", "sarif", "github", "gitlab")


def render(answer: Answer, form: str, rules: Mapping[str, Rule]) -> str:
    """Return the answer as text; equal inputs and releases give equal bytes."""
    if form == "json":
        return _json(answer.document)
    return _WRITERS[form](_report(answer, [rule.text for rule in rules.values()]))


def _report(answer: Answer, rules: list[RuleText]) -> Report:
    members = answer.output
    points, confidence = members["score"], members["confidence"]
    assert isinstance(points, int)
    assert isinstance(confidence, int | float)
    return Report(
        tool="lockgate",
        version=__version__,
        information=answer.task,
        risk=Severity[str(members["risk"]).upper()],
        score=points,
        confidence=confidence,
        summary=str(members["summary"]),
        findings=output.decode(members),
        rules=rules,
        notices=answer.degraded,
        engine=str(answer.engine),
        release=str(answer.release),
    )


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
