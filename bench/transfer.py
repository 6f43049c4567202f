"""Pushes and pulls a large file through a local registry, beside skopeo and oras.

`python bench/transfer.py [MEGABYTES]`; needs docker-registry and skopeo (Debian), and oras of the
bench requirements for its two rows.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from programs import require
from registries import Running, running_registry

DEFAULT_MB = 1000
ROUNDS = 3
OURS = Path(__file__).with_name("transfer_ours.py")
ORAS = """\
import sys
from oras.client import OrasClient
host, how, path = sys.argv[1:]
client, target = OrasClient(hostname=host, insecure=True), f"{host}/peer/oras:1"
if how == "push":
    client.push(target=target, files=[path], disable_path_validation=True)
else:
    client.pull(target=target, outdir=path)
"""


def measured(command: list[str]) -> tuple[float, float, float]:
    """Run a program; return wall seconds, CPU seconds and its peak memory in MB."""
    before = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, command
    return time.perf_counter() - before, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def best(folder: Path, command: Callable[[Path], list[str]]) -> tuple[float, float, float]:
    """Return the least wall time, the least CPU time and the greatest memory of a few rounds."""
    rounds = []
    for number in range(ROUNDS):
        target = folder / f"round{number}"
        rounds.append(measured(command(target)))
        shutil.rmtree(target)  # fresh pages cost the next round time of the machine's host
    walls, cpus, peaks = zip(*rounds, strict=True)
    return min(walls), min(cpus), max(peaks)


def row(name: str, found: tuple[float, float, float], note: str = "") -> None:
    wall, cpu, peak = found
    print(f"{name:44} {wall:7.2f} s wall {cpu:7.2f} s CPU {peak:6.0f} MB  {note}")


def verdict(name: str, ratio: float, target: float) -> None:
    print(f"  {'ok  ' if ratio <= target else 'MISS'} {name}: {ratio:.2f}, target <= {target:g}")


def main() -> None:
    size = int(sys.argv[1]) * 1_000_000 if len(sys.argv) > 1 else DEFAULT_MB * 1_000_000
    with running_registry() as running, tempfile.TemporaryDirectory() as name:
        compare(running, Path(name), size)


def compare(running: Running, folder: Path, size: int) -> None:
    source = folder / "model.gguf"
    with source.open("wb") as file:
        for _ in range(size // 1_000_000):
            file.write(os.urandom(1_000_000))
    python = [sys.executable, str(OURS)]
    subprocess.run([*python, "pack", str(folder / "from"), str(source)], check=True)
    ours_push = measured([*python, "push", str(folder / "from"), running.host])
    row("lockgate push", ours_push)

    skopeo = [require("skopeo"), "--insecure-policy", "copy", "--src-tls-verify=false"]
    pulled = best(folder, lambda to: [*python, "tables", str(to), running.host])
    hashed = best(folder, lambda to: [*python, "sha256", str(to), running.host])
    peer = best(
        folder, lambda to: [*skopeo, f"docker://{running.host}/bench/model:1", f"oci:{to}:1"]
    )
    row("lockgate pull, chunk tables of a trusted maker", pulled)
    row("lockgate pull, SHA-256 of every blob", hashed)
    row("skopeo copy", peer)
    verdict("CPU, tables beside skopeo", pulled[1] / peer[1], 0.5)
    verdict("CPU, SHA-256 beside skopeo", hashed[1] / peer[1], 1.0)
    verdict("peak memory in MB", max(pulled[2], hashed[2], ours_push[2]), 150)
    if find_spec("oras") is None:
        print("oras is not installed: pip install -r requirements/bench.lock")
        return
    script = folder / "peer.py"
    script.write_text(ORAS)
    call = [sys.executable, str(script), running.host]
    row("oras push", pushed := measured([*call, "push", str(source)]))
    fetched = best(folder, lambda to: [*call, "pull", str(to)])
    row("oras pull (does not verify)", fetched)
    verdict("wall, push beside oras", ours_push[0] / pushed[0], 1.0)
    verdict("wall, tables beside oras", pulled[0] / fetched[0], 0.5)
    verdict("wall, SHA-256 beside oras", hashed[0] / fetched[0], 0.5)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
