"""A recorded run, repeated on another checkout without a network: the same report, byte by byte."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.cli.main import execute

from .test_eval import REFUSE, TASK, chat, server, workplace

__all__ = ["workplace"]
ANSWER = '{"category": "disk", "words": "no space left on device"}'
SUITE = f"""\
prompts: ['{{{{text}}}}']
providers: ['lockgate:task:{TASK}']
tests:
  - {{vars: {{text: [no space left on device, disk quota exceeded]}}, assert: [{{type: is-json}}]}}
  - {{vars: {{text: out of memory}}, assert: [{{type: latency, threshold: 60000}}]}}
x-gate:
  pass_rate: 1
  performance: [{{metric: latency, at_most: 60000}}]
"""
REPORTS = ("r.json", "r.sarif", "r.xml", "r.md", "r.html", "r.jsonl")


def without_network(log: Path) -> list[str]:
    """Return what runs a program in an empty network namespace, or notes its connections."""
    if subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode == 0:
        return ["unshare", "-rn"]
    if shutil.which("strace") is None:
        pytest.fail("neither `unshare -rn` nor strace works here: apt-get install strace")
    return ["strace", "-f", "-qq", "-e", "trace=connect", "-o", str(log)]


def test_a_recorded_run_is_repeated_elsewhere_to_the_same_bytes(
    workplace: Path, tmp_path: Path
) -> None:
    assert execute(["task", "new", TASK]) == 0
    Path("promptfooconfig.yaml").write_text(SUITE)
    outputs = [argument for name in REPORTS for argument in ("-o", f"out/{name}")]
    with server(workplace, chat(ANSWER)):
        recorded = execute(["eval", "--engine", "model", "--record", "tape", *outputs])
    first = {name: (workplace / "out" / name).read_bytes() for name in REPORTS}
    checkout, log = tmp_path / "elsewhere" / "checkout", tmp_path / "connects"
    shutil.copytree(workplace, checkout, ignore=shutil.ignore_patterns("out"))

    done = subprocess.run(
        [
            *without_network(log),
            *(sys.executable, "-m", "lockgate", "eval", "--engine", "model"),
            *("--playback", "tape", *outputs),
        ],
        cwd=checkout,
        env={**os.environ, "LOCKGATE_STATE_DIR": str(tmp_path / "other-state")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == recorded, done.stderr
    assert recorded == 101, "three cases are too few for a gate of latency"
    assert {name: (checkout / "out" / name).read_bytes() for name in REPORTS} == first
    assert b'"latency_ms":' in first["r.jsonl"]
    assert not log.exists() or "connect(" not in log.read_text()
    assert REFUSE in (checkout / "lockgate.toml").read_text()
