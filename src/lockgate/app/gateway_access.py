"""Who may call: the keys of the configuration, or the person at this machine."""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from lockgate.app.calls import os_user
from lockgate.app.gateway_stages import Authenticator, Caller
from lockgate.config.settings import ServerKey
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

    def find(self, authorization: bytes | None, api_key: bytes | None) -> KnownCaller | None:
        """Return who shows one of these keys. Raises Unauthenticated if no key is shown."""
        secret = bearer(authorization, api_key)
        # The digest of a guess tells nothing about that of a key: looking it up leaks no time.
        return self._callers.get(hashlib.sha256(secret).digest())

    def authenticate(self, authorization: bytes | None, api_key: bytes | None) -> KnownCaller:
        caller = self.find(authorization, api_key)
        if caller is None:
            raise Unauthenticated("the key is not known here")
        return caller


class AnyKey:
    """Knows the keys of the configuration, and those of another `Authenticator` beside them."""

    def __init__(self, configured: ConfiguredKeys, others: Authenticator) -> None:
        self._configured = configured
        self._others = others

    def authenticate(self, authorization: bytes | None, api_key: bytes | None) -> Caller:
        known = self._configured.find(authorization, api_key)
        return known or self._others.authenticate(authorization, api_key)


def is_reachable(listen: str) -> bool:
    """Say whether others than this machine reach an address."""
    if listen.startswith("unix:"):
        return False
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True  # a name: who knows what it stands for tomorrow


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
