"""Measures `lockgate eval`: cases a CPU-second, CPU time to start, memory for a long suite.

    python bench/eval_speed.py [--count 100000]

Each case is a line of its own with four assertions, answered by `echo`; one process, no network.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

WORDS = "release build gate model prompt cache token index commit branch merge deploy".split()
SUITE = """\
prompts: ['Say {{text}}']
providers: [echo]
tests: cases.jsonl
"""
MIB = 1 << 20


def line(rng: random.Random, number: int) -> str:
    words = [rng.choice(WORDS) for _ in range(12)]
    return json.dumps(
        {
            "description": f"case {number}",
            "vars": {"text": " ".join(words), "first": words[0]},
            "assert": [
                {"type": "contains", "value": "{{first}}"},
                {"type": "icontains-any", "value": [words[3].upper(), "nothing"]},
                {"type": "regex", "value": "^Say [a-z ]+$"},
                {"type": "levenshtein", "value": "Say " + " ".join(words), "threshold": 3},
            ],
        }
    )


def run(folder: Path, *arguments: str) -> tuple[float, float]:
    """Return CPU seconds and MiB of one run of the program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "LOCKGATE_STATE_DIR": str(folder / "state")}
    code = (
        "import sys, resource\n"
        "from lockgate.cli.main import execute\n"
        "status = execute(sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "-q", "eval", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"exit {done.returncode}: {done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, int(done.stderr.split()[-1]) * 1024 / MIB


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100_000)
    count = parser.parse_args().count
    rng = random.Random(7)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "promptfooconfig.yaml").write_text(SUITE)
        cases = folder / "cases.jsonl"
        cases.write_text(line(rng, 0) + "\n")
        start = min(run(folder)[0] for _ in range(3))
        with cases.open("w") as file:
            file.writelines(line(rng, number) + "\n" for number in range(count))
        whole, memory = run(folder)
        reports = [f"-o{folder / 'r'}{end}" for end in (".sarif", ".xml", ".md", ".html", ".json")]
        reported, reported_memory = run(folder, *reports)
    rate = count / (whole - start)
    print(f"start                       {start:8.2f} CPU-s       (wanted: at most 0.40)")
    print(f"cases, 4 assertions each    {rate:8.0f} a CPU-second (wanted: at least 5,000)")
    print(f"memory, {count:,} cases     {memory:8.0f} MiB         (wanted: at most 150)")
    print(
        f"with five reports           {reported - whole:8.2f} CPU-s more, {reported_memory:.0f} MiB"
    )


if __name__ == "__main__":
    main()
