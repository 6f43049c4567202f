"""Starts Debian's docker-registry for the tests, and runs skopeo beside it.

Where they may be installed they are; with `CI` set, their absence fails a test, never skips it.
"""

import base64
import json
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from programs import require

USER, PASSWORD = "packer", "s3cret pass"
# bcrypt of PASSWORD, which is all that docker-registry reads in an htpasswd file.
_HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuuoBpIrM0OnplXjsOI8DWYJTHUhJDuUv.\n"
_START_SECONDS = 30.0
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Running:
    """A registry, until the end of its block."""

    host: str
    """With its port."""
    folder: Path
    """Its storage."""
    docker_config: Path
    """Credentials, if it wants any."""

    @property
    def url(self) -> str:
        return f"http://{self.host}"


@contextmanager
def running_registry(*, login: bool = False, settings: str = "") -> Generator[Running]:
    """Start a registry on a free port of loopback with an empty temporary folder."""
    program = require("docker-registry")
    with tempfile.TemporaryDirectory(prefix="lockgate-registry-") as name:
        folder = Path(name)
        for attempt in range(_TRIES):
            host = f"127.0.0.1:{_free_port()}"
            running = Running(
                host=host,
                folder=folder / "storage",
                docker_config=_write_login(folder, host, login=login),
            )
            process = _start(program, folder, running, login=login, settings=settings)
            try:
                if _answers(running, process):
                    yield running
                    return
            finally:
                process.terminate()
                process.wait(10)
            assert attempt < _TRIES - 1, (folder / "log").read_text()


def skopeo(*arguments: str, authfile: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run skopeo against registries without TLS; the caller looks at the exit status."""
    program = require("skopeo")
    policy = ["--insecure-policy"]
    authority = ["--authfile", str(authfile)] if authfile else []
    command, *rest = arguments
    return subprocess.run(
        [program, *policy, command, *authority, *rest],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _start(
    program: str, folder: Path, running: Running, *, login: bool, settings: str
) -> subprocess.Popen[bytes]:
    (folder / "htpasswd").write_text(_HTPASSWD)
    auth = f"auth:\n  htpasswd:\n    realm: test\n    path: {folder}/htpasswd\n" if login else ""
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage:\n  filesystem: {{rootdirectory: {running.folder}}}\n"
        "  maintenance: {uploadpurging: {enabled: false}}\n"
        f"http: {{addr: '{running.host}', secret: test}}\n{auth}{settings}"
    )
    with (folder / "log").open("wb") as log:
        return subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)


def _answers(running: Running, process: subprocess.Popen[bytes]) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            opener.open(f"{running.url}/v2/", timeout=5).close()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 401
        except OSError:
            time.sleep(0.02)  # waiting for another process to listen: there is no event to wait on
        else:
            return True
    return False


def _write_login(folder: Path, host: str, *, login: bool) -> Path:
    path = folder / "docker.json"
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    path.write_text(json.dumps({"auths": {host: {"auth": pair}} if login else {}}))
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
