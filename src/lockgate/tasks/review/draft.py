"""Makes the draft of a review: all of it by rules, and one sentence by the model if it holds."""

from dataclasses import dataclass

from lockgate.domain.call import Draft, EngineKind
from lockgate.domain.digest import Json, JsonObject
from lockgate.domain.finding import Finding
from lockgate.ports import Context
from lockgate.tasks.review import diff, output, phrase, score, summary
from lockgate.tasks.review.analyse import Analysis
from lockgate.tasks.review.change import Change

_EVIDENCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Review:
    change: Change
    findings: tuple[Finding, ...]
    more: int
    """Findings past the most that an answer lists."""


def by_rules(given: JsonObject, context: Context, analysis: Analysis) -> Draft:
    """Return the draft that no model had a part in.

    Raises:
        InvalidInput: the text is not a diff.

    """
    return _draft(_review(given, context, analysis), analysis)


async def with_model(given: JsonObject, context: Context, analysis: Analysis) -> Draft:
    """Return the same draft, its summary phrased by the model if it answers and holds.

    Raises:
        InvalidInput: the text is not a diff.

    """
    review = _review(given, context, analysis)
    text, reason = await phrase.phrase(review.findings, context)
    return _draft(review, analysis, text=text, reason=reason)


def _review(given: JsonObject, context: Context, analysis: Analysis) -> _Review:
    change = Change(
        files=diff.parse(str(given["diff"])),
        redactions=context.redactions,
        omitted=output.decode_omitted(given.get("omitted")),
    )
    findings, more = analysis.findings(change)
    return _Review(change=change, findings=findings, more=more)


def _draft(
    review: _Review, analysis: Analysis, *, text: str | None = None, reason: str | None = None
) -> Draft:
    points = score.score(review.findings)
    risk = score.risk(points)
    confidence = score.confidence(review.change)
    parts = (summary.counted(risk, review.findings), text or summary.pointed(review.findings))
    members: dict[str, Json] = {
        "risk": risk.name.lower(),
        "score": points,
        "confidence": confidence,
        "summary": " ".join(part for part in parts if part),
        "findings": output.encode(review.findings, analysis.rules),
        "omitted": output.encode_omitted(review.change.omitted),
    }
    places = (f.path if f.line is None else f"{f.path}:{f.line}" for f in review.findings)
    return Draft(
        output=members,
        evidence=tuple(dict.fromkeys(places))[:_EVIDENCE],
        confidence=confidence,
        engine=EngineKind.MODEL if text else EngineKind.RULES,
        degraded=(*_left_out(review), *((reason,) if reason else ())),
    )


def _left_out(review: _Review) -> list[str]:
    reasons = []
    omitted = review.change.omitted
    if omitted.files:
        reasons.append(
            f"{omitted.files} file(s) of {omitted.bytes} bytes were past the budget "
            "and were not analysed"
        )
    cut = sum(file.cut_short for file in review.change.files)
    if cut:
        reasons.append(f"the diff of {cut} file(s) is cut short")
    if review.more:
        reasons.append(f"{review.more} further finding(s) are not listed")
    return reasons
