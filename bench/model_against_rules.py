#!/usr/bin/env python3
"""Run the suites of the built-in tasks with the rules and with the model, case by case.

usage: bench/model_against_rules.py [HISTORIES]    (default ../shared/data/histories)

Both answer the same cases, so the difference is judged by pairs: an exact McNemar test and an
interval of the difference. The default of a task is the engine that scored better.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lockgate.statistics.intervals import paired_rates
from lockgate.statistics.paired import discordance, mcnemar

ROOT = Path(__file__).parents[1]
ENGINES = ("rules", "model")


def main(histories: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "suites"
        tool = ROOT / "tools" / "suites.py"
        made = histories or [str(ROOT / "../shared/data/histories")]
        subprocess.run([sys.executable, tool, *made, out], check=True, stdout=subprocess.DEVNULL)
        print("| suite | slice | cases | rules | model | difference | p |")
        print("|---|---|---|---|---|---|---|")
        for suite in sorted(path.name for path in out.iterdir()):
            found = {engine: run(out / suite, engine) for engine in ENGINES}
            for name, lines in slices(out / suite):
                row(suite, name, lines, found)
            for engine in ENGINES:
                print(f"| {suite} | seconds with {engine} | | | | {found[engine][1]:.1f} | |")


def run(folder: Path, engine: str) -> tuple[Mapping[int, bool], float]:
    """Return whether each line passed, and how long it took."""
    results = folder / f"{engine}.json"
    environment = {**os.environ, "LOCKGATE_STATE_DIR": str(folder / f"state-{engine}")}
    program = Path(sys.executable).parent / "lockgate"
    started = time.monotonic()
    subprocess.run(
        [program, "eval", "promptfooconfig.yaml", "--engine", engine, "-o", results],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
    )
    taken = time.monotonic() - started
    found = json.loads(results.read_text("utf-8"))["results"]
    answered = {r["line"]: r["outcome"] == "passed" for r in found if not r["degraded"]}
    assert len(answered) == len(found), f"{folder.name}: {engine} did not answer every case"
    return answered, taken


def slices(folder: Path) -> Iterator[tuple[str, Sequence[int]]]:
    """Yield groups of cases by their lines: all of them, then by each key of their metadata."""
    lines = (folder / "cases.jsonl").read_text("utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    yield "all", range(1, len(cases) + 1)
    groups: dict[str, list[int]] = {}
    for line, case in enumerate(cases, 1):
        for key, value in sorted(case["metadata"].items()):
            groups.setdefault(f"{key} {value}", []).append(line)
    yield from sorted(groups.items())


def row(suite: str, name: str, lines: Sequence[int], found: Mapping[str, Any]) -> None:
    rules, model = ([found[engine][0][line] for line in lines] for engine in ENGINES)
    found_apart = discordance(model, rules)
    gains, losses = found_apart.gains, found_apart.losses
    interval = paired_rates(gains=gains, losses=losses, trials=len(lines))
    before, after = (sum(side) / len(lines) for side in (rules, model))
    ends = f"[{interval.lower:+.3f}, {interval.upper:+.3f}]"
    print(
        f"| {suite} | {name} | {len(lines)} | {before:.3f} | {after:.3f} "
        f"| {after - before:+.3f} {ends} | {mcnemar(gains, losses):.2g} |"
    )


if __name__ == "__main__":
    main(sys.argv[1:2])
