"""The keys and the trust root of this machine."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.digest import Digest
from lockgate.domain.trust import TrustedKey, TrustRoot
from lockgate.errors import NotFound, Unavailable, UsageError

if TYPE_CHECKING:
    from lockgate.signing.keys import Signer
    from lockgate.signing.ring import KeyRing
    from lockgate.signing.trust_store import TrustStore


def key_ring(environment: Environment) -> "KeyRing":
    """Return the private keys of this machine."""
    from lockgate.signing.ring import KeyRing

    return KeyRing(environment.data_dir / "keys")


def open_signer(environment: Environment, name: str, secret: Callable[[], bytes]) -> "Signer":
    """Return the key of that name. `secret` is asked for its passphrase or PIN, if it has one.

    Raises:
        NotFound: there is no such key.
        Denied: the passphrase is wrong.
        Unavailable: a device holds the key, and what is needed to use it is not installed.

    """
    ring = key_ring(environment)
    info = ring.show(name)
    if info.uri:
        return device_signer(info.uri, info.pem.encode(), secret)
    return ring.open(name, secret() if info.encrypted else None)


def device_signer(uri: str, pem: bytes, secret: Callable[[], bytes]) -> "Signer":
    """Return a key that a device or a service holds. Raises Unavailable as above."""
    try:
        from lockgate.signing.kms import DeviceSigner
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"the key at `{uri}` needs the extra `kms`",
            hint="install it with `pip install 'lockgate[kms]'`",
        ) from error
    return DeviceSigner(uri, pem, lambda: secret().decode())


def unattended_signer(loaded: Loaded, environment: Environment, name: str) -> "Signer":
    """Return a key where there is nobody to ask: its passphrase is in a variable.

    Raises:
        NotFound: there is no such key, or the variable is not set.
        Denied, Unavailable: as for `open_signer`.

    """

    def secret() -> bytes:
        variable = loaded.config.keys.passphrase_env
        found = None if variable is None else environment.secret(variable)
        if found is None:
            raise NotFound(
                f"the key `{name}` has a passphrase, and no variable that is set holds it",
                hint="`keys.passphrase_env` in lockgate.toml names the variable",
            )
        return found.encode()

    return open_signer(environment, name, secret)


def trust_store(environment: Environment) -> "TrustStore":
    """Return the trust root that is accepted on this machine."""
    from lockgate.signing.trust_store import TrustStore

    return TrustStore(environment.data_dir / "trust")


def required_root(environment: Environment, now: datetime) -> TrustRoot:
    """Return the accepted trust root.

    Raises:
        NotFound: there is none; the hint has the command.
        Corrupt, Denied: it is not to be trusted.

    """
    root = trust_store(environment).load(now)
    if root is None:
        raise _no_root()
    return root


def held_root(environment: Environment) -> tuple[TrustRoot, Digest]:
    """Return the accepted trust root, even if it has expired, and its file's digest.

    Raises:
        NotFound, Corrupt: as for `required_root`.

    """
    from lockgate.signing.trust_file import decode

    data = trust_file_of(environment, None)
    return decode(data)[0], Digest.of(data)


def trust_file_of(environment: Environment, version: int | None) -> bytes:
    """Return the file of the accepted trust root, or of one that was accepted before it.

    Raises:
        NotFound: there is none; the hint has the command.
        Corrupt: it was changed.

    """
    from lockgate.signing.trust_file import decode

    history = trust_store(environment).history()
    if not history:
        raise _no_root()
    if version is None:
        return history[-1]
    found = {decode(data)[0].version: data for data in history}
    if version not in found:
        known = ", ".join(str(one) for one in found)
        raise NotFound(f"no trust root of version {version} was accepted here, but: {known}")
    return found[version]


def proposed_changes(environment: Environment, data: bytes) -> Iterator[str]:
    """Say how a proposed trust root differs from the accepted one.

    Raises:
        Corrupt: it is not a trust root's file.

    """
    from lockgate.domain.trust_changes import changes
    from lockgate.signing.trust_file import decode

    return changes(trust_store(environment).held(), decode(data)[0])


def sign_proposal(data: bytes, signer: "Signer") -> bytes:
    """Return the file of a proposed trust root with one more signature. Raises Corrupt as above."""
    from lockgate.signing import trust_file

    return trust_file.sign(data, signer)


def trusted(environment: Environment, fingerprint: str) -> TrustedKey | None:
    """Return what the accepted trust root, expired or not, says of a key."""
    root = trust_store(environment).held()
    return None if root is None else root.key(fingerprint)


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
        UsageError: the PEM is not one of a key on P-256, or a name is not printable.

    """
    from lockgate.domain.trust import MAX_NAME, Role, is_name
    from lockgate.signing.keys import fingerprint, public_pem

    for name in (holder, *scopes):
        if not is_name(name):
            raise UsageError(
                f"`{name[:80]!a}` cannot be a holder or a scope",
                hint=f"they have 1 to {MAX_NAME} printable characters",
            )
    normal = public_pem(pem)
    return TrustedKey(
        fingerprint=fingerprint(normal),
        pem=normal.decode("ascii"),
        holder=holder,
        roles=frozenset(Role(role) for role in roles),
        scopes=tuple(scopes) or ("*",),
        expires=expires,
    )


def _no_root() -> NotFound:
    return NotFound(
        "this machine has no trust root",
        hint="begin one with `lockgate trust init`, or take one with `lockgate trust accept`",
    )
