"""The trust root as a file: its document, and the signatures of root keys over it.

A Sigstore bundle holds one signature, and a trust root needs several, so it has a form of its own,
after the root role of The Update Framework: the payload is signed through DSSE's encoding.
"""

import base64
import binascii
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from lockgate.domain.digest import canonical
from lockgate.domain.trust import TrustRoot, accept
from lockgate.errors import Corrupt, NotFound, StorageFailed
from lockgate.signing.dsse import pre_authentication_encoding
from lockgate.signing.keys import Signer, verify

PAYLOAD_TYPE: Final = "application/vnd.lockgate.trust.v1+json"
MAX_BYTES: Final = 8 << 20
_MAX_SIGNATURES = 100


def encode(root: TrustRoot, signatures: Mapping[str, bytes]) -> bytes:
    """Return the file's only form. `signatures` by fingerprint."""
    return canonical(
        {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(root.encode()).decode(),
            "signatures": [
                {"fingerprint": key, "sig": base64.b64encode(signatures[key]).decode()}
                for key in sorted(signatures)
            ],
        }
    )


def decode(data: bytes) -> tuple[TrustRoot, Mapping[str, bytes]]:
    """Read a file; its signatures are not checked yet.

    Raises:
        Corrupt: it is not a trust root's file, or not in its only form.

    """
    if len(data) > MAX_BYTES:
        raise Corrupt(f"a trust root's file has {len(data):,} bytes, at most {MAX_BYTES:,} allowed")
    try:
        document = json.loads(data)
        signatures = {
            str(item["fingerprint"]): base64.b64decode(item["sig"], validate=True)
            for item in document["signatures"][:_MAX_SIGNATURES]
        }
        root = TrustRoot.parse(base64.b64decode(document["payload"], validate=True))
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise Corrupt("the file is not a trust root") from error
    if encode(root, signatures) != data:
        raise Corrupt("the trust root's file has unknown members or is not canonical JSON")
    return root, signatures


def sign(data: bytes, signer: Signer) -> bytes:
    """Add a signature to a file."""
    root, signatures = decode(data)
    return encode(root, {**signatures, signer.fingerprint: signer.sign(_signed(root))})


def signers(data: bytes, judge: TrustRoot) -> frozenset[str]:
    """Return the fingerprints of `judge` whose signatures in the file are right.

    Raises:
        Corrupt: a signature of a key that `judge` knows is wrong.

    """
    root, signatures = decode(data)
    found = set()
    for fingerprint, signature in signatures.items():
        key = judge.key(fingerprint)
        if key is None:
            continue
        if not verify(key.pem.encode(), signature, _signed(root)):
            raise Corrupt(
                f"the signature of `{key.holder}` ({fingerprint[:12]}) is not over this trust root"
            )
        found.add(fingerprint)
    return frozenset(found)


class TrustStore:
    """The trust root that is accepted on this machine.

    The highest version that was ever accepted is kept beside it, so that putting an old file back
    is noticed. Who can write to the folder can put both back: then only a copy elsewhere tells.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, now: datetime) -> TrustRoot | None:
        """Return the accepted trust root, its signatures checked again; None if there is none.

        Raises:
            Corrupt: the file was changed.
            Denied: it has expired, is older than what was accepted, or lacks signatures.

        """
        data = self.data()
        if data is None:
            if self._highest():
                raise NotFound(
                    f"the trust root of version {self._highest()} is gone from `{self._folder}`",
                    hint="put it back with `lockgate trust accept FILE`",
                )
            return None
        root = decode(data)[0]
        accept(None, root, sorted(signers(data, root)), now)
        if root.version < self._highest():
            raise Corrupt(
                f"the trust root has version {root.version}, version {self._highest()} was "
                "accepted here already: an older file was put back",
                hint="accept the newest one with `lockgate trust accept FILE`",
            )
        return root

    def accept(self, data: bytes, now: datetime) -> TrustRoot:
        """Let a file follow the accepted one. The first is trusted as it comes.

        Raises:
            Corrupt: it is not a trust root, or a signature is wrong.
            Denied: it is older, expired, or signed by too few.

        """
        new = decode(data)[0]
        held = self.data()
        old = None if held is None else decode(held)[0]
        known = signers(data, new) | (frozenset() if old is None else signers(data, old))
        accept(old, new, sorted(known), now)
        if old is None and new.version < self._highest():
            raise Corrupt(
                f"the trust root has version {new.version}, version {self._highest()} was "
                "accepted here already"
            )
        self._put("root.json", data)
        self._put("highest", str(new.version).encode())
        return new

    def data(self) -> bytes | None:
        """Return the accepted file's bytes; None if there is none."""
        try:
            with (self._folder / "root.json").open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageFailed(f"`{self._folder}`: {error.strerror}") from error

    def _highest(self) -> int:
        try:
            text = (self._folder / "highest").read_text("ascii")
            return int(text) if text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004
        except (FileNotFoundError, UnicodeDecodeError):
            return 0
        except OSError as error:
            raise StorageFailed(f"`{self._folder}`: {error.strerror}") from error

    def _put(self, name: str, data: bytes) -> None:
        partial = self._folder / f".{name}.{os.getpid()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._folder / name)
        except OSError as error:
            raise StorageFailed(f"`{self._folder}`: {error.strerror}") from error


def _signed(root: TrustRoot) -> bytes:
    return pre_authentication_encoding(PAYLOAD_TYPE, root.encode())
