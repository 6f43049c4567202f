"""Starting what is measured on a core of its own, and reading what it takes."""

import http.client
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.targets import GATEWAY_CORE, LOAD_CORE, Target

_TICKS = os.sysconf("SC_CLK_TCK")
_POLL_S = 0.01
_CALL_S = 10.0
_END_S = 40.0


@dataclass(frozen=True, slots=True)
class Started:
    """A server that answers."""

    target: Target
    pid: int
    ready_s: float
    """From its start to its first answer that says it is ready."""
    ready_cpu_s: float
    idle_mib: float


class NotStarted(Exception):
    """A server that does not do what is asked of it. The text says why."""


@contextmanager
def running(
    command: list[str], log: Path, *, core: int, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program on one core for the length of a block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def serving(target: Target, folder: Path) -> Iterator[Started]:
    """Run a target, and wait until it has answered one real call with the model's text.

    Raises:
        NotStarted: it ends, or does not answer so within its patience.

    """
    log = folder / f"{target.name}.log"
    began = time.perf_counter()
    with running(
        target.command, log, core=GATEWAY_CORE, environment=dict(target.environment)
    ) as process:
        target = _until_ready(target, process, log, began + target.patience_s)
        ready_s = time.perf_counter() - began
        cpu, idle = cpu_s(process.pid), rss_mib(process.pid)
        _real_call(target, log)
        yield Started(target, process.pid, ready_s, cpu, idle)


def _until_ready(
    target: Target, process: subprocess.Popen[bytes], log: Path, until: float
) -> Target:
    while time.perf_counter() < until:
        if process.poll() is not None:
            raise NotStarted(f"it ended with status {process.returncode}: {_last(log)}")
        found = re.search(target.announces, log.read_text(errors="replace"))
        if found and target.announces:
            target = replace(target, port=int(found[1]), announces="")
        if target.port and _is_ready(target):
            return target
        time.sleep(_POLL_S)
    raise NotStarted(f"no answer within {target.patience_s:.0f} s: {_last(log)}")


def _is_ready(target: Target) -> bool:
    try:
        status, _ = call(target.port, "GET", target.ready, None, target.headers)
    except OSError:
        return False
    return status < 500


def _real_call(target: Target, log: Path) -> None:
    body = {"model": target.model, "messages": [{"role": "user", "content": "hi"}]}
    try:
        status, data = call(
            target.port, "POST", target.path, json.dumps(body).encode(), target.headers
        )
    except OSError as error:
        raise NotStarted(f"a call fails: {error}: {_last(log)}") from error
    try:
        text = json.loads(data)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        text = ""
    if status != 200 or "exit code 137" not in text:
        raise NotStarted(f"a call has status {status} and {data[:200]!r}: {_last(log)}")


def call(
    port: int, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> tuple[int, bytes]:
    """Return the status and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_CALL_S)
    try:
        connection.request(
            method,
            path,
            body,
            {**headers, **({"Content-Type": "application/json"} if body else {})},
        )
        reply = connection.getresponse()
        return reply.status, reply.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def _last(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it has written nothing"


def _tree(pid: int) -> list[int]:
    """Return the process and all below it."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found += _tree(int(child))
    return found


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process and its children have taken."""
    total = 0
    for one in _tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process and its children."""
    total = 0
    for one in _tree(pid):
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total / 1024


class Core:
    """What a core does while something is measured; `stolen` is what the host took of it."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._at = time.perf_counter()
        self._busy, self._stolen = self._read()

    def _read(self) -> tuple[float, float]:
        for line in Path("/proc/stat").read_text().splitlines():
            if line.startswith(f"cpu{self._number} "):
                user, nice, system, _, _, irq, soft, steal = map(int, line.split()[1:9])
                return (user + nice + system + irq + soft) / _TICKS, steal / _TICKS
        raise AssertionError(f"there is no core {self._number}")

    def shares(self) -> tuple[float, float]:
        """Return the busy and the stolen share of the time since this was made."""
        busy, stolen = self._read()
        return (busy - self._busy) / self.seconds, (stolen - self._stolen) / self.seconds

    @property
    def seconds(self) -> float:
        """Seconds since this was made."""
        return time.perf_counter() - self._at


def stay_off_the_gateway_core() -> None:
    """Keep this process, and what it starts, to the core of the load."""
    os.sched_setaffinity(0, {LOAD_CORE})
