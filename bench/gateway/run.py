"""The gateway beside nginx and its peers, in one run on the same two cores.

usage: PYTHONPATH=bench python bench/gateway/run.py [--quick] [--docs] [NAME ...]

The server has one worker, pinned to one core; the model server and the load generator have the
other. Each round measures every target, and ratios are taken within a round. NAME is a target, or
`streams`; without one, all. Figures are in build/bench-gateway.{json,md}; `--docs` puts them into
the docs. Exit status 1: the gateway did not do what it was measured at.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.goals import ALL_ON, DIRECT, Start, speed_goals, stream_goals
from gateway.peers import PEERS, NotInstalled, installed
from gateway.proof import Proof, lockgate
from gateway.rates import WARM_UP_S, Rate, measured
from gateway.report import Run, markdown, put_into
from gateway.servers import NotStarted, Started, call, running, serving, stay_off_the_gateway_core
from gateway.streaming import Streamed, disturbed, streamed
from gateway.targets import (
    HERE,
    LOAD_CORE,
    MODEL_PORT,
    PACED_PORT,
    ROOT,
    Target,
    all_on,
    bare,
    bodies,
    nginx,
    search_path,
)

_SECONDS = 2
_STREAM_SECONDS = {1: 4.0, 64: 2.5, 200: 2.5}
_DISTURBED_SECONDS = 3.0
_PAGE = ROOT / "docs" / "concepts" / "gateway-speed.md"


def main() -> None:
    options = {name for name in sys.argv[1:] if name.startswith("--")}
    names = [name for name in sys.argv[1:] if not name.startswith("--")]
    if options - {"--quick", "--docs"}:
        sys.exit(__doc__)
    for program in ("wrk", "gcc", "taskset", "nginx"):
        if shutil.which(program, path=search_path()) is None:
            sys.exit(f"`{program}` is missing: apt-get install wrk gcc util-linux nginx-light")
    quick = "--quick" in options
    run = Run(rounds=1 if quick else 3, seconds=_SECONDS)
    with tempfile.TemporaryDirectory() as temporary:
        _measure(run, Path(temporary), names, quick=quick)
    run.goals = [*speed_goals(run.rates, run.starts), *stream_goals(run.streams)]
    text = markdown(run)
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    (build / "bench-gateway.json").write_text(json.dumps(run.as_json(), indent=1) + "\n")
    (build / "bench-gateway.md").write_text(text)
    if "--docs" in options:
        put_into(_PAGE, text)
    print(f"\n{text}")
    sys.exit(bool(run.proof and run.proof.faults))


def _measure(run: Run, folder: Path, names: list[str], *, quick: bool) -> None:
    for name in ("model", "streams"):
        source = str(HERE / f"{name}.c")
        subprocess.run(["gcc", "-O2", "-o", str(folder / name), source], check=True)
    targets = _targets(run, folder, names)
    stay_off_the_gateway_core()
    with _model(folder, MODEL_PORT, 0):
        for number in range(1, run.rounds + 1):
            for target in targets:
                _one_target(run, folder, target, number, quick=quick)
        if run.proof:
            run.proof.traced = json.loads(call(MODEL_PORT, "GET", "/count", None, {})[1])["traced"]
    everything = next((target for target in targets if target.name == ALL_ON), None)
    if run.proof and everything:
        run.proof.read_books(everything)
    if not names or "streams" in names:
        with _model(folder, PACED_PORT, 10):
            _all_streams(run, folder)


@contextmanager
def _model(folder: Path, port: int, pace_ms: int) -> Iterator[None]:
    command = [str(folder / "model"), str(port), str(pace_ms)]
    with running(command, folder / f"model{port}.log", core=LOAD_CORE):
        yield


def _targets(run: Run, folder: Path, names: list[str]) -> list[Target]:
    """Return what is to be measured; what cannot be had is noted with its reason."""
    found = [
        Target(DIRECT, ["sleep", "1000000"], MODEL_PORT),
        nginx(folder, 9410),
        bare(folder, 9420),
        all_on(folder, 9421),
    ]
    for number, peer in enumerate(PEERS):
        if names and peer.name not in names:
            continue
        try:
            found.append(peer.serve(installed(peer), folder, 9430 + number))
        except NotInstalled as error:
            run.left_out[f"{peer.name} {peer.version}"] = f"it does not install here ({error})"
    return [target for target in found if not names or target.name in names]


def _one_target(run: Run, folder: Path, target: Target, number: int, *, quick: bool) -> None:
    if target.name in run.left_out:
        return
    if target.name == ALL_ON and run.proof is None:
        run.proof = Proof()
        for account in ("team:default", "key:bench"):
            lockgate(target, "budget", "set", account, "1000000").check_returncode()
    try:
        with serving(target, folder) as started:
            start = Start(started.ready_s, started.ready_cpu_s, started.idle_mib)
            run.starts.setdefault(target.name, []).append(start)
            _load(run, folder, started, number, quick=quick)
    except NotStarted as error:
        run.left_out[target.name] = str(error)
        print(f"round {number}  {target.name} is left out: {error}", flush=True)


def _load(run: Run, folder: Path, started: Started, number: int, *, quick: bool) -> None:
    target, pid = started.target, started.pid
    written = bodies(folder, target.model)
    prompts = 0
    counted = int(measured(target, pid, written["short"], 16, seconds=WARM_UP_S)["answered"]) + 1
    for body in ("short", "prompt"):
        for connections in _connections(target, body, quick=quick):
            found = measured(target, pid, written[body], connections, seconds=run.seconds)
            counted += int(found["answered"])
            prompts += int(found["answered"]) if body == "prompt" else 0
            row = Rate(
                target=target.name, body=body, connections=connections, round=number, **found
            )
            run.rates.rows.append(row)
            print(
                f"round {number}  {row.target:22} {body:6} c={connections:<3} {row.per_s:8.0f}/s  "
                f"p50 {row.p50_us:6.0f} us  p99 {row.p99_us:7.0f} us  CPU {row.cpu_us:7.1f} us  "
                f"{row.rss_mib:4.0f} MiB  failed {row.failed:.0f}  others {row.others:4.0%}",
                flush=True,
            )
    if target.name == ALL_ON and run.proof:
        run.proof.answered += counted
        run.proof.prompts += prompts
        run.proof.read_metrics(target)


def _connections(target: Target, body: str, *, quick: bool) -> tuple[int, ...]:
    """Return what is measured; of a peer's prompt only what a goal is about, to save time."""
    if body == "prompt" and target.state is None and target.name != "nginx":
        return (16,)
    return (1, 16) if quick else (1, 16, 64)


def _all_streams(run: Run, folder: Path) -> None:
    targets = [
        Target("direct", ["sleep", "1000000"], PACED_PORT),
        nginx(folder, 9450, PACED_PORT),
        bare(folder, 9451, PACED_PORT),
        all_on(folder, 9452, PACED_PORT),
    ]
    body = bodies(folder, "bench")["stream"]
    for number in range(1, run.rounds + 1):
        for target in targets:
            with serving(target, folder) as started:
                _streams_of(run, started, body, number)
                if target.state:
                    found = disturbed(target, body=body, seconds=_DISTURBED_SECONDS)
                    run.streams.disturbed.append(found)


def _streams_of(run: Run, started: Started, body: Path, number: int) -> None:
    for streams, seconds in _STREAM_SECONDS.items():
        found = streamed(started.target, started.pid, streams=streams, body=body, seconds=seconds)
        row = Streamed(target=started.target.name, streams=streams, round=number, **found)
        run.streams.rows.append(row)
        print(
            f"round {number}  {row.target:22} {streams:3} streams  first event "
            f"p50 {row.first_p50_us:5.0f} us  p99 {row.first_p99_us:6.0f} us  "
            f"CPU {row.cpu_us:5.1f} us  {row.events:.1f} events  "
            f"failed {row.failed:.0f}  others {row.others:4.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
