"""Programs that a bench starts, waits for and ends."""

import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

_HERE = Path(__file__).parent
_PATIENCE_S = 30.0


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str] | None = None, log: Path | None = None
) -> Generator["subprocess.Popen[str]"]:
    """Run a program for the length of a block."""
    with (log or Path(os.devnull)).open("a", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE_S)
            finally:
                process.kill()
                assert process.stdout is not None
                process.stdout.close()


@contextmanager
def upstream(workers: int, seconds: float) -> Generator[int]:
    """Run a model server of known capacity; return its port."""
    program = [sys.executable, str(_HERE / "capacity.py"), "0", str(workers), str(seconds)]
    with running(program) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


@contextmanager
def gateway(folder: Path, port: int, settings: str) -> Generator["subprocess.Popen[str]"]:
    """Run `lockgate serve` on a port, in a folder of its own; return when it is ready."""
    folder.mkdir(exist_ok=True)
    config = folder / "lockgate.toml"
    config.write_text(f"task_folders = []\n{settings}")
    program = [sys.executable, "-m", "lockgate", "--config", str(config), "serve"]
    environment = {
        "LOCKGATE_STATE_DIR": str(folder / "state"),
        "LOCKGATE_DATA_DIR": str(folder / "data"),
    }
    listen = ["--listen", f"127.0.0.1:{port}"]
    with running([*program, *listen], environment, folder / "log") as process:
        if not _answers(f"http://127.0.0.1:{port}/healthz/ready", process):
            raise AssertionError(f"the gateway is not ready: {(folder / 'log').read_text()}")
        yield process


def _answers(url: str, process: "subprocess.Popen[str]") -> bool:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urlopen(url, timeout=5):  # noqa: S310  ours
                return True
        except (URLError, ConnectionError):
            time.sleep(0.02)
    return False
