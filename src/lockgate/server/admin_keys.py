"""`/admin/keys`: made, rotated and revoked. A secret is shown once, to whoever made it."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta

from lockgate.app.gateway_admin import StateBridge
from lockgate.app.identity import Wanted, list_keys, make_key, revoke_key, rotate_key
from lockgate.domain.identity import GatewayKey, Role
from lockgate.errors import Taken
from lockgate.ports import Clock
from lockgate.server import admin_documents as documents
from lockgate.server.admin_asking import body_of, query_of, respond
from lockgate.server.exchange import Exchange

_CREATED = 201


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAdmin:
    """Handles keys."""

    bridge: StateBridge
    clock: Clock
    configured: AbstractSet[str]
    """Keys of the configuration: two that share a name would share budgets and calls."""

    async def listed(self, exchange: Exchange) -> None:
        """Answer with the keys, revoked ones included."""
        asked = query_of(exchange, documents.KeyQuery)
        found = sorted(await self.bridge.do(list_keys), key=lambda key: key.id)
        after = asked.after or ""
        rows = [key for key in found if key.id > after]
        data = [_document(key) for key in rows[: asked.limit]]
        await respond(exchange, documents.Keys(data=data, has_more=len(rows) > asked.limit))

    async def make(self, exchange: Exchange) -> None:
        """Make a key, and answer with its secret."""
        asked = await body_of(exchange, documents.NewKey)
        if asked.id in self.configured:
            raise Taken(f"the configuration has a key `{asked.id}`", hint="choose another id")
        now, actor, days = self.clock(), _actor(exchange), asked.expires_days
        wanted = Wanted(
            id=asked.id,
            team=asked.team,
            roles=frozenset(Role(role) for role in asked.roles),
            scopes=frozenset(asked.scopes),
            expires_at=now + timedelta(days=days) if days else None,
        )
        secret = await self.bridge.do(lambda state: make_key(state, wanted, actor=actor, now=now))
        answer = documents.Secret(id=asked.id, secret=secret)
        await respond(exchange, answer, status=_CREATED)

    async def rotate(self, exchange: Exchange) -> None:
        """Give a key a new secret. The ones before it end, no later than they would have."""
        asked = await body_of(exchange, documents.Rotation)
        key, now, actor = exchange.params["key"], self.clock(), _actor(exchange)
        overlap = timedelta(hours=asked.overlap_hours)
        secret = await self.bridge.do(
            lambda state: rotate_key(state, key, actor=actor, now=now, overlap=overlap)
        )
        answer = documents.Secret(id=key, secret=secret, old_until=now + overlap)
        await respond(exchange, answer, status=_CREATED)

    async def revoke(self, exchange: Exchange) -> None:
        """End a key on every replica."""
        query_of(exchange, documents.NoQuery)
        key, now, actor = exchange.params["key"], self.clock(), _actor(exchange)
        await self.bridge.do(lambda state: revoke_key(state, key, actor=actor, now=now))
        await respond(exchange, documents.Revoked(id=key))


def _actor(exchange: Exchange) -> str:
    return exchange.caller.principal.name


def _document(key: GatewayKey) -> documents.Key:
    return documents.Key(
        id=key.id,
        team=key.team,
        roles=sorted(key.roles),
        scopes=sorted(key.scopes),
        created_at=key.created_at,
        created_by=key.created_by,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
    )
