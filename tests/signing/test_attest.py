import hashlib
import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer._key import SSlibKey
from securesystemslib.signer._signature import Signature

from lockgate.domain.artifact import MANIFEST, Descriptor, Manifest
from lockgate.domain.digest import Digest
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
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << (at * 7 + 3) % 8
        with pytest.raises((Corrupt, Denied)):
            verified(bytes(changed), KEYS)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + " ",
        lambda text: text.replace('"tlogEntries":[]', '"tlogEntries":[{}]'),
        lambda text: text.replace('{"sig":', '{"keyid":"","sig":'),
        lambda _: "[" * 100_000,
        lambda _: "{}",
        lambda _: "",
    ],
)
def test_a_bundle_in_another_form_is_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(Corrupt):
        verified(change(sign(STATEMENT, KEY).decode()).encode(), KEYS)


def test_two_signatures_in_one_bundle_are_refused() -> None:
    document = json.loads(sign(STATEMENT, KEY))
    document["dsseEnvelope"]["signatures"] *= 2

    with pytest.raises(Corrupt, match="one signature"):
        bundle.parse(json.dumps(document).encode())


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


def test_verifying_makes_no_connection() -> None:
    script = (
        "import sys\n"
        "def guard(event, _):\n"
        "    assert not event.startswith('socket.'), event\n"
        "sys.addaudithook(guard)\n"
        "from lockgate.signing.attest import verified\n"
        "pem, data = sys.stdin.buffer.read().split(b'\\0')\n"
        "from lockgate.signing.keys import fingerprint\n"
        "for _ in range(20):\n"
        "    verified(data, {fingerprint(pem): pem.decode()})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=KEY.pem + b"\0" + sign(STATEMENT, KEY),
        check=False,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")


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
