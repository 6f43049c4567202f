"""`lockgate eval`: run a suite, report it, and say with the exit code how it ended."""

import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.options import sign_results_option
from lockgate.cli.output import data, words
from lockgate.cli.session import Session
from lockgate.cli.signer import passphrase_file_option, signer
from lockgate.domain.digest import Digest
from lockgate.errors import UsageError

if TYPE_CHECKING:
    from lockgate.app.evals import EvalOptions
    from lockgate.evals.report.document import Report
    from lockgate.signing.keys import Signer

_SHOWN = 20
_COLUMN = 60
EPILOG = """\b
Examples:
  lockgate eval
  lockgate eval suites/triage.yaml --engine model -o eval.sarif -o eval.junit.xml
  lockgate eval review --engine rules
  lockgate eval review:candidate --sign eval
  lockgate eval --results new.jsonl --base main.jsonl -o comment.md
  lockgate eval suites/triage.yaml --sign eval

\b
Exit status: 0 passed, 100 failed, 101 inconclusive, 102 nothing ran, 103 a provider did not answer,
104 a judge did not answer, 105 degraded: what ran passed, but not everything ran."""


@click.command("eval", epilog=EPILOG)
@click.argument("target", required=False, default="", metavar="[TASK|RELEASE|FILE]")
@click.option(
    "--engine",
    type=click.Choice(["rules", "model"]),
    help="What answers in tasks.  [default: as the task says]",
)
@click.option(
    "--provider",
    "providers",
    multiple=True,
    metavar="ID",
    help="In place of the suite's providers.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Report, by its ending: .json .jsonl .xml (JUnit) .sarif .md .html. Repeat it for more.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep each case's result here, and go on from it after an interruption.",
)
@click.option(
    "--base",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Results to compare with, in .md and .html reports.  [default: the baseline]",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Results (.json or .jsonl) of the release that runs now: gates compare case by case.",
)
@click.option(
    "--policy",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file whose `x-gate` holds in place of the suite's.",
)
@click.option(
    "-j", "--concurrency", type=click.IntRange(1, 256), help="Cases at once.  [default: 4]"
)
@click.option(
    "--record",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep each inference's result in this folder.",
)
@click.option(
    "--playback",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Take each inference's result from this folder; no model is needed.",
)
@click.option(
    "--judge",
    default="smollm2",
    show_default=True,
    metavar="MODEL",
    help="The local model that answers llm-rubric and its kin.",
)
@click.option(
    "--stop-early",
    is_flag=True,
    help="Run cases in random order, and end as soon as the gates of quality are sure.",
)
@click.option(
    "--allow-code",
    is_flag=True,
    help="Run the suite's `python` assertions, each in a process of its own.",
)
@click.option(
    "--changed-since",
    metavar="COMMIT",
    help="Run only what has changed since then: cases, prompts, schemas, models.",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="Start no case after so long: a random sample of the suite, judged as one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the JSON report.")
@sign_results_option
@click.option(
    "--suite",
    "suite_name",
    metavar="NAME",
    help="What a policy calls the suite, with --sign.  [default: its file or folder]",
)
@passphrase_file_option
@click.pass_obj
def eval_(session: Session, /, outputs: Sequence[Path], *, as_json: bool, **chosen: Any) -> int:
    """Run the suite in FILE, or the cases of TASK or of a RELEASE of it, and report what passed.

    A suite is a promptfooconfig.yaml, as promptfoo reads it.
    """
    from lockgate.app.evals import EvalOptions
    from lockgate.evals.report.forms import form_of, text_of, write_report

    for path in outputs:
        form_of(path)  # a name that is no report is told before the work
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise UsageError("two reports would go to one file")
    key, passphrase_file = chosen.pop("key"), chosen.pop("passphrase_file")
    called = chosen.pop("suite_name")
    if key and chosen["engine"]:
        raise UsageError(
            "a signed result is about the release as it runs, not about one engine of it",
            hint="leave `--engine` out, or `--sign`",
        )
    opened = signer(session, key, passphrase_file) if key else None
    if is_release(str(chosen["target"])):
        chosen["target"], chosen["release"] = session.run(
            partial(_release, session, str(chosen["target"]))
        )
    options = EvalOptions(**chosen)
    report = session.run(partial(_run, session, options))
    for path in outputs:
        write_report(path, report)
    if as_json:
        click.echo("".join(text_of("json", report)), nl=False)
    else:
        _show(report)
    if opened is not None:
        words(session.run(partial(_sign, session, report, called, opened)))
    if not session.quiet:
        for warning in [*report.warnings()[:_SHOWN], *report.notices]:
            words(f"warning: {warning}")
    return report.summary.exit_code


def is_release(target: str) -> bool:
    """Say whether a target is `sha256:…`, `TASK:ALIAS` or `TASK@ENVIRONMENT`, and no file."""
    return (":" in target or "@" in target) and not Path(target).exists()


async def _release(session: Session, reference: str) -> tuple[str, Digest]:
    from lockgate.app.models import release_store
    from lockgate.app.release_build import find_release

    releases = release_store(session.environment)
    async with session.store() as state:
        found = releases.get(await find_release(reference, releases, state))
    return found.release.task, found.digest


async def _run(session: Session, options: "EvalOptions") -> "Report":
    import asyncio

    from lockgate.app.evals import evaluate

    loop = asyncio.get_running_loop()
    current = asyncio.current_task()
    assert current is not None
    # A CI job is stopped with SIGTERM: end like Ctrl-C, with every finished case written.
    loop.add_signal_handler(signal.SIGTERM, current.cancel)
    try:
        return await evaluate(session.loaded, session.environment, options, session.progress())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def _sign(session: Session, report: "Report", called: str | None, opened: "Signer") -> str:
    from lockgate.app.attesting import attach, holder_of
    from lockgate.app.evals_evaluated import evaluated
    from lockgate.app.evals_signing import suite_evaluation, suite_name, the_release
    from lockgate.app.models import layout_of, release_store
    from lockgate.app.release_names import audited

    found, now = evaluated(report), datetime.now(UTC)
    stored = release_store(session.environment).get(the_release(found))
    statement = suite_evaluation(
        found,
        stored.release.task,
        name=called or suite_name(found.suite),
        evaluator=holder_of(session.environment, opened, now),
        now=now,
    )
    digest = attach(layout_of(session.environment), statement, opened)
    detail = {**found.document, "release": str(stored.digest), "attestation": str(digest)}
    await audited(session.store, "release.evaluate", stored.release.task, detail, now)
    return (
        f"signed {digest}: suite `{called or suite_name(found.suite)}`, dataset {found.dataset}, "
        f"about {stored.release.task} {stored.digest}"
    )


def _show(report: "Report") -> None:
    from lockgate.evals.results import Outcome

    summary = report.summary
    wrong = (r for r in report.results() if r.outcome is not Outcome.PASSED)
    shown_ones = list(islice(wrong, _SHOWN))
    several = len({(result.provider, result.prompt) for result in shown_ones}) > 1
    for result in shown_ones:
        prompt = " ".join(result.prompt.split())[:_COLUMN]
        column = f" [{result.provider} {prompt}]" if several else ""
        data(f"{result.outcome.upper():<6} {result.path}:{result.line} {result.name}{column}")
        data(f"       {result.reason}")
    more = summary.failed + summary.errors - _SHOWN
    if more > 0:
        data(f"and {more} more")
    for ruling in summary.rulings:
        data(f"{ruling.verdict.upper():<12} {ruling.title}")
        data(f"             {ruling.reason}")
    for name, stated in summary.calibration.items():
        kappa = stated["kappa"]
        shown = f"{kappa:.2f}" if isinstance(kappa, float) else stated["problem"]
        data(f"judge {name}: agrees with {stated['agreed']} of {stated['labelled']}, kappa {shown}")
    for name, value in summary.metrics().items():
        data(f"{name}: {value:.4f}")
    resumed = f", {summary.resumed} from before" if summary.resumed else ""
    resumed += f", {summary.skipped} not run" if summary.skipped else ""
    data(
        f"{summary.status}: {summary.passed} of {summary.total} case(s) passed, "
        f"{summary.failed} failed, {summary.errors} error(s){resumed}"
    )
