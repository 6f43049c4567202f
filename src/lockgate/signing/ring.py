"""The keys of this machine: one file each, encrypted, readable by its owner only."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lockgate.errors import Corrupt, Denied, NotFound, UsageError
from lockgate.signing import disk, key_file
from lockgate.signing.key_file import KeyInfo
from lockgate.signing.keys import PrivateKey, public_pem

SHORTEST_PASSPHRASE: Final = 12
FEWEST_CHARACTERS: Final = 5
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,49}")
_KEPT = re.compile(rf"{_NAME.pattern}(\.[0-9a-f]{{12}})?")
_END = ".key"
_OTHERS = 0o077


class KeyRing:
    """The keys in one folder. Several processes may use it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new(self, name: str, passphrase: bytes | None) -> KeyInfo:
        """Make a key. `passphrase` None leaves it unencrypted: the caller was told.

        Raises:
            UsageError: the name is taken or not usable, or the passphrase is weak.
            StorageFailed: the disk is full or read-only.

        """
        self.require_free(name)
        data = _made(passphrase)
        with disk.locked(self._folder):
            self.require_free(name)
            self._put(name, data)
        return self.show(name)

    def link(self, name: str, pem: bytes, uri: str) -> KeyInfo:
        """Give a name to a key that a device or a service holds. Raises as `new` does."""
        self.require_free(name)
        data = key_file.with_uri(public_pem(pem), uri)
        with disk.locked(self._folder):
            self.require_free(name)
            self._put(name, data)
        return self.show(name)

    def rotate(self, name: str, passphrase: bytes | None) -> tuple[KeyInfo, KeyInfo]:
        """Keep the key as `NAME.FINGERPRINT` and make a new one. Return the old and the new.

        At any moment the name has a whole key: the old one or the new.

        Raises:
            NotFound: there is no such key.
            UsageError: it is one that was kept before, or a device holds it, or as for `new`.

        """
        old = self.show(name)
        _require_name(name)
        if old.uri:
            raise UsageError(
                f"a device holds the key `{name}`: `{old.uri}`",
                hint="make the new key there, then `lockgate key link` it under another name",
            )
        data = _made(passphrase)
        with disk.locked(self._folder):
            old = self.show(name)
            kept = f"{name}.{old.fingerprint[:12]}"
            self._put(kept, self._read(name))
            self._put(name, data)
        return self.show(kept), self.show(name)

    def list(self) -> Sequence[KeyInfo]:
        """Return the keys by name."""
        names = sorted(path.name.removesuffix(_END) for path in self._folder.glob(f"*{_END}"))
        return [self.show(name) for name in names]

    def show(self, name: str) -> KeyInfo:
        """Return a key.

        Raises:
            NotFound: there is no such key.
            Corrupt: its file is damaged.

        """
        return key_file.parse(name, self._read(name))[0]

    def open(self, name: str, passphrase: bytes | None) -> PrivateKey:
        """Return a key to sign with.

        Raises:
            NotFound: there is no such key.
            Denied: the passphrase is wrong or missing, or others can read the private half.
            Corrupt: the two halves are not of one key.
            UsageError: a device holds it.

        """
        info, private = key_file.parse(name, self._read(name))
        if info.uri:
            raise UsageError(f"the private half of the key `{name}` is at `{info.uri}`")
        self._require_private(info)
        key = PrivateKey.read(private, passphrase if info.encrypted else None)
        if key.fingerprint != info.fingerprint:
            raise Corrupt(
                f"the halves of the key `{name}` do not belong together: the private one is "
                f"{key.fingerprint[:12]}, the public one {info.fingerprint[:12]}"
            )
        return key

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_END}"

    def require_free(self, name: str) -> None:
        """Refuse a name that is taken or not usable. Raises UsageError."""
        _require_name(name)
        if self._path(name).exists():
            raise UsageError(
                f"there is a key `{name}` already", hint=f"see `lockgate key rotate {name}`"
            )

    def _require_private(self, info: KeyInfo) -> None:
        mode = self._path(info.name).stat().st_mode & 0o777
        if not info.encrypted and mode & _OTHERS:
            raise Denied(
                f"others can read the key `{info.name}`, which has no passphrase: its mode is "
                f"{mode:04o}, 0600 is needed",
                hint=f"`chmod 600 {self._path(info.name)}`, and think of it as known to them",
            )

    def _read(self, name: str) -> bytes:
        found = None
        if _KEPT.fullmatch(name) is not None:
            found = disk.take(self._path(name), key_file.MAX_BYTES)
        if found is None:
            raise NotFound(
                f"there is no key `{name[:80]}`", hint="see `lockgate key list`, `lockgate key new`"
            )
        return found

    def _put(self, name: str, data: bytes) -> None:
        disk.put(self._path(name), data, mode=0o600)


def _require_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"`{name[:80]}` cannot be a key's name", hint=f"names match `{_NAME.pattern}`"
        )


def _made(passphrase: bytes | None) -> bytes:
    """Return the file of a new key. Raises UsageError for a passphrase that is soon guessed."""
    if passphrase is not None and len(passphrase) < SHORTEST_PASSPHRASE:
        raise UsageError(
            f"the passphrase has {len(passphrase)} bytes, at least {SHORTEST_PASSPHRASE} needed"
        )
    if passphrase is not None and len(set(passphrase)) < FEWEST_CHARACTERS:
        raise UsageError(
            f"the passphrase has {len(set(passphrase))} different characters, "
            f"at least {FEWEST_CHARACTERS} needed"
        )
    key = PrivateKey.new()
    return key_file.with_private(key.pem, key.encrypted(passphrase))
