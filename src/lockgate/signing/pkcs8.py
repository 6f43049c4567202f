"""Encrypts a private key so that guessing its passphrase is expensive.

Format: PKCS#8 EncryptedPrivateKeyInfo with PBES2 (RFC 5958, RFC 8018), whose key derivation is
scrypt (RFC 7914, section 7). `openssl pkey` and `cryptography` read it.

Written here because `cryptography` reads this form and cannot write it: its own
(`BestAvailableEncryption`, version 50) is PBKDF2 with 2,048 rounds, where 600,000 are advised.
"""

import base64
import os
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7

# 16 MiB and five passes: of the equal choices of the OWASP Password Storage Cheat Sheet the one
# that stays below the 32 MiB above which OpenSSL derives no key.
COST: Final = 1 << 14
BLOCK_SIZE: Final = 8
PARALLELIZATION: Final = 5
LABEL: Final = b"ENCRYPTED PRIVATE KEY"
_KEY_BYTES, _SALT_BYTES, _BLOCK_BYTES = 32, 16, 16
_PBES2 = bytes.fromhex("06092a864886f70d01050d")  # 1.2.840.113549.1.5.13
_SCRYPT = bytes.fromhex("06092b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
_AES_256_CBC = bytes.fromhex("060960864801650304012a")  # 2.16.840.1.101.3.4.1.42
_INTEGER, _OCTETS, _SEQUENCE = 0x02, 0x04, 0x30
_LONG_FORM, _LINE = 0x80, 64


def encrypted_pem(private: bytes, passphrase: bytes) -> bytes:
    """Return the PEM of a PrivateKeyInfo (DER), encrypted. Each call gives other bytes."""
    salt, vector = os.urandom(_SALT_BYTES), os.urandom(_BLOCK_BYTES)
    key = Scrypt(salt=salt, length=_KEY_BYTES, n=COST, r=BLOCK_SIZE, p=PARALLELIZATION).derive(
        passphrase
    )
    padder = PKCS7(_BLOCK_BYTES * 8).padder()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(vector)).encryptor()
    secret = encryptor.update(padder.update(private) + padder.finalize()) + encryptor.finalize()
    derivation = _sequence(
        _SCRYPT,
        _sequence(
            _tagged(_OCTETS, salt),
            *(_integer(value) for value in (COST, BLOCK_SIZE, PARALLELIZATION)),
        ),
    )
    cipher = _sequence(_AES_256_CBC, _tagged(_OCTETS, vector))
    algorithm = _sequence(_PBES2, _sequence(derivation, cipher))
    return _pem(_sequence(algorithm, _tagged(_OCTETS, secret)))


def _pem(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return b"\n".join([b"-----BEGIN %b-----" % LABEL, *lines, b"-----END %b-----" % LABEL, b""])


def _sequence(*parts: bytes) -> bytes:
    return _tagged(_SEQUENCE, b"".join(parts))


def _integer(value: int) -> bytes:
    # One bit more than the value has, for the sign.
    return _tagged(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _tagged(tag: int, content: bytes) -> bytes:
    """Return tag, length and value by the Distinguished Encoding Rules (X.690, section 8.1)."""
    size = len(content)
    if size < _LONG_FORM:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG_FORM | len(octets)]) + octets + content
