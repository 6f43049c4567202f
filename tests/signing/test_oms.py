from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from model_signing import signing as their_signing
from model_signing.verifying import Config

from lockgate.domain.artifact import MANIFEST, Descriptor, Manifest
from lockgate.domain.digest import Digest
from lockgate.domain.statement import Statement, Subject
from lockgate.errors import Corrupt
from lockgate.signing import bundle, oms
from lockgate.signing.attest import sign, verified
from lockgate.signing.keys import PrivateKey

KEY, OTHER = PrivateKey.new(), PrivateKey.new()
FILES = {
    "model.gguf": b"GGUF" + bytes(1000),
    "a/b.json": b"{}",
    "a.txt": b"",
    "a-b/c": b"order: `-` sorts before `/`",
    "LICENSE": b"Apache-2.0",
    "d\u00e9j\u00e0.txt": b"vu",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder, signed by us, the signature and the public key beside it."""
    model = tmp_path / "smollm2"
    for path, data in FILES.items():
        (model / path).parent.mkdir(parents=True, exist_ok=True)
        (model / path).write_bytes(data)
    said = oms.statement("smollm2", {path: Digest.of(data) for path, data in FILES.items()})
    (tmp_path / "model.sig").write_bytes(sign(said, KEY))
    (tmp_path / "key.pub").write_bytes(KEY.pem)
    return model


def theirs(model: Path) -> None:
    """Let model-signing verify, or raise."""
    verifier = Config()  # type: ignore[no-untyped-call]
    verifier.use_elliptic_key_verifier(public_key=model.parent / "key.pub")
    verifier.verify(model, model.parent / "model.sig")


def test_model_signing_accepts_our_signature(folder: Path) -> None:
    theirs(folder)


def change_file(model: Path) -> None:
    (model / "model.gguf").write_bytes(b"GGUF" + bytes(999) + b"\1")


def remove_file(model: Path) -> None:
    (model / "LICENSE").unlink()


def add_file(model: Path) -> None:
    (model / "extra.py").write_text("")


def change_key(model: Path) -> None:
    (model.parent / "key.pub").write_bytes(OTHER.pem)


def change_statement(model: Path) -> None:
    path = model.parent / "model.sig"
    found = bundle.parse(path.read_bytes())
    path.write_bytes(replace(found, payload=found.payload.replace(b"a.txt", b"b.txt")).encode())


@pytest.mark.parametrize(
    "tamper", [change_file, remove_file, add_file, change_key, change_statement]
)
def test_model_signing_refuses_what_was_tampered_with(folder: Path, tamper: Any) -> None:
    tamper(folder)

    with pytest.raises(Exception, match=r"(?i)mismatch|^$"):
        theirs(folder)


def test_the_root_digest_and_the_order_are_those_of_model_signing(
    folder: Path, tmp_path: Path
) -> None:
    private, signature = tmp_path / "key.pem", tmp_path / "theirs.sig"
    private.write_bytes(KEY.encrypted(None))
    signer = their_signing.Config()  # type: ignore[no-untyped-call]
    signer.use_elliptic_key_signer(private_key=private).sign(folder, signature)
    from model_signing._signing.sign_ec_key import Verifier
    from model_signing._signing.sign_sigstore_pb import Signature

    payload = Verifier(tmp_path / "key.pub")._verify_bundle(Signature.read(signature).bundle)[1]
    said = Statement.parse(payload)

    ours = verified((tmp_path / "model.sig").read_bytes(), {KEY.fingerprint: KEY.pem.decode()})
    assert said.subjects == ours.statement.subjects
    assert said.predicate["resources"] == ours.statement.predicate["resources"]


def test_the_files_come_back(folder: Path) -> None:
    data = (folder.parent / "model.sig").read_bytes()

    said = verified(data, {KEY.fingerprint: KEY.pem.decode()}).statement

    assert oms.files_of(said) == {path: Digest.of(content) for path, content in FILES.items()}


def item(name: str = "x", algorithm: str = "sha256", digest: str = "0" * 64) -> Mapping[str, str]:
    return {"name": name, "algorithm": algorithm, "digest": digest}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"predicate_type": "https://slsa.dev/provenance/v1"}, "expected `https://model_signing"),
        ({"predicate": {}}, "no files"),
        ({"predicate": {"resources": []}}, "no files"),
        ({"predicate": {"resources": [{}]}}, "no digest"),
        ({"predicate": {"resources": [item(digest="zz")]}}, "not a digest"),
        ({"predicate": {"resources": [item(algorithm="blake3")]}}, "`blake3`, not `sha256`"),
        ({"predicate": {"resources": [item(), item()]}}, "`x` twice"),
        ({"predicate": {"resources": [item()]}}, "its files give"),
        ({"subjects": (Subject(name="m", digest=Digest.of(b"other")),)}, "its files give"),
    ],
)
def test_what_is_no_signature_of_files_is_refused(change: dict[str, Any], why: str) -> None:
    said = oms.statement("m", {"x": Digest.of(b"x")})

    with pytest.raises(Corrupt, match=why):
        oms.files_of(replace(said, **change))


def test_the_referrer_has_a_type_of_its_own() -> None:
    data = sign(oms.statement("m", {"x": Digest.of(b"x")}), KEY)
    subject = Descriptor(media_type=MANIFEST, digest=Digest.of(b"model"), size=5)

    manifest = oms.referrer(data, subject)

    assert Manifest.parse(manifest.encode()) == manifest
    assert manifest.artifact_type == "application/vnd.lockgate.oms.v1+json"
    assert (manifest.subject, manifest.layers[0].digest) == (subject, Digest.of(data))
