# ruff: noqa: E501  a failure mode a row
"""`lockgate eval`: what can go wrong, one row a failure mode, and what the program does then."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema_rs
import pytest

from lockgate.cli.main import execute

TASK = "log-triage"
SARIF = json.loads((Path(__file__).parents[1] / "assets" / "sarif-2.1.0.json").read_text())
ECHO = "prompts: ['{{x}}']\nproviders: [echo]\n"
PASSING = "{vars: {x: a}, assert: [{type: equals, value: a}]}"
FAILING = "{vars: {x: a}, assert: [{type: equals, value: b}]}"
LINE = '{"vars": {"x": "a"}, "assert": [{"type": "equals", "value": "a"}]}\n'
HALF = "".join(
    LINE.replace('"x": "a"', f'"x": "{x}"').replace('"value": "a"', f'"value": "{x % 20}"')
    for x in range(40)
)
ON_TASK = (
    f"prompts: ['{{{{text}}}}']\nproviders: ['lockgate:task:{TASK}']\n"
    "tests: [{vars: {text: no space left on device}, assert: [{type: is-json}]}]\n"
)
REFUSE = f'[tasks.{TASK}]\non_unavailable = "refuse"\n'


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


@contextmanager
def server(folder: Path, reply: bytes | None) -> Iterator[None]:
    """A model server that says `reply` to everything; None: it accepts and says nothing."""
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as open_:
        port = listening.getsockname()[1]
        (folder / "lockgate.toml").write_text(
            f'[backends.far]\nkind = "openai"\nurl = "http://127.0.0.1:{port}/v1"\n'
            f'data_classes = ["internal"]\n{REFUSE}'
            f'models = {{text = {{backend = "far"}}}}\nbudget = {{timeout_s = 1}}\n'
        )

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                open_.enter_context(connection)
                if reply is not None:
                    connection.recv(1 << 16)
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n"
                        b"Content-Length: %d\r\n\r\n%s" % (len(reply), reply)
                    )
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def chat(text: str) -> bytes:
    return json.dumps(
        {
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1},
        }
    ).encode()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    with (folder / "r.jsonl.lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


OTHER = (
    '{"id": "00", "input": "00", "name": "n", "path": "p", "line": 1, "provider": "echo", '
    '"prompt": "p", "outcome": "passed", "fault": "", "score": 1, "reason": "", "output": "", '
    '"assertions": [], "named": {}, "degraded": [], "case": "ff", "observed": {}}\n'
)


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One way to fail."""

    name: str
    suite: str = f"{ECHO}tests: [{PASSING}]\n"
    files: dict[str, str | bytes] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    code: int
    successful: bool | None = None
    """SARIF's `executionSuccessful`; None: nothing ran, there is no report."""
    kept: int = 0
    """Cases with a result."""
    broken: int = 0
    """Entries that could not be read, each with its place."""
    says: str = ""
    around: Callable[[Path], AbstractContextManager[None]] = lambda _: nullcontext()


def config(text: str) -> dict[str, str | bytes]:
    return {"lockgate.toml": text}


MODES = (
    Mode(name="all is well", code=0, successful=True, kept=1),
    Mode(name="a case fails", suite=f"{ECHO}tests: [{PASSING}, {FAILING}]", code=100, successful=True, kept=2),
    Mode(name="no cases", suite=f"{ECHO}tests: c.jsonl", files={"c.jsonl": ""}, code=102, successful=False),
    Mode(name="every line is broken", suite=f"{ECHO}tests: c.jsonl", files={"c.jsonl": "{\n[\n"},
         code=102, successful=False, broken=2, says="line 2"),
    Mode(name="a broken line", suite=f"{ECHO}tests: c.jsonl", files={"c.jsonl": f"{LINE}{{\n{LINE}"},
         code=105, successful=False, kept=2, broken=1, says="`c.jsonl`, line 2"),
    Mode(name="a broken line and a failure", suite=f"{ECHO}tests: [c.jsonl, {FAILING}]",
         files={"c.jsonl": f"{LINE}{{\n"}, code=100, successful=False, kept=2, broken=1),
    Mode(name="a line that is not UTF-8", suite=f"{ECHO}tests: c.jsonl",
         files={"c.jsonl": LINE.encode() + b"\xff\n"}, code=105, successful=False, kept=1, broken=1),
    Mode(name="a row with too few columns", suite=f"{ECHO}tests: c.csv",
         files={"c.csv": "x,__expected\na,a\nb\n"}, code=105, successful=False, kept=1, broken=1),
    Mode(name="a typo in a type", suite=f"{ECHO}tests: [{{assert: [{{type: equal}}]}}]", code=2,
         says="did you mean `equals`?"),
    Mode(name="a suite that is not YAML", suite="prompts: [", code=2, says="line 2"),
    Mode(name="a suite nested too deeply", suite="[" * 5000, code=2, says="levels"),
    Mode(name="no suite", arguments=("nothing.yaml",), code=2, says="neither a suite nor a task"),
    Mode(name="no provider", suite="prompts: [x]", code=2, says="names no providers"),
    Mode(name="a provider that is not here", suite="prompts: [x]\nproviders: ['openai:gpt-9', echo]", code=2,
         says="there is no provider `openai:gpt-9` here"),
    Mode(name="a threshold that is NaN", suite=f"{ECHO}tests: [{{threshold: .nan}}]", code=2, says="finite"),
    Mode(name="a schema that is invalid", code=100, successful=False, kept=1, says="unknown keyword `typ`",
         suite=f"{ECHO}tests: [{{vars: {{x: '1'}}, assert: [{{type: is-json, value: {{typ: x}}}}]}}]"),
    Mode(name="a pattern that backtracks", code=100, successful=False, kept=1, says="linear time",
         suite=f"{ECHO}tests: [{{vars: {{x: a}}, assert: [{{type: regex, value: '(?=a)'}}]}}]"),
    Mode(name="a template that fails", suite=f"prompts: ['{{{{ 1 / 0 }}}}']\nproviders: [echo]\ntests: [{PASSING}]",
         code=100, successful=False, kept=1, says="does not render"),
    Mode(name="a transform that does not fit", code=100, successful=False, kept=1, says="does not fit",
         suite=f"{ECHO}tests: [{{vars: {{x: a}}, options: {{transform: JSON.parse(output).a}}}}]"),
    Mode(name="a variable's file that is missing", suite=f"{ECHO}tests: [{PASSING}, {{vars: {{x: 'file://no.txt'}}}}]",
         code=105, successful=False, kept=1, broken=1, says="there is no file"),
    Mode(name="a file outside of the project", suite=f"{ECHO}tests: file:///etc/passwd", code=2, says="outside of"),
    Mode(name="too few cases for a verdict", suite=f"{ECHO}x-gate: {{min_cases: 5}}\ntests: [{PASSING}]",
         code=101, successful=True, kept=1),
    Mode(name="a failure that the gate allows", code=0, successful=True, kept=2,
         suite=f"{ECHO}x-gate: {{pass_rate: 0.5}}\ntests: [{PASSING}, {FAILING}]"),
    Mode(name="a judge that is missing", code=104, successful=False, kept=1, says="lockgate model pull",
         suite=f"{ECHO}tests: [{{vars: {{x: a}}, assert: [{{type: llm-rubric, value: good}}]}}]"),
    Mode(name="a judge that nobody knows", code=104, successful=False, kept=1, arguments=("--judge", "nobody"),
         suite=f"{ECHO}tests: [{{vars: {{x: a}}, assert: [{{type: factuality, value: a}}]}}]"),
    Mode(name="code that nobody allowed", code=2, says="--allow-code",
         suite=f"{ECHO}tests: [{{vars: {{x: a}}, assert: [{{type: python, value: 'True'}}]}}]"),
    Mode(name="code in a file of cases that nobody allowed", code=100, successful=False, kept=1,
         suite=f"{ECHO}tests: c.csv", files={"c.csv": "x,__expected\na,python:True\n"}, says="--allow-code"),
    Mode(name="a score that is NaN", code=100, successful=False, kept=1, arguments=("--allow-code",), says="NaN",
         suite=f"{ECHO}tests: [{{vars: {{x: a}}, assert: [{{type: python, value: 'float(\"nan\")'}}]}}]"),
    Mode(name="code that fails", code=100, successful=False, kept=1, arguments=("--allow-code",),
         suite=f"{ECHO}tests: [{{vars: {{x: a}}, assert: [{{type: python, value: '1 / 0'}}]}}]", says="ZeroDivisionError"),
    Mode(name="JavaScript that is more than an expression", code=2, says="is not translated",
         suite=f"{ECHO}tests: [{{assert: [{{type: javascript, value: 'new Date()'}}]}}]"),
    Mode(name="an expression that throws", code=100, successful=False, kept=1, says="fails",
         suite=f"{ECHO}tests: [{{vars: {{x: a}}, assert: [{{type: javascript, value: 'JSON.parse(output).x'}}]}}]"),
    Mode(name="nothing to end early for", code=2, arguments=("--stop-early",), says="no gate to stop early for"),
    Mode(name="a change since no commit", code=2, arguments=("--changed-since", "HEAD"), says="git"),
    Mode(name="a gate that fails", code=100, successful=True, kept=40, says="worse than the reference",
         suite=f"{ECHO}tests: c.jsonl\nx-gate: {{quality: [{{at_least: 0.9}}]}}",
         files={"c.jsonl": HALF}),
    Mode(name="a gate with a typo", suite=f"{ECHO}tests: [{PASSING}]\nx-gate: {{qualty: []}}", code=2,
         says="did you mean `quality`?"),
    Mode(name="a gate that needs a baseline, and none", code=2, says="--baseline FILE",
         suite=f"{ECHO}tests: [{PASSING}]\nx-gate: {{quality: [{{baseline: true}}]}}"),
    Mode(name="a baseline of another dataset", code=2, successful=None, says="only in the baseline",
         suite=f"{ECHO}tests: [{PASSING}]\nx-gate: {{quality: [{{baseline: true}}]}}",
         files={"b.jsonl": OTHER}, arguments=("--baseline", "b.jsonl")),
    Mode(name="a baseline that is no results", code=2, says="has no list `results`",
         suite=f"{ECHO}tests: [{PASSING}]\nx-gate: {{quality: [{{baseline: true}}]}}",
         files={"b.json": "{}"}, arguments=("--baseline", "b.json")),
    Mode(name="a policy that is a suite", code=2, says="nothing else", arguments=("--policy", "p.yaml"),
         files={"p.yaml": "x-gate: {}\nprompts: [x]"}),
    Mode(name="an embedding model that is missing", code=104, successful=False, kept=1, says="lockgate model pull",
         suite=f"{ECHO}tests: [{{vars: {{x: a}}, assert: [{{type: similar, value: a}}]}}]"),
    Mode(name="a model that is missing, and rules that answer", suite=ON_TASK, arguments=("--engine", "model"),
         code=105, successful=False, kept=1, says="lockgate model pull"),
    Mode(name="a model that is missing, and no rules", suite=ON_TASK, files=config(REFUSE),
         arguments=("--engine", "model"), code=103, successful=False, kept=1),
    Mode(name="a provider that is down", suite=ON_TASK, arguments=("--engine", "model"), code=103,
         files=config(f'[backends.far]\nkind = "openai"\nurl = "http://127.0.0.1:9/v1"\n'
                      f'data_classes = ["internal"]\n{REFUSE}models = {{text = {{backend = "far"}}}}\n'),
         successful=False, kept=1),
    Mode(name="a provider that says nothing", suite=ON_TASK, arguments=("--engine", "model"), code=103,
         successful=False, kept=1, says="gave nothing in 1 s", around=lambda folder: server(folder, None)),
    Mode(name="a provider that lies about JSON", suite=ON_TASK, arguments=("--engine", "model"), code=103,
         successful=False, kept=1, says="not JSON", around=lambda folder: server(folder, chat("{"))),
    Mode(name="a provider that answers nonsense", suite=ON_TASK, arguments=("--engine", "model"), code=103,
         successful=False, kept=1, around=lambda folder: server(folder, b"<html>")),
    Mode(name="an input that the task does not take", code=100, successful=False, kept=1,
         suite=ON_TASK.replace("vars: {text: no space left on device}", "vars: {text: [1]}")),
    Mode(name="a report of no kind", arguments=("-o", "r.pdf"), code=2, says="names no kind of report"),
    Mode(name="two reports in one file", arguments=("-o", "r.sarif"), code=2, says="one file"),
    Mode(name="a report that cannot be written", arguments=("-o", "no.txt/r.md"), files={"no.txt": ""},
         code=4, successful=True, kept=1, says="cannot be written"),
    Mode(name="results that cannot be written", arguments=("--results", "no.txt/r.jsonl"), files={"no.txt": ""},
         code=4, says="cannot be written"),
    Mode(name="a results file that another run writes", code=4, says="another run", around=locked),
    Mode(name="a base that is no results file", arguments=("--base", "base.jsonl", "-o", "c.md"),
         files={"base.jsonl": "{}\n"}, code=2, successful=True, kept=1, says="line 1 is not a result"),
)  # fmt: skip


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_each_failure_has_its_exit_code_and_loses_nothing(
    mode: Mode, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if TASK in mode.suite:
        assert execute(["task", "new", TASK]) == 0
    (workplace / "promptfooconfig.yaml").write_text(mode.suite)
    for name, content in mode.files.items():
        (workplace / name).write_bytes(content.encode() if isinstance(content, str) else content)

    with mode.around(workplace):
        code = execute(
            ["eval", "--results", "r.jsonl", "-o", "r.sarif", "-o", "r.xml", *mode.arguments]
        )

    out, err = capsys.readouterr()
    assert (code, mode.says in out + err) == (mode.code, True), out + err
    assert "Traceback" not in err
    if mode.successful is None:
        assert not Path("r.sarif").exists()
        return
    log = json.loads(Path("r.sarif").read_text())
    jsonschema_rs.validator_for(SARIF).validate(log)
    invocation = log["runs"][0]["invocations"][0]
    assert invocation["executionSuccessful"] is mode.successful
    assert (invocation["exitCode"] == 0) <= mode.successful
    assert len(Path("r.jsonl").read_text().splitlines()) == mode.kept
    summary = log["runs"][0]["properties"]["summary"]
    assert (summary["cases"], summary["broken_count"]) == (mode.kept, mode.broken)


def test_there_are_thirty_failure_modes() -> None:
    assert len({mode.name for mode in MODES}) == len(MODES) >= 30


def test_a_full_disk_keeps_what_was_finished(workplace: Path) -> None:
    (workplace / "promptfooconfig.yaml").write_text(f"{ECHO}tests: c.jsonl\n")
    (workplace / "c.jsonl").write_text(LINE * 200)

    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 8; trap "" XFSZ; exec "$@"', "-", *command("-j", "1")],
        # Python keeps what it could write of a module under the limit, for all who come later.
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert limited.returncode == 4
    assert "File too large" in limited.stderr
    assert "Traceback" not in limited.stderr
    kept = (workplace / "r.jsonl.part").read_text().count("\n")
    assert 0 < kept < 200
    assert execute(["eval", "--results", "r.jsonl"]) == 0
    assert (workplace / "r.jsonl").read_text().count("\n") == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_with_130_and_goes_on_later(
    workplace: Path, number: signal.Signals
) -> None:
    assert execute(["task", "new", TASK]) == 0
    suite = ON_TASK.replace(f"['lockgate:task:{TASK}']", f"[echo, 'lockgate:task:{TASK}']")
    (workplace / "promptfooconfig.yaml").write_text(suite)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        (workplace / "lockgate.toml").write_text(
            f'[backends.slow]\nkind = "openai"\n'
            f'url = "http://127.0.0.1:{silent.getsockname()[1]}/v1"\n'
            f'data_classes = ["internal"]\n[tasks.{TASK}.models]\ntext = {{backend = "slow"}}\n'
        )
        process = subprocess.Popen(
            command("--engine", "model"), stderr=subprocess.PIPE, stdout=subprocess.PIPE
        )
        connection, _ = silent.accept()
        with connection:
            connection.recv(1)
            process.send_signal(number)
            _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert b"Traceback" not in err
    assert (workplace / "r.jsonl.part").read_text().count("\n") == 1
    assert not (workplace / "r.jsonl").exists()


def command(*arguments: str) -> list[str]:
    # A shell starts background jobs with SIGINT ignored, and children inherit that.
    python = ["env", "--default-signal=INT", sys.executable]
    return [*python, "-m", "lockgate", "eval", "--results", "r.jsonl", *arguments]


@pytest.mark.parametrize("task", ["review", "release-notes"])
def test_a_tasks_own_cases_are_a_suite(
    workplace: Path, task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["eval", task, "--engine", "rules", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["summary"]["status"] == "passed"
    assert found["summary"]["cases"] >= 2


def test_a_suite_in_a_tasks_folder_is_the_tasks_suite(workplace: Path) -> None:
    assert execute(["task", "new", TASK]) == 0
    assert execute(["eval", TASK, "--engine", "rules"]) == 0
    (workplace / "tasks" / TASK / "promptfooconfig.yaml").write_text(f"{ECHO}tests: [{FAILING}]")

    assert execute(["eval", TASK]) == 100


def test_a_provider_can_be_put_in_place_of_the_suites(workplace: Path) -> None:
    (workplace / "promptfooconfig.yaml").write_text(
        f"prompts: ['{{{{x}}}}']\nproviders: ['openai:gpt-9']\ntests: [{PASSING}]"
    )

    assert execute(["eval", "--provider", "echo"]) == 0


def test_an_evaluation_with_echo_loads_no_heavy_library(workplace: Path) -> None:
    (workplace / "promptfooconfig.yaml").write_text(f"{ECHO}tests: [{PASSING}]")
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lockgate", "eval"],
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    modules = {line.rpartition("|")[2].strip() for line in loaded.splitlines()}

    assert modules.isdisjoint({"numpy", "httpx2", "jinja2", "onnxruntime", "jsonschema_rs", "re2"})


def test_a_case_that_several_prompts_failed_names_the_prompt(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "promptfooconfig.yaml").write_text(
        "prompts: ['one {{x}}', 'two {{x}}']\nproviders: [echo]\n"
        "tests: [{vars: {x: a}, assert: [{type: contains, value: z}]}]\n"
    )

    assert execute(["eval"]) == 100
    out = capsys.readouterr().out
    assert "[echo one {{x}}]" in out
    assert "[echo two {{x}}]" in out
