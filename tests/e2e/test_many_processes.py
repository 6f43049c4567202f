"""A thousand calls by eight processes at once leave one whole chain."""

import subprocess
import sys
from pathlib import Path

import pytest

PROCESSES, CALLS = 8, 125
WORKER = f"""
import asyncio, os
from pathlib import Path
from lockgate.app.calls import new_call
from lockgate.app.tasks import find_task
from lockgate.app.engine import open_engine
from lockgate.cli.output import Silence
from lockgate.config.environment import Environment
from lockgate.config.load import load

async def work():
    loaded = load(None, start=Path.cwd())
    spec = find_task(loaded, "log-triage").spec
    async with open_engine(loaded, Environment.read(os.environ)) as engine:
        for number in range({CALLS}):
            given = {{"text": f"{{os.getpid()}} {{number}}: no space left on device"}}
            call = new_call(loaded, spec, given, engine="rules")
            answer = await engine.answering.answer(call, Silence())
            assert answer.output["category"] == "disk"

asyncio.run(work())
"""


def test_the_log_of_a_thousand_calls_at_once_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    lockgate = [sys.executable, "-m", "lockgate"]
    subprocess.run([*lockgate, "task", "new", "log-triage"], check=True, capture_output=True)

    running = [subprocess.Popen([sys.executable, "-c", WORKER]) for _ in range(PROCESSES)]

    assert [process.wait(timeout=300) for process in running] == [0] * PROCESSES
    verified = subprocess.run(
        [*lockgate, "audit", "verify"], check=True, capture_output=True, text=True
    )
    assert f"is whole: {PROCESSES * CALLS} event(s)" in verified.stdout
