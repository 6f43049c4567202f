"""Gateway keys to rows and back. Each change moves a counter that replicas watch."""

from collections.abc import Sequence
from datetime import datetime

from lockgate.domain.identity import GatewayKey, KeySecret, Role
from lockgate.errors import Corrupt, NotFound, Taken
from lockgate.store import rows
from lockgate.store.sql import Connection, Row

_COUNTER = "keys"


class SqlKeys:
    """Implements `ports.Keys` on a Connection."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    async def version(self) -> int:
        for row in await self._db.run("counter", name=_COUNTER):
            return rows.number(row, "value")
        return 0

    async def add(self, key: GatewayKey, secret: KeySecret) -> None:
        await self._changed()
        added = await self._db.run(
            "add_key",
            id=key.id,
            team=key.team,
            roles=rows.as_names(frozenset(key.roles)),
            scopes=rows.as_names(key.scopes),
            created_at=rows.as_time(key.created_at),
            created_by=key.created_by,
            expires_at=None if key.expires_at is None else rows.as_time(key.expires_at),
        )
        if not added:
            raise Taken(
                f"there is a key `{key.id}` already",
                hint=f"`lockgate token rotate {key.id}` gives it a new secret",
                request_hint=f"`POST /admin/keys/{key.id}/rotate` gives it a new secret",
            )
        await self._add_secret(secret)

    async def rotate(self, secret: KeySecret, *, old_until: datetime) -> None:
        await self._changed()
        key = next((k for k in await self.all() if k.id == secret.key), None)
        if key is None or key.revoked_at is not None:
            state = "is revoked" if key else "does not exist"
            raise NotFound(
                f"the key `{secret.key}` {state}",
                hint="see `lockgate token list`",
                request_hint="see `GET /admin/keys`",
            )
        await self._db.run("expire_secrets", key_id=secret.key, at=rows.as_time(old_until))
        await self._add_secret(secret)

    async def revoke(self, key: str, at: datetime) -> bool:
        await self._changed()
        revoked = await self._db.run("revoke_key", id=key, at=rows.as_time(at))
        await self._db.run("expire_secrets", key_id=key, at=rows.as_time(at))
        await self._db.run("drop_secrets", before=rows.as_time(at))
        return bool(revoked)

    async def all(self) -> Sequence[GatewayKey]:
        return [_key(row) for row in await self._db.run("keys")]

    async def secrets(self) -> Sequence[KeySecret]:
        return [
            KeySecret(
                digest=rows.text(row, "digest"),
                key=rows.text(row, "key_id"),
                created_at=rows.instant(row, "created_at"),
                expires_at=rows.maybe_instant(row, "expires_at"),
            )
            for row in await self._db.run("secrets")
        ]

    async def _add_secret(self, secret: KeySecret) -> None:
        await self._db.run(
            "add_secret",
            digest=secret.digest,
            key_id=secret.key,
            created_at=rows.as_time(secret.created_at),
            expires_at=None if secret.expires_at is None else rows.as_time(secret.expires_at),
        )

    async def _changed(self) -> None:
        # First in every change: it is also the lock that puts two changes in order.
        await self._db.run("bump_counter", name=_COUNTER)


def _key(row: Row) -> GatewayKey:
    try:
        roles = frozenset(Role(name) for name in rows.names(row, "roles"))
    except ValueError as error:
        raise Corrupt(f"a gateway key in the database has an unknown role: {error}") from error
    return GatewayKey(
        id=rows.text(row, "id"),
        team=rows.text(row, "team"),
        roles=roles,
        scopes=rows.names(row, "scopes"),
        created_at=rows.instant(row, "created_at"),
        created_by=rows.text(row, "created_by"),
        expires_at=rows.maybe_instant(row, "expires_at"),
        revoked_at=rows.maybe_instant(row, "revoked_at"),
    )
