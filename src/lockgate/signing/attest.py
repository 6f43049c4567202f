"""Signs statements, verifies them, and says where they hang in a registry.

Format of the referrer: cosign `BUNDLE_SPEC.md`, an image manifest with a `subject`.
"""

from collections.abc import Mapping
from datetime import datetime

from lockgate.domain.artifact import EMPTY_CONFIG, Descriptor, Manifest
from lockgate.domain.digest import Digest
from lockgate.domain.instants import instant_text
from lockgate.domain.statement import PAYLOAD_TYPE, Attestation, Statement
from lockgate.errors import Corrupt, Denied
from lockgate.signing import bundle
from lockgate.signing.dsse import pre_authentication_encoding
from lockgate.signing.keys import Signer, verify

ARTIFACT_TYPE = bundle.MEDIA_TYPE
PREDICATE_TYPE = "dev.sigstore.bundle.predicateType"


def sign(statement: Statement, signer: Signer) -> bytes:
    """Return the bundle that says `statement` by the key of `signer`."""
    payload = statement.encode()
    return bundle.Bundle(
        payload_type=PAYLOAD_TYPE,
        payload=payload,
        signature=signer.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload)),
        hint=signer.fingerprint,
    ).encode()


def verified(data: bytes, keys: Mapping[str, str]) -> Attestation:
    """Return what a bundle says, if one of `keys` (PEM by fingerprint) signed it.

    Whether that key may say it is for the gate to decide.

    Raises:
        Corrupt: it is no bundle, its signature is wrong, or it holds no statement.
        Denied: no key here has the fingerprint that it names.

    """
    found = bundle.parse(data)
    pem = keys.get(found.hint)
    if pem is None:
        known = ", ".join(sorted(key[:12] for key in keys)) or "none"
        raise Denied(
            f"the key {found.hint[:12]} signed it, the trust root has: {known}",
            hint="add the key with `lockgate trust add`, if its holder is to be trusted",
        )
    if found.payload_type != PAYLOAD_TYPE:
        raise Corrupt(f"a bundle holds `{found.payload_type[:80]}`, expected `{PAYLOAD_TYPE}`")
    signed = pre_authentication_encoding(found.payload_type, found.payload)
    if not verify(pem.encode(), found.signature, signed):
        raise Corrupt(
            f"the signature of the key {found.hint[:12]} does not match what it signed",
            hint="the attestation was changed after it was made; fetch it again",
        )
    statement = Statement.parse(found.payload)
    try:
        canonical_form = statement.encode()
    except (ValueError, RecursionError) as error:
        raise Corrupt("a signed statement has a value that canonical JSON cannot hold") from error
    if canonical_form != found.payload:
        raise Corrupt("a signed statement has members that we do not know, or is not canonical")
    return Attestation(statement=statement, key=found.hint, digest=Digest.of(data))


def referrer(
    data: bytes, statement: Statement, subject: Descriptor, *, created: datetime | None = None
) -> Manifest:
    """Return the manifest that ties a bundle to the artifact that it is about.

    With no `created` the same bundle and subject give the same manifest anywhere.
    """
    layer = Descriptor(media_type=bundle.MEDIA_TYPE, digest=Digest.of(data), size=len(data))
    annotations = {
        "dev.sigstore.bundle.content": "dsse-envelope",
        PREDICATE_TYPE: statement.predicate_type,
    }
    if created is not None:
        annotations["org.opencontainers.image.created"] = instant_text(created)
    return Manifest(
        artifact_type=ARTIFACT_TYPE,
        config=EMPTY_CONFIG,
        layers=(layer,),
        subject=subject,
        annotations=annotations,
    )
