"""`lockgate policy pack | approve | list | push | pull`: policies as artifacts of their owners."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.options import examples, json_option
from lockgate.cli.output import data, data_json, table, words
from lockgate.cli.session import Session
from lockgate.cli.signer import passphrase_file_option, signer
from lockgate.domain.digest import Digest, Json

if TYPE_CHECKING:
    from lockgate.app.registries import Registries
    from lockgate.oci.closure import Moved


@click.command("pack", epilog=examples("lockgate policy pack policy.toml"))
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def pack(session: Session, file: Path, *, as_json: bool) -> None:
    """Keep the policy in FILE as an artifact, and print its digest.

    The same text has the same digest everywhere. The digest is what its owner signs, and what
    `policy.artifact` in lockgate.toml names.
    """
    from lockgate.app.policies import keep_policy

    digest = keep_policy(file, session.environment)
    if as_json:
        data_json({"policy": str(digest), "file": str(file)})
        return
    data(str(digest))
    words(f"next: lockgate policy approve {digest} --sign KEY")


@click.command(
    "approve",
    epilog=examples(
        "lockgate policy approve sha256:1f2e… --sign dora",
        "lockgate policy approve sha256:1f2e… --sign dora --to production",
    ),
)
@click.argument("digest", metavar="POLICY")
@click.option("--sign", "key", required=True, metavar="KEY", help="The policy owner's key.")
@click.option("--to", "environment", default="*", help="The environment.  [default: all]")
@passphrase_file_option
@click.pass_obj
def approve(
    session: Session, digest: str, key: str, environment: str, passphrase_file: Path | None
) -> None:
    """Sign that the artifact POLICY may decide, as its owner."""
    from lockgate.app.policies import policy_store, stored_policy

    policy = stored_policy(policy_store(session.environment).find(digest), session.environment)
    opened = signer(session, key, passphrase_file)
    data(session.run(partial(_approve, session, policy, environment, opened)))


@click.command(
    "register",
    epilog=examples("lockgate policy register review:candidate --to production --sign dora"),
)
@click.argument("reference", metavar="RELEASE")
@click.option("--to", "environment", required=True, help="The environment whose rules count.")
@click.option("--sign", "key", required=True, metavar="KEY", help="The policy owner's key.")
@passphrase_file_option
@click.pass_obj
def register(
    session: Session, reference: str, environment: str, key: str, passphrase_file: Path | None
) -> None:
    """Sign what results will have to show, before they are measured.

    The criteria are those that the policy in force has for the task of RELEASE; they are attached
    to the datasets that it pins, so they hold for later releases with the same data too. A policy
    with `preregistered = true` takes no result that was measured before.
    """
    opened = signer(session, key, passphrase_file)
    for line in session.run(partial(_register, session, reference, environment, opened)):
        data(line)


@click.command("list", epilog=examples("lockgate policy list", "lockgate policy list --json"))
@json_option
@click.pass_obj
def list_policies(session: Session, *, as_json: bool) -> None:
    """List the policies that are kept on this machine, and which one is in force."""
    from lockgate.app.policies import policy_store, stored_policy

    here = session.environment
    chosen = session.loaded.config.policy.artifact
    rows: list[Json] = []
    shown: list[tuple[str, str, str]] = []
    for digest in policy_store(here).list():
        document = stored_policy(digest, here).document
        in_force = str(digest) == chosen
        environments: list[Json] = [*sorted(document.environments)]
        rows.append(
            {
                "policy": str(digest),
                "name": document.name,
                "environments": environments,
                "inForce": in_force,
            }
        )
        shown.append((str(digest), document.name, "in force" if in_force else ""))
    if as_json:
        data_json(rows)
        return
    table(("POLICY", "NAME", ""), shown)


@click.command(
    "push",
    epilog=examples("lockgate policy push sha256:1f2e… oci://registry.example.org/ai/policy:2"),
)
@click.argument("digest", metavar="POLICY")
@click.argument("target", metavar="oci://HOST/REPOSITORY[:TAG]")
@json_option
@click.pass_obj
def push(session: Session, digest: str, target: str, *, as_json: bool) -> None:
    """Push the artifact POLICY with what is said about it."""
    from lockgate.app.policies import policy_store

    found = policy_store(session.environment).find(digest)
    moved = _registries(session).push(found, target)
    _note(session, "policy.push", moved.root, {"to": target})
    _show(moved, "pushed", as_json=as_json)


@click.command(
    "pull", epilog=examples("lockgate policy pull oci://registry.example.org/ai/policy:2")
)
@click.argument("source", metavar="oci://HOST/REPOSITORY:TAG")
@json_option
@click.pass_obj
def pull(session: Session, source: str, *, as_json: bool) -> None:
    """Pull a policy with what is said about it. It decides nothing until lockgate.toml names it."""
    moved = _registries(session).pull_policy(source)
    _note(session, "policy.pull", moved.root, {"from": source})
    _show(moved, "pulled", as_json=as_json)


async def _approve(session: Session, policy: Any, environment: str, opened: Any) -> str:
    from lockgate.app.attesting import attach, holder_of
    from lockgate.app.models import layout_of
    from lockgate.app.policies import policy_approval

    now = datetime.now(UTC)
    holder = holder_of(session.environment, opened, now)
    statement = policy_approval(policy, holder, environment, now)
    digest = attach(layout_of(session.environment), statement, opened)
    await _audited(
        session,
        "policy.approve",
        policy.document.name,
        {
            "policy": str(policy.artifact),
            "environment": environment,
            "holder": holder,
            "attestation": str(digest),
        },
    )
    return f"{digest}  approved by {holder} for {environment}"


async def _register(session: Session, reference: str, environment: str, opened: Any) -> list[str]:
    from lockgate.app.attesting import attach, holder_of
    from lockgate.app.models import layout_of, release_store
    from lockgate.app.policies import RegisteredFor, policy_in_force, registrations
    from lockgate.app.release_build import find_release
    from lockgate.domain.predicates.preregistration import Preregistration
    from lockgate.oci.facts import Inspector

    here, now = session.environment, datetime.now(UTC)
    async with session.store() as state:
        digest = await find_release(reference, release_store(here), state)
    inspector = Inspector(layout_of(here))
    _, release = inspector.release(digest)
    pins = tuple(inspector.pin(pin) for pin in release.pins if pin.kind is not None)
    facts = RegisteredFor(task=release.task, environment=environment, pins=pins)
    holder = holder_of(here, opened, now)
    lines: list[str] = []
    for statement in registrations(policy_in_force(session.loaded, here), facts, holder, now):
        attached = attach(layout_of(here), statement, opened)
        said = Preregistration.read(statement.predicate)
        lines.append(f"{attached}  {said.suite} {said.metric} {said.criterion} on {said.dataset}")
        detail: dict[str, Json] = {
            "criterion": f"{said.suite} {said.metric} {said.criterion}",
            "dataset": str(said.dataset),
            "holder": holder,
            "attestation": str(attached),
        }
        await _audited(session, "policy.register", release.task, detail)
    return lines


def _registries(session: Session) -> "Registries":
    from lockgate.app.registries import Registries

    now = datetime.now(UTC)
    return Registries(session.loaded, session.environment, session.progress(), now)


def _note(session: Session, action: str, digest: Digest, detail: dict[str, Json]) -> None:
    session.run(partial(_audited, session, action, "policy", {"policy": str(digest), **detail}))


async def _audited(session: Session, action: str, subject: str, detail: dict[str, Json]) -> None:
    from lockgate.app.release_names import audited

    await audited(session.store, action, subject, detail, datetime.now(UTC))


def _show(moved: "Moved", done: str, *, as_json: bool) -> None:
    if as_json:
        data_json({"policy": str(moved.root), "manifests": moved.manifests, "sent": moved.sent})
        return
    data(str(moved.root))
    words(f"{done}: {moved.manifests} manifest(s), {moved.sent} blob(s) of them new")
