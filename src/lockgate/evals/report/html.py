"""A run as one HTML file with charts: no script, no request to anywhere."""

from collections import Counter
from collections.abc import Iterator, Mapping
from html import escape

from lockgate.domain.digest import JsonObject
from lockgate.evals.javascript import stringify
from lockgate.evals.report.charts import BLUE, COLOURS, gates, label, picture, rectangle, table
from lockgate.evals.report.compare import compare
from lockgate.evals.report.document import Report
from lockgate.evals.results import Outcome, Result

MAX_ROWS = 2_000
_MAX_OUTPUT, _MAX_PROMPT = 4_000, 80
_BINS = 10
_WIDTH, _HEIGHT, _BAR = 640, 160, 18
_LEFT, _LONGEST = 200, 380
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
body{color:#1b1b1b;background:#fff}table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #ddd;padding:.3rem .5rem;text-align:left;vertical-align:top}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f6f6;padding:.5rem;margin:.3rem 0}
.passed{color:#2e7d32}.failed{color:#c62828}.error{color:#8d6e00}
:root{color-scheme:light dark}svg{max-width:100%;height:auto}
svg text{font:12px system-ui,sans-serif;fill:currentColor}
td{overflow-wrap:break-word}.wide{overflow-x:auto}.wide svg{max-width:none}
td:nth-child(5){min-width:12rem}small{opacity:.75}
@media(prefers-color-scheme:dark){body{background:#161616;color:#e8e8e8}pre{background:#242424}
td,th{border-color:#3a3a3a}.passed{color:#81c784}.failed{color:#ef9a9a}.error{color:#e0c060}}
"""
# Nothing may be loaded, whatever an output that slipped through would ask for.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(report: Report) -> Iterator[str]:
    """Yield the page: totals, charts, metrics, the cases that did not pass, the others."""
    summary = report.summary
    scores: Counter[int] = Counter()
    kinds: dict[str, Counter[bool]] = {}
    prompts: set[str] = set()
    for result in report.results():
        if len(prompts) < 2:  # noqa: PLR2004  whether there are several
            prompts.add(result.prompt)
        scores[min(_BINS - 1, max(0, int(result.score * _BINS)))] += 1
        for assertion in result.assertions:
            kinds.setdefault(str(assertion["type"]), Counter())[bool(assertion["passed"])] += 1
    title = escape(report.description or report.suite)
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    yield '<meta name="viewport" content="width=device-width"><style>'
    yield f"{_STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    yield f"<p><strong>{summary.status}</strong>: {summary.passed} of {summary.total} case(s) "
    yield f"passed, {summary.failed} failed, {summary.errors} error(s). "
    yield f"<code>{escape(report.suite)}</code></p>\n"
    if warnings := [*report.warnings(), *report.notices]:
        yield "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in warnings) + "</ul>\n"
    if summary.rulings:
        yield "<h2>Gates</h2>\n" + gates(summary.rulings)
    if report.base is not None:
        yield "<h2>Against the base</h2>\n" + _against(report)
    yield "<h2>Scores</h2>\n" + _histogram(scores)
    if kinds:
        yield "<h2>Assertions</h2>\n" + _bars(kinds)
    if metrics := summary.metrics():
        rows = [(escape(name), f"{value:.4f}") for name, value in metrics.items()]
        yield "<h2>Metrics</h2>\n" + table(("metric", "value"), rows)
    if summary.calibration:
        yield "<h2>Judges</h2>\n" + _judges(summary.calibration)
    yield '<h2>Cases</h2>\n<div class="wide"><table><thead><tr><th>case</th><th>provider</th>'
    yield "<th>score</th>"
    yield "<th>outcome</th></tr></thead><tbody>\n"
    yield from _rows(report, with_prompt=len(prompts) > 1)
    yield "</tbody></table></div></body></html>\n"


def _judges(calibration: Mapping[str, JsonObject]) -> str:
    """Return how far each judge agrees with people, where they labelled cases."""
    rows = []
    for name, stated in sorted(calibration.items()):
        kappa, ends = stated["kappa"], stated["interval"]
        shown = f"{kappa:.2f}" if isinstance(kappa, float) else str(stated["problem"])
        if isinstance(ends, list):
            shown += f" ({ends[0]:.2f} to {ends[1]:.2f})"
        counted = f"{stated['agreed']} of {stated['labelled']}"
        rows.append((escape(name), counted, escape(shown)))
    return table(("judge", "agrees with people", "κ (95 %)"), rows)


def _rows(report: Report, *, with_prompt: bool) -> Iterator[str]:
    left = MAX_ROWS
    for wanted in (False, True):
        for result in report.results():
            if (result.outcome is Outcome.PASSED) is not wanted:
                continue
            if not left:
                total = report.summary.total
                yield f'<tr><td colspan="4">and more: {total} case(s) in all</td></tr>\n'
                return
            left -= 1
            yield _row(result, with_prompt=with_prompt)


def _row(result: Result, *, with_prompt: bool) -> str:
    place = f"{result.path}:{result.line}"
    output = result.output if isinstance(result.output, str) else stringify(result.output, 2)
    listed = "".join(
        f"<li class={'passed' if a['passed'] else 'failed'}>{escape(str(a['type']))}: "
        f"{escape(str(a.get('reason') or a['score']))}</li>"
        for a in result.assertions
    )
    detail = (
        f"<details><summary>{escape(result.name)}</summary><p>{escape(result.reason)}</p>"
        f"<ul>{listed}</ul><pre>{escape(output[:_MAX_OUTPUT])}</pre></details>"
    )
    prompt = f"<br><small>{escape(result.prompt[:_MAX_PROMPT])}</small>" if with_prompt else ""
    provider = escape(result.provider) + prompt
    return (
        f"<tr><td>{detail}<small>{escape(place)}</small></td><td>{provider}</td>"
        f"<td>{result.score:.2f}</td><td class={result.outcome}>{result.outcome}</td></tr>\n"
    )


def _against(report: Report) -> str:
    assert report.base is not None
    found = compare(report.results(), report.base())
    kinds = ("fixed", "better", "worse", "new", "gone", "same")
    counts = table(kinds, [tuple(str(found.counts[kind]) for kind in kinds)])
    changed = [
        (escape(change.result.name), kind, f"{change.before:.2f}", f"{change.result.score:.2f}")
        for kind, changes in (
            ("worse", found.worse),
            ("fixed", found.fixed),
            ("better", found.better),
        )
        for change in changes
        if change.before is not None
    ]
    return counts + (table(("case", "", "before", "now"), changed) if changed else "")


def _histogram(scores: Mapping[int, int]) -> str:
    most = max(scores.values(), default=0) or 1
    step = _WIDTH // _BINS
    parts = []
    for at in range(_BINS):
        count = scores.get(at, 0)
        height = round(count / most * (_HEIGHT - 40))
        top = _HEIGHT - 20 - height
        middle = at * step + step // 2
        parts.append(rectangle(at * step + 4, top, step - 8, height, BLUE))
        parts.append(label(middle, _HEIGHT - 5, _bin(at), "middle"))
        parts.append(label(middle, top - 3, str(count or ""), "middle"))
    return picture("Scores", (_WIDTH, _HEIGHT), parts)


def _bin(at: int) -> str:
    return f"{at / _BINS:.1f}" if at < _BINS - 1 else f"{at / _BINS:.1f} to 1"


def _bars(kinds: Mapping[str, Mapping[bool, int]]) -> str:
    most = max(sum(counts.values()) for counts in kinds.values())
    parts = []
    for at, (kind, counts) in enumerate(sorted(kinds.items())):
        top = at * (_BAR + 6)
        total = sum(counts.values())
        passed = round(counts.get(True, 0) / most * _LONGEST)
        failed = round(counts.get(False, 0) / most * _LONGEST)
        parts.append(label(0, top + 13, kind))
        parts.append(rectangle(_LEFT, top, passed, _BAR, COLOURS[Outcome.PASSED]))
        parts.append(rectangle(_LEFT + passed, top, failed, _BAR, COLOURS[Outcome.FAILED]))
        counted = f"{counts.get(True, 0)} / {total}"
        parts.append(label(_LEFT + 6 + passed + failed, top + 13, counted))
    return picture("Assertions", (_WIDTH, len(kinds) * (_BAR + 6)), parts)
