"""A release that everything speaks for. Tests take it and break one thing."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.gate.decide import decide
from lockgate.domain.gate.decision import Decision, Finding, Outcome
from lockgate.domain.gate.evidence import (
    Evidence,
    FileFacts,
    PinFacts,
    ReleaseFacts,
    Surroundings,
    TemplateVerdict,
)
from lockgate.domain.policy_document import (
    Claim,
    Comparator,
    EnvironmentRules,
    PolicyDocument,
    Require,
    RequiredEvaluation,
)
from lockgate.domain.predicates import approval, bom, evaluation, provenance, summary
from lockgate.domain.predicates.approval import Approval, Choice
from lockgate.domain.predicates.evaluation import Evaluation, Measured
from lockgate.domain.predicates.provenance import BuildType, Provenance
from lockgate.domain.predicates.summary import Summary, resource_uri
from lockgate.domain.statement import Attestation, Statement, Subject
from lockgate.domain.trust import Role, TrustedKey, TrustRoot

NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)  # a Wednesday
TASK = "triage"
PRODUCTION = "production"


def digest(name: str) -> Digest:
    return Digest.of(name.encode())


def key(holder: str, *roles: Role) -> TrustedKey:
    return TrustedKey(
        fingerprint=digest(f"key of {holder}").hex,
        pem="",
        holder=holder,
        roles=frozenset(roles),
        scopes=(TASK,),
        expires=NOW + timedelta(days=30),
    )


TRUST = TrustRoot(
    version=3,
    expires=NOW + timedelta(days=90),
    threshold=1,
    keys=(
        key("ci", Role.BUILDER),
        key("lab", Role.EVALUATOR),
        key("ana", Role.APPROVER),
        key("ben", Role.APPROVER),
        key("cleo", Role.APPROVER, Role.BUILDER),
        key("dora", Role.POLICY_OWNER),
        key("lockgate", Role.GATE),
    ),
)


def pin(role: str, name: str, kind: Kind, **facts: object) -> PinFacts:
    at = digest(f"{role}/{name}")
    found = PinFacts(
        role=role,
        name=name,
        kind=kind,
        digest=at,
        size=700,
        artifact_type=kind.artifact_type,
        found=True,
        intact=True,
        found_digest=at,
        found_size=700,
        found_artifact_type=kind.artifact_type,
    )
    return replace(found, **facts)  # type: ignore[arg-type]


WEIGHTS = FileFacts(path="model.gguf", digest=digest("weights"), format="gguf", size=9)
TEXT = pin(
    "text",
    "smollm2",
    Kind.MODEL,
    files=(WEIGHTS,),
    licences=("Apache-2.0",),
    chat_template=TemplateVerdict(safe=True),
    context_tokens=2048,
)
EMBEDDER = pin("embedder", "minilm", Kind.MODEL, licences=("Apache-2.0",), context_tokens=256)
PROMPT = pin(
    "prompt",
    "triage",
    Kind.PROMPT,
    variables_required=("log",),
    variables_provided=("log", "service"),
    budget_tokens=1500,
)
INDEX = pin("index", "runbooks", Kind.INDEX, embedder=EMBEDDER.digest)
DATASET = pin("eval-dataset", "core", Kind.DATASET)
PINS = (TEXT, EMBEDDER, PROMPT, INDEX, DATASET)

RELEASE = digest("release")
OLD = digest("release before")


def release(pins: tuple[PinFacts, ...] = PINS, **facts: object) -> ReleaseFacts:
    document: JsonObject = {
        "task": TASK,
        "version": "1.4.0",
        "pins": [{"role": p.role, "name": p.name, "digest": str(p.digest)} for p in pins],
        "requires": {"ramMiB": 512},
    }
    found = ReleaseFacts(digest=RELEASE, document=document, task=TASK, version="1.4.0", intact=True)
    return replace(found, **facts)  # type: ignore[arg-type]


def attest(
    holder: str, predicate_type: str, predicate: JsonObject, *subjects: Digest, salt: str = ""
) -> Attestation:
    statement = Statement(
        subjects=tuple(Subject(name="", digest=subject) for subject in subjects),
        predicate_type=predicate_type,
        predicate=predicate,
    )
    return Attestation(
        statement=statement,
        key=digest(f"key of {holder}").hex,
        digest=Digest.of(statement.encode() + holder.encode() + salt.encode()),
    )


def built(subject: Digest, by: str = "ci") -> Attestation:
    body = Provenance(build_type=BuildType.RELEASE, builder="https://ci.example.org")
    return attest(by, provenance.PREDICATE_TYPE, body.document, subject)


def billed(subject: Digest, *hashes: Digest, by: str = "ci") -> Attestation:
    components = [{"hashes": [{"alg": "SHA-256", "content": h.hex}]} for h in hashes]
    document: JsonObject = {"bomFormat": "CycloneDX", "components": components}
    return attest(by, bom.PREDICATE_TYPE, document, subject)


RESULT = Evaluation(
    evaluator="lab",
    evaluated_at=NOW - timedelta(days=2),
    suite="core",
    suite_version="1",
    claims=(Measured(metric="accuracy", value=Decimal("0.93")),),
    sample_size=300,
    model=RELEASE,
    dataset=DATASET.digest,
    harness="lockgate",
    harness_version="1",
    harness_digest=digest("harness"),
)


def evaluated(by: str = "lab", **changes: object) -> Attestation:
    result = replace(RESULT, **changes)  # type: ignore[arg-type]
    return attest(by, evaluation.PREDICATE_TYPE, result.document, result.model)


def approved(by: str, choice: Choice = Choice.APPROVED, **changes: object) -> Attestation:
    body = Approval(
        approver=by,
        choice=choice,
        environment=PRODUCTION,
        release=RELEASE,
        at=NOW - timedelta(hours=3),
        reason="looks right",
    )
    body = replace(body, **changes)  # type: ignore[arg-type]
    return attest(by, approval.PREDICATE_TYPE, body.document, RELEASE)


def verdict(under: PolicyDocument, by: str = "lockgate", **changes: object) -> Attestation:
    body = Summary(
        verifier="lockgate",
        verified_at=NOW - timedelta(days=9),
        resource=resource_uri(TASK, PRODUCTION),
        policy=under.digest,
        passed=True,
    )
    body = replace(body, **changes)  # type: ignore[arg-type]
    return attest(by, summary.PREDICATE_TYPE, body.document, RELEASE)


EVALUATION = RequiredEvaluation(
    suite="core",
    metric="accuracy",
    comparator=Comparator.AT_LEAST,
    threshold=Decimal("0.9"),
    min_samples=200,
    max_age=timedelta(days=30),
    max_regression=Decimal("0.01"),
)
RULES = EnvironmentRules(
    require=Require.PROMOTED,
    attestations={"model": (Claim.PROVENANCE, Claim.BOM)},
    evaluations=(EVALUATION,),
    approvals=2,
    approval_max_age=timedelta(days=7),
    owners=("platform",),
    after="staging",
    soak=timedelta(hours=24),
    verdict_max_age=timedelta(days=60),
    licences=("Apache-2.0", "MIT"),
    logging_fields=("release", "verdict"),
    min_retention_days=7,
    max_retention_days=90,
)
SURROUNDINGS = Surroundings(
    previous_promoted_at=NOW - timedelta(hours=30),
    destinations=("models.example.org",),
    data_classes=("internal",),
    logging_fields=("release", "verdict", "usage"),
    retention_days=30,
    ram_mib=4096,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything that `decide` takes, and shorthands to change it."""

    rules: EnvironmentRules = RULES
    release: ReleaseFacts = field(default_factory=release)
    pins: tuple[PinFacts, ...] = PINS
    attestations: tuple[Attestation, ...] = ()
    surroundings: Surroundings = SURROUNDINGS
    trust: TrustRoot | None = TRUST
    now: datetime = NOW

    @property
    def policy(self) -> PolicyDocument:
        return PolicyDocument(
            name="acme",
            environments={PRODUCTION: self.rules, "staging": EnvironmentRules()},
            teams={"platform": ("ana", "ben", "cleo")},
        )

    @property
    def evidence(self) -> Evidence:
        return Evidence(
            environment=PRODUCTION,
            release=self.release,
            pins=self.pins,
            attestations=self.attestations,
            surroundings=self.surroundings,
        )

    def demand(self, **changes: object) -> "Scene":
        """Change the policy's rules."""
        return replace(self, rules=replace(self.rules, **changes))  # type: ignore[arg-type]

    def there(self, **changes: object) -> "Scene":
        """Change the surroundings."""
        found = replace(self.surroundings, **changes)  # type: ignore[arg-type]
        return replace(self, surroundings=found)

    def pinning(self, *pins: PinFacts) -> "Scene":
        """Replace pins of the same role; others stay. The release document follows."""
        roles = {p.role for p in pins}
        found = (*(p for p in self.pins if p.role not in roles), *pins)
        return replace(self, pins=found, release=release(found))

    def without(self, *removed: Attestation) -> "Scene":
        gone = {a.digest for a in removed}
        assert gone <= {a.digest for a in self.attestations}
        return replace(
            self, attestations=tuple(a for a in self.attestations if a.digest not in gone)
        )

    def adding(self, *added: Attestation) -> "Scene":
        return replace(self, attestations=(*self.attestations, *added))

    def decide(self) -> Decision:
        return decide(self.evidence, self.policy, self.trust, self.now)


BUILDS = tuple(built(subject) for subject in (RELEASE, *(p.digest for p in PINS)))
BILLS = (billed(TEXT.digest, WEIGHTS.digest), billed(EMBEDDER.digest))
EVALUATED = evaluated()
APPROVALS = (approved("ana"), approved("ben"))
GOOD = Scene(attestations=(*BUILDS, *BILLS, EVALUATED, *APPROVALS))


def refusal(decision: Decision, *parts: str, verdict: Outcome = Outcome.DENY) -> Finding:
    """Return the only refusal, which must say all of `parts` in its message."""
    assert [f.name for f in decision.refusals[1:]] == []
    assert decision.verdict is verdict
    found = decision.refusals[0]
    for part in parts:
        assert part in found.message
    assert found.hint
    return found
