import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lockgate.signing.pkcs8 import encrypted_pem
from programs import require

PASSPHRASE = b"a good long passphrase"
KEY = ec.generate_private_key(ec.SECP256R1())
DER = KEY.private_bytes(
    serialization.Encoding.DER,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)


def test_the_standard_reader_opens_it_and_no_other_passphrase_does() -> None:
    pem = encrypted_pem(DER, PASSPHRASE)

    found = serialization.load_pem_private_key(pem, PASSPHRASE)
    assert isinstance(found, ec.EllipticCurvePrivateKey)
    assert found.private_numbers() == KEY.private_numbers()
    with pytest.raises(ValueError, match=r"(?i)password"):
        serialization.load_pem_private_key(pem, b"another passphrase")


def test_openssl_opens_it_and_names_scrypt_and_aes(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(encrypted_pem(DER, PASSPHRASE))

    opened = subprocess.run(
        [require("openssl"), "pkey", "-in", path, "-passin", "stdin", "-outform", "DER", "-pubout"],
        input=PASSPHRASE + b"\n",
        check=True,
        capture_output=True,
    )
    parsed = subprocess.run(
        [require("openssl"), "asn1parse", "-in", path], check=True, capture_output=True, text=True
    )

    assert opened.stdout == KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for word in ("PBES2", ":scrypt", ":aes-256-cbc", "INTEGER           :4000"):
        assert word in parsed.stdout


def test_the_same_key_and_passphrase_never_give_the_same_bytes() -> None:
    assert encrypted_pem(DER, PASSPHRASE) != encrypted_pem(DER, PASSPHRASE)
