"""Signs checkpoints of the audit log, in the bundles that statements travel in."""

from collections.abc import Mapping

from lockgate.domain.checkpoint import PAYLOAD_TYPE, Checkpoint
from lockgate.errors import Corrupt, Denied
from lockgate.signing import bundle
from lockgate.signing.dsse import pre_authentication_encoding
from lockgate.signing.keys import Signer, verify


def sign(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Return the bundle that says `checkpoint` by the key of `signer`."""
    payload = checkpoint.encode()
    return bundle.Bundle(
        payload_type=PAYLOAD_TYPE,
        payload=payload,
        signature=signer.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload)),
        hint=signer.fingerprint,
    ).encode()


def verified(data: bytes, keys: Mapping[str, str]) -> Checkpoint:
    """Return what a bundle says, if one of `keys` (PEM by fingerprint) signed it.

    Raises:
        Corrupt: it is no bundle of a checkpoint, or its signature is wrong.
        Denied: none of the keys signed it.

    """
    found = bundle.parse(data)
    if found.payload_type != PAYLOAD_TYPE:
        raise Corrupt(f"a bundle holds `{found.payload_type[:80]}`, expected `{PAYLOAD_TYPE}`")
    pem = keys.get(found.hint)
    if pem is None:
        raise Denied(
            f"the key {found.hint[:12]} signed the checkpoint, which does not count here",
            hint="give its public half with `--public-key`",
        )
    signed = pre_authentication_encoding(found.payload_type, found.payload)
    if not verify(pem.encode(), found.signature, signed):
        raise Corrupt(f"the signature of the key {found.hint[:12]} does not match the checkpoint")
    return Checkpoint.parse(found.payload)
