"""Fetches a file over HTTP into a partial file that a later attempt, or process, goes on with."""

import hashlib
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from time import sleep as wait
from typing import Final
from urllib.parse import urlsplit

import httpx2

from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, Denied, NotFound, Unavailable, UsageError
from lockgate.oci.disk import storage
from lockgate.ports import Progress

_BLOCK: Final = 256 * 1024
_PROGRESS_COUNTS: Final = 64 * 1024
_ATTEMPTS: Final = 5
_LONGEST_WAIT_S: Final = 60.0
_OK, _PARTIAL, _RANGE_REFUSED = 200, 206, 416
_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A file to fetch, and how to know it."""

    url: str
    digest: Digest
    size: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    access_hint: str = ""
    """What to do when the server wants credentials."""

    @property
    def place(self) -> str:
        """The address without credentials and signatures."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach servers, beside what the standard environment variables say."""

    ca_file: Path | None = None
    client_certificate: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    verify: bool = True
    """False only where pip's `trusted-host` names the host; digests hold all the same."""

    def open(self) -> httpx2.Client:
        """Return a client, to be closed by the caller.

        Raises:
            UsageError: the certificates or the proxy's address cannot be used.

        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
            if self.client_certificate:
                context = context or ssl.create_default_context()
                context.load_cert_chain(self.client_certificate)
            if not self.verify:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return httpx2.Client(
                verify=context or True,
                proxy=self.proxy,
                follow_redirects=True,
                timeout=httpx2.Timeout(60.0, connect=15.0),
            )
        except (OSError, ValueError) as error:
            files = " and ".join(f"`{f}`" for f in (self.ca_file, self.client_certificate) if f)
            raise UsageError(
                f"the connection cannot be set up with {files or 'these settings'}: {error}",
                hint="check `SSL_CERT_FILE`, the proxy variables and `pip config list`",
            ) from error


class _Interrupted(Exception):
    """An attempt ended early; `wait_s` is the server's wish."""

    def __init__(self, reason: str, *, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Transfer:
    """Fetches files. `pause` waits between attempts."""

    def __init__(
        self,
        client: httpx2.Client,
        progress: Progress,
        *,
        pause: Callable[[float], None] = wait,
    ) -> None:
        self._client = client
        self._progress = progress
        self._pause = pause

    def fetch(self, remote: Remote, path: Path, *, label: str) -> None:
        """Make `path` hold the file, going on with what it holds already. Verified.

        The caller holds the lock of `path`. What arrived stays there when an attempt fails or the
        process is killed.

        Raises:
            Corrupt: the server has other bytes than the digest says; `path` is gone.
            Denied: the server wants credentials.
            NotFound: the server does not have the file.
            Unavailable: the server failed too often.
            StorageFailed: the disk is full or read-only.

        """
        with _Partial.open(path) as partial:
            partial.load(remote.size)
            resumed = partial.size > 0
            while True:
                self._complete(remote, partial, label)
                if partial.digest == remote.digest:
                    partial.etag = ""
                    return
                found, fetched = partial.digest, partial.size
                partial.clear()
                if not resumed:
                    break
                # The prefix may be of another version, or torn by a power cut: once from the start.
                resumed = False
        path.unlink(missing_ok=True)
        raise Corrupt(
            f"{remote.place} has {fetched:,} bytes with the digest {found}, "
            f"expected {remote.digest}",
            hint="the file was changed after the catalogue was written, or on its way here; "
            "nothing was kept",
        )

    def _complete(self, remote: Remote, partial: "_Partial", label: str) -> None:
        reporter = _Reporter(self._progress, label)
        failures = 0
        furthest = partial.size
        try:
            while remote.size is None or partial.size < remote.size:
                try:
                    self._attempt(remote, partial, reporter)
                except _Interrupted as reason:
                    # Only getting further than ever counts, so a server that always breaks at
                    # the same byte is given up.
                    further = partial.size >= furthest + _PROGRESS_COUNTS
                    failures = 1 if further else failures + 1
                    furthest = max(furthest, partial.size)
                    self._hold_on(reason, failures, remote, partial)
                else:
                    return
            reporter.at(partial.size, partial.size)
        finally:
            reporter.finish()

    def _hold_on(
        self, reason: _Interrupted, failures: int, remote: Remote, partial: "_Partial"
    ) -> None:
        delay = 0.5 * 2 ** (failures - 1) if reason.wait_s is None else reason.wait_s
        if failures < _ATTEMPTS and delay <= _LONGEST_WAIT_S:
            self._pause(delay)
            return
        again = "run the same command again"
        if delay > _LONGEST_WAIT_S:
            again += f" in {delay:.0f} seconds, as the server asks"
        if partial.size:
            again += f": it goes on after the {partial.size:,} bytes that are here"
        raise Unavailable(f"{remote.place} could not be fetched: {reason}", hint=again)

    def _attempt(self, remote: Remote, partial: "_Partial", reporter: "_Reporter") -> None:
        """Fetch the rest. Returns when the file is complete; raises _Interrupted if it is not."""
        headers = {"Accept-Encoding": "identity", **remote.headers}
        if partial.size:
            headers["Range"] = f"bytes={partial.size}-"
            if partial.etag:
                headers["If-Range"] = partial.etag
        try:
            with self._client.stream("GET", remote.url, headers=headers) as response:
                total = _accept(response, remote, partial)
                if total == partial.size:
                    return
                partial.etag = _strong_etag(response)
                reporter.at(partial.size, total or remote.size or 0)
                # Blocks as they come: with a size given, what waits for the rest of its block is
                # lost when the connection breaks.
                for block in response.iter_bytes():
                    partial.append(block)
                    reporter.at(partial.size)
                    _bound(partial, remote, total)
        except httpx2.InvalidURL as error:
            raise NotFound(f"`{remote.place}` is not an address: {error}") from error
        except httpx2.HTTPError as error:
            raise _Interrupted(str(error) or type(error).__name__) from error
        expected = remote.size if remote.size is not None else total
        if expected is not None and partial.size < expected:
            raise _Interrupted(f"the answer ended after {partial.size:,} of {expected:,} bytes")


class _Partial:
    """A file that grows, with the hash of what it holds and the version that it is a part of."""

    def __init__(self, path: Path, file: FileIO) -> None:
        self._file = file
        self._tag = path.with_suffix(".etag")
        self._path = path
        self._hasher = hashlib.sha256()
        self.size = 0

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["_Partial"]:
        with storage(path):
            path.touch()
            file = FileIO(path, "r+")
        with file:
            yield cls(path, file)

    def load(self, limit: int | None) -> None:
        """Hash what is there; drop it if it is more than the file can have."""
        with storage(self._path):
            while block := self._file.read(_BLOCK):
                self._hasher.update(block)
                self.size += len(block)
        if limit is not None and self.size > limit:
            self.clear()

    @property
    def digest(self) -> Digest:
        return Digest(self._hasher.hexdigest())

    @property
    def etag(self) -> str:
        with storage(self._tag):
            if not self._tag.exists():
                return ""
            text = self._tag.read_text("ascii", "replace")
        return text if text.isprintable() else ""

    @etag.setter
    def etag(self, value: str) -> None:
        with storage(self._tag):
            if value:
                self._tag.write_text(value, "ascii")
            else:
                self._tag.unlink(missing_ok=True)

    def append(self, block: bytes) -> None:
        with storage(self._path):
            view = memoryview(block)
            while view:
                view = view[self._file.write(view) :]
        self._hasher.update(block)
        self.size += len(block)

    def clear(self) -> None:
        self.etag = ""
        with storage(self._path):
            self._file.seek(0)
            self._file.truncate()
        self._hasher = hashlib.sha256()
        self.size = 0


class _Reporter:
    """Tells progress where a transfer is, which may also go back to the start."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress = progress
        self._label = label
        self._at: int | None = None

    def at(self, size: int, total: int | None = None) -> None:
        if self._at is None or size < self._at:
            self._progress.start(self._label, total or 0)
            self._at = 0
        if size > self._at:
            self._progress.advance(size - self._at)
            self._at = size

    def finish(self) -> None:
        if self._at is not None:
            self._progress.finish()


def _accept(response: httpx2.Response, remote: Remote, partial: _Partial) -> int | None:
    """Judge the status, make `partial` end where the body begins, and return the file's size."""
    status = response.status_code
    if status == _RANGE_REFUSED and partial.size:
        # RFC 9110 15.5.17: the answer may say how long the file is.
        total = _content_range(response)[1]
        if total == partial.size and remote.size is None:
            return total
        partial.clear()
        if total is not None and remote.size is not None and total < remote.size:
            raise _wrong_size(remote, total)
        raise _Interrupted("the server does not have the range that is missing", wait_s=0)
    if status == _PARTIAL:
        start, total = _content_range(response)
        if start == partial.size and not response.headers.get("content-encoding"):
            return _plausible(total, remote)
        partial.clear()
        raise _Interrupted("the server sent another range than was asked for", wait_s=0)
    if status == _OK:
        if partial.size:
            partial.clear()
        encoded = response.headers.get("content-encoding", "identity") != "identity"
        length = "" if encoded else response.headers.get("content-length", "")
        return _plausible(_integer(length), remote)
    reason = f"the server answered {status} {response.reason_phrase}".rstrip()
    if status in _TRANSIENT:
        raise _Interrupted(reason, wait_s=_retry_after(response))
    if status in {401, 403, 407}:
        raise Denied(f"{remote.place}: {reason}", hint=remote.access_hint or None)
    raise NotFound(f"{remote.place}: {reason}", hint="the source may have been moved or deleted")


def _plausible(total: int | None, remote: Remote) -> int | None:
    if total is not None and remote.size is not None and total > remote.size:
        raise _wrong_size(remote, total)
    # A smaller total may be a copy that is still growing: what is missing is asked for again.
    return total


def _bound(partial: _Partial, remote: Remote, total: int | None) -> None:
    limit = remote.size if remote.size is not None else total
    if limit is not None and partial.size > limit:
        found = partial.size
        partial.clear()
        raise _wrong_size(remote, found)


def _wrong_size(remote: Remote, found: int) -> Corrupt:
    expected = f"{remote.size:,} bytes" if remote.size is not None else "fewer"
    return Corrupt(
        f"{remote.place} has {found:,} bytes, expected {expected} with the digest {remote.digest}",
        hint="the server has another file than the catalogue describes; nothing was kept",
    )


def _content_range(response: httpx2.Response) -> tuple[int | None, int | None]:
    """Read `Content-Range: bytes 5-9/10` or `bytes */10` (RFC 9110 14.4)."""
    unit, _, rest = response.headers.get("content-range", "").partition(" ")
    window, _, total = rest.partition("/")
    start = window.partition("-")[0]
    if unit.lower() != "bytes":
        return None, None
    return _integer(start), _integer(total)


def _integer(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None  # noqa: PLR2004  more than 2**63


def _retry_after(response: httpx2.Response) -> float | None:
    """Read the seconds. A date (RFC 9110 10.2.3) needs a clock: the usual wait does instead."""
    seconds = _integer(response.headers.get("retry-after", ""))
    return None if seconds is None else float(seconds)


def _strong_etag(response: httpx2.Response) -> str:
    """Return the version for If-Range, which takes no weak one (RFC 9110 13.1.5)."""
    etag = response.headers.get("etag", "")
    return etag if etag.startswith('"') and etag.isascii() and len(etag) < _LONGEST_ETAG else ""


_LONGEST_ETAG: Final = 512
