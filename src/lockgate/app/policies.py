"""Which policy is in force here, and where policies come from: files, and the local store."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.digest import Digest
from lockgate.domain.gate.evidence import PinFacts
from lockgate.domain.policy_document import EMBEDDED, PolicyDocument
from lockgate.errors import Corrupt, InvalidConfig, NotFound, StorageFailed

if TYPE_CHECKING:
    from lockgate.domain.statement import Statement
    from lockgate.oci.policies import PolicyStore


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInForce:
    """A policy, and what stands behind it."""

    document: PolicyDocument
    text: bytes | None = None
    """As its owner wrote it; None for the embedded policy."""
    artifact: Digest | None = None
    """What its owner signed; None for a file."""
    must_be_signed: bool = False
    """As the configuration says."""


def policy_in_force(loaded: Loaded, environment: Environment) -> PolicyInForce:
    """Return the policy that the configuration names; the embedded one by default.

    Raises:
        InvalidConfig: the policy has problems, every one is listed; or two policies are named.
        NotFound: the artifact is not here.
        Corrupt: the artifact is damaged, or not a policy.

    """
    chosen = loaded.config.policy
    if chosen.file is not None and chosen.artifact is not None:
        raise InvalidConfig(
            f"`policy.file` is `{chosen.file}` and `policy.artifact` is `{chosen.artifact}`: "
            "only one policy can be in force",
            hint="remove one of them from lockgate.toml",
        )
    if chosen.artifact is not None:
        found = stored_policy(Digest.parse(chosen.artifact), environment)
    elif chosen.file is not None:
        found = policy_file(loaded.resolve(chosen.file))
    else:
        found = PolicyInForce(document=EMBEDDED)
    return PolicyInForce(
        document=found.document,
        text=found.text,
        artifact=found.artifact,
        must_be_signed=chosen.signed,
    )


def policy_file(path: Path) -> PolicyInForce:
    """Read a policy file. Raises InvalidConfig with every problem."""
    from lockgate.config.policy_file import load_policy

    document = load_policy(path)
    try:
        return PolicyInForce(document=document, text=path.read_bytes())
    except OSError as error:
        raise StorageFailed(f"cannot read `{path}`: {error.strerror or error}") from error


def stored_policy(digest: Digest, environment: Environment) -> PolicyInForce:
    """Read a policy artifact of this machine. Raises as `policy_in_force`."""
    text = policy_store(environment).text(digest)
    return PolicyInForce(document=parsed(text, str(digest)), text=text, artifact=digest)


def named_policy(name: str, environment: Environment) -> PolicyInForce:
    """Read what a user names: a file, or the digest of an artifact. Raises as `policy_in_force`."""
    path = Path(name)
    if name.startswith("sha256:") and not path.exists():
        return stored_policy(policy_store(environment).find(name), environment)
    return policy_file(path)


def keep_policy(path: Path, environment: Environment) -> Digest:
    """Keep a policy file as an artifact; return its digest.

    Raises:
        InvalidConfig: the policy has problems; every one is listed.
        StorageFailed: the disk is full or read-only.

    """
    found = policy_file(path)
    assert found.text is not None, "read from a file"
    return policy_store(environment).put(found.document.name, found.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredFor:
    """Of which task, where, and with which artifacts criteria are registered."""

    task: str
    environment: str
    pins: tuple[PinFacts, ...]


def policy_approval(
    policy: PolicyInForce, approver: str, environment: str, at: datetime
) -> "Statement":
    """Return what the owner of a policy artifact says about it."""
    from lockgate.domain.predicates.approval import PREDICATE_TYPE, Approval, Choice
    from lockgate.domain.statement import Statement, Subject

    assert policy.artifact is not None, "only artifacts are approved"
    said = Approval(
        approver=approver,
        choice=Choice.APPROVED,
        environment=environment,
        release=policy.artifact,
        at=at,
    )
    return Statement(
        subjects=(Subject(name=policy.document.name, digest=policy.artifact),),
        predicate_type=PREDICATE_TYPE,
        predicate=said.document,
    )


def registrations(
    policy: PolicyInForce, facts: RegisteredFor, registrant: str, at: datetime
) -> "list[Statement]":
    """Return what a policy will ask of results, one statement a criterion.

    Raises:
        NotFound: the policy does not name the environment, asks for no evaluation there, or the
            release pins no dataset that one is to be measured on.

    """
    from lockgate.domain.gate.rules.evaluation import required_dataset
    from lockgate.domain.predicates.preregistration import PREDICATE_TYPE, Preregistration
    from lockgate.domain.statement import Statement, Subject

    rules = policy.document.rules(facts.task, facts.environment)
    if rules is None or not rules.evaluations:
        raise NotFound(
            f"the policy `{policy.document.name}` asks for no evaluation of `{facts.task}` in "
            f"`{facts.environment}`",
            hint="lockgate policy explain",
        )
    found: list[Statement] = []
    for required in rules.evaluations:
        dataset = required_dataset(facts.pins, required)
        if dataset is None:
            raise NotFound(
                f"`{required.suite}` is measured on the dataset `{required.dataset or '-'}`, which "
                "the release does not pin",
                hint="pin the dataset in the task, and build the release again",
            )
        said = Preregistration(
            registrant=registrant,
            at=at,
            suite=required.suite,
            metric=required.metric,
            comparator=str(required.comparator),
            threshold=required.threshold,
            dataset=dataset.digest,
        )
        found.append(
            Statement(
                subjects=(Subject(name=required.suite, digest=dataset.digest),),
                predicate_type=PREDICATE_TYPE,
                predicate=said.document,
            )
        )
    return found


def policy_store(environment: Environment) -> "PolicyStore":
    """Return the policies of this machine."""
    from lockgate.app.models import layout_of
    from lockgate.oci.policies import PolicyStore

    return PolicyStore(layout_of(environment))


def parsed(text: bytes, what: str) -> PolicyDocument:
    """Return the policy that a kept text holds. Raises Corrupt if it holds none."""
    from lockgate.config.policy_file import check_policy

    found = check_policy(text.decode("utf-8", "replace"))
    if isinstance(found, PolicyDocument):
        return found
    raise Corrupt(f"the policy {what} has problems: line {found[0].line}: {found[0].message}")
