"""`lockgate release attest | approve | verify`: what is said about a release, and by whom."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.options import examples
from lockgate.cli.output import data, data_json, words
from lockgate.cli.session import Session
from lockgate.cli.signer import passphrase_file_option, signer
from lockgate.domain.digest import Digest, Json
from lockgate.errors import NotFound

if TYPE_CHECKING:
    from lockgate.app.decisions import Replayed
    from lockgate.domain.statement import Statement
    from lockgate.oci.releases import StoredRelease
    from lockgate.signing.keys import Signer

EXIT_REFUSED = 1
SHORT = 12


@click.command("attest", epilog=examples("lockgate release attest review:candidate --sign build"))
@click.argument("reference", metavar="RELEASE")
@click.option("--sign", "key", required=True, metavar="KEY", help="The builder's key.")
@passphrase_file_option
@click.pass_obj
def attest(session: Session, reference: str, key: str, passphrase_file: Path | None) -> None:
    """Sign how RELEASE and what it pins were made: provenance, and a bill of materials a model."""
    opened = signer(session, key, passphrase_file)
    for line in session.run(partial(_attest, session, reference, opened)):
        data(line)


@click.command(
    "evaluate",
    epilog=examples(
        "lockgate release evaluate review:candidate --sign eval",
        "lockgate release evaluate review:candidate --sign eval --engine rules",
    ),
)
@click.argument("reference", metavar="RELEASE")
@click.option("--sign", "key", required=True, metavar="KEY", help="The evaluator's key.")
@click.option(
    "--engine",
    type=click.Choice(["rules", "model"]),
    help="What answers the cases.  [default: as the task says]",
)
@passphrase_file_option
@click.pass_obj
def evaluate(
    session: Session, reference: str, key: str, engine: str | None, passphrase_file: Path | None
) -> None:
    """Run the cases that RELEASE pins, and sign what they show.

    The suite is called `core` and its metric `accuracy`, with its exact interval. Whether it is
    enough, a policy says.
    """
    opened = signer(session, key, passphrase_file)
    data(session.run(partial(_evaluate, session, reference, engine, opened)))


@click.command(
    "approve",
    epilog=examples(
        "lockgate release approve review:candidate --to production --sign ana",
        "lockgate release approve 1f2e3d4c5b6a --to production --sign ana --reject "
        "--reason 'leaks paths'",
    ),
)
@click.argument("reference", metavar="RELEASE")
@click.option("--to", "environment", required=True, help="The environment that it is for.")
@click.option("--sign", "key", required=True, metavar="KEY", help="Your key.")
@click.option("--reason", default="", help="Why. Needed with --reject and --break-glass.")
@click.option("--reject", is_flag=True, help="Veto it instead, until you approve it.")
@click.option("--break-glass", is_flag=True, help="Let an emergency pass what the policy allows.")
@passphrase_file_option
@click.pass_obj
def approve(session: Session, /, reference: str, **given: Any) -> None:
    """Sign that RELEASE may run in an environment, or may not."""
    if (given["reject"] or given["break_glass"]) and not given["reason"]:
        raise click.UsageError("a veto and a broken glass need `--reason`")
    opened = signer(session, given["key"], given["passphrase_file"])
    data(session.run(partial(_approve, session, reference, given, opened)))


@click.command(
    "verify",
    epilog=examples("lockgate release verify review:stable", "lockgate release verify 1f2e3d4c")
    + "\n\n\b\nExit status: 0 whole and every signature right, 1 not so.",
)
@click.argument("reference", metavar="RELEASE")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def verify(session: Session, reference: str, *, as_json: bool) -> int:
    """Check every byte of RELEASE and of what it pins, and every signature on them.

    Needs no network. Whether the signers may say what they say, a gate decides: see `promote`.
    """
    found = session.run(partial(_verify, session, reference))
    flaws, said = found["flaws"], found["attestations"]
    assert isinstance(flaws, list)
    assert isinstance(said, list)
    if as_json:
        data_json(found)
        return EXIT_REFUSED if flaws else 0
    for line in flaws:
        data(f"BAD   {line}")
    for item in said:
        data(f"ok    {item['predicateType']} about {item['subject']}, by {item['holder']}")
    data(f"{found['release']}: {len(said)} attestation(s), {len(flaws)} flaw(s)")
    if flaws and found["trustRoot"] is None:
        words("no trust root is accepted on this machine, so no signature counts")
        words("next: lockgate trust accept FILE, which `lockgate trust export` wrote elsewhere")
    return EXIT_REFUSED if flaws else 0


@click.command(
    "decision",
    epilog=examples("lockgate release decision sha256:1f2e…")
    + "\n\n\b\nExit status: 0 the same again, 1 another.",
)
@click.argument("digest")
@click.option("--json", "as_json", is_flag=True, help="Print both as JSON.")
@click.pass_obj
def decision(session: Session, digest: str, *, as_json: bool) -> int:
    """Make the gate's past decision DIGEST again, from what it rested on, and compare the bytes.

    Policy, trust root, evidence and time are those of then.
    """
    found = session.run(partial(_decision, session, Digest.parse(digest)))
    if as_json:
        data_json({"same": found.same, "kept": found.kept, "again": found.again.document})
        return 0 if found.same else EXIT_REFUSED
    for finding in found.again.findings:
        data(f"{finding.outcome!s:<6} {int(finding.rule)} {finding.name}: {finding.message}")
    data(f"{found.again.verdict}: {'the same bytes' if found.same else 'OTHER BYTES'} as then")
    return 0 if found.same else EXIT_REFUSED


async def _decision(session: Session, digest: Digest) -> "Replayed":
    from lockgate.app.decisions import replay
    from lockgate.app.models import layout_of

    async with session.store() as state:
        return await replay(digest, layout_of(session.environment), state)


async def _attest(session: Session, reference: str, opened: "Signer") -> list[str]:
    from lockgate.app.attesting import artifact_provenance, attach, model_bom, release_provenance
    from lockgate.app.models import layout_of
    from lockgate.domain.artifact import Kind

    found = await _find(session, reference)
    layout, now = layout_of(session.environment), _now()
    statements: list[Statement] = [release_provenance(found.digest, found.release, now)]
    for pin in found.release.pins:
        if pin.kind is None:
            words(f"`{pin.name}` runs on a server that shows no bytes: nothing to attest")
            continue
        statements.append(artifact_provenance(layout, pin, now))
        if pin.kind is Kind.MODEL:
            statements.append(model_bom(layout, pin))
    signed = [(statement, attach(layout, statement, opened)) for statement in statements]
    detail: dict[str, Json] = {
        "release": str(found.digest),
        "key": opened.fingerprint,
        "attestations": [str(digest) for _, digest in signed],
    }
    await _note(session, "release.attest", found.release.task, detail)
    return [
        f"{digest}  {statement.predicate_type} about {statement.subjects[0].name}"
        for statement, digest in signed
    ]


async def _evaluate(session: Session, reference: str, engine: str | None, opened: "Signer") -> str:
    from lockgate.app.attesting import attach, holder_of
    from lockgate.app.cases import run_cases
    from lockgate.app.evaluating import evaluation_of
    from lockgate.app.models import layout_of
    from lockgate.app.tasks import find_task
    from lockgate.domain.predicates.evaluation import Evaluation

    found = await _find(session, reference)
    task = find_task(session.loaded, found.release.task)
    if task is None:
        raise NotFound(
            f"there is no task `{found.release.task}` here", hint="see `lockgate task list`"
        )
    chosen = engine or str(task.spec.engine)
    results = await run_cases(session.loaded, session.environment, task, chosen)
    statement = evaluation_of(
        found.digest,
        found.release,
        results,
        evaluator=holder_of(session.environment, opened, _now()),
        now=_now(),
    )
    digest = attach(layout_of(session.environment), statement, opened)
    (claim,) = Evaluation.read(statement.predicate).claims
    assert claim.interval is not None, "made above"
    detail: dict[str, Json] = {
        "release": str(found.digest),
        "engine": chosen,
        claim.metric: str(claim.value),
        "cases": len(results),
        "attestation": str(digest),
    }
    await _note(session, "release.evaluate", found.release.task, detail)
    for result in results:
        for problem in result["problems"] if isinstance(result["problems"], list) else ():
            words(f"failed  {result['name']}: {problem}")
    return (
        f"{digest}  {claim.metric} {claim.value.normalize():f} on {len(results)} case(s), "
        f"95 % interval {claim.interval.lower} to {claim.interval.upper}"
    )


async def _approve(
    session: Session, reference: str, given: dict[str, Any], opened: "Signer"
) -> str:
    from lockgate.app.attesting import attach, holder_of, release_approval
    from lockgate.app.models import layout_of
    from lockgate.domain.predicates.approval import Approval, Choice

    found = await _find(session, reference)
    choice = Choice.REJECTED if given["reject"] else Choice.APPROVED
    said = Approval(
        approver=holder_of(session.environment, opened, _now()),
        choice=Choice.BREAK_GLASS if given["break_glass"] else choice,
        environment=given["environment"],
        release=found.digest,
        at=_now(),
        reason=given["reason"],
    )
    statement = release_approval(found.release, found.digest, said)
    digest = attach(layout_of(session.environment), statement, opened)
    detail: dict[str, Json] = {
        "release": str(found.digest),
        "environment": said.environment,
        "decision": str(said.choice),
        "holder": said.approver,
        "reason": said.reason,
        "attestation": str(digest),
    }
    await _note(session, "release.approve", found.release.task, detail)
    return f"{digest}  {said.choice} by {said.approver} for {said.environment}"


async def _verify(session: Session, reference: str) -> dict[str, Json]:
    from lockgate.app.attesting import gather
    from lockgate.app.models import layout_of
    from lockgate.app.trust import trust_store
    from lockgate.oci.facts import Inspector

    digest = await _digest(session, reference)
    layout = layout_of(session.environment)
    inspector = Inspector(layout, trust_unchanged=False)
    facts, release = inspector.release(digest)
    flaws: list[Json] = list(facts.flaws)
    pins = [pin for pin in release.pins if pin.kind is not None]
    for pin in pins:
        flaws += [f"{pin.role} `{pin.name}`: {flaw}" for flaw in inspector.pin(pin).flaws]
    root = trust_store(session.environment).load(_now())
    said, refused = gather(layout, (digest, *(pin.digest for pin in pins)), root)
    holders = {} if root is None else {key.fingerprint: key.holder for key in root.keys}
    flaws += refused
    return {
        "release": str(digest),
        "trustRoot": None if root is None else root.version,
        "flaws": flaws,
        "attestations": [
            {
                "predicateType": item.statement.predicate_type,
                "subject": item.statement.subjects[0].name,
                "digest": str(item.digest),
                "key": item.key,
                "holder": holders.get(item.key, ""),
            }
            for item in said
        ],
    }


async def _digest(session: Session, reference: str) -> Digest:
    from lockgate.app.models import release_store
    from lockgate.app.release_build import find_release

    async with session.store() as state:
        return await find_release(reference, release_store(session.environment), state)


async def _find(session: Session, reference: str) -> "StoredRelease":
    from lockgate.app.models import release_store

    return release_store(session.environment).get(await _digest(session, reference))


async def _note(session: Session, action: str, subject: str, detail: dict[str, Json]) -> None:
    from lockgate.app.release_names import audited

    await audited(session.store, action, subject, detail, _now())


def _now() -> datetime:
    return datetime.now(UTC)
