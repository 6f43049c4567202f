"""What the process environment says. The command line hands its variables over, once."""

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Places, switches and secrets of this process. Its repr shows no secret."""

    config_file: Path | None
    """`LOCKGATE_CONFIG`."""
    data_dir: Path
    """Models. `LOCKGATE_DATA_DIR`, else `$XDG_DATA_HOME/lockgate`."""
    state_dir: Path
    """Audit log and payloads. `LOCKGATE_STATE_DIR`, else `$XDG_STATE_HOME/lockgate`."""
    hf_endpoint: str | None
    hf_token: str | None = field(repr=False)
    ca_file: Path | None
    """Certificates to trust instead of the default ones: `SSL_CERT_FILE`, `PIP_CERT` or
    `REQUESTS_CA_BUNDLE`, the first that is set."""
    no_color: bool
    ci: bool
    variables: Mapping[str, str] = field(repr=False, compare=False)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Environment":
        """Interpret environment variables. An empty variable counts as unset. Never fails."""
        home = _home(environ)
        ca_file = _first(environ, "SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
        config_file = environ.get("LOCKGATE_CONFIG")
        return cls(
            config_file=Path(config_file) if config_file else None,
            data_dir=_folder(environ, "LOCKGATE_DATA_DIR", "XDG_DATA_HOME", home / ".local/share"),
            state_dir=_folder(
                environ, "LOCKGATE_STATE_DIR", "XDG_STATE_HOME", home / ".local/state"
            ),
            hf_endpoint=environ.get("HF_ENDPOINT") or None,
            hf_token=environ.get("HF_TOKEN") or None,
            ca_file=Path(ca_file) if ca_file else None,
            no_color=bool(environ.get("NO_COLOR")),
            ci=environ.get("CI", "").lower() not in {"", "0", "false"},
            variables=environ,
        )

    def secret(self, name: str) -> str | None:
        """Return the variable that a `*_env` setting names; None if unset or empty."""
        return self.variables.get(name) or None


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def _folder(environ: Mapping[str, str], own: str, xdg: str, default: Path) -> Path:
    if environ.get(own):
        return Path(environ[own]).absolute()
    base = Path(environ.get(xdg, ""))
    # XDG Base Directory Specification: "all paths must be absolute … consider the path invalid".
    return (base if base.is_absolute() else default) / "lockgate"


def _home(environ: Mapping[str, str]) -> Path:
    candidate = Path(environ.get("HOME", ""))
    if candidate.is_absolute():
        return candidate
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        # A container with an arbitrary user id has no home at all.
        temporary = Path(environ.get("TMPDIR", ""))
        base = temporary if temporary.is_absolute() else Path("/tmp")  # noqa: S108
        return base / f"home-{os.getuid()}"
