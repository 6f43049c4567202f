"""Who may call the gateway: keys made and ended here, and followed by every replica."""

import asyncio
import secrets
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from lockgate.app.background import Job, until
from lockgate.app.calls import new_id
from lockgate.config.environment import Environment
from lockgate.config.gateway_settings import IdentitySettings, TokenIssuer
from lockgate.domain.audit import Entry
from lockgate.domain.digest import JsonObject
from lockgate.domain.identity import GatewayKey, KeySecret, Role, check_name, check_scope
from lockgate.errors import LockgateError, NotFound, StorageFailed, Unavailable, UsageError
from lockgate.identity.authenticator import Authenticator, TokenVerifier
from lockgate.identity.secret import digest, new_secret
from lockgate.ports import Clock, GatewayState, GatewayUnit

POLL_S: Final = 0.25
"""How often each replica asks for changed keys: a revoked one is refused within twice this."""
_ANSWER_S: Final = 3.0
_TOKENS_S: Final = 2.0
_MAX_KEY_SET: Final = 256 << 10
_FETCH_S: Final = 5.0
_OK: Final = 200
Failed = Callable[[LockgateError], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A key that is to be made."""

    id: str
    team: str
    roles: frozenset[Role]
    scopes: frozenset[str]
    expires_at: datetime | None = None


def open_authenticator(
    settings: IdentitySettings, *, clock: Clock, fetch: Callable[[str], bytes], failed: Failed
) -> tuple[Authenticator, Sequence[Job]]:
    """Return what resolves callers, and the jobs that keep it up to date on `Background`.

    `fetch` gets an issuer's keys from its address, bounded in size and time.

    Raises:
        InvalidConfig: two issuers are the same, or a pattern is none.

    """
    pepper = secrets.token_bytes(32)
    if not settings.issuers:
        gate = Authenticator(clock=clock, pepper=pepper)
        return gate, [_follow_keys(gate, failed)]
    tokens, follow = _tokens(settings.issuers, clock=clock, fetch=fetch, failed=failed)
    gate = Authenticator(clock=clock, pepper=pepper, tokens=tokens)
    return gate, [_follow_keys(gate, failed), follow]


def key_fetcher(environment: Environment, *, total_s: float = _FETCH_S) -> Callable[[str], bytes]:
    """Get an issuer's keys: no redirects, no proxies, `total_s` seconds and some bytes at most."""

    def fetch(url: str) -> bytes:
        import aiohttp  # only where there are issuers

        try:
            return asyncio.run(_key_set(url, environment.ca_file, total_s))
        except (aiohttp.ClientError, OSError, ValueError) as error:  # OSError: too slow, too
            reason = str(error) or type(error).__name__
            raise Unavailable(f"the keys at `{url}` did not come: {reason[:200]}") from error

    return fetch


async def _key_set(url: str, ca_file: Path | None, total_s: float) -> bytes:
    import aiohttp

    context = ssl.create_default_context(cafile=ca_file)
    async with (
        # From connecting to the last byte: one that drips would hold up all other issuers.
        asyncio.timeout(total_s),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        content = b""
        while len(content) <= _MAX_KEY_SET and (part := await answer.content.readany()):
            content += part
        if answer.status != _OK or len(content) > _MAX_KEY_SET:
            raise Unavailable(
                f"the keys at `{url}` did not come: status {answer.status}, {len(content)} bytes"
            )
        return content


async def make_key(state: GatewayState, wanted: Wanted, *, actor: str, now: datetime) -> str:
    """Store a new key and return its secret, which is nowhere else.

    Raises:
        Taken: there is, or was, a key of that id.
        UsageError: a name, a scope or the time is none.

    """
    check_name("key", wanted.id)
    check_name("team", wanted.team)
    for scope in wanted.scopes:
        check_scope(scope)
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise UsageError(f"the key would have expired at {wanted.expires_at}, it is {now} now")
    key = GatewayKey(
        id=wanted.id,
        team=wanted.team,
        roles=wanted.roles,
        scopes=wanted.scopes,
        created_at=now,
        created_by=actor,
        expires_at=wanted.expires_at,
    )
    secret = new_secret(secrets.token_bytes)
    detail: JsonObject = {
        "team": key.team,
        "roles": sorted(key.roles),
        "scopes": sorted(key.scopes),
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
    }
    async with state.begin() as unit:
        await unit.lock_audit()
        await unit.keys.add(key, _stored(secret, key.id, now))
        await _note(unit, "token.new", key.id, actor=actor, now=now, detail=detail)
    return secret


async def rotate_key(
    state: GatewayState, key: str, *, actor: str, now: datetime, overlap: timedelta
) -> str:
    """Give a key a second secret and return it; the ones before it end after `overlap`.

    Raises:
        NotFound: there is no such key, or it is revoked.

    """
    secret, old_until = new_secret(secrets.token_bytes), now + overlap
    async with state.begin() as unit:
        await unit.lock_audit()
        await unit.keys.rotate(_stored(secret, key, now), old_until=old_until)
        detail: JsonObject = {"old_until": old_until.isoformat()}
        await _note(unit, "token.rotate", key, actor=actor, now=now, detail=detail)
    return secret


async def revoke_key(state: GatewayState, key: str, *, actor: str, now: datetime) -> None:
    """End a key on every replica.

    Raises:
        NotFound: there is no such key, or it is revoked already.

    """
    async with state.begin() as unit:
        await unit.lock_audit()
        if not await unit.keys.revoke(key, now):
            raise NotFound(
                f"no valid key is called `{key}`",
                hint="see `lockgate token list`",
                request_hint="see `GET /admin/keys`",
            )
        await _note(unit, "token.revoke", key, actor=actor, now=now, detail={})


async def list_keys(state: GatewayState) -> Sequence[GatewayKey]:
    """Return all keys, revoked ones included."""
    async with state.begin() as unit:
        return await unit.keys.all()


def _follow_keys(gate: Authenticator, failed: Failed) -> Job:
    async def follow(state: GatewayState, stop: asyncio.Event) -> None:
        known = -1
        while not stop.is_set():
            try:
                known = await _load(state, gate, known)
            except LockgateError as error:
                failed(error)
            await until(stop, POLL_S)

    return follow


async def _load(state: GatewayState, gate: Authenticator, known: int) -> int:
    try:
        async with asyncio.timeout(_ANSWER_S), state.begin() as unit:
            version = await unit.keys.version()
            if version == known:
                gate.confirm()
            else:
                gate.load(await unit.keys.all(), await unit.keys.secrets())
            return version
    except TimeoutError:
        raise StorageFailed(f"the keys did not come in {_ANSWER_S:.0f} s") from None


def _tokens(
    issuers: Sequence[TokenIssuer], *, clock: Clock, fetch: Callable[[str], bytes], failed: Failed
) -> tuple[TokenVerifier, Job]:
    from lockgate.identity.oidc import Issuer, Oidc
    from lockgate.identity.rules import Glob, Rule

    tokens = Oidc(
        [
            Issuer(
                name=given.name,
                issuer=given.issuer,
                audience=given.audience,
                jwks_url=given.jwks_url,
                algorithms=frozenset(given.algorithms),
                rules=tuple(
                    Rule(
                        claims={name: Glob(text) for name, text in rule.claims.items()},
                        team=rule.team,
                        roles=frozenset(rule.roles),
                        scopes=frozenset(map(check_scope, rule.scopes)),
                    )
                    for rule in given.rules
                ),
            )
            for given in issuers
        ],
        fetch=fetch,
        clock=clock,
    )

    async def follow(_: GatewayState, stop: asyncio.Event) -> None:
        while not stop.is_set():
            for error in await asyncio.to_thread(tokens.refresh):
                failed(error)
            await until(stop, _TOKENS_S)

    return tokens, follow


def _stored(secret: str, key: str, now: datetime) -> KeySecret:
    return KeySecret(digest=digest(secret.encode()).hex(), key=key, created_at=now)


async def _note(
    unit: GatewayUnit, action: str, key: str, *, actor: str, now: datetime, detail: JsonObject
) -> None:
    await unit.append(
        Entry(id=new_id(), at=now, actor=actor, action=action, subject=key, detail=detail)
    )
