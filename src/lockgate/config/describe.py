"""Says what every setting is in effect, and where it comes from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lockgate.config.environment import Environment
from lockgate.config.lines import KeyPath, dotted, key_lines
from lockgate.config.load import Loaded, read
from lockgate.config.settings import BUILT_IN_BACKENDS
from lockgate.domain.digest import Json

DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One value in effect. Never a secret: only whether its variable is set."""

    key: str
    value: Json
    origin: str
    """`default`, or `FILE:LINE`, or the environment variable."""


def settings_in_effect(loaded: Loaded, environment: Environment) -> Sequence[Setting]:
    """Return the settings of the file and their defaults, in the order of the schema."""
    lines = {} if loaded.path is None else key_lines(read(loaded.path))
    document = asdict(loaded.config)
    document["backends"] = {
        **{name: asdict(backend) for name, backend in BUILT_IN_BACKENDS.items()},
        **document["backends"],
    }
    found = []
    for path, value in _leaves(document, ()):
        origin = f"{loaded.path}:{lines[path]}" if path in lines else DEFAULT
        found.append(Setting(key=dotted(path), value=_plain(value), origin=origin))
        if str(path[-1]).endswith("_env") and isinstance(value, str):
            is_set = environment.secret(value) is not None
            state = Setting(key=f"{dotted(path)} is set", value=is_set, origin=f"${value}")
            found.append(state)
    return found


def environment_in_effect(environment: Environment) -> Sequence[Setting]:
    """Return what the environment decides."""
    values: Sequence[tuple[str, Json, tuple[str, ...]]] = (
        ("config_file", _text(environment.config_file), ("LOCKGATE_CONFIG",)),
        ("data_dir", _text(environment.data_dir), ("LOCKGATE_DATA_DIR", "XDG_DATA_HOME")),
        ("state_dir", _text(environment.state_dir), ("LOCKGATE_STATE_DIR", "XDG_STATE_HOME")),
        ("hf_endpoint", _without_credentials(environment.hf_endpoint), ("HF_ENDPOINT",)),
        ("hf_token is set", environment.hf_token is not None, ("HF_TOKEN",)),
        (
            "ca_file",
            _text(environment.ca_file),
            ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"),
        ),
        ("no_color", environment.no_color, ("NO_COLOR",)),
        ("ci", environment.ci, ("CI",)),
    )
    return [
        Setting(
            key=key,
            value=value,
            origin=next((f"${n}" for n in names if environment.secret(n) is not None), DEFAULT),
        )
        for key, value, names in values
    ]


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, Mapping) and (value or not path):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    else:
        yield path, value


def _plain(value: Any) -> Json:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _without_credentials(url: str | None) -> str | None:
    if url is None or "://" not in url:
        return url
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
