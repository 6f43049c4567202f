"""The private keys of this machine: one encrypted PKCS#8 file each, readable by its owner only."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.errors import Corrupt, NotFound, StorageFailed, UsageError
from lockgate.signing.keys import PrivateKey, fingerprint, public_pem

SHORTEST_PASSPHRASE = 12
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_PRIVATE, _PUBLIC = ".key", ".pub"
_MAX_BYTES = 16 << 10
_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """A key, without its private half."""

    name: str
    fingerprint: str
    pem: str
    """The public half."""
    encrypted: bool


class KeyRing:
    """The keys in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new(self, name: str, passphrase: bytes | None) -> KeyInfo:
        """Make a key. `passphrase` None leaves it unencrypted: the caller was told.

        Raises:
            UsageError: the name is taken or not usable, or the passphrase is short.
            StorageFailed: the disk is full or read-only.

        """
        if _NAME.fullmatch(name) is None:
            raise UsageError(
                f"`{name[:80]}` cannot be a key's name", hint=f"names match `{_NAME.pattern}`"
            )
        if passphrase is not None and len(passphrase) < SHORTEST_PASSPHRASE:
            raise UsageError(
                f"the passphrase has {len(passphrase)} bytes, at least {SHORTEST_PASSPHRASE} needed"
            )
        if self._path(name, _PRIVATE).exists():
            raise UsageError(
                f"there is a key `{name}` already", hint=f"see `lockgate key rotate {name}`"
            )
        return self._write(name, PrivateKey.new(), passphrase)

    def rotate(self, name: str, passphrase: bytes | None) -> tuple[KeyInfo, KeyInfo]:
        """Keep the key under `NAME.FINGERPRINT` and make a new one. Return the old and the new.

        Raises:
            NotFound: there is no such key.

        """
        old = self.show(name)
        kept = f"{name}.{old.fingerprint[:12]}"
        try:
            for end in (_PUBLIC, _PRIVATE):
                self._path(name, end).rename(self._path(kept, end))
        except OSError as error:
            raise self._failed(error) from error
        return self.show(kept), self.new(name, passphrase)

    def list(self) -> Sequence[KeyInfo]:
        """Return the keys by name."""
        names = sorted(path.name.removesuffix(_PRIVATE) for path in self._folder.glob("*.key"))
        return [self.show(name) for name in names]

    def show(self, name: str) -> KeyInfo:
        """Return a key.

        Raises:
            NotFound: there is no such key.
            Corrupt: its public half is not one.

        """
        private = self._read(name, _PRIVATE)
        try:
            pem = public_pem(self._read(name, _PUBLIC))
        except UsageError as error:
            raise Corrupt(f"`{self._path(name, _PUBLIC)}`: {error.message}") from error
        return KeyInfo(
            name=name,
            fingerprint=fingerprint(pem),
            pem=pem.decode("ascii"),
            encrypted=private.startswith(_ENCRYPTED),
        )

    def open(self, name: str, passphrase: bytes | None) -> PrivateKey:
        """Return a key to sign with.

        Raises:
            NotFound: there is no such key.
            Denied: the passphrase is wrong or missing.
            Corrupt: the two halves are not of one key.

        """
        info = self.show(name)
        key = PrivateKey.read(self._read(name, _PRIVATE), passphrase if info.encrypted else None)
        if key.fingerprint != info.fingerprint:
            raise Corrupt(
                f"the halves of the key `{name}` do not belong together: the private one is "
                f"{key.fingerprint[:12]}, the public one {info.fingerprint[:12]}"
            )
        return key

    def _path(self, name: str, end: str) -> Path:
        return self._folder / f"{name}{end}"

    def _read(self, name: str, end: str) -> bytes:
        missing = NotFound(
            f"there is no key `{name[:80]}`", hint="see `lockgate key list`, `lockgate key new`"
        )
        if _NAME.fullmatch(name) is None:
            raise missing
        try:
            with self._path(name, end).open("rb") as file:
                return file.read(_MAX_BYTES)
        except FileNotFoundError:
            raise missing from None
        except OSError as error:
            raise self._failed(error) from error

    def _write(self, name: str, key: PrivateKey, passphrase: bytes | None) -> KeyInfo:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._put(name, _PUBLIC, key.pem, 0o644)
            # The private half last: a name counts from then on.
            self._put(name, _PRIVATE, key.encrypted(passphrase), 0o600)
        except OSError as error:
            raise self._failed(error) from error
        return self.show(name)

    def _put(self, name: str, end: str, data: bytes, mode: int) -> None:
        target = self._path(name, end)
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            os.write(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        partial.replace(target)

    def _failed(self, error: OSError) -> StorageFailed:
        return StorageFailed(f"`{self._folder}`: {(error.strerror or str(error)).lower()}")
