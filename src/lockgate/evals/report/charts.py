"""Pieces of the HTML report: tables, pictures, and a gate's interval beside its reference."""

from collections.abc import Mapping, Sequence
from html import escape

from lockgate.domain.verdict import Outcome as Ruled
from lockgate.evals.gate.ruling import Reliable, Ruling, reliability_of
from lockgate.evals.results import Outcome

BLUE = "#3566b8"
COLOURS: Mapping[Outcome, str] = {
    Outcome.PASSED: "#2e7d32",
    Outcome.FAILED: "#c62828",
    Outcome.ERROR: "#8d6e00",
}
_GREY = "#888888"
_SPAN, _TALL, _EDGE = 320, 46, 10
_SEEN_AS: Mapping[Ruled, Outcome] = {
    Ruled.PASS: Outcome.PASSED,
    Ruled.INCONCLUSIVE: Outcome.ERROR,
}


def gates(rulings: Sequence[Ruling]) -> str:
    """Return a row a gate, its interval and its reference on a scale of their own."""
    rows = []
    for ruling in rulings:
        seen_as = _SEEN_AS.get(ruling.outcome, Outcome.FAILED)
        sampled = " (sampled)" if ruling.sampled else ""
        rows.append(
            (
                escape(ruling.title),
                f"<span class={seen_as}>{ruling.verdict}{sampled}</span>",
                _interval(ruling, COLOURS[seen_as]),
                str(ruling.samples),
                escape(ruling.reason),
            )
        )
    shown = table(("gate", "verdict", "", "cases", "why"), rows)
    return shown + "".join(_reliability(ruling) for ruling in rulings if reliability_of(ruling))


def _reliability(ruling: Ruling) -> str:
    """Return what was said beside what came, a row a bin: on the diagonal both are equal."""
    rows = [
        (
            f"{row.lower:.2f} to {row.upper:.2f}",
            str(row.cases),
            f"{row.confidence:.3f}",
            f"{row.accuracy:.3f}",
            _said_and_right(row),
        )
        for row in reliability_of(ruling)
    ]
    head = ("confidence", "cases", "said", "right", "")
    return f"<h3>Reliability: {escape(ruling.title)}</h3>\n{table(head, rows)}"


def _said_and_right(row: Reliable) -> str:
    width = _SPAN - 2 * _EDGE
    low, high = sorted((row.confidence, row.accuracy))
    parts = [
        rectangle(_EDGE, 11, width, 1, _GREY),
        rectangle(round(_EDGE + low * width), 9, max(1, round((high - low) * width)), 5, BLUE),
        rectangle(round(_EDGE + row.accuracy * width) - 1, 4, 3, 15, COLOURS[Outcome.PASSED]),
    ]
    said = f"said {row.confidence:.3f}, right {row.accuracy:.3f}"
    return picture(said, (_SPAN, 22), parts)


def _interval(ruling: Ruling, colour: str) -> str:
    if ruling.interval is None or ruling.value is None or ruling.reference is None:
        return ""
    lower, upper = ruling.interval
    points = (lower, upper, ruling.value, ruling.reference)
    low, width = min(points), (max(points) - min(points)) or 1.0

    def at(value: float) -> int:
        return round(_EDGE + (value - low) / width * (_SPAN - 2 * _EDGE))

    said = f"{ruling.value:.4g} ({lower:.4g} to {upper:.4g}), reference {ruling.reference:.4g}"
    parts = [
        rectangle(at(lower), 12, max(1, at(upper) - at(lower)), 4, BLUE),
        rectangle(at(ruling.value) - 2, 8, 4, 12, colour),
        rectangle(at(ruling.reference), 2, 1, 24, _GREY),
        label(0, 40, said),
    ]
    return picture(f"Interval of {ruling.title}", (_SPAN, _TALL), parts)


def rectangle(left: int, top: int, width: int, height: int, colour: str) -> str:
    """Return an SVG rectangle."""
    return f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="{colour}"/>'


def label(left: int, top: int, text: str, anchor: str = "start") -> str:
    """Return an SVG text."""
    return f'<text x="{left}" y="{top}" text-anchor="{anchor}">{escape(text)}</text>'


def picture(title: str, size: tuple[int, int], parts: Sequence[str]) -> str:
    """Return an SVG picture of width and height in pixels."""
    width, height = size
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>\n'
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; cells are HTML."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    whole = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{whole}</div>\n'
