#!/usr/bin/env python3
"""Times promptfoo and DeepEval on the cases of bench/eval_speed.py, beside `lockgate eval`.

npm install promptfoo@0.121.20            (in a folder of its own)
python -m venv VENV && VENV/bin/pip install deepeval
python bench/eval_peers.py --promptfoo FOLDER --deepeval VENV/bin/python [--count 500]

CPU time of the whole process, of one case and of `--count`: the difference gives the rate.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from eval_speed import SUITE, line, run

QUIET = {
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
    "PROMPTFOO_CACHE_ENABLED": "false",
    "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
    "DEEPEVAL_DISABLE_DOTENV": "1",
    "CI": "1",
}
# DeepEval has no such assertions but exact match and patterns: these are metrics of its own kind.
DEEPEVAL = r"""
import json, re, sys
from deepeval import evaluate
from deepeval.evaluate.configs import AsyncConfig, CacheConfig, DisplayConfig
from deepeval.metrics import BaseMetric
from deepeval.test_case import LLMTestCase

class Check(BaseMetric):
    threshold = 1.0
    async_mode = False
    def __init__(self, name, check):
        self.name, self.check = name, check
    def measure(self, case, *args, **kwargs):
        self.score = float(self.check(case))
        self.success = self.score >= 1
        return self.score
    async def a_measure(self, case, *args, **kwargs):
        return self.measure(case)
    def is_successful(self):
        return self.success
    @property
    def __name__(self):
        return self.name

def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]

cases = []
for text in open(sys.argv[1]):
    case = json.loads(text)
    said = "Say " + case["vars"]["text"]
    cases.append(LLMTestCase(input=case["vars"]["first"], actual_output=said,
                             expected_output=case["assert"][3]["value"],
                             context=[case["assert"][1]["value"][0]]))
metrics = [
    Check("contains", lambda c: c.input in c.actual_output),
    Check("icontains", lambda c: c.context[0].lower() in c.actual_output.lower()),
    Check("regex", lambda c: re.search("^Say [a-z ]+$", c.actual_output) is not None),
    Check("levenshtein", lambda c: distance(c.actual_output, c.expected_output) <= 3),
]
found = evaluate(cases, metrics, async_config=AsyncConfig(run_async=False),
                 display_config=DisplayConfig(show_indicator=False, print_results=False),
                 cache_config=CacheConfig(write_cache=False, use_cache=False))
assert all(one.success for one in found.test_results), "a case failed"
"""


def used(command: Sequence[str | Path], folder: Path) -> float:
    """Run a program to its end; return its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment: Mapping[str, str] = {**os.environ, **QUIET, "HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--promptfoo", type=Path)
    parser.add_argument("--deepeval", type=Path)
    parser.add_argument("--count", type=int, default=500)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "promptfooconfig.yaml").write_text(SUITE)
        (folder / "deepeval_cases.py").write_text(DEEPEVAL)
        programs: dict[str, Callable[[], float]] = {"lockgate": lambda: run(folder)[0]}
        if given.promptfoo:
            entry = given.promptfoo.resolve() / "node_modules" / ".bin" / "promptfoo"
            asked = [entry, "eval", "--no-cache", "--no-table", "--no-write", "-j", "1"]
            programs["promptfoo"] = lambda: used(asked, folder)
        if given.deepeval:
            script = [given.deepeval.absolute(), "deepeval_cases.py", "cases.jsonl"]
            programs["DeepEval"] = lambda: used(script, folder)
        print("| program | start, CPU-s | x lockgate | cases a CPU-second | lockgate x |")
        print("|---|---|---|---|---|")
        ours = (0.0, 0.0)
        for program, work in programs.items():
            write(folder, 1)
            start = min(work() for _ in range(3))
            count = given.count * (20 if program == "lockgate" else 1)
            write(folder, count)
            rate = (count - 1) / max(work() - start, 0.01)
            ours = ours if ours[0] else (start, rate)
            print(
                f"| {program} | {start:.2f} | {start / ours[0]:.1f} | {rate:,.0f} "
                f"| {ours[1] / rate:.1f} |"
            )


def write(folder: Path, count: int) -> None:
    rng = random.Random(7)
    lines = [line(rng, number) for number in range(count)]
    assert all(json.loads(one) for one in lines)
    (folder / "cases.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
