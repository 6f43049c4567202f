"""The public keys of an issuer (JSON Web Key Sets, RFC 7517), read with suspicion."""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from lockgate.errors import Corrupt

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

MAX_BYTES: Final = 256 << 10
MAX_KEYS: Final = 64
MAX_KID: Final = 256
_PUBLIC: Final = frozenset({"kty", "n", "e", "crv", "x", "y"})
_RSA_BITS: Final = range(2048, 8193)
# RFC 7518 3.1, RFC 8037 3.1. No HMAC and no `none`: a public key must never check an HMAC.
ALGORITHMS: Final[Mapping[str, tuple[str, str | None]]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "EdDSA": ("OKP", "Ed25519"),
}


class KeySet:
    """Public keys by their `kid`, which is a name to compare and never a place to look."""

    def __init__(self, keys: Mapping[str, tuple[str, str | None, PublicKey]]) -> None:
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, kid: str, algorithm: str) -> PublicKey | None:
        """Return the key of that name if it is of the kind that the algorithm signs with."""
        kind, curve, key = self._keys.get(kid, ("", None, None))
        if key is None or ALGORITHMS.get(algorithm) not in {(kind, curve), (kind, None)}:
            return None
        return key


def read_key_set(document: bytes) -> KeySet:
    """Read a JWKS. Keys for other uses, of other kinds or too weak are left out.

    Raises:
        Corrupt: it is too large, no JWKS, has two keys of one name, or no key that is of use.

    """
    if len(document) > MAX_BYTES:
        raise Corrupt(f"a key set has {len(document)} bytes, the most is {MAX_BYTES}")
    try:
        parsed = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"a key set is not JSON: {error}") from error
    listed = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise Corrupt(f"a key set has no list `keys` of at most {MAX_KEYS}")
    keys: dict[str, tuple[str, str | None, PublicKey]] = {}
    for item in listed:
        found = _key(item)
        if found is None:
            continue
        kid, kind, curve, key = found
        if kid in keys:
            raise Corrupt(f"a key set has two keys `{kid[:80]}`")
        keys[kid] = (kind, curve, key)
    if not keys:
        raise Corrupt("a key set has no key that can check a signature")
    return KeySet(keys)


def _key(item: Any) -> tuple[str, str, str | None, PublicKey] | None:
    if not isinstance(item, dict) or item.get("use", "sig") != "sig":
        return None
    kid, kind, curve = item.get("kid"), item.get("kty"), item.get("crv")
    algorithm = _signs_with(kind, curve)
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID or algorithm is None:
        return None
    public = {name: value for name, value in item.items() if name in _PUBLIC}
    try:
        key = jwt.PyJWK.from_dict(public, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return (kid, str(kind), ALGORITHMS[algorithm][1], key) if _strong(key) else None


def _signs_with(kind: Any, curve: Any) -> str | None:
    """Return an algorithm that keys of this kind sign with."""
    kinds = ((kind, curve), (kind, None))
    return next((name for name, made in ALGORITHMS.items() if made in kinds), None)


def _strong(key: Any) -> bool:
    if isinstance(key, RSAPublicKey):
        return key.key_size in _RSA_BITS
    return isinstance(key, EllipticCurvePublicKey | Ed25519PublicKey)
