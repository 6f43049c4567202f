"""Requests a second through the gateway beside its peers, in one run on the same two cores.

The server has one worker, pinned to one core; the model server and the load generator have the
other. Three rounds; each round measures every target, and ratios are taken within a round.
usage: python bench/gateway/run.py [--quick] [NAME ...], where `streams` names the streams
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from gateway.targets import (
    HERE,
    MODEL_PORT,
    PACED_PORT,
    PEERS,
    Target,
    all_on,
    bare,
    bodies,
    nginx,
    peers,
    streaming,
)

CONNECTIONS = (1, 16, 64)
ROUNDS = 3
SECONDS = 4
WANTED = ("sglang-router==0.3.2", "litellm[proxy]==1.106.2")
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    quick = "--quick" in sys.argv
    names = [name for name in sys.argv[1:] if not name.startswith("--")]
    for program in ("wrk", "gcc", "taskset"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is missing: apt-get install {program} nginx-light")
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        _build(folder)
        stack.enter_context(_running([str(folder / "model"), str(MODEL_PORT), "0"], core=1))
        found = _targets(folder, quick=quick)
        found = [target for target in found if not names or target.name in names]
        written = bodies(folder)
        results: dict[tuple[str, str, int], list[dict[str, float]]] = {}
        for number in range(1 if quick else ROUNDS):
            for target in found:
                _measure(target, written, results, number, quick=quick)
        if found:
            _report(results, [target.name for target in found])
        if not names or "streams" in names:
            command = [str(folder / "model"), str(PACED_PORT), "10"]
            stack.enter_context(_running(command, core=1))
            _streams(folder, written["short_stream"])


def _targets(folder: Path, *, quick: bool) -> list[Target]:
    if not quick:
        _install_peers()
    plain = nginx(folder, 9410)
    ours = [bare(folder, 9420), all_on(folder, 9421)]
    return [*([plain] if plain else []), *ours, *([] if quick else peers(9430))]


def _install_peers() -> None:
    python = PEERS / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
    for package in WANTED:
        done = subprocess.run(
            [python, "-m", "pip", "install", "-q", "--only-binary", ":all:", package], check=False
        )
        if done.returncode:
            print(f"{package} does not install here: left out", file=sys.stderr)


def _build(folder: Path) -> None:
    for name in ("model", "streams"):
        source = str(HERE / f"{name}.c")
        subprocess.run(["gcc", "-O2", "-o", str(folder / name), source], check=True)


def _streams(folder: Path, body: Path) -> None:
    """Time streams of 51 events, one each 10 ms: what is added to the first, and its cost."""
    print("\n| target | streams | first event p50 us | p99 us | events | CPU us/event | failed |")
    print("|---|---|---|---|---|---|---|")
    for target in streaming(folder, 9450):
        with _running(target.command, core=0, **target.environment) as pid:
            if not _wait(target, body):
                continue
            for streams in (1, 64, 200):
                before = _cpu_s(pid)
                command = [str(folder / "streams"), str(target.port), str(streams), str(SECONDS)]
                done = subprocess.run(
                    ["taskset", "-c", "1", *command, str(body), target.key or "none"],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                found = json.loads(done.stdout)
                events = max(1.0, found["per_s"] * SECONDS * found["events"])
                print(
                    f"| {target.name} | {streams} | {found['first_p50_us']:.0f} | "
                    f"{found['first_p99_us']:.0f} | {found['events']:.1f} | "
                    f"{(_cpu_s(pid) - before) / events * 1e6:.0f} | {found['failed']} |",
                    flush=True,
                )


@contextmanager
def _running(command: list[str], *, core: int, **environment: str) -> Iterator[int]:
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _measure(
    target: Target,
    written: dict[str, Path],
    results: dict[tuple[str, str, int], list[dict[str, float]]],
    number: int,
    *,
    quick: bool,
) -> None:
    with _running(target.command, core=0, **target.environment) as pid:
        if not _wait(target, written["short"]):
            print(f"round {number + 1}  {target.name} does not answer: left out", flush=True)
            return
        for body in ("short", "prompt"):
            for connections in CONNECTIONS:
                if quick and connections != 16:
                    continue
                before = _cpu_s(pid)
                found = _load(target, written[body], connections)
                used = _cpu_s(pid) - before
                found["cpu_us"] = used / (found["per_s"] * SECONDS) * 1e6
                found["rss_mib"] = _rss_mib(pid)
                results.setdefault((target.name, body, connections), []).append(found)
                print(
                    f"round {number + 1}  {target.name:14} {body:7} c={connections:<3} "
                    f"{found['per_s']:9.0f}/s  p50 {found['p50_us']:6.0f} us  "
                    f"p99 {found['p99_us']:7.0f} us  CPU {found['cpu_us']:7.1f} us  "
                    f"{found['rss_mib']:4.0f} MiB  failed {found['failed']:.0f}",
                    flush=True,
                )


def _load(target: Target, body: Path, connections: int) -> dict[str, float]:
    done = subprocess.run(
        [
            *("taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}"),
            *("-s", str(HERE / "post.lua"), f"http://127.0.0.1:{target.port}{target.path}"),
        ],
        env={**os.environ, "BODY": str(body), **({"KEY": target.key} if target.key else {})},
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    found: dict[str, float] = json.loads(line.removeprefix("RESULT "))
    return found


def _wait(target: Target, body: Path) -> bool:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {target.key or 'x'}"}
    url = f"http://127.0.0.1:{target.port}{target.path}"
    for _ in range(1200):
        try:
            with urlopen(Request(url, body.read_bytes(), headers), timeout=10):
                return True
        except (URLError, OSError):
            time.sleep(0.1)
    return False


def _tree(pid: int) -> list[int]:
    """Return the process, its threads' process and its children."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found += _tree(int(child))
    return found


def _cpu_s(pid: int) -> float:
    total = 0
    for one in _tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def _rss_mib(pid: int) -> float:
    total = 0
    for one in _tree(pid):
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total / 1024


def _report(results: dict[tuple[str, str, int], list[dict[str, float]]], names: list[str]) -> None:
    """Print medians, and ratios to the first target, taken within each round."""
    print(f"\n| target | body | connections | req/s | p50 us | CPU us/req | x {names[0]} | MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for (name, body, connections), rounds in results.items():
        base = results.get((names[0], body, connections), rounds)
        ratio = statistics.median(
            a["per_s"] / b["per_s"] for a, b in zip(rounds, base, strict=True)
        )

        def median(what: str, of: list[dict[str, float]] = rounds) -> float:
            return statistics.median(one[what] for one in of)

        print(
            f"| {name} | {body} | {connections} | {median('per_s'):.0f} | {median('p50_us'):.0f} | "
            f"{median('cpu_us'):.0f} | {ratio:.3f} | {median('rss_mib'):.0f} |"
        )


if __name__ == "__main__":
    main()
