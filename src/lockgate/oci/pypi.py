"""Asks pip where a wheel is, so that every index, mirror and credential set up for pip works.

pip reads metadata alone where the index offers it (PEP 658), and with `fast-deps` the end of the
wheel through HTTP ranges where it does not: measured on an index without PEP 658, 10 KB instead of
the whole wheel of 93 MB. Only a server without ranges makes it fetch the wheel twice.
"""

import ast
import json
import netrc
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit
from urllib.request import url2pathname

from lockgate.domain.digest import Digest
from lockgate.errors import LockgateError, Unavailable

_TIMEOUT_S: Final = 600
_LAZY: Final = ("--use-feature", "fast-deps")
_USAGE: Final = 2
_SECTIONS: Final = ("global", "install", ":env:")  # pip: later ones win
_ACCESS: Final = (
    "put `USER:PASSWORD@` into the index URL (`pip config set global.index-url …`) "
    "or a line for the host into `~/.netrc`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """Where pip would fetch a wheel."""

    url: str = field(repr=False)
    """May hold credentials."""
    digest: Digest | None
    """As the index says; None if it does not say."""
    access_hint: str = _ACCESS

    @property
    def path(self) -> Path | None:
        """The file, if it is on this machine."""
        parts = urlsplit(self.url)
        return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


@dataclass(frozen=True, slots=True)
class PipConfig:
    """What pip is configured for, as far as fetching a file needs it."""

    values: Mapping[str, str] = field(repr=False)
    urls: Sequence[str] = field(default=(), repr=False)
    """Indexes and link pages, credentials included."""

    @property
    def ca_file(self) -> Path | None:
        return _path(self.values.get("cert"))

    @property
    def client_certificate(self) -> Path | None:
        return _path(self.values.get("client-cert"))

    @property
    def proxy(self) -> str | None:
        proxy = self.values.get("proxy")
        return proxy if not proxy or "://" in proxy else f"http://{proxy}"

    def trusts(self, url: str) -> bool:
        """Say whether `trusted-host` names the host, with or without the port."""
        parts = urlsplit(url)
        names = {parts.hostname, _authority(parts)}
        return not names.isdisjoint(self.values.get("trusted-host", "").split())

    def with_credentials(self, url: str) -> str:
        """Return `url` with the credentials that pip would use for its host.

        pip takes them out of what it reports. Of several URLs with the same host, the one that
        begins most like `url` is right; after those comes `.netrc`.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or "@" in parts.netloc:
            return url
        best = max(
            (known for known in map(urlsplit, self.urls) if _fits(known, parts)),
            key=lambda known: _common(known.path, parts.path),
            default=None,
        )
        user = best.netloc.rpartition("@")[0] if best else _from_netrc(parts.hostname or "")
        return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc}")) if user else url


def read_config(python: str = sys.executable) -> PipConfig:
    """Return pip's configuration: files and `PIP_*` variables.

    Raises:
        Unavailable: pip does not run.

    """
    done = _pip(python, ["config", "list"])
    if done.returncode:
        raise Unavailable(
            f"pip cannot read its configuration: {_reason(done.stderr)}",
            hint="see `python -m pip config debug`",
        )
    return parse_config(done.stdout)


def parse_config(text: str) -> PipConfig:
    """Read what `pip config list` prints: `section.key='value'`, a line each."""
    found: dict[tuple[str, str], str] = {}
    for line in text.splitlines():
        name, _, quoted = line.partition("=")
        section, _, key = name.rpartition(".")
        try:
            value = ast.literal_eval(quoted)
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, str) and section in _SECTIONS:
            found[section, key] = value
    values: dict[str, str] = {}
    urls: list[str] = []
    for section in _SECTIONS:
        for (place, key), value in found.items():
            if place == section:
                values[key] = value
                if key in {"index-url", "extra-index-url", "find-links"}:
                    urls.extend(value.split())
    return PipConfig(values, tuple(urls))


def find_wheel(requirement: str, python: str = sys.executable) -> Wheel:
    """Return where pip would fetch `NAME==VERSION`, without fetching it.

    Raises:
        Unavailable: no index has it, or none can be reached.

    """
    done = _pip(python, [*_resolve(requirement), *_LAZY])
    if done.returncode == _USAGE:  # a pip without that feature
        done = _pip(python, _resolve(requirement))
    if done.returncode:
        raise Unavailable(
            f"pip cannot find `{requirement}`: {_reason(done.stderr)}",
            hint="check the network and `python -m pip config list`; with no network, put the "
            "wheel into a folder and set `PIP_FIND_LINKS` to it",
        )
    try:
        found = json.loads(done.stdout)["install"][0]["download_info"]
        url, archive = found["url"], found.get("archive_info", {})
        sha256 = archive.get("hashes", {}).get("sha256")
        digest = Digest.parse(f"sha256:{sha256}") if sha256 else None
        return Wheel(url=str(url), digest=digest)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, LockgateError) as error:
        raise Unavailable(
            f"pip's report for `{requirement}` cannot be read",
            hint="update it with `python -m pip install --upgrade pip`",
        ) from error


def _resolve(requirement: str) -> list[str]:
    return [
        *("install", "--dry-run", "--report", "-", "--quiet", "--no-deps", "--ignore-installed"),
        *("--only-binary", ":all:", "--ignore-requires-python", "--no-cache-dir"),
        *("--retries", "2", "--no-input", "--disable-pip-version-check", requirement),
    ]


def _pip(python: str, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    # -P: the working directory may be a repository with a `pip` folder of its own.
    command = [python, "-P", "-m", "pip", *arguments]
    try:
        return subprocess.run(
            command,
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"pip gave no answer in {_TIMEOUT_S} seconds", hint="check the network"
        ) from error
    except OSError as error:
        raise Unavailable(f"pip cannot be run with `{python}`: {error.strerror}") from error


def _reason(stderr: str) -> str:
    """Return pip's first error, in one line: the later ones follow from it."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    refused = [line for line in lines if "Retrying" in line and "after connection broken" in line]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if refused:
        return "its index cannot be reached"
    text = (errors or lines[-1:] or ["it says nothing"])[0]
    return re.sub(r"://[^/@\s]{1,256}@", "://", text)[:300]


def _path(value: str | None) -> Path | None:
    return Path(value).expanduser() if value else None


def _authority(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2].lower()


def _fits(known: SplitResult, wanted: SplitResult) -> bool:
    return (
        "@" in known.netloc
        and known.scheme == wanted.scheme
        and _authority(known) == _authority(wanted)
    )


def _common(left: str, right: str) -> int:
    pairs: Iterable[tuple[str, str]] = zip(left.split("/"), right.split("/"), strict=False)
    count = 0
    for one, other in pairs:
        if one != other:
            break
        count += 1
    return count


def _from_netrc(host: str) -> str:
    try:
        found = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return ""
    return f"{quote(found[0], safe='')}:{quote(found[2] or '', safe='')}" if found else ""
