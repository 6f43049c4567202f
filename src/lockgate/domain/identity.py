"""Who calls the gateway, and what that caller may reach."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from lockgate.domain.call import Principal
from lockgate.errors import UsageError

SCOPE_KINDS: Final = ("task", "model", "route")
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ALL = "*"


class Role(StrEnum):
    """What a caller may do beside calling. Each is granted by name: none implies another."""

    CALLER = "caller"
    """Uses tasks and models."""
    AUDITOR = "auditor"
    """Reads the admin API: audit, usage, budgets."""
    OPERATOR = "operator"
    """Changes routes, budgets and the kill switch."""
    ADMIN = "admin"
    """Makes and revokes keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A caller whose proof was checked. There is no default one."""

    key: str
    """Id of the API key, or `ISSUER/SUBJECT` of a token."""
    team: str
    roles: frozenset[Role]
    scopes: frozenset[str]
    """`task:NAME`, `model:NAME`, `route:NAME`, or `KIND:*`."""
    expires_at: datetime | None = None

    def may(self, kind: str, name: str) -> bool:
        """Say whether a scope names this task, model or route, or all of them."""
        return f"{kind}:{name}" in self.scopes or f"{kind}:{_ALL}" in self.scopes

    @property
    def principal(self) -> Principal:
        """The caller as the engine and the audit log know it."""
        return Principal(name=f"{self.team}/{self.key}", scopes=self.scopes)


def check_scope(text: str) -> str:
    """Return `text` if it is a scope.

    Raises:
        UsageError: it is not `KIND:NAME` or `KIND:*` of a kind that there is.

    """
    kind, _, name = text.partition(":")
    if kind not in SCOPE_KINDS or not (name == _ALL or NAME.fullmatch(name)):
        raise UsageError(
            f"`{text[:80]}` is not a scope",
            hint=f"a scope is KIND:NAME or KIND:*, of the kinds {', '.join(SCOPE_KINDS)}",
        )
    return text


def check_name(what: str, text: str) -> str:
    """Return `text` if it can name a team or a key.

    Raises:
        UsageError: it cannot.

    """
    # No `/`: it divides the issuer from the subject in the key of a token.
    if not _PLAIN.fullmatch(text):
        raise UsageError(
            f"`{text[:80]}` cannot be the name of a {what}",
            hint="letters, digits, `.`, `_` and `-`, at most 64",
        )
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayKey:
    """An API key as it is stored: everything but its secrets."""

    id: str
    team: str
    roles: frozenset[Role]
    scopes: frozenset[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def identity(self) -> Identity:
        """Whom the key stands for."""
        return Identity(
            key=self.id,
            team=self.team,
            roles=self.roles,
            scopes=self.scopes,
            expires_at=self.expires_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySecret:
    """One secret of a key. Two are valid at once while a key is rotated."""

    digest: str
    """SHA-256 of the whole secret, hex. The secret has 256 random bits: nothing to guess."""
    key: str
    created_at: datetime
    expires_at: datetime | None = None

    def valid(self, now: datetime) -> bool:
        """Say whether it still opens anything."""
        return self.expires_at is None or now < self.expires_at
