"""The public keys of an issuer (JSON Web Key Sets, RFC 7517), read with suspicion."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

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


class _Listed(NamedTuple):
    kind: str
    curve: str | None
    key: PublicKey
    only: str | None
    """The algorithm that it is for, if the set says so (RFC 7517 4.4)."""


class KeySet:
    """Public keys by their `kid`, which is a name to compare and never a place to look."""

    def __init__(self, keys: Mapping[str, "_Listed"]) -> None:
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, kid: str, algorithm: str) -> PublicKey | None:
        """Return the key of that name if it is of the kind that the algorithm signs with."""
        found = self._keys.get(kid)
        if found is None or found.only not in {None, algorithm}:
            return None
        if ALGORITHMS.get(algorithm) not in {(found.kind, found.curve), (found.kind, None)}:
            return None
        return found.key


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
    keys: dict[str, _Listed] = {}
    for item in listed:
        found = _key(item)
        if found is None:
            continue
        kid, listed_key = found
        if kid in keys:
            raise Corrupt(f"a key set has two keys `{kid[:80]}`")
        keys[kid] = listed_key
    if not keys:
        raise Corrupt("a key set has no key that can check a signature")
    return KeySet(keys)


def _key(item: Any) -> tuple[str, _Listed] | None:
    if not isinstance(item, dict) or not _is_to_verify(item):
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
    if not _strong(key):
        return None
    return kid, _Listed(str(kind), ALGORITHMS[algorithm][1], key, item.get("alg"))


def _is_to_verify(item: Mapping[str, Any]) -> bool:
    """Say whether its issuer has a key for what we do with it (RFC 7517 4.2 to 4.4)."""
    only, uses = item.get("alg"), item.get("key_ops", ["verify"])
    if only is not None and (not isinstance(only, str) or only not in ALGORITHMS):
        return False
    return item.get("use", "sig") == "sig" and isinstance(uses, list) and "verify" in uses


def _signs_with(kind: Any, curve: Any) -> str | None:
    """Return an algorithm that keys of this kind sign with."""
    kinds = ((kind, curve), (kind, None))
    return next((name for name, made in ALGORITHMS.items() if made in kinds), None)


def _strong(key: Any) -> bool:
    if isinstance(key, RSAPublicKey):
        return key.key_size in _RSA_BITS
    return isinstance(key, EllipticCurvePublicKey | Ed25519PublicKey)
