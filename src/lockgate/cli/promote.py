"""`lockgate promote` and `lockgate rollback`: let a release take over, if the gate allows it."""

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.options import examples
from lockgate.cli.output import data, data_json, words
from lockgate.cli.session import Session
from lockgate.cli.signer import passphrase_file_option, signer
from lockgate.domain.promotion import checked_name

if TYPE_CHECKING:
    from lockgate.app.promotion import Outcome
    from lockgate.domain.gate.decision import Decision
    from lockgate.signing.keys import Signer

EXIT_REFUSED = 1
SHORT = 12


@click.command(
    epilog=examples(
        "lockgate promote review:candidate --to staging --sign gate",
        "lockgate promote review@staging --to production --explain",
    )
    + "\n\n\b\nExit status: 0 allowed, 1 refused, or not yet."
)
@click.argument("reference", metavar="RELEASE")
@click.option("--to", "environment", required=True, help="The environment to run it in.")
@click.option("--reason", default="", help="For the audit log.")
@click.option("--sign", "key", metavar="KEY", help="The gate's key, which signs the verdict.")
@click.option("--explain", is_flag=True, help="Print the whole decision and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the decision as JSON.")
@passphrase_file_option
@click.pass_obj
def promote(session: Session, /, **given: Any) -> int:
    """Let RELEASE take over its task in an environment, if the policy's gate allows it.

    Every rule is asked, and every refusal says what was found, what is required, and what to do.
    """
    checked_name(given["environment"], "an environment")
    return _report(session.run(partial(_move, session, given, None)), given)


@click.command(
    epilog=examples(
        "lockgate rollback review --in production --reason 'slower' --sign gate",
        "lockgate rollback review --in production --release 1f2e3d4c5b6a --reason 'wrong notes'",
    )
    + "\n\n\b\nExit status: 0 rolled back, 1 refused."
)
@click.argument("task")
@click.option("--in", "environment", required=True, help="The environment.")
@click.option(
    "--release",
    "reference",
    help="What to go back to.  [default: the last that ran before and was not rolled back itself]",
)
@click.option("--reason", required=True, help="For the audit log.")
@click.option("--sign", "key", metavar="KEY", help="The gate's key, which signs the verdict.")
@click.option("--explain", is_flag=True, help="Print the whole decision and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the decision as JSON.")
@passphrase_file_option
@click.pass_obj
def rollback(session: Session, /, task: str, **given: Any) -> int:
    """Let an earlier release of TASK run again: on its verdict of then, or by break-glass."""
    checked_name(given["environment"], "an environment")
    return _report(session.run(partial(_move, session, given, task)), given)


async def _move(session: Session, given: dict[str, Any], task: str | None) -> "Outcome":
    from lockgate.app.calls import os_user
    from lockgate.app.moves import Move, move

    def opened() -> "Signer | None":
        key: str | None = given["key"]
        return None if key is None else signer(session, key, given["passphrase_file"])

    wanted = Move(
        environment=given["environment"],
        actor=os_user().name,
        reason=given["reason"],
        release=given["reference"],
        task=task,
        explain=given["explain"],
    )
    async with session.store() as state:
        return await move(wanted, session.loaded, session.environment, state, signer=opened)


def _report(outcome: "Outcome", given: dict[str, Any]) -> int:
    decision = outcome.decision
    status = 0 if decision.allowed else EXIT_REFUSED
    if given["as_json"]:
        data_json({"digest": str(decision.digest), **decision.document})
        return status
    if given["explain"] or not decision.allowed:
        _explain(decision, everything=given["explain"])
    if outcome.done:
        data(
            f"{decision.task}: {decision.release.hex[:SHORT]} runs in {decision.environment}, "
            f"before: {outcome.previous.hex[:SHORT] if outcome.previous else 'nothing'}"
        )
    else:
        data(f"{decision.verdict}: {decision.task} {decision.release} to {decision.environment}")
    words(f"decision {decision.digest}")
    return status


def _explain(decision: "Decision", *, everything: bool) -> None:
    for finding in decision.findings if everything else decision.refusals:
        data(f"{finding.outcome!s:<6} {int(finding.rule)} {finding.name}: {finding.message}")
        if finding.hint:
            data(f"         -> {finding.hint}")
    for note in decision.notes:
        data(f"note     {note}")
