"""Gathers what a gate looks at. The gate itself reads nothing."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from lockgate.app.attesting import gather
from lockgate.app.models import layout_of
from lockgate.app.policies import PolicyInForce
from lockgate.config import settings
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Digest
from lockgate.domain.gate.evidence import Evidence, Intent, Running, Surroundings
from lockgate.domain.promotion import running_since
from lockgate.domain.release import Release
from lockgate.domain.trust import TrustRoot
from lockgate.ports import State

AUDIT_FIELDS = (
    "task",
    "outcome",
    "release",
    "engine",
    "degraded",
    "data_class",
    "input",
    "output",
    "verdicts",
    "usage",
    "duration_us",
    "actor",
)
"""What each audit event of a call records."""


_HISTORY = 1000
"""Promotions of one task to one environment that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of the gate."""

    release: Digest
    environment: str
    intent: Intent
    policy: PolicyInForce
    trust: TrustRoot | None
    now: datetime
    actor: str
    """Who asks."""
    reason: str = ""
    """For the audit log."""


async def evidence_for(
    question: Question, loaded: Loaded, environment: Environment, state: State
) -> Evidence:
    """Look at a release, all that it pins, what is said about them, and where it is to run.

    Raises:
        Corrupt: the release's own documents cannot be read.

    """
    from lockgate.oci.facts import Inspector

    layout = layout_of(environment)
    inspector = Inspector(layout)
    facts, release = inspector.release(question.release)
    pins = tuple(pin for pin in release.pins if pin.kind is not None)
    artifact = question.policy.artifact
    subjects = [question.release, *(pin.digest for pin in pins)]
    subjects += [] if artifact is None else [artifact]
    subjects += _named_datasets(question, release.task, subjects)
    attestations, refused = gather(layout, subjects, question.trust)
    running, reached = await _stages(question, release.task, state)
    return Evidence(
        environment=question.environment,
        release=facts,
        pins=tuple(inspector.pin(pin) for pin in pins),
        attestations=attestations,
        refused=refused,
        surroundings=Surroundings(
            running=None
            if running is None
            else Running(
                release=running, attestations=gather(layout, [running], question.trust)[0]
            ),
            previous_promoted_at=reached,
            destinations=tuple(_destinations(loaded, release)),
            data_classes=(str(loaded.config.data.default_class),),
            logging_fields=AUDIT_FIELDS,
            retention_days=loaded.config.audit.payload_retention_days,
        ),
        intent=question.intent,
        policy_artifact=artifact,
        policy_must_be_signed=question.policy.must_be_signed,
    )


def _named_datasets(question: Question, task: str, known: Collection[Digest]) -> Sequence[Digest]:
    """Return the datasets that the policy names by digest: criteria may be registered for them."""
    rules = question.policy.document.rules(task, question.environment)
    named = [] if rules is None else [at.dataset for at in rules.evaluations]
    digests = sorted({Digest.parse(at) for at in named if at.startswith("sha256:")})
    return [digest for digest in digests if digest not in known]


async def _stages(
    question: Question, task: str, state: State
) -> tuple[Digest | None, datetime | None]:
    """Return what runs in the environment, and since when the release is in the stage before."""
    rules = question.policy.document.rules(task, question.environment)
    async with state.begin() as unit:
        here = await unit.promotions(environment=question.environment, task=task)
        reached = None
        if rules is not None and rules.after:
            stage = await unit.promotions(environment=rules.after, task=task, limit=_HISTORY)
            reached = running_since(stage, question.release)
    return (here[0].release if here else None), reached


def _destinations(loaded: Loaded, release: Release) -> Iterator[str]:
    for name in sorted({pin.backend for pin in release.pins if pin.kind in {None, Kind.MODEL}}):
        backend = loaded.config.backend(name)
        if isinstance(backend, settings.OpenAIBackend):
            yield urlsplit(backend.url).hostname or backend.url
