"""From the headers of a request to an identity. Synchronous and in memory: no request waits."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Protocol

from lockgate.domain.identity import GatewayKey, Identity, KeySecret
from lockgate.errors import Unauthenticated, Unavailable
from lockgate.identity.secret import digest
from lockgate.identity.table import KeyTable
from lockgate.ports import Clock

MAX_TOKEN_BYTES: Final = 16 << 10
MAX_STALE: Final = timedelta(hours=1)
_CACHED_TOKENS: Final = 4096
_HINT: Final = "send `Authorization: Bearer KEY`; `lockgate token new` makes one"


class TokenVerifier(Protocol):
    """Checks signed tokens."""

    def verify(self, token: bytes) -> tuple[Identity, datetime]:
        """Return whom a token stands for, and until when.

        Raises:
            Unauthenticated: it is not valid.
            Denied: it is, and no rule says what its bearer may do.

        """
        ...

    @property
    def generation(self) -> int:
        """A number that changes with the keys that tokens are checked against."""
        ...


class Authenticator:
    """Resolves API keys and tokens. Refuses everything until keys were loaded once."""

    def __init__(
        self,
        *,
        clock: Clock,
        pepper: bytes,
        tokens: TokenVerifier | None = None,
        max_stale: timedelta = MAX_STALE,
    ) -> None:
        self._clock = clock
        self._pepper = pepper
        self._tokens = tokens
        self._max_stale = max_stale
        self._table = KeyTable((), (), pepper=pepper)
        self._current_until: datetime | None = None
        self._verified: dict[bytes, tuple[Identity, datetime]] = {}
        self._generation = 0

    @property
    def is_loaded(self) -> bool:
        """Whether the keys were ever read."""
        return self._current_until is not None

    def load(self, keys: Iterable[GatewayKey], secrets: Iterable[KeySecret]) -> None:
        """Replace all keys at once; requests on other threads see the old or the new ones."""
        self._table = KeyTable(keys, secrets, pepper=self._pepper)
        self.confirm()

    def confirm(self) -> None:
        """Note that the database was asked just now, and the keys are as they were."""
        self._current_until = self._clock() + self._max_stale

    def authenticate(self, authorization: bytes | None, api_key: bytes | None) -> Identity:
        """Return who calls, by `Authorization: Bearer` or by `x-api-key`.

        Raises:
            Unauthenticated: neither is given, both are and differ, or it is not valid. All
                invalid secrets get the same words.
            Denied: a valid token whose bearer has no rule here.
            Unavailable: the keys were never loaded, or not for so long that a revoked one might
                still be among them.

        """
        secret = _secret(authorization, api_key)
        if self._tokens is not None and secret.startswith(b"eyJ"):
            return self._by_token(self._tokens, secret)
        now = self._clock()
        if self._current_until is None or now > self._current_until:
            raise Unavailable(
                "the gateway's keys are not known at the moment",
                hint="the database has not answered; try again",
            )
        identity = self._table.find(secret, now)
        if identity is None:
            raise Unauthenticated("the key is not valid", hint=_HINT)
        return identity

    def _by_token(self, tokens: TokenVerifier, token: bytes) -> Identity:
        if tokens.generation != self._generation:
            # A key that its issuer has withdrawn must not live on in what was checked with it.
            self._generation = tokens.generation
            self._verified = {}
        place = digest(token)
        cached = self._verified.get(place)
        if cached is None:
            cached = tokens.verify(token)
            if len(self._verified) >= _CACHED_TOKENS:
                self._verified.pop(next(iter(self._verified)))
            self._verified[place] = cached
        identity, ends = cached
        if self._clock() >= ends:
            self._verified.pop(place, None)
            raise Unauthenticated("the token has expired", hint="ask its issuer for a new one")
        return identity


def _secret(authorization: bytes | None, api_key: bytes | None) -> bytes:
    bearer = None if authorization is None else _bearer(authorization)
    if bearer is not None and api_key is not None and bearer != api_key:
        raise Unauthenticated(
            "`Authorization` and `x-api-key` name different keys", hint="send one of them"
        )
    secret = bearer or api_key
    if not secret:
        raise Unauthenticated("the request has no key", hint=_HINT)
    if len(secret) > MAX_TOKEN_BYTES:
        raise Unauthenticated(
            f"the key has {len(secret)} bytes, the most is {MAX_TOKEN_BYTES}", hint=_HINT
        )
    return secret


def _bearer(header: bytes) -> bytes:
    scheme, _, rest = header.partition(b" ")
    if scheme.lower() != b"bearer":  # RFC 9110 11.1: the scheme is case-insensitive
        raise Unauthenticated("`Authorization` is not `Bearer KEY`", hint=_HINT)
    return rest.strip(b" ")
