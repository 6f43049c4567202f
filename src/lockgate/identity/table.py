"""The valid keys in memory, found in a time that says nothing about them."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lockgate.domain.identity import GatewayKey, Identity, KeySecret
from lockgate.identity.secret import digest

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)
_NOBODY: Final = Identity(key="", team="", roles=frozenset(), scopes=frozenset())


@dataclass(frozen=True, slots=True)
class _Entry:
    digest: bytes
    identity: Identity
    ends: datetime


class KeyTable:
    """A snapshot of the keys: made anew at each change, never edited."""

    def __init__(
        self, keys: Iterable[GatewayKey], secrets: Iterable[KeySecret], *, pepper: bytes
    ) -> None:
        self._pepper = pepper
        self._nobody = _Entry(bytes(32), _NOBODY, _ALWAYS)
        identities = {key.id: key for key in keys if key.revoked_at is None}
        self._entries: dict[bytes, _Entry] = {}
        for secret in secrets:
            key = identities.get(secret.key)
            if key is None:
                continue
            stored = bytes.fromhex(secret.digest)
            ends = min(key.expires_at or _NEVER, secret.expires_at or _NEVER)
            self._entries[self._place(stored)] = _Entry(stored, key.identity, ends)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, secret: bytes, now: datetime) -> Identity | None:
        """Return whom the secret stands for.

        Known, unknown, expired and malformed secrets take the same steps: two hashes, one look-up
        under a hash that only this process can compute, one comparison in constant time.
        """
        wanted = digest(secret)
        entry = self._entries.get(self._place(wanted), self._nobody)
        same = hmac.compare_digest(entry.digest, wanted)
        current = now < entry.ends
        return entry.identity if same & current else None

    def _place(self, stored: bytes) -> bytes:
        return hashlib.blake2b(stored, digest_size=16, key=self._pepper).digest()
