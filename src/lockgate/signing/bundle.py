"""The file that a signature travels in: a Sigstore bundle with a public-key hint.

Format: sigstore `protobuf-specs`, `bundle.proto` v0.3, with a DSSE envelope. Exactly one signature,
no `keyid` (verifiers skip a signature whose key id is not their own fingerprint), no certificate,
no log entry, so that it is verified with no network.

A bundle has one form, its canonical JSON: anything else, even another spelling of the same values,
is refused, so that no byte of a file can change without notice.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Final

from lockgate.domain.digest import canonical
from lockgate.errors import Corrupt

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
MAX_BYTES: Final = 12 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A signed payload."""

    payload_type: str
    payload: bytes
    signature: bytes
    """ECDSA over SHA-256 of the payload's Pre-Authentication Encoding, in DER."""
    hint: str
    """Fingerprint of the key that is said to have signed. Proves nothing by itself."""

    def encode(self) -> bytes:
        """Return the bundle's only form."""
        return canonical(
            {
                "mediaType": MEDIA_TYPE,
                "verificationMaterial": {"publicKey": {"hint": self.hint}, "tlogEntries": []},
                "dsseEnvelope": {
                    "payload": base64.b64encode(self.payload).decode(),
                    "payloadType": self.payload_type,
                    "signatures": [{"sig": base64.b64encode(self.signature).decode()}],
                },
            }
        )


def parse(data: bytes) -> Bundle:
    """Read a bundle.

    Raises:
        Corrupt: it is not one, or not in its only form.

    """
    if len(data) > MAX_BYTES:
        raise Corrupt(f"a bundle has {len(data):,} bytes, at most {MAX_BYTES:,} allowed")
    try:
        document = json.loads(data)
        envelope = document["dsseEnvelope"]
        (signature,) = envelope["signatures"]
        found = Bundle(
            payload_type=_text(envelope["payloadType"]),
            payload=base64.b64decode(_text(envelope["payload"]), validate=True),
            signature=base64.b64decode(_text(signature["sig"]), validate=True),
            hint=_text(document["verificationMaterial"]["publicKey"]["hint"]),
        )
        canonical_form = found.encode()
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise Corrupt("the file is not a Sigstore bundle with one signature of a key") from error
    if canonical_form != data:
        raise Corrupt("the bundle has members that we do not know, or is not canonical JSON")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
