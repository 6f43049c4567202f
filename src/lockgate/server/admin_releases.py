"""`/admin/releases/promote` and `rollback`: what `lockgate promote` and `rollback` do."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from lockgate.app.moves import Move
from lockgate.ports import Clock
from lockgate.server import admin_documents as documents
from lockgate.server.admin_asking import body_of, respond
from lockgate.server.exchange import Exchange
from lockgate.server.failures import HttpFailure

if TYPE_CHECKING:
    from lockgate.app.promotion import Outcome
    from lockgate.domain.gate.decision import Decision, Finding

MoveRelease: TypeAlias = Callable[[Move], Awaitable["Outcome"]]
_SHOWN = 20
"""Refusals that an error lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAdmin:
    """Lets releases take over. Replicas that run follow by themselves."""

    move: MoveRelease
    clock: Clock

    async def promote(self, exchange: Exchange) -> None:
        """Let a release take over its task, if the gate allows it."""
        asked = await body_of(exchange, documents.NewPromotion)
        await self._move(exchange, asked)

    async def rollback(self, exchange: Exchange) -> None:
        """Let an earlier release run again, if the gate allows it."""
        asked = await body_of(exchange, documents.NewRollback)
        await self._move(exchange, asked)

    async def _move(
        self, exchange: Exchange, asked: documents.NewPromotion | documents.NewRollback
    ) -> None:
        wanted = Move(
            environment=asked.environment,
            actor=exchange.caller.principal.name,
            reason=asked.reason or "",
            release=asked.release or None,
            task=asked.task if isinstance(asked, documents.NewRollback) else None,
            explain=asked.explain,
        )
        outcome = await self.move(wanted)
        if not wanted.explain and not outcome.done:
            self._refuse(outcome.decision)
        await respond(exchange, _document(outcome))

    def _refuse(self, decision: "Decision") -> NoReturn:
        """Answer with every refusal. Raises HttpFailure."""
        listed = "\n".join(f"  {_line(finding)}" for finding in decision.refusals[:_SHOWN])
        headers: tuple[tuple[bytes, bytes], ...] = ()
        if decision.retry_at is not None:
            left_s = math.ceil((decision.retry_at - self.clock()).total_seconds())
            headers = ((b"retry-after", b"%d" % max(1, left_s)),)
        raise HttpFailure(
            409,
            "gate-refused",
            f"{decision.verdict}: `{decision.task}` {decision.release} to "
            f"`{decision.environment}`, decision {decision.digest}:\n{listed}",
            headers=headers,
        )


def _line(finding: "Finding") -> str:
    said = f"{finding.name}: {finding.message}"
    return f"{said}: {finding.hint}" if finding.hint else said


def _document(outcome: "Outcome") -> documents.Decision:
    decision = outcome.decision
    return documents.Decision(
        task=decision.task,
        environment=decision.environment,
        release=str(decision.release),
        previous=None if outcome.previous is None else str(outcome.previous),
        verdict=decision.verdict.value,
        done=outcome.done,
        decision=str(decision.digest),
        findings=[
            documents.Finding(
                rule=int(finding.rule),
                name=finding.name,
                outcome=finding.outcome.value,
                message=finding.message,
                hint=finding.hint,
            )
            for finding in decision.findings
        ],
        notes=list(decision.notes),
    )
