"""Credentials from Docker's `config.json`, and from the helpers that it names.

Formats: docker/cli, `cli/config/configfile` (`auths`, `credHelpers`, `credsStore`) and
docker/docker-credential-helpers (the `get` command: a server on stdin, JSON on stdout).
"""

import base64
import binascii
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lockgate.errors import Denied, InvalidConfig
from lockgate.oci.disk import storage
from lockgate.oci.registry.settings import RegistrySettings

_LONGEST_CONFIG: Final = 1 << 20
_LONGEST_ANSWER: Final = 1 << 16
_HELPER_SECONDS: Final = 30.0
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_IDENTITY: Final = "<token>"  # docker-credential-helpers: the secret is an identity token
_ABSENT: Final = "credentials not found"  # what every helper says, with exit status 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What one registry is told. Its repr shows no secret."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    """An OAuth2 refresh token, in place of the password."""

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not appear in a message."""
        return tuple(secret for secret in (self.password, self.identity_token) if secret)


def find_credentials(settings: RegistrySettings, host: str) -> Credentials | None:
    """Return the credentials for a registry; None for an anonymous caller.

    Raises:
        InvalidConfig: a file is not what `docker login` writes.
        Denied: the helper that a file names failed.
        StorageFailed: a file cannot be read.

    """
    for path in settings.auth_files:
        found = _in_file(path, settings, host)
        if found is not None:
            return found
    return None


def _in_file(path: Path, settings: RegistrySettings, host: str) -> Credentials | None:
    document = _config(path)
    helpers = document.get("credHelpers")
    named = helpers.get(host) if isinstance(helpers, dict) else None
    if isinstance(named, str) and named:
        return _ask(named, host, path, settings)
    auths = document.get("auths")
    entry = (
        next(
            (auths[key] for key in _keys(host) if isinstance(auths.get(key), dict) and auths[key]),
            None,
        )
        if isinstance(auths, dict)
        else None
    )
    if entry is not None:
        found = _stored(entry, host)
        if found is not None:
            return found
    store = document.get("credsStore")
    return _ask(store, host, path, settings) if isinstance(store, str) and store else None


def _config(path: Path) -> Mapping[str, Any]:
    with storage(path):
        try:
            with path.open("rb") as file:
                data = file.read(_LONGEST_CONFIG + 1)
        except (FileNotFoundError, NotADirectoryError):
            return {}
    try:
        document = json.loads(data) if len(data) <= _LONGEST_CONFIG else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InvalidConfig(
            f"`{path}` is not a JSON object of at most {_LONGEST_CONFIG:,} bytes",
            hint="log in again with `docker login` or `skopeo login`",
        )
    return document


def _keys(host: str) -> tuple[str, ...]:
    # Docker writes the bare host; older versions wrote addresses.
    return (host, f"https://{host}", f"http://{host}", f"https://{host}/v1/", f"https://{host}/v2/")


def _stored(entry: Mapping[str, Any], host: str) -> Credentials | None:
    token, packed = entry.get("identitytoken"), entry.get("auth")
    username, password = entry.get("username"), entry.get("password")
    if isinstance(packed, str) and packed:
        try:
            text = base64.b64decode(packed, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise InvalidConfig(
                f"the stored credentials of `{host}` are not base64",
                hint=f"log in again: skopeo login {host}",
            ) from error
        username, _, password = text.partition(":")
    if isinstance(token, str) and token:
        name = username if isinstance(username, str) else ""
        return Credentials(username=name, identity_token=token)
    if isinstance(username, str) and isinstance(password, str) and username:
        # Docker pads some passwords with zero bytes (docker/cli `decodeAuth`).
        return Credentials(username=username, password=password.rstrip("\0"))
    return None


def _ask(helper: str, host: str, path: Path, settings: RegistrySettings) -> Credentials | None:
    if _HELPER.fullmatch(helper) is None:
        raise InvalidConfig(
            f"`{helper[:80]}` cannot be the name of a credential helper",
            hint=f"names match `{_HELPER.pattern}`; the program is `docker-credential-NAME`",
        )
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, "get"],
            input=host.encode(),
            capture_output=True,
            timeout=_HELPER_SECONDS,
            env=dict(settings.helper_environment),
            check=False,
        )
    except FileNotFoundError as error:
        raise Denied(
            f"the credential helper `{program}` for `{host}` is not installed",
            hint=f"install it, or take it out of `{path}`",
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        why = f"gave no answer in {_HELPER_SECONDS:.0f} seconds"
        if isinstance(error, OSError):
            why = (error.strerror or "could not be run").lower()
        raise Denied(
            f"the credential helper `{program}` for `{host}`: {why}", hint=f"try `{program} get`"
        ) from error
    if done.returncode and _ABSENT in done.stdout.decode("utf-8", "replace").lower():
        return None
    answer = _answer(done.stdout) if done.returncode == 0 else None
    if answer is None:
        # What it printed may hold a secret, so none of it is shown.
        raise Denied(
            f"the credential helper `{program}` gave no credentials for `{host}` "
            f"(exit status {done.returncode})",
            hint=f"try `echo {host} | {program} get`",
        )
    return answer


def _answer(data: bytes) -> Credentials | None:
    try:
        document = json.loads(data) if len(data) <= _LONGEST_ANSWER else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    username, secret = document.get("Username"), document.get("Secret")
    if not isinstance(username, str) or not isinstance(secret, str):
        return None
    if username == _IDENTITY:
        return Credentials(identity_token=secret)
    return Credentials(username=username, password=secret)
