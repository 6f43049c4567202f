"""`lockgate release attest-tests`: what other test runners showed."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.output import data, words
from lockgate.cli.session import Session
from lockgate.cli.signer import passphrase_file_option, signer
from lockgate.domain.digest import Json

if TYPE_CHECKING:
    from lockgate.evals.junit_reader import TestRun
    from lockgate.signing.keys import Signer


@click.command(
    "attest-tests",
    epilog="""\b
Examples:
  lockgate release attest-tests review:candidate junit.xml --sign eval
  lockgate release attest-tests review:candidate junit.xml --sign eval --url https://ci/run/7""",
)
@click.argument("reference", metavar="RELEASE")
@click.argument("report", metavar="JUNIT", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--sign", "key", required=True, metavar="KEY", help="The evaluator's key.")
@click.option("--url", default="", help="Where the run can be looked at.")
@passphrase_file_option
@click.pass_obj
def attest_tests(
    session: Session, reference: str, report: Path, key: str, url: str, passphrase_file: Path | None
) -> None:
    """Sign what the tests in JUNIT, an XML report of any test runner, showed of RELEASE.

    A failure makes the result FAILED, which a policy that asks for `test-result` refuses; skipped
    tests alone make it WARNED.
    """
    from lockgate.evals.junit_reader import read_junit

    run, content = read_junit(report)
    opened = signer(session, key, passphrase_file)
    data(
        session.run(partial(_attest, session, reference, (run, content, report.name, url), opened))
    )
    if run.failed:
        words(f"{len(run.failed)} test(s) failed, the first: {run.failed[0]}")


async def _attest(
    session: Session,
    reference: str,
    given: "tuple[TestRun, bytes, str, str]",
    opened: "Signer",
) -> str:
    from lockgate.app.attesting import attach, tests_of
    from lockgate.app.models import layout_of, release_store
    from lockgate.app.release_build import find_release
    from lockgate.app.release_names import audited
    from lockgate.domain.predicates.test_result import TestResult

    run, content, name, url = given
    releases = release_store(session.environment)
    async with session.store() as state:
        found = releases.get(await find_release(reference, releases, state))
    statement = tests_of(found.digest, found.release, run, (name, content, url))
    digest = attach(layout_of(session.environment), statement, opened)
    result = TestResult.read(statement.predicate).result
    detail: dict[str, Json] = {
        "release": str(found.digest),
        "result": str(result),
        "tests": len(run.passed) + len(run.failed) + len(run.skipped),
        "attestation": str(digest),
    }
    await audited(
        session.store, "release.attest-tests", found.release.task, detail, datetime.now(UTC)
    )
    return (
        f"{digest}  {result}: {len(run.passed)} passed, {len(run.failed)} failed, "
        f"{len(run.skipped)} skipped"
    )
