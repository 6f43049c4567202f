"""`lockgate drift`: compare a task's calls of now with a reference, for a nightly job."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.files import write_file
from lockgate.cli.output import data, table, words
from lockgate.cli.session import Session

if TYPE_CHECKING:
    from lockgate.app.drift_report import DriftReport

EPILOG = """\b
Examples:
  lockgate drift review
  lockgate drift review -o drift.sarif -o drift.md --max-age 2
  lockgate drift triage --embed input.text
  lockgate drift triage --reference may.jsonl --current june.jsonl

\b
Exit status: 0 no drift, 100 drift or stale data, 101 inconclusive: too few calls for a verdict,
102 nothing to compare, 105 degraded: lines of a file were broken."""


@click.command("drift", epilog=EPILOG)
@click.argument("task")
@click.option(
    "--reference",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON Lines to compare with, in place of the audit log.",
)
@click.option(
    "--current", type=click.Path(path_type=Path, dir_okay=False), help="JSON Lines of now."
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the evidence of all nights here.  [default: in the state folder]",
)
@click.option("--once", is_flag=True, help="A single look: read and keep no evidence.")
@click.option("--reset", is_flag=True, help="Take a new reference.")
@click.option(
    "--embed",
    default="",
    metavar="MEMBER",
    help="Embed this text of each call, such as `input.text`, and compare the vectors, too.",
)
@click.option(
    "--days",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="What counts as now where there is no state yet; what is before is the reference.",
)
@click.option(
    "--limit",
    type=click.FloatRange(0),
    default=0.1,
    show_default=True,
    help="Population stability index up to which nothing has moved.",
)
@click.option(
    "--margin",
    type=click.FloatRange(0),
    default=0.15,
    show_default=True,
    help="How much above the limit still passes.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Of each verdict; of an alarm over all features and nights.",
)
@click.option(
    "--min-samples",
    type=click.IntRange(2),
    default=30,
    show_default=True,
    help="Fewer calls get no verdict.",
)
@click.option(
    "--max-age",
    "max_age_days",
    type=click.FloatRange(0, min_open=True),
    metavar="DAYS",
    help="Fail if there was no call for so long.",
)
@click.option(
    "--max-reference-age",
    "max_reference_age_days",
    type=click.FloatRange(0, min_open=True),
    metavar="DAYS",
    help="Fail if the reference is older.",
)
@click.option(
    "--file",
    "watched_files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Data or an index that must not be older than --max-age (1 day). Repeat it for more.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Report, by its ending: .json .xml (JUnit) .sarif .md. Repeat it for more.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the JSON report.")
@click.pass_obj
def drift(session: Session, /, outputs: Sequence[Path], *, as_json: bool, **chosen: object) -> int:
    """Compare the calls of TASK with a reference, and say whether they have drifted.

    Each run counts what came since the last one as one night: over all nights together, a false
    alarm has at most the probability that --confidence leaves.
    """
    from datetime import UTC, datetime

    from lockgate.app.drift import DriftOptions, look
    from lockgate.app.drift_report import as_json as json_report
    from lockgate.app.drift_report import writer_of

    for path in outputs:
        writer_of(path)  # a name that is no report is told before the work
    options = DriftOptions(**chosen)  # type: ignore[arg-type]
    report = session.run(
        partial(look, session.loaded, session.environment, options, datetime.now(UTC))
    )
    for path in outputs:
        write_file(path, "".join(writer_of(path)(report)).encode("utf-8", "backslashreplace"))
    if as_json:
        click.echo("".join(json_report(report)), nl=False)
    else:
        _show(report)
    if not session.quiet:
        for warning in report.warnings:
            words(f"warning: {warning}")
    return report.exit_code


def _show(report: "DriftReport") -> None:
    rows = [
        (
            one.feature.name,
            one.result.outcome.name.lower(),
            _number(one.psi),
            _number(one.ks),
            _number(one.wasserstein),
            _number(one.mmd),
            _number(one.nights_p),
            one.changed,
        )
        for one in sorted(report.compared, key=lambda c: (-c.result.outcome, c.feature.name))
    ]
    if rows:
        table(("FEATURE", "VERDICT", "PSI", "KS", "WASSERSTEIN", "MMD", "NIGHTS P", "MOVED"), rows)
    for text in report.stale:
        data(f"stale: {text}")
    look = f"night {report.night}" if report.night else "a single look"
    data(
        f"{report.status}: {report.current_rows} call(s) now against {report.reference_rows}, "
        f"{look}; {len(report.failed)} of {len(report.compared)} feature(s) drifted"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
