"""Signed tokens of identity providers (OpenID Connect), such as those of CI jobs.

RFC 8725 (best current practices for JSON Web Tokens) gives the checks and RFC 7519 the claims.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt

from lockgate.domain.identity import Identity
from lockgate.errors import Denied, InvalidConfig, LockgateError, Unauthenticated, Unavailable
from lockgate.identity.jwks import ALGORITHMS, MAX_KID, KeySet, read_key_set
from lockgate.identity.rules import Rule, choose
from lockgate.ports import Clock

Fetch = Callable[[str], bytes]
"""Gets the bytes at an address, bounded in size and time. Called on a background thread."""

MAX_TOKEN_BYTES: Final = 16 << 10
_SUBJECT_CHARACTERS: Final = 255
_REFRESH: Final = timedelta(minutes=10)
_SOONEST: Final = timedelta(seconds=10)
MAX_STALE: Final = timedelta(hours=24)
"""Keys that were not confirmed for so long are dropped: the issuer may have withdrawn one, and
whoever has it may be who keeps us from asking."""
# Headers that name where to get a key, or bring one along (RFC 8725 3.10).
_FOREIGN_KEYS: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit"})
_REQUIRED: Final = ["exp", "iat", "iss", "aud", "sub"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """An identity provider whose tokens count here."""

    name: str
    issuer: str
    """The whole `iss` claim."""
    audience: str
    """What `aud` must be, or hold."""
    jwks_url: str
    rules: tuple[Rule, ...]
    algorithms: frozenset[str] = frozenset({"RS256"})
    leeway_s: int = 30
    max_lifetime_s: int = 86_400
    """Seconds from `iat` to `exp`: a token for longer is refused."""

    def __post_init__(self) -> None:
        if unknown := self.algorithms - ALGORITHMS.keys():
            raise InvalidConfig(
                f"`{min(unknown)}` cannot sign tokens of the issuer `{self.name}`",
                hint=f"algorithms are {', '.join(ALGORITHMS)}",
            )


class Oidc:
    """Checks tokens against issuers' keys in memory; `refresh` brings those up to date."""

    def __init__(self, issuers: Sequence[Issuer], *, fetch: Fetch, clock: Clock) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        if len(self._issuers) != len(issuers):
            raise InvalidConfig("two issuers of tokens have the same `issuer`")
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, KeySet] = {}
        self._documents: dict[str, bytes] = {}
        self._tried: dict[str, datetime] = {}
        self._fresh: dict[str, datetime] = {}
        self._wanted: set[str] = set()
        self._lock = threading.Lock()
        self._generation = 0

    @property
    def generation(self) -> int:
        """See `TokenVerifier.generation`."""
        return self._generation

    def refresh(self) -> Sequence[LockgateError]:
        """Fetch the key sets that are old, or lack a key that a token named; return what failed.

        A set that cannot be had leaves the last one in place for `MAX_STALE`. Each address
        is asked at most every ten seconds, whatever tokens come.
        """
        failed: list[LockgateError] = []
        for issuer in self._issuers.values():
            if not self._due(issuer.issuer):
                continue
            self._tried[issuer.issuer] = self._clock()
            try:
                document = self._fetch(issuer.jwks_url)
                found = read_key_set(document)
            except LockgateError as error:
                failed.append(error)
                self._drop_if_stale(issuer.issuer)
                continue
            self._store(issuer.issuer, found, document)
        return failed

    def _due(self, issuer: str) -> bool:
        now = self._clock()
        tried = self._tried.get(issuer)
        if tried is not None and now < tried + _SOONEST:
            return False
        fresh = self._fresh.get(issuer)
        return issuer in self._wanted or fresh is None or now >= fresh + _REFRESH

    def _drop_if_stale(self, issuer: str) -> None:
        fresh = self._fresh.get(issuer)
        if fresh is None or self._clock() < fresh + MAX_STALE:
            return
        with self._lock:
            del self._fresh[issuer]
            del self._keys[issuer]
            del self._documents[issuer]
            self._generation += 1

    def _store(self, issuer: str, found: KeySet, document: bytes) -> None:
        with self._lock:
            self._keys[issuer] = found
            self._fresh[issuer] = self._clock()
            self._wanted.discard(issuer)
            if self._documents.get(issuer) != document:
                self._documents[issuer] = document
                self._generation += 1

    def verify(self, token: bytes) -> tuple[Identity, datetime]:
        """See `TokenVerifier.verify`."""
        # 1. Bounded, and its parts are what they should be.
        text, header, unproven = _parts(token)
        # 2. The issuer is one of ours, character for character. Only its keys count from here.
        issuer = self._issuers.get(str(unproven.get("iss")))
        if issuer is None:
            raise _refused("its issuer is not known here")
        # 3. The algorithm is one that the issuer is allowed, whatever the token would like.
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
            raise _refused("its algorithm is not allowed")
        if _FOREIGN_KEYS & header.keys():
            raise _refused("it brings its own key")
        if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID:
            raise _refused("it does not name its key")
        # 4. The key is the issuer's, and of the kind that the algorithm signs with.
        keys = self._keys.get(issuer.issuer)
        if keys is None:
            raise Unavailable(
                f"the keys of the issuer `{issuer.name}` are not known at the moment",
                hint="its `jwks_url` has not answered; try again",
            )
        key = keys.find(kid, algorithm)
        if key is None:
            with self._lock:
                self._wanted.add(issuer.issuer)
            raise _refused("its key is not known here")
        # 5. Signature and claims.
        claims = _claims(text, key, algorithm, issuer, self._clock())
        # 6. What its bearer may do.
        rule = choose(issuer.rules, claims)
        subject = claims["sub"]
        if rule is None:
            raise Denied(
                f"no rule of the issuer `{issuer.name}` fits the subject `{subject[:80]!a}`",
                hint="see `identity.issuers` in lockgate.toml",
            )
        ends = datetime.fromtimestamp(claims["exp"] + issuer.leeway_s, UTC)
        identity = Identity(
            key=f"{issuer.name}/{subject}",
            team=rule.team,
            roles=rule.roles,
            scopes=rule.scopes,
            expires_at=ends,
        )
        return identity, ends


def _parts(token: bytes) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
    if len(token) > MAX_TOKEN_BYTES or token.count(b".") != 2:  # noqa: PLR2004  RFC 7515 3.1
        raise _refused("it is not a signed token")
    try:
        text = token.decode("ascii")
        parts = jwt.decode_complete(text, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError, TypeError):
        raise _refused("it is not a signed token") from None
    return text, parts["header"], parts["payload"]


def _claims(
    text: str, key: Any, algorithm: str, issuer: Issuer, now: datetime
) -> Mapping[str, Any]:
    try:
        # The times are checked below, against our clock.
        claims = jwt.decode(
            text,
            key,
            algorithms=[algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            options={
                "require": _REQUIRED,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise _refused("its signature, issuer, audience or subject is wrong") from None
    seconds = now.timestamp()
    times = [claims["exp"], claims["iat"], claims.get("nbf", claims["iat"])]
    if not all(isinstance(t, int | float) and not isinstance(t, bool) for t in times):
        raise _refused("its times are not numbers")
    expires, issued, begins = times
    if not 0 < expires - issued <= issuer.max_lifetime_s:
        raise _refused(f"it is for longer than {issuer.max_lifetime_s} s, or for no time")
    if seconds >= expires + issuer.leeway_s:
        raise _refused("it has expired")
    if max(issued, begins) > seconds + issuer.leeway_s:
        raise _refused("it is not valid yet")
    subject = claims["sub"]
    if not 0 < len(subject) <= _SUBJECT_CHARACTERS or not subject.isprintable():
        raise _refused("its subject is empty, too long or not printable")
    return claims


def _refused(reason: str) -> Unauthenticated:
    return Unauthenticated(
        f"the token is not valid: {reason}", hint="see `identity.issuers` in lockgate.toml"
    )
