#!/usr/bin/env python3
"""Time the program beside its peers, in one run, and print ratios.

usage: bench/speed.py [HISTORIES]

Needs the environment of `make bench` (git-cliff from PyPI), the default models in the local store,
and the exported histories (default ../shared/data/histories). Each figure is the least of several
rounds in turn, so that a busy machine disturbs all alike.
"""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from histories import SHARED, rebuild

BIN = Path(sys.executable).parent
ROUNDS = 7
COMMITS = 1000
HELP_FLOOR_S = 0.120


def seconds(command: Sequence[str | Path], cwd: Path) -> float:
    started = time.perf_counter()
    subprocess.run(
        command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def least(commands: dict[str, Sequence[str | Path]], cwd: Path, rounds: int) -> dict[str, float]:
    """Run all commands in turn, several times, and return each one's best."""
    found = {name: [seconds(command, cwd)] for name, command in commands.items()}
    for _ in range(rounds - 1):
        for name, command in commands.items():
            found[name].append(seconds(command, cwd))
    return {name: min(times) for name, times in found.items()}


def row(what: str, ours: str, peer: str, ratio: str, target: str, *, met: bool) -> None:
    print(
        f"| {what:<46} | {ours:>9} | {peer:>9} | {ratio:>7} | {target:<17} | "
        f"{'yes' if met else 'NO':<3} |"
    )


def notes(engine: str, span: str) -> list[str | Path]:
    return [BIN / "lockgate", "-q", "run", "release-notes", "--range", span, "--engine", engine]


def against_git_cliff(name: str, repository: Path) -> None:
    base = subprocess.run(
        ["git", "-C", repository, "rev-parse", f"HEAD~{COMMITS}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    span = f"{base}..HEAD"
    best = least(
        {"ours": notes("rules", span), "peer": [BIN / "git-cliff", span]}, repository, ROUNDS
    )
    ratio = best["ours"] / best["peer"]
    row(
        f"{name}, {COMMITS} commits, rules, beside git-cliff",
        f"{best['ours']:.3f} s",
        f"{best['peer']:.3f} s",
        f"{ratio:.2f}",
        "<= 5",
        met=ratio <= 5,
    )


def with_models(repository: Path, span: str) -> None:
    taken = min(seconds(notes("model", span), repository) for _ in range(2))
    printed = subprocess.run(
        [*notes("model", span), "--format", "json"],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    pulls = len(
        set(
            re.findall(
                r"\(#(\d+)\)",
                subprocess.run(
                    ["git", "log", "--format=%s", span],
                    cwd=repository,
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout,
            )
        )
    )
    assert json.loads(printed)["engine"] == "model"
    row(
        f"{repository.name} {span}, models, {pulls} PRs",
        f"{taken:.2f} s",
        "-",
        f"{taken / pulls:.3f}",
        "<= 1 s a PR",
        met=taken / pulls <= 1,
    )


def startup(cwd: Path) -> None:
    best = least(
        {
            "ours": [BIN / "lockgate", "--help"],
            "peer": [sys.executable, "-c", "import click"],
        },
        cwd,
        3 * ROUNDS,
    )
    ratio = best["ours"] / best["peer"]
    row(
        "lockgate --help, beside `import click`",
        f"{best['ours'] * 1000:.0f} ms",
        f"{best['peer'] * 1000:.0f} ms",
        f"{ratio:.2f}",
        "<= 120 ms or 2.5x",
        met=best["ours"] <= HELP_FLOOR_S or ratio <= 2.5,
    )


def memory(repository: Path, span: str) -> None:
    peak = _peak(lambda: seconds(notes("model", span), repository))
    row(
        "peak memory with the default models",
        f"{peak >> 10} MiB",
        "-",
        "-",
        "<= 600 MB",
        met=peak * 1024 <= 600_000_000,
    )


def _peak(work: Callable[[], object]) -> int:
    """Return the peak resident KiB of the largest child so far; run it first of all children."""
    work()
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def second_make_run() -> None:
    root = Path(__file__).parents[1]
    seconds(["make", "run"], root)
    taken = seconds(["make", "run"], root)
    row("the second `make run`", f"{taken:.2f} s", "-", "-", "<= 15 s", met=taken <= 15)


def main() -> None:
    shared = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    if not shared.exists():
        sys.exit(f"{shared} is absent: the histories are not part of the repository")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LOCKGATE_STATE_DIR"] = f"{folder}/state"
        subprocess.run(
            [BIN / "lockgate", "model", "pull", "--if-missing", "smollm2", "minilm"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        repositories = {
            name: rebuild(name, Path(folder) / name, shared=shared)
            for name in ("reviewdog", "vite", "bandit")
        }
        print(f"| {'what':<46} | {'ours':>9} | {'peer':>9} | {'ratio':>7} | {'target':<17} | met |")
        print(f"|{'-' * 48}|{'-' * 10}:|{'-' * 10}:|{'-' * 8}:|{'-' * 19}|-----|")
        memory(repositories["bandit"], "1.7.4..1.7.5")
        with_models(repositories["bandit"], "1.7.4..1.7.5")
        for name in ("reviewdog", "vite"):
            against_git_cliff(name, repositories[name])
        startup(Path(folder))
    second_make_run()


if __name__ == "__main__":
    main()
