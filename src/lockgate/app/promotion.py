"""Moves releases between environments: asks the gate, signs its verdict, notes the change."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lockgate.app.attesting import attach
from lockgate.app.calls import new_id
from lockgate.app.decisions import Rests, keep
from lockgate.app.evidence import Question, evidence_for
from lockgate.app.models import layout_of
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.audit import Entry
from lockgate.domain.digest import Digest, Json, canonical
from lockgate.domain.gate.decide import decide
from lockgate.domain.gate.decision import Decision
from lockgate.domain.gate.evidence import Evidence, Intent
from lockgate.domain.gate.evidence_document import evidence_document
from lockgate.domain.policy_document import Require
from lockgate.domain.predicates import promotion as promotion_predicate
from lockgate.domain.predicates import summary
from lockgate.domain.predicates.resource import Resource
from lockgate.domain.promotion import Action, Promotion, earlier
from lockgate.domain.statement import Statement, Subject
from lockgate.errors import NotFound, StorageFailed, UsageError
from lockgate.ports import State, StateUnit

if TYPE_CHECKING:
    from lockgate.signing.keys import Signer

VERIFIER = "https://lockgate.io/gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the gate said, and what was done."""

    decision: Decision
    evidence: Evidence
    done: bool
    previous: Digest | None


async def ask(
    question: Question, loaded: Loaded, environment: Environment, state: State
) -> Outcome:
    """Ask the gate and change nothing."""
    evidence = await evidence_for(question, loaded, environment, state)
    running = evidence.surroundings.running
    return Outcome(
        decision=decide(evidence, question.policy.document, question.trust, question.now),
        evidence=evidence,
        done=False,
        previous=None if running is None else running.release,
    )


async def apply(
    question: Question,
    outcome: Outcome,
    environment: Environment,
    state: State,
    *,
    rests: Rests,
    signer: "Signer | None",
) -> Outcome:
    """Sign an allowing decision and let the release take over; keep a refusal in the audit log.

    Raises:
        UsageError: the environment wants verdicts and no key was given to sign one.
        StorageFailed: another release took over while the gate looked at this one.

    """
    decision = outcome.decision
    if decision.allowed:
        _require_signer(question, decision, signer)
        if signer is not None:
            _sign(question, outcome, environment, signer)
    task, rollback = decision.task, question.intent is Intent.ROLLBACK
    detail = _detail(question, outcome)
    async with state.begin() as unit:
        documents = (decision.document, evidence_document(outcome.evidence))
        await keep(unit, *map(canonical, documents))
        detail["policy_file"], detail["trust_file"] = await keep(unit, rests.policy, rests.trust)
        if decision.allowed:
            await _require_same(unit, question, task, outcome.previous)
        await unit.append(
            Entry(
                id=new_id(),
                at=question.now,
                actor=question.actor,
                action="release.rollback" if rollback else "release.promote",
                subject=task,
                detail=detail,
            )
        )
        if decision.allowed:
            await unit.add_promotion(
                Promotion(
                    environment=question.environment,
                    task=task,
                    release=question.release,
                    previous=outcome.previous,
                    action=Action.ROLLBACK if rollback else Action.PROMOTE,
                    at=question.now,
                    actor=question.actor,
                    reason=question.reason,
                    decision=decision.digest,
                )
            )
    return Outcome(
        decision=decision,
        evidence=outcome.evidence,
        done=decision.allowed,
        previous=outcome.previous,
    )


async def _require_same(
    unit: StateUnit, question: Question, task: str, previous: Digest | None
) -> None:
    # The gate has compared the release with what ran then, and the log is to say what it replaced.
    newest = await unit.promotions(environment=question.environment, task=task)
    now = newest[0].release if newest else None
    if now != previous:
        raise StorageFailed(
            f"another release of `{task}` took over in `{question.environment}` meanwhile: "
            f"{now or 'none'} runs there, {previous or 'none'} did",
            hint="ask again",
        )


_HISTORY = 1000
"""Promotions of one task to one environment that a rollback looks back over."""


async def previous_release(state: State, task: str, environment: str) -> Digest:
    """Return what to go back to in an environment: see `earlier`.

    Raises:
        NotFound: nothing did.

    """
    async with state.begin() as unit:
        history = await unit.promotions(environment=environment, task=task, limit=_HISTORY)
    found = earlier(history)
    if found is not None:
        return found
    raise NotFound(
        f"nothing ran in `{environment}` for the task `{task}` before, that was not rolled back",
        hint="name a release with `--release`; see `lockgate release list`",
        request_hint="name a `release`; see `GET /admin/promotions`",
    )


def _detail(question: Question, outcome: Outcome) -> dict[str, Json]:
    decision = outcome.decision
    return {
        "environment": question.environment,
        "release": str(question.release),
        "previous": None if outcome.previous is None else str(outcome.previous),
        "intent": str(question.intent),
        "outcome": str(decision.verdict),
        "decision": str(decision.digest),
        "evidence": str(decision.inputs["evidence"]),
        "reason": question.reason,
    }


def _require_signer(question: Question, decision: Decision, signer: "Signer | None") -> None:
    rules = question.policy.document.rules(decision.task, question.environment)
    if signer is None and rules is not None and rules.require is Require.PROMOTED:
        raise UsageError(
            f"`{question.environment}` runs only what has a signed verdict of the gate",
            hint="give the gate's key with `--sign KEY`, or to a gateway with `policy.gate_signer`",
            request_hint="`policy.gate_signer` in the gateway's lockgate.toml names the gate's key",
        )


def _sign(question: Question, outcome: Outcome, environment: Environment, signer: "Signer") -> None:
    """Attach the verdict, and the statement that the release came here."""
    layout, decision = layout_of(environment), outcome.decision
    verdict = summary.Summary(
        verifier=VERIFIER,
        verified_at=question.now,
        resource=summary.resource_uri(decision.task, question.environment),
        policy=question.policy.document.digest,
        passed=True,
        inputs=tuple(Resource(digest=a.digest) for a in outcome.evidence.attestations),
    )
    subject = Subject(name=decision.task, digest=question.release)
    signed = attach(
        layout,
        Statement(
            subjects=(subject,),
            predicate_type=summary.PREDICATE_TYPE,
            predicate=verdict.document,
        ),
        signer,
    )
    moved = promotion_predicate.Promotion(
        to=question.environment,
        release=question.release,
        at=question.now,
        actor=question.actor,
        verdict=signed,
        previous=outcome.previous,
        reason=question.reason,
    )
    attach(
        layout,
        Statement(
            subjects=(subject,),
            predicate_type=promotion_predicate.PREDICATE_TYPE,
            predicate=moved.document,
        ),
        signer,
    )
