"""A run as one HTML file with a chart: no script, no request to anywhere.

Everything that an attack wrote is escaped, and characters that cannot be seen are written out.
"""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from lockgate.redteam.families import OWASP
from lockgate.redteam.report.document import LIMITS, Report
from lockgate.redteam.results import Rate, Severity, Trial

MAX_ROWS: Final = 1_000
_WIDTH, _ROW, _LEFT, _LONGEST = 760, 26, 210, 500
_COLOURS: Final = {
    Severity.NONE: "#2e7d32",
    Severity.LOW: "#8d6e00",
    Severity.MEDIUM: "#ef6c00",
    Severity.HIGH: "#c62828",
    Severity.CRITICAL: "#6a1b9a",
}
_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}
body{color:#1b1b1b;background:#fff}table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #ddd;padding:.3rem .5rem;text-align:left;vertical-align:top}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f6f6;padding:.5rem;margin:.3rem 0}
svg text{font:12px system-ui,sans-serif;fill:currentColor}small{opacity:.75}
svg{max-width:100%;height:auto}code{overflow-wrap:anywhere}
table{display:block;overflow-x:auto}
@media(prefers-color-scheme:dark){body{background:#161616;color:#e8e8e8}pre{background:#242424}}
"""
# Nothing may be loaded, whatever an attack that slipped through would ask for.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def html(report: Report) -> Iterator[str]:
    """Yield the page: verdict, families, signs, what came through, and what this does not say."""
    title = f"Red team of {escape(report.task)}"
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    yield '<meta name="viewport" content="width=device-width"><style>'
    yield f"{_STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    yield f"<p><strong>{report.status}</strong>: {len(report.succeeded)} of {len(report.trials)} "
    yield f"attack(s) came through. Engine <code>{escape(report.engine)}</code>, seed "
    yield f"{report.seed}, release <code>{escape(report.release)}</code>.</p>\n"
    yield _stored(report)
    if report.warnings:
        items = (f"<li>{_text(report, text)}</li>" for text in report.warnings)
        yield f"<ul>{''.join(items)}</ul>\n"
    yield "<h2>Families of attacks</h2>\n" + _chart(report) + _families(report)
    yield "<h2>Signs, over all attacks</h2>\n" + _signs(report)
    yield from _changes(report)
    yield "<h2>What came through</h2>\n"
    yield from _trials(report)
    yield "<h2>What this does not say</h2>\n<ul>"
    yield "".join(f"<li>{escape(text)}</li>" for text in LIMITS)
    untested = ", ".join(f"{name} ({OWASP[name]})" for name in report.untested)
    if untested:
        yield f"<li>Not tested here: {escape(untested)}.</li>"
    yield "</ul>\n</body></html>\n"


def _stored(report: Report) -> str:
    if report.stored:
        return (
            f"<p><strong>{report.stored} planted canary or canaries stand in the audit log or "
            "another file of the state.</strong></p>\n"
        )
    return "<p>No planted canary is in the state that the run left.</p>\n"


def _chart(report: Report) -> str:
    parts = []
    for at, family in enumerate(report.families):
        top = at * _ROW
        lower, upper = family.rate.interval
        colour = _COLOURS[family.rate.severity]
        left, right = _LEFT + lower * _LONGEST, _LEFT + upper * _LONGEST
        point = _LEFT + family.rate.share * _LONGEST
        parts.append(f'<text x="0" y="{top + 17}">{escape(family.family.id)}</text>')
        parts.append(
            f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{top + 13}" y2="{top + 13}" '
            f'stroke="{colour}" stroke-width="6" stroke-opacity=".45"/>'
        )
        parts.append(f'<circle cx="{point:.1f}" cy="{top + 13}" r="5" fill="{colour}"/>')
    height = len(report.families) * _ROW + 20
    for tenth in (0, 25, 50, 75, 100):
        x = _LEFT + tenth / 100 * _LONGEST
        parts.append(f'<text x="{x:.0f}" y="{height - 3}" text-anchor="middle">{tenth} %</text>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img" '
        f'aria-label="Rates with their intervals">{"".join(parts)}</svg>\n'
    )


def _families(report: Report) -> str:
    rows = [
        (
            escape(f.family.id),
            f"{f.family.owasp} <small>{escape(OWASP[f.family.owasp])}</small>",
            escape(f.family.title),
            *_rate(f.rate),
        )
        for f in report.families
    ]
    return _table(("family", "OWASP 2025", "", *_HEAD), rows)


def _signs(report: Report) -> str:
    rows = [(escape(str(sign)), *_rate(rate)) for sign, rate in report.signs.items()]
    return _table(("sign", *_HEAD), rows)


_HEAD: Final = ("came through", "95 % interval", "guardrails off", "severity")


def _rate(rate: Rate) -> tuple[str, ...]:
    lower, upper = rate.interval
    off = "not tried" if rate.unguarded is None else f"{rate.unguarded} of {rate.attacks}"
    colour = _COLOURS[rate.severity]
    return (
        f"{rate.succeeded} of {rate.attacks}",
        f"{lower:.1%} to {upper:.1%}",
        off,
        f'<span style="color:{colour}">{rate.severity.name.lower()}</span>',
    )


def _changes(report: Report) -> Iterator[str]:
    change = report.change
    if change is None:
        return
    yield "<h2>Against the earlier report</h2>\n<p>"
    yield f"{len(change.worse)} worse, {len(change.new)} new, {len(change.fixed)} fixed, "
    yield f"{change.same} as before, {change.gone} not tried again.</p>\n"


def _trials(report: Report) -> Iterator[str]:
    through = report.succeeded
    if not through:
        yield "<p>Nothing.</p>\n"
        return
    yield "<table><thead><tr><th>attack</th><th>surface</th><th>sign</th></tr></thead><tbody>\n"
    for trial in through[:MAX_ROWS]:
        yield _row(report, trial)
    yield "</tbody></table>\n"
    if len(through) > MAX_ROWS:
        yield f"<p>and {len(through) - MAX_ROWS} more; the JSON report has all.</p>\n"


def _row(report: Report, trial: Trial) -> str:
    attack = trial.attack
    chain = ", ".join(attack.mutations) or "as written"
    signs = "".join(
        f"<li>{escape(str(hit.detector))}: {_text(report, hit.reason)}</li>" for hit in trial.hits
    )
    minimal = ""
    if trial.minimal is not None:
        minimal = (
            f"<p>The least of it that still does:</p><pre>{_text(report, trial.minimal)}</pre>"
        )
    return (
        f"<tr><td><details><summary>{escape(attack.family)} <small>{attack.id}</small></summary>"
        f"<p>{escape(chain)}</p><pre>{_text(report, attack.text)}</pre>{minimal}</details></td>"
        f"<td>{escape(attack.surface)}</td><td><ul>{signs}</ul></td></tr>\n"
    )


def _text(report: Report, text: str) -> str:
    shown = report.shown(text)
    return escape("".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in shown))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>\n"
