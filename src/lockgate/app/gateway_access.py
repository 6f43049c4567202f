"""Who may call: the keys of the configuration, or the person at this machine."""

import hashlib
import hmac
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from lockgate.app.calls import os_user
from lockgate.app.gateway_stages import Authenticator, Caller
from lockgate.config.gateway_settings import ServerKey
from lockgate.domain.call import Principal
from lockgate.errors import Unauthenticated

_BEARER = b"bearer "
ROLES = frozenset({"caller", "auditor", "operator", "admin"})


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """A caller that is known from the start; implements `Caller`."""

    key: str
    team: str
    roles: AbstractSet[str]
    scopes: frozenset[str]
    principal: Principal

    def may(self, kind: str, name: str) -> bool:
        return f"{kind}:{name}" in self.scopes or f"{kind}:*" in self.scopes


class ConfiguredKeys:
    """Knows the keys whose SHA-256 the configuration holds; implements `Authenticator`."""

    def __init__(self, keys: Mapping[str, ServerKey]) -> None:
        self._callers = {
            bytes.fromhex(key.sha256): KnownCaller(
                key=name,
                team=key.team,
                roles=frozenset(key.roles),
                scopes=frozenset(key.scopes),
                principal=Principal(name=f"{key.team}/{name}", scopes=frozenset(key.scopes)),
            )
            for name, key in keys.items()
        }

    def authenticate(self, authorization: bytes | None, api_key: bytes | None) -> KnownCaller:
        caller = self.find(bearer(authorization, api_key))
        if caller is None:
            raise Unauthenticated("the key is not known here")
        return caller

    def find(self, secret: bytes) -> KnownCaller | None:
        """Return whose key it is; None if it is nobody's."""
        # The digest of a guess tells nothing about that of a key: looking it up leaks no time.
        return self._callers.get(hashlib.sha256(secret).digest())


class Keyring:
    """Knows the keys of the configuration, and asks another authenticator for the rest."""

    def __init__(self, keys: Mapping[str, ServerKey], rest: Authenticator) -> None:
        self._configured = ConfiguredKeys(keys)
        self._rest = rest

    def authenticate(self, authorization: bytes | None, api_key: bytes | None) -> Caller:
        found = self._configured.find(bearer(authorization, api_key))
        return found or self._rest.authenticate(authorization, api_key)


class LocalCaller:
    """Takes everyone for the person at this machine: only ever on loopback or a Unix socket."""

    def __init__(self) -> None:
        user = os_user()
        self._caller = KnownCaller(
            key="local",
            team="local",
            roles=ROLES,
            scopes=frozenset({"task:*", "model:*", "route:*"}),
            principal=Principal(name=f"local/{user.name}", scopes=user.scopes),
        )

    def authenticate(self, authorization: bytes | None, api_key: bytes | None) -> KnownCaller:
        return self._caller


def bearer(authorization: bytes | None, api_key: bytes | None) -> bytes:
    """Return the secret that a request shows.

    Raises:
        Unauthenticated: none, or two different ones.

    """
    shown = api_key or b""
    if authorization is not None:
        if authorization[:7].lower() != _BEARER:
            raise Unauthenticated(
                "the `authorization` is of another kind", hint="send `Authorization: Bearer KEY`"
            )
        token = authorization[7:].strip()
        if shown and not hmac.compare_digest(shown, token):
            raise Unauthenticated("`authorization` and `x-api-key` differ", hint="send one of them")
        shown = token
    if not shown:
        raise Unauthenticated("no key was sent", hint="send `Authorization: Bearer KEY`")
    return shown
