"""What is signed: the Pre-Authentication Encoding of a payload.

Format: Dead Simple Signing Envelope v1.0, `protocol.md`.
"""


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return `DSSEv1 <len(type)> <type> <len(payload)> <payload>`, lengths in bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
