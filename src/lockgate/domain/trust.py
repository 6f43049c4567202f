"""Who may say what: the keys that a trust root names, their roles, and where these hold."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from lockgate.domain.digest import Json, canonical
from lockgate.domain.instants import instant_of, instant_text
from lockgate.errors import Corrupt, Denied

API_VERSION: Final = "lockgate/v1"
MAX_KEYS: Final = 1000
MAX_VERSION: Final = 10**9
MAX_NAME: Final = 100
MAX_BYTES: Final = 1 << 20


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

    @property
    def document(self) -> dict[str, Json]:
        """The key as JSON."""
        found: dict[str, Json] = {
            "fingerprint": self.fingerprint,
            "pem": self.pem,
            "holder": self.holder,
            "roles": sorted(self.roles),
            "scopes": list(self.scopes),
        }
        if self.expires is not None:
            found["expires"] = instant_text(self.expires)
        if self.revoked:
            found["revoked"] = True
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRoot:
    """The keys that count here, in one signed and versioned document."""

    version: int
    expires: datetime
    threshold: int
    """How many different holders of ROOT keys must sign the next version."""
    keys: tuple[TrustedKey, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the document that root keys sign.

        Raises:
            Corrupt: it is not the canonical document of a trust root.

        """
        if len(data) > MAX_BYTES:
            raise Corrupt(f"a trust root has {len(data):,} bytes, at most {MAX_BYTES:,} allowed")
        try:
            document = json.loads(data)
            found = cls(
                version=_positive(document["version"]),
                expires=instant_of(document["expires"]),
                threshold=_positive(document["threshold"]),
                keys=tuple(_key(key) for key in document["keys"][:MAX_KEYS]),
            )
            encoded = found.encode()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Corrupt(
                f"the trust root is malformed: {type(error).__name__}: {error}"[:200],
                hint="ask for the file again; nothing was accepted",
            ) from error
        if encoded != data:
            raise Corrupt(
                "the trust root has unknown members or is not canonical JSON",
                hint="ask for the file again, as it was exported; nothing was accepted",
            )
        return found

    def encode(self) -> bytes:
        """Return the canonical bytes, which are what root keys sign."""
        return canonical(
            {
                "apiVersion": API_VERSION,
                "version": self.version,
                "expires": instant_text(self.expires),
                "threshold": self.threshold,
                "keys": [key.document for key in sorted(self.keys, key=lambda k: k.fingerprint)],
            }
        )

    def with_key(self, key: TrustedKey) -> Self:
        """Return the next version, in which `key` stands for its fingerprint."""
        kept = tuple(k for k in self.keys if k.fingerprint != key.fingerprint)
        return replace(self, version=self.version + 1, keys=(*kept, key))

    def key(self, fingerprint: str) -> TrustedKey | None:
        """Return a key by its fingerprint."""
        return next((key for key in self.keys if key.fingerprint == fingerprint), None)

    def holders(self, role: Role) -> Sequence[str]:
        """Return who has a role, each once, in order."""
        return sorted({key.holder for key in self.keys if role in key.roles})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A trust root that somebody hands over, and who signed it."""

    root: TrustRoot
    signers: Sequence[str]
    """Fingerprints of the keys, of this root or the one before, whose signatures are right."""


def follow(old: TrustRoot | None, proposals: Sequence[Proposal], now: datetime) -> TrustRoot:
    """Let trust roots follow `old` one by one, as TUF roots do, and return the last, or refuse.

    The first one is trusted as it comes if there is no `old`. Only the last has to be in force:
    a machine that was off while a version came and went must still get to the next (TUF
    specification 5.3.10).

    Raises:
        Denied: one is older, skips a version, or too few root holders signed it, by what it says
            itself and by what the one before says; or the last has expired.
        Corrupt: one contradicts itself.

    """
    assert proposals, "a caller has at least one"
    for proposal in proposals:
        new = proposal.root
        _require_clear(new)
        if old is not None:
            _require_next(old, new)
            _require_threshold(old, proposal, now)
        _require_threshold(new, proposal, now)
        old = new
    assert old is not None, "there was a proposal"
    require_current(old, now)
    return old


def require_current(root: TrustRoot, now: datetime) -> None:
    """Refuse a trust root that has expired. Raises Denied."""
    if now >= root.expires:
        raise Denied(
            f"the trust root of version {root.version} expired at {instant_text(root.expires)}, "
            f"it is {instant_text(now)}",
            hint="let the holders of root keys sign a new version with `lockgate trust renew`",
        )


def _require_clear(root: TrustRoot) -> None:
    """Refuse a root in which one key has two meanings, or one person may look like two."""
    seen: dict[str, TrustedKey] = {}
    holders: dict[str, str] = {}
    for key in root.keys:
        other = seen.get(key.fingerprint)
        if other is not None:
            raise Corrupt(
                f"the trust root names the key {key.fingerprint[:12]} twice: for `{other.holder}` "
                f"and for `{key.holder}`"
            )
        seen[key.fingerprint] = key
        spelled = holders.setdefault(" ".join(key.holder.split()).casefold(), key.holder)
        if spelled != key.holder:
            both = " and ".join(f"`{name}`" for name in sorted((spelled, key.holder)))
            raise Corrupt(
                f"the trust root has the holders {both}, which are too alike to be two",
                hint="holders are compared to keep duties apart: write one name one way",
            )


def _require_next(old: TrustRoot, new: TrustRoot) -> None:
    if new.version <= old.version:
        raise Denied(
            f"the trust root has version {new.version}, accepted here is {old.version} already",
            hint="an older trust root may hold keys that were revoked since; ask for the newest",
        )
    if new.version != old.version + 1:
        raise Denied(
            f"the trust root has version {new.version}, the next one is {old.version + 1}",
            hint="accept the versions between too, in order: each is signed by the one before",
        )


def _require_threshold(judge: TrustRoot, proposal: Proposal, now: datetime) -> None:
    """Count different holders whose ROOT keys, by what `judge` says of them, signed it."""
    holders = set()
    for fingerprint in proposal.signers:
        key = judge.key(fingerprint)
        if key is not None and not key.may(Role.ROOT, "*", now):
            holders.add(key.holder)
    if len(holders) < judge.threshold:
        who = ", ".join(sorted(holders)) or "nobody"
        raise Denied(
            f"version {proposal.root.version} of the trust root is signed by {len(holders)} "
            f"holder(s) of root keys of version {judge.version} ({who}), needed: {judge.threshold}",
            hint="let another holder sign it with `lockgate trust sign FILE --sign KEY`",
        )


def _key(value: Any) -> TrustedKey:
    roles, scopes, expires = value["roles"], value["scopes"], value.get("expires")
    if not scopes or not all(is_name(scope) for scope in scopes):
        raise ValueError("scopes")
    texts = [value[name] for name in ("fingerprint", "pem", "holder")]
    if not all(isinstance(text, str) for text in texts) or not is_name(texts[2]):
        raise ValueError("fingerprint, pem or holder")
    if hashlib.sha256(texts[1].encode()).hexdigest() != texts[0]:
        raise ValueError(f"the fingerprint {texts[0][:12]} is not that of its key")
    return TrustedKey(
        fingerprint=texts[0],
        pem=texts[1],
        holder=texts[2],
        roles=frozenset(Role(role) for role in roles),
        scopes=tuple(scopes),
        expires=None if expires is None else instant_of(expires),
        revoked=value.get("revoked") is True,
    )


def is_name(value: Any) -> bool:
    """Say whether a holder or a scope may be called that."""
    # Names are shown to who signs: they must not be able to move the cursor or turn the text.
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def _positive(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_VERSION:
        raise ValueError(f"{value!r} is not an integer from 1 to {MAX_VERSION}")
    return value


def _matches(scope: str, task: str) -> bool:
    if scope.endswith("*"):
        return task.startswith(scope[:-1])
    return scope == task
