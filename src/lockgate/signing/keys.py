"""ECDSA keys on P-256: made, read, and used.

Signatures are deterministic (RFC 6979), so that the same statement signed by the same key has the
same bytes on every machine. The fingerprint is what Sigstore bundles carry as `publicKey.hint`.
"""

import hashlib
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lockgate.errors import Corrupt, Denied, UsageError
from lockgate.signing.pkcs8 import encrypted_pem

MAX_PEM_BYTES = 4096
_HASH = hashes.SHA256()
_ENCODING = serialization.Encoding.PEM


class Signer(Protocol):
    """A private key, here or in a device."""

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of the public key's PEM."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Return an ECDSA signature over SHA-256, in DER."""
        ...


class PrivateKey:
    """A private key in memory. Implements `Signer`."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.pem = key.public_key().public_bytes(
            _ENCODING, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        """The public half."""

    @classmethod
    def new(cls) -> "PrivateKey":
        """Make a key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def read(cls, pem: bytes, passphrase: bytes | None) -> "PrivateKey":
        """Read PKCS#8.

        Raises:
            Denied: the passphrase is wrong, missing, or given for a key that has none.
            Corrupt: it is no private key on P-256.

        """
        try:
            key = serialization.load_pem_private_key(pem, passphrase)
        except TypeError as error:
            need = "a passphrase is needed" if passphrase is None else "it has no passphrase"
            raise Denied(f"the private key does not open: {need}") from error
        except (ValueError, UnsupportedAlgorithm) as error:
            if passphrase is None:
                raise Corrupt("the private key is damaged") from error
            raise Denied(
                "the private key does not open: the passphrase is wrong, or the file is damaged"
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise Corrupt("the private key is not one on P-256")
        return cls(key)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.pem)

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data, ec.ECDSA(_HASH, deterministic_signing=True))

    def encrypted(self, passphrase: bytes | None) -> bytes:
        """Return PKCS#8 as PEM, encrypted if there is a passphrase."""
        form = serialization.PrivateFormat.PKCS8
        plain = serialization.NoEncryption()
        if not passphrase:
            return self._key.private_bytes(_ENCODING, form, plain)
        der = self._key.private_bytes(serialization.Encoding.DER, form, plain)
        return encrypted_pem(der, passphrase)


def fingerprint(pem: bytes) -> str:
    """Return the SHA-256, in hex, of a public key's PEM."""
    return hashlib.sha256(pem).hexdigest()


def public_pem(pem: bytes) -> bytes:
    """Return the one PEM form of a public key.

    Raises:
        UsageError: it is no public key on P-256.

    """
    return _public(pem).public_bytes(_ENCODING, serialization.PublicFormat.SubjectPublicKeyInfo)


def verify(pem: bytes, signature: bytes, data: bytes) -> bool:
    """Say whether the key's holder signed `data`."""
    try:
        _public(pem).verify(signature, data, ec.ECDSA(_HASH))
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=256)
def _public(pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(pem[:MAX_PEM_BYTES])
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise UsageError("the public key is not PEM of SubjectPublicKeyInfo") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise UsageError("the public key is not one on P-256")
    return key
