"""Which attestations count: those by a key that may say what they say, about what is judged."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Generic, TypeAlias, TypeVar

from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.instants import instant_text
from lockgate.domain.predicates import (
    approval,
    bom,
    evaluation,
    preregistration,
    promotion,
    provenance,
    summary,
    test_result,
)
from lockgate.domain.statement import Attestation
from lockgate.domain.trust import Role, TrustRoot
from lockgate.errors import Corrupt

MAX_SKEW: Final = timedelta(minutes=5)
"""How far a signer's clock may be ahead of ours."""

T_co = TypeVar("T_co", covariant=True)
Body: TypeAlias = (
    approval.Approval
    | evaluation.Evaluation
    | preregistration.Preregistration
    | promotion.Promotion
    | provenance.Provenance
    | summary.Summary
    | test_result.TestResult
    | frozenset[Digest]
)

_READERS: Final[Mapping[str, tuple[Callable[[JsonObject], Body], tuple[Role, ...]]]] = {
    approval.PREDICATE_TYPE: (approval.Approval.read, (Role.APPROVER, Role.POLICY_OWNER)),
    bom.PREDICATE_TYPE: (bom.hashes, (Role.BUILDER,)),
    evaluation.PREDICATE_TYPE: (evaluation.Evaluation.read, (Role.EVALUATOR,)),
    preregistration.PREDICATE_TYPE: (
        preregistration.Preregistration.read,
        (Role.POLICY_OWNER,),
    ),
    promotion.PREDICATE_TYPE: (promotion.Promotion.read, (Role.GATE,)),
    provenance.PREDICATE_TYPE: (provenance.Provenance.read, (Role.BUILDER,)),
    summary.PREDICATE_TYPE: (summary.Summary.read, (Role.GATE,)),
    test_result.PREDICATE_TYPE: (test_result.TestResult.read, (Role.EVALUATOR,)),
}
"""By predicate type: how to read it, and the roles of which its signer needs one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Generic[T_co]):
    """One attestation that counts."""

    body: T_co
    """The predicate, read."""
    holder: str
    """Who signed it."""
    roles: frozenset[Role]
    """In which capacities: those of the predicate's roles that the key holds here and now."""
    subjects: frozenset[Digest]
    digest: Digest
    """Of the attestation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unheard:
    """One attestation that does not count."""

    predicate_type: str
    subjects: frozenset[Digest]
    digest: Digest
    reason: str

    @property
    def note(self) -> str:
        """The attestation and the reason in one line."""
        return f"attestation {self.digest}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Testimony:
    """What authorised signers say. Built once a decision; independent of any order."""

    heard: tuple[Said[Body], ...] = ()
    unheard: tuple[Unheard, ...] = field(default=())

    def about(self, subject: Digest, kind: type[T_co]) -> Iterator[Said[T_co]]:
        """Yield what is said about `subject`, of one type of predicate, by digest."""
        for said in self.heard:
            if subject in said.subjects and isinstance(said.body, kind):
                yield said  # type: ignore[misc]  # isinstance narrows the member, not the generic

    def ignored(self, subject: Digest, predicate_type: str) -> list[str]:
        """Return why attestations about `subject` of that type do not count."""
        return [
            unheard.reason
            for unheard in self.unheard
            if subject in unheard.subjects and unheard.predicate_type == predicate_type
        ]


def hear(
    attestations: Iterable[Attestation],
    subjects: Iterable[Digest],
    *,
    task: str,
    trust: TrustRoot | None,
    now: datetime,
) -> Testimony:
    """Sort attestations into those that count at `now` and those that do not, with the reason."""
    known = frozenset(subjects)
    by_digest = {attestation.digest: attestation for attestation in attestations}
    heard: list[Said[Body]] = []
    unheard: list[Unheard] = []
    for digest in sorted(by_digest):
        attestation = by_digest[digest]
        judged = _judge(attestation, known, task=task, trust=trust, now=now)
        if isinstance(judged, Said):
            heard.append(judged)
            continue
        unheard.append(
            Unheard(
                predicate_type=attestation.statement.predicate_type,
                subjects=_subjects(attestation),
                digest=digest,
                reason=judged,
            )
        )
    return Testimony(tuple(heard), tuple(unheard))


def _judge(
    attestation: Attestation,
    known: frozenset[Digest],
    *,
    task: str,
    trust: TrustRoot | None,
    now: datetime,
) -> Said[Body] | str:
    """Return what is said, or why it does not count."""
    statement = attestation.statement
    if statement.predicate_type not in _READERS:
        return f"the gate does not read `{statement.predicate_type[:200]}`"
    if known.isdisjoint(_subjects(attestation)):
        return f"it is about {statement.subjects[0].digest}, which is not part of the release"
    roles = _roles(attestation, task=task, trust=trust, now=now)
    if isinstance(roles, str):
        return roles
    read, _ = _READERS[statement.predicate_type]
    try:
        body = read(statement.predicate)
    except Corrupt as error:
        return error.message
    said_at = _time_of(body)
    if said_at is not None and said_at > now + MAX_SKEW:
        return f"it is from {instant_text(said_at)}, it is {instant_text(now)}"
    key = None if trust is None else trust.key(attestation.key)
    assert key is not None
    return Said(
        body=body,
        holder=key.holder,
        roles=roles,
        subjects=_subjects(attestation),
        digest=attestation.digest,
    )


def _roles(
    attestation: Attestation, *, task: str, trust: TrustRoot | None, now: datetime
) -> frozenset[Role] | str:
    """Return in which roles the key may say it, or why in none."""
    if trust is None:
        return "there is no trust root"
    if now >= trust.expires:
        return f"the trust root expired at {instant_text(trust.expires)}, it is {instant_text(now)}"
    key = trust.key(attestation.key)
    if key is None:
        return f"the trust root has no key {attestation.key[:12]}"
    _, needed = _READERS[attestation.statement.predicate_type]
    reasons = {role: key.may(role, task, now) for role in needed}
    held = frozenset(role for role, reason in reasons.items() if not reason)
    return held or reasons[needed[0]]


def _subjects(attestation: Attestation) -> frozenset[Digest]:
    return frozenset(subject.digest for subject in attestation.statement.subjects)


def _time_of(body: Body) -> datetime | None:
    match body:
        case approval.Approval() | promotion.Promotion():
            return body.at
        case evaluation.Evaluation():
            return body.evaluated_at
        case summary.Summary():
            return body.verified_at
        case _:
            return None
