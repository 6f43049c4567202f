"""The keys and the trust root of this machine."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from lockgate.config.environment import Environment
from lockgate.domain.trust import TrustedKey, TrustRoot
from lockgate.errors import NotFound

if TYPE_CHECKING:
    from lockgate.signing.keys import Signer
    from lockgate.signing.ring import KeyRing
    from lockgate.signing.trust_file import TrustStore


def key_ring(environment: Environment) -> "KeyRing":
    """Return the private keys of this machine."""
    from lockgate.signing.ring import KeyRing

    return KeyRing(environment.data_dir / "keys")


def trust_store(environment: Environment) -> "TrustStore":
    """Return the trust root that is accepted on this machine."""
    from lockgate.signing.trust_file import TrustStore

    return TrustStore(environment.data_dir / "trust")


def required_root(environment: Environment, now: datetime) -> TrustRoot:
    """Return the accepted trust root.

    Raises:
        NotFound: there is none; the hint has the command.
        Corrupt, Denied: it is not to be trusted.

    """
    root = trust_store(environment).load(now)
    if root is None:
        raise NotFound(
            "this machine has no trust root",
            hint="begin one with `lockgate trust init`, or take one with `lockgate trust accept`",
        )
    return root


def propose(root: TrustRoot, signers: Sequence["Signer"]) -> bytes:
    """Return the file of a new trust root, signed by `signers`."""
    from lockgate.signing import trust_file

    data = trust_file.encode(root, {})
    for signer in signers:
        data = trust_file.sign(data, signer)
    return data


def trusted_key(
    pem: bytes, holder: str, roles: Sequence[str], scopes: Sequence[str], expires: datetime | None
) -> TrustedKey:
    """Return what a trust root says of a public key.

    Raises:
        UsageError: the PEM is not one of a key on P-256.

    """
    from lockgate.domain.trust import Role
    from lockgate.signing.keys import fingerprint, public_pem

    normal = public_pem(pem)
    return TrustedKey(
        fingerprint=fingerprint(normal),
        pem=normal.decode("ascii"),
        holder=holder,
        roles=frozenset(Role(role) for role in roles),
        scopes=tuple(scopes) or ("*",),
        expires=expires,
    )
