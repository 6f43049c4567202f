"""Keys that a device or a service holds: PKCS#11, AWS KMS, Azure Key Vault, Google Cloud KMS.

Through `securesystemslib.signer`, which is the extra `kms`, and the library of the device. Its
signatures are not deterministic, so the same statement has another bundle each time.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from securesystemslib.exceptions import Error, UnsupportedLibraryError
from securesystemslib.signer import Signer as Backend  # type: ignore[attr-defined]
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

from lockgate.errors import Denied, Unavailable, UsageError
from lockgate.signing.keys import fingerprint, public_pem, verify

_SCHEME = "ecdsa-sha2-nistp256"
_SHOWN = 300


class _Library(NamedTuple):
    package: str
    """What pip installs."""
    module: str
    errors: tuple[str, ...]
    """The roots of its errors in `module`, beside the built-in ones."""


LIBRARIES: Final[Mapping[str, _Library | None]] = {
    "awskms": _Library("boto3", "botocore.exceptions", ("BotoCoreError", "ClientError")),
    "azurekms": _Library(
        "azure-identity azure-keyvault-keys", "azure.core.exceptions", ("AzureError",)
    ),
    "file2": None,
    "gcpkms": _Library("google-cloud-kms", "google.api_core.exceptions", ("GoogleAPIError",)),
    "hsm": _Library("python-pkcs11", "pkcs11.exceptions", ("PKCS11Error",)),
}
"""By the scheme of a key's URI. Those that sign with ECDSA on P-256; Vault does not."""


class DeviceSigner:
    """A private key that never comes here. Implements `Signer`."""

    def __init__(self, uri: str, pem: bytes, secret: Callable[[], str]) -> None:
        """`secret` is asked for the PIN once, if the device wants one.

        Raises:
            UsageError: the URI has an unknown scheme, or `pem` is no key on P-256.
            Unavailable: the library of the device is not installed.

        """
        scheme = uri.partition(":")[0]
        if scheme not in LIBRARIES:
            raise UsageError(
                f"the key's address `{uri[:80]}` has the scheme `{scheme[:40]}`, known are: "
                + ", ".join(f"`{known}`" for known in LIBRARIES)
            )
        self._uri = uri
        self._pem = public_pem(pem)
        self._errors = _errors(uri, LIBRARIES[scheme])
        self._secret = secret
        self._pin: str | None = None
        self._backend: Backend | None = None

    @property
    def fingerprint(self) -> str:
        return fingerprint(self._pem)

    def sign(self, data: bytes) -> bytes:
        """Return a signature that was checked against the public half.

        Raises:
            Unavailable: the device is not there, or did not sign.
            Denied: it signed with another key.

        """
        try:
            if self._backend is None:
                self._backend = Backend.from_priv_key_uri(self._uri, self._key(), self._ask)
            signature = bytes.fromhex(self._backend.sign(data).signature)
        except UnsupportedLibraryError as error:
            raise _missing(self._uri, LIBRARIES[self._uri.partition(":")[0]]) from error
        except self._errors as error:
            said = f"{type(error).__name__} {error}".strip()[:_SHOWN]
            raise Unavailable(
                f"the key at `{self._uri}` does not sign: {said}",
                hint="check the device, its PIN and its settings",
            ) from error
        if not verify(self._pem, signature, data):
            raise Denied(
                f"the key at `{self._uri}` is not {self.fingerprint[:12]}: what it signs does not "
                "verify with that public half",
                hint="link it again with the public half that the device shows",
            )
        return signature

    def _key(self) -> SSlibKey:
        return SSlibKey(self.fingerprint, "ecdsa", _SCHEME, {"public": self._pem.decode("ascii")})

    def _ask(self, _: str) -> str:
        if self._pin is None:
            self._pin = self._secret()
        return self._pin


def _errors(uri: str, library: _Library | None) -> tuple[type[Exception], ...]:
    """Return what the library raises: each has a tree of its own, and no common root."""
    # ValueError, OSError and RuntimeError are what securesystemslib documents and what network
    # and PKCS#11 errors derive from; KeyError is a missing environment variable.
    known: tuple[type[Exception], ...] = (Error, ValueError, OSError, RuntimeError, KeyError)
    if library is None:
        return known
    try:
        module = importlib.import_module(library.module)
    except ImportError as error:
        raise _missing(uri, library) from error
    return (*known, *(getattr(module, name) for name in library.errors))


def _missing(uri: str, library: _Library | None) -> Unavailable:
    package = "securesystemslib[crypto]" if library is None else library.package
    return Unavailable(
        f"the key at `{uri}` needs a library that is not installed",
        hint=f"`pip install {package}`",
    )
