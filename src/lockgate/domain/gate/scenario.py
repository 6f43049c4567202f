"""Made-up evidence for the tests of a policy: who said what about a release that does not exist."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.gate.admit import admit
from lockgate.domain.gate.decide import decide
from lockgate.domain.gate.decision import Decision
from lockgate.domain.gate.evidence import (
    Evidence,
    FileFacts,
    Intent,
    PinFacts,
    ReleaseFacts,
    Running,
    Surroundings,
    TemplateVerdict,
)
from lockgate.domain.policy_document import PolicyDocument
from lockgate.domain.predicates import (
    approval,
    bom,
    evaluation,
    preregistration,
    provenance,
    summary,
)
from lockgate.domain.predicates.approval import Approval, Choice
from lockgate.domain.predicates.evaluation import Evaluation, Interval, Measured
from lockgate.domain.predicates.preregistration import Preregistration
from lockgate.domain.predicates.provenance import BuildType, Provenance
from lockgate.domain.predicates.summary import Summary, resource_uri
from lockgate.domain.statement import Attestation, Statement, Subject
from lockgate.domain.trust import Role, TrustedKey, TrustRoot

RELEASE: Final = Digest.of(b"the release of a policy test")
RUNNING: Final = Digest.of(b"what runs before the release of a policy test")
HARNESS: Final = Digest.of(b"the harness of a policy test")
DEFAULT_NOW: Final = datetime(2026, 1, 7, 12, tzinfo=UTC)
"""A Wednesday at noon: a test that says nothing of time is outside of most freeze windows."""


class Question(StrEnum):
    """What the gate is asked."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    ADMIT = "admit"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenKey:
    """A key of the trust root."""

    holder: str
    roles: tuple[Role, ...]
    scopes: tuple[str, ...] = ("*",)
    revoked: bool = False
    expired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenPin:
    """An artifact of the release. It is whole, and of no harm unless something else is said."""

    role: str
    name: str
    kind: Kind
    repository: str = ""
    licences: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    """Of its files, one each."""
    missing: bool = False
    intact: bool = True
    unsafe_template: str = ""
    """Why its chat template is unsafe."""
    embedder: str = ""
    """Of an index: the name of the model that made its vectors."""
    base: str = ""
    """Of an adapter: the name of the model that it adapts."""
    runs_on: str = ""
    variables_required: tuple[str, ...] = ()
    variables_provided: tuple[str, ...] = ()
    context_tokens: int | None = None
    budget_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenEvaluation:
    """A signed result."""

    by: str
    suite: str
    metric: str
    value: Decimal
    lower: Decimal | None = None
    upper: Decimal | None = None
    samples: int = 1000
    age: timedelta = timedelta(days=1)
    dataset: str = ""
    """Name of the pinned dataset; empty for the first one."""
    harness: Digest = HARNESS
    registered_by: str = ""
    """Who signed the policy's criteria a day before; empty for nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenApproval:
    """A signed decision of a person."""

    by: str
    choice: Choice = Choice.APPROVED
    age: timedelta = timedelta(hours=1)
    environment: str = ""
    """Empty for the one that is asked about."""
    reason: str = "as a test says"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenVerdict:
    """A signed verdict of the gate, under the policy that is tested."""

    by: str
    age: timedelta = timedelta(days=1)
    passed: bool = True
    policy: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One question to a policy."""

    task: str
    environment: str
    question: Question = Question.PROMOTE
    now: datetime = DEFAULT_NOW
    keys: tuple[GivenKey, ...] = ()
    pins: tuple[GivenPin, ...] = ()
    built_by: str = ""
    """Who signed provenance of the release and of its pins; empty for nobody."""
    bom_by: str = ""
    """Who signed bills of materials of the pins; empty for nobody."""
    evaluations: tuple[GivenEvaluation, ...] = ()
    running: tuple[GivenEvaluation, ...] | None = None
    """Results of the release that runs there now; None if nothing runs there."""
    approvals: tuple[GivenApproval, ...] = ()
    verdict: GivenVerdict | None = None
    in_previous_stage: timedelta | None = None
    surroundings: Surroundings = field(default_factory=Surroundings)
    requires: JsonObject | None = None


def ask(scenario: Scenario, policy: PolicyDocument) -> Decision:
    """Put the scenario's question to a policy."""
    evidence, trust = evidence_of(scenario, policy), _trust(scenario)
    if scenario.question is Question.ADMIT:
        return admit(evidence, policy, trust, scenario.now)
    return decide(evidence, policy, trust, scenario.now)


def evidence_of(scenario: Scenario, policy: PolicyDocument) -> Evidence:
    """Make the evidence that the scenario describes."""
    pins = tuple(_pin(scenario, given) for given in scenario.pins)
    document: JsonObject = {
        "task": scenario.task,
        "pins": [{"role": p.role, "name": p.name, "digest": str(p.digest)} for p in pins],
        "requires": scenario.requires or {},
    }
    since = scenario.in_previous_stage
    now_running = None
    if scenario.running is not None:
        results = tuple(_evaluated(scenario, given, RUNNING) for given in scenario.running)
        now_running = Running(release=RUNNING, attestations=results)
    return Evidence(
        environment=scenario.environment,
        release=ReleaseFacts(
            digest=RELEASE,
            document=document,
            task=scenario.task,
            version="0.0.0",
            intact=True,
        ),
        pins=pins,
        attestations=tuple(_attestations(scenario, pins, policy)),
        surroundings=replace(
            scenario.surroundings,
            running=now_running,
            previous_promoted_at=None if since is None else scenario.now - since,
        ),
        intent=Intent.ROLLBACK if scenario.question is Question.ROLLBACK else Intent.PROMOTE,
    )


def _attestations(
    scenario: Scenario, pins: tuple[PinFacts, ...], policy: PolicyDocument
) -> list[Attestation]:
    found: list[Attestation] = []
    if scenario.built_by:
        body = Provenance(build_type=BuildType.RELEASE, builder=scenario.built_by).document
        found += [
            _signed(scenario.built_by, provenance.PREDICATE_TYPE, body, subject)
            for subject in (RELEASE, *(pin.digest for pin in pins))
        ]
    if scenario.bom_by:
        for pin in pins:
            hashes = [{"alg": "SHA-256", "content": file.digest.hex} for file in pin.files]
            bill: JsonObject = {"bomFormat": "CycloneDX", "components": [{"hashes": hashes}]}
            found.append(_signed(scenario.bom_by, bom.PREDICATE_TYPE, bill, pin.digest))
    found += [_evaluated(scenario, given, RELEASE) for given in scenario.evaluations]
    for given in scenario.evaluations:
        found += _registered(scenario, given, policy)
    found += [_approved(scenario, given) for given in scenario.approvals]
    if scenario.verdict is not None:
        found.append(_judged(scenario, scenario.verdict, policy))
    return found


def _pin(scenario: Scenario, given: GivenPin) -> PinFacts:
    digest = _digest(given.role, given.name)
    template = TemplateVerdict(safe=not given.unsafe_template, reason=given.unsafe_template)
    of_model = {pin.name: _digest(pin.role, pin.name) for pin in scenario.pins}
    return PinFacts(
        role=given.role,
        name=given.name,
        kind=given.kind,
        digest=digest,
        size=0,
        artifact_type=given.kind.artifact_type,
        repository=given.repository,
        found=not given.missing,
        intact=given.intact,
        files=tuple(
            FileFacts(path=f"{index}.{form}", digest=_digest(given.name, str(index)), format=form)
            for index, form in enumerate(given.formats)
        ),
        licences=given.licences,
        chat_template=template,
        embedder=of_model.get(given.embedder, _digest("?", given.embedder))
        if given.embedder
        else None,
        base=of_model.get(given.base, _digest("?", given.base)) if given.base else None,
        runs_on=given.runs_on,
        variables_required=given.variables_required,
        variables_provided=given.variables_provided,
        context_tokens=given.context_tokens,
        budget_tokens=given.budget_tokens,
    )


def _evaluated(scenario: Scenario, given: GivenEvaluation, release: Digest) -> Attestation:
    interval = None
    if given.lower is not None and given.upper is not None:
        interval = Interval(lower=given.lower, upper=given.upper, level=Decimal("0.95"))
    body = Evaluation(
        evaluator=given.by,
        evaluated_at=scenario.now - given.age,
        suite=given.suite,
        suite_version="1",
        claims=(Measured(metric=given.metric, value=given.value, interval=interval),),
        sample_size=given.samples,
        model=release,
        dataset=_dataset(scenario, given),
        harness="policy-test",
        harness_version="1",
        harness_digest=given.harness,
    )
    return _signed(given.by, evaluation.PREDICATE_TYPE, body.document, release)


def _dataset(scenario: Scenario, given: GivenEvaluation) -> Digest:
    datasets = [pin for pin in scenario.pins if pin.kind is Kind.DATASET]
    chosen = [pin for pin in datasets if given.dataset in {"", pin.name}]
    return _digest(chosen[0].role, chosen[0].name) if chosen else _digest("?", given.dataset)


def _registered(
    scenario: Scenario, given: GivenEvaluation, policy: PolicyDocument
) -> list[Attestation]:
    rules = policy.rules(scenario.task, scenario.environment)
    if not given.registered_by or rules is None:
        return []
    dataset = _dataset(scenario, given)
    found = []
    for required in rules.evaluations:
        if (required.suite, required.metric) == (given.suite, given.metric):
            body = Preregistration(
                registrant=given.registered_by,
                at=scenario.now - given.age - timedelta(days=1),
                suite=required.suite,
                metric=required.metric,
                comparator=str(required.comparator),
                threshold=required.threshold,
                dataset=dataset,
            )
            kind = preregistration.PREDICATE_TYPE
            found.append(_signed(given.registered_by, kind, body.document, dataset))
    return found


def _approved(scenario: Scenario, given: GivenApproval) -> Attestation:
    body = Approval(
        approver=given.by,
        choice=given.choice,
        environment=given.environment or scenario.environment,
        release=RELEASE,
        at=scenario.now - given.age,
        reason=given.reason,
    )
    return _signed(given.by, approval.PREDICATE_TYPE, body.document, RELEASE)


def _judged(scenario: Scenario, given: GivenVerdict, policy: PolicyDocument) -> Attestation:
    body = Summary(
        verifier=given.by,
        verified_at=scenario.now - given.age,
        resource=resource_uri(scenario.task, scenario.environment),
        policy=given.policy or policy.digest,
        passed=given.passed,
    )
    return _signed(given.by, summary.PREDICATE_TYPE, body.document, RELEASE)


def _trust(scenario: Scenario) -> TrustRoot:
    return TrustRoot(
        version=1,
        expires=scenario.now + timedelta(days=1),
        threshold=1,
        keys=tuple(
            TrustedKey(
                fingerprint=_digest("key", given.holder).hex,
                pem="",
                holder=given.holder,
                roles=frozenset(given.roles),
                scopes=given.scopes,
                expires=scenario.now if given.expired else None,
                revoked=given.revoked,
            )
            for given in scenario.keys
        ),
    )


def _signed(by: str, predicate_type: str, predicate: JsonObject, subject: Digest) -> Attestation:
    statement = Statement(
        subjects=(Subject(name="", digest=subject),),
        predicate_type=predicate_type,
        predicate=predicate,
    )
    return Attestation(
        statement=statement,
        key=_digest("key", by).hex,
        digest=Digest.of(statement.encode() + by.encode()),
    )


def _digest(*parts: str) -> Digest:
    return Digest.of_json(list(parts))
