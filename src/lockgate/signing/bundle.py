"""The file that a signature travels in: a Sigstore bundle with a public-key hint.

Format: sigstore `protobuf-specs`, `bundle.proto` v0.3, with a DSSE envelope. Exactly one signature,
no `keyid` (verifiers skip a signature whose key id is not their own fingerprint), no certificate,
no log entry, so that it is verified with no network.

A bundle has one form, its canonical JSON: anything else, even another spelling of the same values,
is refused, so that no byte of a file can change without notice.
"""

import base64
import re
from dataclasses import dataclass
from typing import Final

from lockgate.domain.digest import canonical
from lockgate.errors import Corrupt

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
MAX_BYTES: Final = 12 << 20
# No JSON reader sees a file before its signature is checked: nesting, numbers and repeated members
# cannot matter. Each part ends at a quote that it cannot hold, so matching is linear.
_FORM: Final = re.compile(
    rb'\{"dsseEnvelope":\{"payload":"([A-Za-z0-9+/]*={0,2})"'
    rb',"payloadType":"([\w./+-]{1,200})"'
    rb',"signatures":\[\{"sig":"([A-Za-z0-9+/]{1,200}={0,2})"\}\]\}'
    rb',"mediaType":"' + re.escape(MEDIA_TYPE.encode()) + rb'"'
    rb',"verificationMaterial":\{"publicKey":\{"hint":"([0-9a-f]{64})"\},"tlogEntries":\[\]\}\}'
)


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
    found = _FORM.fullmatch(data)
    if found is None:
        raise Corrupt(
            "the file is not a Sigstore bundle with one signature of a key, in its one form",
            hint="canonical JSON with no other member; other tools' bundles are not read",
        )
    payload, kind, signature, hint = found.groups()
    try:
        bundle = Bundle(
            payload_type=kind.decode("ascii"),
            payload=base64.b64decode(payload, validate=True),
            signature=base64.b64decode(signature, validate=True),
            hint=hint.decode("ascii"),
        )
    except ValueError as error:
        raise Corrupt("a bundle's payload or signature is not base64") from error
    # Base64 has bits that carry nothing (RFC 4648, section 3.5): they could be flipped unseen.
    if bundle.encode() != data:
        raise Corrupt("a bundle's payload or signature is not base64 in its one form")
    return bundle
