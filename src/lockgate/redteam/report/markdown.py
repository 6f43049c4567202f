"""A run as a comment for a pull request. No text of an attack is in it."""

from collections.abc import Iterator

from lockgate.redteam.families import OWASP
from lockgate.redteam.report.document import LIMITS, Report


def markdown(report: Report) -> Iterator[str]:
    """Yield the text."""
    yield f"## Red team of `{report.task}`: {report.status}\n\n"
    yield f"{len(report.succeeded)} of {len(report.trials)} attack(s) came through "
    yield f"(engine {report.engine}, seed {report.seed}).\n"
    if report.stored:
        yield f"\n> [!WARNING]\n> {report.stored} planted canary or canaries were stored.\n"
    change = report.change
    if change is not None:
        yield "\n| | worse | new | fixed | as before | not tried again |\n"
        yield "|---|---:|---:|---:|---:|---:|\n"
        yield f"| attacks | {len(change.worse)} | {len(change.new)} | {len(change.fixed)} "
        yield f"| {change.same} | {change.gone} |\n"
    yield "\n| family | OWASP 2025 | came through | 95 % interval | guardrails off | severity |\n"
    yield "|---|---|---:|---|---:|---|\n"
    for result in report.families:
        rate = result.rate
        lower, upper = rate.interval
        off = "" if rate.unguarded is None else str(rate.unguarded)
        owasp = result.family.owasp
        yield f"| {result.family.id} | {owasp} {OWASP[owasp]} "
        yield f"| {rate.succeeded} of {rate.attacks} | {lower:.1%} to {upper:.1%} | {off} "
        yield f"| {rate.severity.name.lower()} |\n"
    signs = [(sign, rate) for sign, rate in report.signs.items() if rate.succeeded]
    if signs:
        yield "\n| sign, over all attacks | came through | severity |\n|---|---:|---|\n"
        for sign, rate in signs:
            yield f"| {sign} | {rate.succeeded} of {rate.attacks} "
            yield f"| {rate.severity.name.lower()} |\n"
    yield "\n<details><summary>What this does not say</summary>\n\n"
    for text in LIMITS:
        yield f"- {text}\n"
    if report.untested:
        yield f"- Not tested here: {', '.join(f'{n} {OWASP[n]}' for n in report.untested)}.\n"
    yield "\n</details>\n"
