"""The trust root as a file: its document, and the signatures of root keys over it.

A Sigstore bundle holds one signature, and a trust root needs several, so it has a form of its own,
after the root role of The Update Framework: the payload is signed through DSSE's encoding.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Final

from lockgate.domain.digest import canonical
from lockgate.domain.trust import TrustedKey, TrustRoot
from lockgate.errors import Corrupt, UsageError
from lockgate.signing.dsse import pre_authentication_encoding
from lockgate.signing.keys import Signer, public_pem, verify

PAYLOAD_TYPE: Final = "application/vnd.lockgate.trust.v1+json"
MAX_BYTES: Final = 2 << 20
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
        raise Corrupt(
            f"the file of {len(data):,} bytes is not a trust root",
            hint="give what `lockgate trust export` wrote",
        ) from error
    if encode(root, signatures) != data:
        raise Corrupt("the trust root's file has unknown members or is not canonical JSON")
    for key in root.keys:
        _require_one_form(key)
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


def _signed(root: TrustRoot) -> bytes:
    return pre_authentication_encoding(PAYLOAD_TYPE, root.encode())


def _require_one_form(key: TrustedKey) -> None:
    """Refuse a key that is none, or another spelling of one: it would have two fingerprints."""
    try:
        same = public_pem(key.pem.encode()) == key.pem.encode()
    except UsageError as error:
        raise Corrupt(f"the key of `{key.holder}` in the trust root: {error.message}") from error
    if not same:
        raise Corrupt(f"the key of `{key.holder}` in the trust root is not PEM in its one form")
