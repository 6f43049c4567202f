"""A run as a comment for a pull request: what changed against the base, with the numbers."""

from collections.abc import Iterator, Sequence
from itertools import islice

from lockgate.domain.verdict import Outcome as Ruled
from lockgate.evals.gate.ruling import Ruling, reliability_of
from lockgate.evals.report.compare import Change, compare
from lockgate.evals.report.document import Report
from lockgate.evals.results import Outcome, Result

_SHOWN = 20
_MAX_CELL = 160
_MAX_REASON = 500


def markdown(report: Report) -> Iterator[str]:
    """Yield the text."""
    summary = report.summary
    yield f"## Evaluation: {summary.status}\n\n"
    if report.description:
        yield f"{_cell(report.description)}\n\n"
    rate = summary.passed / summary.total if summary.total else 0.0
    yield f"`{_code(report.suite)}`: {summary.passed} of {summary.total} case(s) passed "
    yield f"({rate:.1%})"
    yield f", {summary.failed} failed, {summary.errors} error(s).\n"
    for warning in report.warnings()[:_SHOWN]:
        yield f"\n> [!WARNING]\n> {_cell(warning)}\n"
    yield from _verdicts(report)
    if report.base is not None:
        yield from _against(report)
    yield from _metrics(report)
    yield from _judges(report)
    failed = list(islice(_not_passed(report), _SHOWN))
    if failed:
        more = summary.failed + summary.errors - len(failed)
        yield "\n### Not passed\n\n| case | provider | score | reason |\n|---|---|---:|---|\n"
        for result in failed:
            yield f"| {_where(result)} | {_cell(result.provider)} | {result.score:.2f} "
            yield f"| {_cell(result.reason)} |\n"
        if more > 0:
            yield f"\nand {more} more.\n"


_SIGNS = {Ruled.PASS: "✅", Ruled.INCONCLUSIVE: "❔"}


def _verdicts(report: Report) -> Iterator[str]:
    rulings = report.summary.rulings
    if not rulings:
        return
    yield "\n### Gates\n\n| gate | verdict | value | interval | reference | cases |\n"
    yield "|---|---|---:|---:|---:|---:|\n"
    for ruling in rulings:
        ends = "" if ruling.interval is None else "{:.4g} to {:.4g}".format(*ruling.interval)
        sign = _SIGNS.get(ruling.outcome, "❌")
        sampled = ", sampled" if ruling.sampled else ""
        yield f"| {_cell(ruling.title)} | {sign} {ruling.verdict}{sampled} "
        yield f"| {_number(ruling.value)} | {ends} | {_number(ruling.reference)} "
        yield f"| {ruling.samples} |\n"
    for ruling in rulings:
        if ruling.outcome is not Ruled.PASS:
            yield f"\n- {_cell(ruling.title)}: {_cell(ruling.reason, _MAX_REASON)}\n"
    for ruling in rulings:
        yield from _reliability(ruling)


def _reliability(ruling: Ruling) -> Iterator[str]:
    rows = reliability_of(ruling)
    if not rows:
        return
    yield f"\n<details><summary>Reliability: {_cell(ruling.title)}</summary>\n\n"
    yield "| confidence | cases | said | right |\n|---|---:|---:|---:|\n"
    for row in rows:
        yield f"| {row.lower:.2f} to {row.upper:.2f} | {row.cases} "
        yield f"| {row.confidence:.3f} | {row.accuracy:.3f} |\n"
    yield "\n</details>\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _against(report: Report) -> Iterator[str]:
    assert report.base is not None
    found = compare(report.results(), report.base())
    counts = found.counts
    yield "\n### Against the base\n\n"
    yield "| | fixed | better | worse | new | gone | unchanged |\n"
    yield "|---|---:|---:|---:|---:|---:|---:|\n"
    shown = " | ".join(str(counts[n]) for n in ("fixed", "better", "worse", "new", "gone", "same"))
    yield f"| cases | {shown} |\n\n"
    total = report.summary.total
    if found.base_total and counts["gone"] == found.base_total:
        yield "No case of this run is in the base: it is of another suite.\n"
    elif found.base_total and total:
        before, now = found.base_passed / found.base_total, report.summary.passed / total
        yield f"Passed: {before:.1%} before, {now:.1%} now ({now - before:+.1%}).\n"
    for title, changes in (
        ("Worse", found.worse),
        ("Fixed", found.fixed),
        ("Better", found.better),
    ):
        yield from _changes(title, changes, counts[title.lower()])
    broken = [c for c in found.new if c.result.outcome is not Outcome.PASSED]
    yield from _changes("New and not passed", broken, len(broken))


def _changes(title: str, changes: Sequence[Change], count: int) -> Iterator[str]:
    if not changes:
        return
    yield f"\n<details><summary>{title}: {count}</summary>\n\n"
    yield "| case | before | now | reason |\n|---|---:|---:|---|\n"
    for change in changes[:_SHOWN]:
        before = "" if change.before is None else f"{change.before:.2f}"
        yield f"| {_where(change.result)} | {before} | {change.result.score:.2f} "
        yield f"| {_cell(change.result.reason)} |\n"
    if count > _SHOWN:
        yield f"\nand {count - _SHOWN} more.\n"
    yield "\n</details>\n"


def _metrics(report: Report) -> Iterator[str]:
    metrics = report.summary.metrics()
    if not metrics:
        return
    yield "\n| metric | value |\n|---|---:|\n"
    for name, value in metrics.items():
        yield f"| {_cell(name)} | {value:.4f} |\n"


def _judges(report: Report) -> Iterator[str]:
    found = report.summary.calibration
    if not found:
        return
    yield "\n| judge | labelled | agrees | κ |\n|---|---:|---:|---:|\n"
    for name, stated in sorted(found.items()):
        share, kappa = stated["agreement"], stated["kappa"]
        shown = f"{kappa:.2f}" if isinstance(kappa, float) else "none"
        yield f"| {_cell(name)} | {stated['labelled']} | {share:.1%} | {shown} |\n"


def _not_passed(report: Report) -> Iterator[Result]:
    return (r for r in report.results() if r.outcome is not Outcome.PASSED)


def _where(result: Result) -> str:
    return f"{_cell(result.name)} (`{_code(result.path)}:{result.line}`)"


def _cell(text: str, most: int = _MAX_CELL) -> str:
    """Return text that stays text in a table's cell: a model may have written it."""
    line = " ".join(text.split())
    shown = line if len(line) <= most else f"{line[: most - 1]}…"
    for character in "\\`*_{}[]<>#|@!~":
        shown = shown.replace(
            character, f"\\{character}" if character not in "<>@" else _ENTITIES[character]
        )
    return shown


_ENTITIES = {"<": "&lt;", ">": "&gt;", "@": "&#64;"}


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").split())
