"""Who may say what: the keys that a trust root names, their roles, and where these hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What the holder of a key may attest."""

    ROOT = "root"
    BUILDER = "builder"
    EVALUATOR = "evaluator"
    APPROVER = "approver"
    POLICY_OWNER = "policy-owner"
    GATE = "gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """A public key and what its holder may do."""

    fingerprint: str
    """SHA-256, in hex, of `pem`."""
    pem: str
    """SubjectPublicKeyInfo, ECDSA P-256."""
    holder: str
    """A person or a machine: separation of duties compares holders, not keys."""
    roles: frozenset[Role]
    scopes: tuple[str, ...] = ("*",)
    """Task names for which the roles hold; `*` is all of them, `team-*` those with the prefix."""
    expires: datetime | None = None
    revoked: bool = False

    def may(self, role: Role, task: str, now: datetime) -> str:
        """Say why the key may not act in `role` for `task` at `now`; empty if it may."""
        if self.revoked:
            return f"the key {self.fingerprint[:12]} of `{self.holder}` is revoked"
        if self.expires is not None and now >= self.expires:
            return (
                f"the key {self.fingerprint[:12]} of `{self.holder}` expired at "
                f"{self.expires.isoformat()}, it is {now.isoformat()}"
            )
        if role not in self.roles:
            has = ", ".join(sorted(self.roles)) or "none"
            return f"`{self.holder}` has the roles {has}, needed: {role}"
        if not any(_matches(scope, task) for scope in self.scopes):
            return (
                f"the roles of `{self.holder}` hold for {', '.join(self.scopes)}, "
                f"not for the task `{task}`"
            )
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRoot:
    """The keys that count here, in one signed and versioned document."""

    version: int
    expires: datetime
    threshold: int
    """How many different holders of ROOT keys must sign the next version."""
    keys: tuple[TrustedKey, ...]

    def key(self, fingerprint: str) -> TrustedKey | None:
        """Return a key by its fingerprint."""
        return next((key for key in self.keys if key.fingerprint == fingerprint), None)

    def holders(self, role: Role) -> Sequence[str]:
        """Return who has a role, each once, in order."""
        return sorted({key.holder for key in self.keys if role in key.roles})


def _matches(scope: str, task: str) -> bool:
    if scope.endswith("*"):
        return task.startswith(scope[:-1])
    return scope == task
