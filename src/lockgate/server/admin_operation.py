"""`/admin/kills`, `routes`, `releases`, `promotions` and `audit`: what runs, and what was done."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from lockgate.app.gateway_admin import StateBridge
from lockgate.app.gateway_checkpoints import newest_checkpoint
from lockgate.app.kills import kills, turn_off, turn_on
from lockgate.app.release_names import running
from lockgate.domain.audit import AuditEvent
from lockgate.domain.promotion import Promotion
from lockgate.errors import NotFound
from lockgate.ports import Clock, GatewayState
from lockgate.server import admin_documents as documents
from lockgate.server.admin_asking import body_of, query_of, respond
from lockgate.server.exchange import Exchange
from lockgate.server.route import Route
from lockgate.traffic.kill_switch import Kill, Leaves, Scope

_MOST_BYTES = 4 << 20
_CREATED = 201


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationAdmin:
    """Handles the kill switch, and what is only read."""

    bridge: StateBridge
    clock: Clock
    routes: Callable[[], Sequence[Route]]
    names: Mapping[Scope, Collection[str]]
    """The tasks and the models that there are here."""

    async def kills(self, exchange: Exchange) -> None:
        """Answer with what is off."""
        query_of(exchange, documents.NoQuery)
        found = (await self.bridge.do(kills)).kills
        await respond(exchange, documents.Kills(data=[self._kill(kill) for kill in found]))

    async def turn_off(self, exchange: Exchange) -> None:
        """Turn something off on every replica."""
        asked = await body_of(exchange, documents.NewKill)
        scope, name = _named(asked.what)
        kill = Kill(
            scope=scope,
            name=name,
            leaves=Leaves(asked.leaves),
            reason=asked.reason,
            actor=exchange.caller.principal.name,
            at=self.clock().isoformat(timespec="seconds"),
        )
        await self.bridge.do(lambda state: turn_off(state, kill))
        await respond(exchange, self._kill(kill), status=_CREATED)

    def _kill(self, kill: Kill) -> documents.Kill:
        return documents.Kill(
            what=f"{kill.scope}:{kill.name}" if kill.name else str(kill.scope),
            leaves=kill.leaves,
            reason=kill.reason,
            actor=kill.actor,
            at=kill.at,
            known=kill.scope is Scope.ALL or kill.name in self.names[kill.scope],
        )

    async def turn_on(self, exchange: Exchange) -> None:
        """Turn something on again."""
        asked = query_of(exchange, documents.KillQuery)
        scope, name = _named(asked.what)
        actor, reason = exchange.caller.principal.name, asked.reason
        await self.bridge.do(lambda state: turn_on(state, scope, name, reason=reason, actor=actor))
        await respond(exchange, documents.TurnedOn(what=asked.what))

    async def route_table(self, exchange: Exchange) -> None:
        """Answer with what there is, and whom it is for."""
        query_of(exchange, documents.NoQuery)
        rows = [
            documents.RouteRow(
                name=route.name,
                method=route.method,
                path=route.path,
                role=route.role,
                scope=route.scope,
                summary=route.summary,
            )
            for route in self.routes()
        ]
        await respond(exchange, documents.RouteRows(data=rows))

    async def releases(self, exchange: Exchange) -> None:
        """Answer with what runs: the newest promotion of each environment and task."""
        query_of(exchange, documents.NoQuery)
        found = await self.bridge.do(running)
        await respond(exchange, documents.Promotions(data=[_promotion(each) for each in found]))

    async def promotions(self, exchange: Exchange) -> None:
        """Answer with the newest promotions."""
        asked = query_of(exchange, documents.PromotionQuery)

        async def read(state: GatewayState) -> Sequence[Promotion]:
            async with state.begin() as unit:
                return await unit.promotions(
                    environment=asked.environment or None,
                    task=asked.task or None,
                    limit=asked.limit,
                )

        found = await self.bridge.do(read)
        await respond(exchange, documents.Promotions(data=[_promotion(each) for each in found]))

    async def audit(self, exchange: Exchange) -> None:
        """Answer with the newest events. What was said in calls is not in them."""
        asked = query_of(exchange, documents.AuditQuery)

        async def read(state: GatewayState) -> Sequence[AuditEvent]:
            async with state.begin() as unit:
                if asked.id is not UNSET:
                    event = await unit.event(asked.id)
                    return [] if event is None else [event]
                return await unit.recent(
                    limit=asked.limit, task=asked.subject or None, before=asked.before or None
                )

        found = await self.bridge.do(read)
        data = []
        left = _MOST_BYTES
        for event in found:
            left -= len(json.dumps(event.document))
            if left < 0:
                break
            data.append(event.document)
        await respond(exchange, documents.AuditEvents(data=data, cut=len(data) < len(found)))

    async def checkpoint(self, exchange: Exchange) -> None:
        """Answer with the newest checkpoint that a gateway signed, whole."""
        query_of(exchange, documents.NoQuery)
        found = await self.bridge.do(newest_checkpoint)
        if found is None:
            raise NotFound(
                "no gateway has signed a checkpoint yet",
                hint="`audit.checkpoint_signer` names a key",
            )
        await respond(
            exchange,
            documents.Checkpoint(
                seq=found.said.head.seq,
                digest=str(found.said.head.digest),
                at=found.said.at,
                key=found.key,
                bundle=found.data.decode("ascii"),
            ),
        )


def _named(what: str) -> tuple[Scope, str]:
    scope, _, name = what.partition(":")
    return Scope(scope), name


def _promotion(found: Promotion) -> documents.Promotion:
    return documents.Promotion(
        environment=found.environment,
        task=found.task,
        release=str(found.release),
        previous=None if found.previous is None else str(found.previous),
        action=found.action,
        at=found.at,
        actor=found.actor,
        reason=found.reason,
        decision=str(found.decision),
    )
