import base64
import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer._key import SSlibKey
from securesystemslib.signer._signature import Signature

from lockgate.domain.artifact import MANIFEST, Descriptor, Manifest
from lockgate.domain.digest import Digest, canonical
from lockgate.domain.statement import PAYLOAD_TYPE, Statement, Subject
from lockgate.errors import Corrupt, Denied, UsageError
from lockgate.signing import bundle
from lockgate.signing.attest import referrer, sign, verified
from lockgate.signing.dsse import pre_authentication_encoding
from lockgate.signing.keys import PrivateKey, fingerprint, public_pem

KEY, OTHER = PrivateKey.new(), PrivateKey.new()
KEYS = {KEY.fingerprint: KEY.pem.decode()}
STATEMENT = Statement(
    subjects=(Subject(name="review", digest=Digest.of(b"release")),),
    predicate_type="https://example.org/approval/v1",
    predicate={"approver": "ana", "reason": "üñí"},
)
# The three values of the specification's own example (DSSE `protocol.md`).
EXAMPLE = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_the_encoding_is_that_of_the_specifications_example() -> None:
    assert pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == EXAMPLE


def test_what_was_signed_comes_back_with_the_key_that_signed() -> None:
    data = sign(STATEMENT, KEY)

    found = verified(data, KEYS)

    assert (found.statement, found.key, found.digest) == (
        STATEMENT,
        KEY.fingerprint,
        Digest.of(data),
    )


def test_the_same_statement_and_key_give_the_same_bytes() -> None:
    assert sign(STATEMENT, KEY) == sign(STATEMENT, KEY)


def test_the_bundle_has_one_signature_no_key_id_and_the_hint() -> None:
    document = json.loads(sign(STATEMENT, KEY))

    assert document["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert document["verificationMaterial"] == {
        "publicKey": {"hint": hashlib.sha256(KEY.pem).hexdigest()},
        "tlogEntries": [],
    }
    (signature,) = document["dsseEnvelope"]["signatures"]
    assert signature.keys() == {"sig"}
    assert document["dsseEnvelope"]["payloadType"] == "application/vnd.in-toto+json"


def test_a_key_that_nobody_trusts_is_refused_with_both_fingerprints() -> None:
    with pytest.raises(Denied, match=f"{OTHER.fingerprint[:12]}.*{KEY.fingerprint[:12]}"):
        verified(sign(STATEMENT, OTHER), KEYS)


def test_a_signature_by_another_key_under_a_trusted_hint_is_refused() -> None:
    forged = bundle.parse(sign(STATEMENT, OTHER))
    data = bundle.Bundle(
        payload_type=forged.payload_type,
        payload=forged.payload,
        signature=forged.signature,
        hint=KEY.fingerprint,
    ).encode()

    with pytest.raises(Corrupt, match="does not match what it signed"):
        verified(data, KEYS)


def test_any_changed_byte_is_refused() -> None:
    data = sign(STATEMENT, KEY)
    chance = random.Random(2026)  # noqa: S311  positions to repeat, no secrets
    positions = [*range(len(data)), *(chance.randrange(len(data)) for _ in range(1000))]
    for at in positions:
        changed = bytearray(data)
        changed[at] ^= chance.randrange(1, 256)
        with pytest.raises((Corrupt, Denied)):
            verified(bytes(changed), KEYS)


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_bundle_that_was_cut_or_grew_is_refused(cut: int) -> None:
    data = sign(STATEMENT, KEY)

    for changed in (data[:cut], data[:cut] + b" " + data[cut:], data + data[:cut]):
        if changed != data:
            with pytest.raises(Corrupt):
                verified(changed, KEYS)


@pytest.mark.parametrize("member", ["payload", "sig"])
def test_base64_that_decodes_to_the_same_bytes_in_another_form_is_refused(member: str) -> None:
    padded = replace(STATEMENT, predicate={"n": 0})
    while len(padded.encode()) % 3 != 1:
        padded = replace(padded, predicate_type=padded.predicate_type + "x")
    data = sign(padded, KEY)
    at = data.index(f'"{member}":"'.encode()) + len(member) + 4
    end = data.index(b'"', at)
    text = data[at:end]
    forms = [text.rstrip(b"="), text + b"=", text + b"\n", b" " + text, text.replace(b"+", b"-")]
    if text.endswith(b"="):
        last = len(text.rstrip(b"=")) - 1
        alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        bumped = alphabet[alphabet.index(text[last]) + 1]
        other = text[:last] + bytes([bumped]) + text[last + 1 :]
        assert base64.b64decode(other) == base64.b64decode(text)
        forms.append(other)

    for form in forms:
        if form != text:
            with pytest.raises(Corrupt):
                verified(data[:at] + form + data[end:], KEYS)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + " ",
        lambda text: text.replace('"tlogEntries":[]', '"tlogEntries":[{}]'),
        lambda text: text.replace('{"sig":', '{"keyid":"","sig":'),
        lambda text: text.replace('"mediaType"', '"mediaType":"x","mediaType"'),
        lambda text: text.replace('"dsseEnvelope"', '"dsseEnvelope":{},"dsseEnvelope"', 1),
        lambda text: text.replace("v0.3", "v0.2"),
        lambda text: json.dumps(json.loads(text), indent=2),
        lambda text: "\ufeff" + text,
        lambda _: "[" * 100_000,
        lambda _: "{}",
        lambda _: "",
        lambda _: "x" * (13 << 20),
    ],
)
def test_a_bundle_in_another_form_is_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(Corrupt):
        verified(change(sign(STATEMENT, KEY).decode()).encode(), KEYS)


@given(
    payload=st.binary(max_size=300),
    signature=st.binary(min_size=1, max_size=150),
    kind=st.from_regex(r"[a-z0-9./+-]{1,60}", fullmatch=True),
)
def test_a_bundle_comes_back_as_it_was_written(payload: bytes, signature: bytes, kind: str) -> None:
    made = bundle.Bundle(
        payload_type=kind, payload=payload, signature=signature, hint=KEY.fingerprint
    )

    assert bundle.parse(made.encode()) == made


def test_two_signatures_in_one_bundle_are_refused() -> None:
    document = json.loads(sign(STATEMENT, KEY))
    document["dsseEnvelope"]["signatures"] *= 2

    with pytest.raises(Corrupt, match="one signature"):
        bundle.parse(canonical(document))


def signed_as(payload: bytes, kind: str = PAYLOAD_TYPE) -> bytes:
    """What a trusted key signed, whatever it is."""
    return bundle.Bundle(
        payload_type=kind,
        payload=payload,
        signature=KEY.sign(pre_authentication_encoding(kind, payload)),
        hint=KEY.fingerprint,
    ).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        STATEMENT.encode() + b" ",
        STATEMENT.encode().replace(b'"predicate"', b'"predicate":{},"predicate"', 1),
        STATEMENT.encode().replace(b'"ana"', b"NaN"),
        STATEMENT.encode().replace(b'"ana"', b'"\\ud800"'),
        STATEMENT.encode().replace(b'"ana"', b"9" * 400),
        STATEMENT.encode().replace(b'"ana"', b"9" * 5000),
        STATEMENT.encode().replace(b'"ana"', b"[" * 400 + b"]" * 400),
        STATEMENT.encode().replace(b'"ana"', b"[" * 90_000 + b"]" * 90_000),
        STATEMENT.encode().replace(b"Statement/v1", b"Statement/v2"),
    ],
)
def test_a_trusted_key_cannot_make_us_stumble_over_what_it_signed(payload: bytes) -> None:
    try:
        found = verified(signed_as(payload), KEYS)
    except Corrupt:
        return
    assert found.statement.encode() == payload


def test_what_was_signed_as_something_else_is_no_statement() -> None:
    data = signed_as(STATEMENT.encode(), "application/vnd.lockgate.trust.v1+json")

    with pytest.raises(Corrupt, match=r"trust\.v1.*expected `application/vnd\.in-toto"):
        verified(data, KEYS)


def test_another_implementation_accepts_the_signature_and_refuses_a_changed_payload() -> None:
    # securesystemslib demands key ids, so they are added to its view of our envelope.
    found = bundle.parse(sign(STATEMENT, KEY))
    scheme = "ecdsa-sha2-nistp256"
    key = SSlibKey(KEY.fingerprint, "ecdsa", scheme, {"public": KEY.pem.decode()})
    signatures = {key.keyid: Signature(key.keyid, found.signature.hex())}

    envelope = Envelope(found.payload, found.payload_type, signatures)
    assert envelope.pae() == pre_authentication_encoding(PAYLOAD_TYPE, found.payload)
    assert envelope.verify([key], 1).keys() == {key.keyid}
    with pytest.raises(Exception, match=r"(?i)signature|threshold"):
        Envelope(found.payload + b" ", found.payload_type, signatures).verify([key], 1)


def test_we_accept_the_signature_of_another_implementation() -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer._crypto_signer import CryptoSigner

    private = load_pem_private_key(KEY.encrypted(None), None)
    theirs = CryptoSigner(private)
    payload = STATEMENT.encode()
    signature = theirs.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload)).signature
    data = bundle.Bundle(
        payload_type=PAYLOAD_TYPE,
        payload=payload,
        signature=bytes.fromhex(signature),
        hint=KEY.fingerprint,
    ).encode()

    assert verified(data, KEYS).statement == STATEMENT


def test_the_referrer_names_its_subject_and_what_it_says() -> None:
    data = sign(STATEMENT, KEY)
    subject = Descriptor(media_type=MANIFEST, digest=Digest.of(b"release"), size=7)

    manifest = referrer(data, STATEMENT, subject)

    assert Manifest.parse(manifest.encode()) == manifest
    assert manifest.subject == subject
    assert manifest.layers[0].digest == Digest.of(data)
    assert manifest.annotations == {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": STATEMENT.predicate_type,
    }
    dated = referrer(data, STATEMENT, subject, created=datetime(2026, 11, 21, tzinfo=UTC))
    assert dated.annotations == {
        **manifest.annotations,
        "org.opencontainers.image.created": "2026-11-21T00:00:00Z",
    }


def test_a_public_key_has_one_form() -> None:
    assert public_pem(KEY.pem.replace(b"\n", b"\r\n")) == KEY.pem
    assert fingerprint(KEY.pem) == KEY.fingerprint


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        KEY.pem.replace(b"E", b"F"),
        KEY.encrypted(None),
        b"-----BEGIN PUBLIC KEY-----\n" + b"A" * 100_000,
    ],
)
def test_what_is_no_public_key_is_refused(pem: bytes) -> None:
    with pytest.raises(UsageError):
        public_pem(pem)
