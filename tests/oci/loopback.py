"""A web server on loopback that can misbehave in all the ways that downloads meet."""

import base64
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Fault:
    """How one answer differs from what it should be."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent in place of the file."""
    cut: int | None = None
    """Close the connection after so many bytes of the body."""
    hold: threading.Event | None = None
    """After `cut` bytes, wait for this instead of closing."""
    reached: threading.Event | None = None
    """Set when the `cut` bytes are sent."""
    chunked: bool = False
    """Send no length."""


@dataclass(frozen=True)
class Seen:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


@dataclass
class Site:
    """What is served, how, and what was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    """Used up by GET requests for files, one each, in order."""
    faults_at: dict[str, list[Fault]] = field(default_factory=dict)
    """The same for requests of one path, which then use up none of `faults`."""
    ranges: bool = True
    etag: str | None = '"v1"'
    login: str | None = None
    """`user:password` that every request must have."""
    seen: list[Seen] = field(default_factory=list)
    sent: int = 0
    """Bytes of bodies of files."""

    def gets(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == "GET" and seen.path == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return

    def do_HEAD(self) -> None:
        self._answer(Fault(), body=False)

    def do_GET(self) -> None:
        site = self.site
        page = self.path.endswith("/")
        faults = site.faults_at.get(self.path, [] if page else site.faults)
        self._answer(faults.pop(0) if faults else Fault(), body=True)

    def _answer(self, fault: Fault, *, body: bool) -> None:
        site = self.site
        headers = {key.lower(): value for key, value in self.headers.items()}
        site.seen.append(Seen(self.command, self.path, headers))
        if site.login is not None:
            expected = "Basic " + base64.b64encode(site.login.encode()).decode()
            if headers.get("authorization") != expected:
                self._send(401, {"WWW-Authenticate": 'Basic realm="x"'}, b"", fault, body=body)
                return
        data = site.files.get(self.path)
        if fault.status is not None:
            self._send(fault.status, fault.headers, fault.body or b"", fault, body=body)
        elif data is None:
            self._send(404, {}, b"", fault, body=body)
        else:
            self._file(data if fault.body is None else fault.body, headers, fault, body=body)

    def _file(self, data: bytes, asked: Mapping[str, str], fault: Fault, *, body: bool) -> None:
        site = self.site
        kind = "text/html" if self.path.endswith("/") else "application/octet-stream"
        headers = {"Content-Type": kind, **fault.headers}
        if site.ranges:
            headers["Accept-Ranges"] = "bytes"
        if site.etag:
            headers["ETag"] = site.etag
        window = asked.get("range", "")
        fresh = asked.get("if-range", site.etag) == site.etag
        if not (site.ranges and fresh and window.startswith("bytes=")):
            self._send(200, headers, data, fault, body=body)
            return
        first, _, last = window.removeprefix("bytes=").partition("-")
        start = int(first) if first else len(data) - int(last)
        end = min(int(last), len(data) - 1) if first and last else len(data) - 1
        if start >= len(data):
            self._send(416, {"Content-Range": f"bytes */{len(data)}"}, b"", fault, body=body)
            return
        headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
        self._send(206, headers, memoryview(data)[start : end + 1], fault, body=body)

    def _send(
        self,
        status: int,
        headers: Mapping[str, str],
        data: bytes | memoryview,
        fault: Fault,
        *,
        body: bool,
    ) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if fault.chunked:
            self.close_connection = True
            self.send_header("Connection", "close")
        elif "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not body:
            return
        part = data if fault.cut is None else data[: fault.cut]
        self.site.sent += len(part)  # before it is there: whoever has it may ask at once
        try:
            self.wfile.write(part)
            if fault.cut is not None:
                if fault.reached is not None:
                    fault.reached.set()
                if fault.hold is not None:
                    fault.hold.wait(60)
                self.close_connection = True
        except OSError:
            self.close_connection = True  # the client went away, which is what some tests do


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32

    def handle_error(self, request: Any, client_address: Any) -> None:
        return  # clients that go away in the middle are what some tests are about


@contextmanager
def serve() -> Iterator[Site]:
    """Serve a site until the end of the block."""
    site = Site()
    handler = type("Handler", (_Handler,), {"site": site})
    server = _Server(("127.0.0.1", 0), handler)
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
