"""The path of a call. `Answering.answer` reads top to bottom; each step is one line and one name.

    record( authorise -> sanitise -> admit -> choose release -> [policy: may it run here]
                -> task.run -> check -> [fallback: task.rules] )

Sanitising comes before the input is judged: what is wrong with an input is recorded, and must not
quote a secret.

CLI, sidecar and gateway all call this one function. What differs is only which adapters
`lockgate.app` put in the fields below.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lockgate.domain.call import Answer, Call, Draft, EngineKind
from lockgate.domain.digest import JsonObject, canonical
from lockgate.domain.policy import authorise
from lockgate.domain.redact import Redaction
from lockgate.domain.release import Release
from lockgate.domain.task import OnUnavailable
from lockgate.domain.usage import Budget
from lockgate.domain.verdict import Outcome, Verdict, worst
from lockgate.engine.infer import Inferring
from lockgate.engine.record import Entry, Ledger
from lockgate.engine.retrieve import Retrieving
from lockgate.errors import Denied, InvalidInput, NoAnswer, NotFound, OverBudget, Unavailable
from lockgate.ports import (
    Admission,
    Check,
    Context,
    Guard,
    Progress,
    SchemaValidator,
    Task,
)

SHOWN_PROBLEMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a task is served: its behaviour, its release, and what its policy allows."""

    task: Task
    release: Release
    budget: Budget
    on_unavailable: OnUnavailable
    checks: tuple[Check, ...] = ()
    """What every draft must pass beside the task's own checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Answers calls. Stateless and safe to share; state lives in the store."""

    plans: Mapping[str, Plan]
    admission: Admission
    guard: Guard
    validator: SchemaValidator
    retrieving: Retrieving
    inferring: Inferring
    ledger: Ledger

    async def answer(self, call: Call, progress: Progress) -> Answer:
        """Answer one call, and leave one audit event however it ends.

        Raises:
            NotFound: there is no such task.
            Denied: the principal may not call it, or its data may not reach a backend.
            InvalidInput: the input does not match the task's schema.
            NoAnswer: nothing acceptable was made and the task's policy refuses to fall back.
            OverBudget: as NoAnswer, because a budget is used up.

        """
        async with self.ledger.record(call) as entry:
            authorise(call.principal, call.task)
            plan = self._plan(call)
            given, redactions = self._sanitise(call, entry)
            self._admit(plan, given)
            entry.chose(plan.release)
            entry.admitted(self.admission.admit(plan.release))
            models = self.inferring.models(call, plan.release, plan.budget, entry)
            context = Context(
                models=models,
                retriever=self.retrieving.retriever,
                progress=progress,
                redactions=redactions,
                passages=self.retrieving.passages(call, plan.release, models, entry),
            )
            draft, verdicts = await self._draft(call, plan, given, context, entry)
            return entry.answered(call, draft, plan.release, verdicts)

    def _plan(self, call: Call) -> Plan:
        plan = self.plans.get(call.task)
        if plan is None:
            raise NotFound(
                f"there is no task `{call.task}`",
                hint="list the tasks with `lockgate task list`",
                request_hint="see `GET /v1/tasks`",
            )
        return plan

    def _admit(self, plan: Plan, given: JsonObject) -> None:
        spec = plan.task.spec
        problems = self.validator.problems(spec.input_schema, given)
        if problems:
            listed = "\n".join(f"  {problem}" for problem in problems[:SHOWN_PROBLEMS])
            raise InvalidInput(
                f"the input of `{spec.name}` has {len(problems)} problem(s):\n{listed}",
                hint=f"see its schema with `lockgate task show {spec.name} --json`",
                request_hint=f"see its schema: `GET /v1/tasks/{spec.name}`",
            )

    def _sanitise(self, call: Call, entry: Entry) -> tuple[JsonObject, tuple[Redaction, ...]]:
        try:
            sanitised = self.guard.sanitise(call.input, data_class=call.data_class)
            assert isinstance(sanitised.value, Mapping)
            redactions = (*call.redactions, *sanitised.redactions)
            entry.received(sanitised.value, redactions, sanitised.findings)
        except RecursionError:
            raise InvalidInput(f"the input of `{call.task}` is nested too deeply") from None
        except ValueError as error:
            raise InvalidInput(
                f"the input of `{call.task}` cannot be written as JSON: {error}",
                hint="whole numbers beyond 2^53 and lone surrogates are not portable",
            ) from None
        return sanitised.value, redactions

    async def _draft(
        self, call: Call, plan: Plan, given: JsonObject, context: Context, entry: Entry
    ) -> tuple[Draft, tuple[Verdict, ...]]:
        """Try the model, judge, and fall back to the rules where the policy allows it."""
        reason: str | None = None
        if call.engine is EngineKind.MODEL:
            try:
                _refuse_if_without(call)
                draft = await plan.task.run(given, context)
            except (Unavailable, OverBudget, Denied) as error:
                entry.failed("model", error)
                reason = error.advice
            else:
                verdicts = self._judge(plan, given, draft)
                entry.tried("model", verdicts)
                refused = plan.on_unavailable is OnUnavailable.REFUSE and draft.degraded
                if worst(verdicts) is Outcome.PASS and not refused:
                    return draft, verdicts
                reason = draft.degraded[0] if refused else _first_failure(verdicts)
            if plan.on_unavailable is OnUnavailable.REFUSE:
                if entry.over_budget is not None:
                    raise entry.over_budget  # asking again does not help, more money does
                raise NoAnswer(f"`{call.task}` may not fall back to its rules: {reason}")
        draft = plan.task.rules(given, context)
        verdicts = self._judge(plan, given, draft)
        entry.tried("rules", verdicts)
        if worst(verdicts) is not Outcome.PASS:
            raise NoAnswer(f"the rules of `{call.task}` failed: {_first_failure(verdicts)}")
        if reason is not None:
            draft = replace(draft, degraded=(reason, *draft.degraded))
        return draft, verdicts

    def _judge(self, plan: Plan, given: JsonObject, draft: Draft) -> tuple[Verdict, ...]:
        task = plan.task
        problems = [
            *_unwritable(draft),
            *self.validator.problems(task.spec.output_schema, draft.output),
        ]
        schema = Verdict(
            check="schema",
            outcome=Outcome.FAIL if problems else Outcome.PASS,
            reason=problems[0] if problems else "",
        )
        if problems:  # the other checks may rely on the shape
            return (schema,)
        return (schema, *(check.judge(given, draft) for check in (*task.checks, *plan.checks)))


def _refuse_if_without(call: Call) -> None:
    if call.without_models:
        raise Unavailable(call.without_models)


def _first_failure(verdicts: Sequence[Verdict]) -> str:
    verdict = max(verdicts, key=lambda v: v.outcome)
    return f"check `{verdict.check}`: {verdict.reason or verdict.outcome.name.lower()}"


def _unwritable(draft: Draft) -> list[str]:
    """Say why an output has no canonical form: models write odd numbers and half characters."""
    if draft.engine is EngineKind.RULES:  # made of an input that has one
        return []
    try:
        canonical(draft.output)
    except ValueError as error:
        return [f"the output cannot be written as JSON: {error}"]
    return []
