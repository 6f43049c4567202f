import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import click
import pytest

from lockgate.cli.main import execute
from lockgate.cli.model import model
from oci.loopback import Fault, serve
from oci.samples import file_entry, gguf, hf_entry, hub_path, sha256

GGUF = gguf(50_000)


def toml(name: str, entry: dict[str, Any]) -> str:
    """Write a catalogue entry as `lockgate.toml` has it."""
    lines = [f"[models.{name}]"]
    lines += [f"{k} = {json.dumps(v)}" for k, v in entry.items() if k != "files"]
    for file in entry["files"]:
        lines += [f"[[models.{name}.files]]", *(f"{k} = {json.dumps(v)}" for k, v in file.items())]
    return "\n".join(lines) + "\n"


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration that adds the model `tiny`, whose file is here."""
    (tmp_path / "w.gguf").write_bytes(GGUF)
    entry = {"source": "file", "path": ".", "backend": "llama_cpp", "licence": "MIT"}
    (tmp_path / "lockgate.toml").write_text(
        toml("tiny", {**entry, "files": [file_entry("w.gguf", GGUF)]})
    )
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = execute(["model", *arguments])
    output = capsys.readouterr()
    return status, output.out, output.err


def values(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    status, out, _ = run(capsys, *arguments, "--json")
    assert status == 0
    return json.loads(out)


@pytest.mark.parametrize("name", ["pull", "list", "show", "verify", "rm"])
def test_each_command_has_examples_and_prints_json(name: str) -> None:
    command = model.commands[name]
    assert f"lockgate model {name}" in str(command.epilog)
    options = [o for p in command.params if isinstance(p, click.Option) for o in p.opts]
    assert "--json" in options


def test_a_pulled_model_is_listed_shown_verified_and_removed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (pulled,) = values(capsys, "pull", "tiny")["models"]
    assert (pulled["name"], pulled["size"], pulled["fetched"]) == ("tiny", len(GGUF), True)
    assert values(capsys, "pull", "tiny", "--if-missing")["models"][0]["fetched"] is False
    listed = {found["name"]: found for found in values(capsys, "list")["models"]}
    shown = values(capsys, "show", "tiny")
    assert listed["tiny"] == shown
    assert (shown["state"], shown["digest"]) == ("pulled", pulled["digest"])
    assert Path(shown["files"][0]["path"]).read_bytes() == GGUF
    assert values(capsys, "verify") == {
        "models": [
            {"name": name, "digest": listed[name]["digest"], "ok": True, "problems": []}
            for name in listed
            if listed[name]["state"] in {"pulled", "builtin"}
        ]
    }
    (removed,) = values(capsys, "rm", "tiny")["models"]
    assert removed["name"] == "tiny"
    assert removed["freed"] >= len(GGUF)
    assert values(capsys, "show", "tiny")["state"] == "missing"


def test_the_members_of_the_json_are_stable(capsys: pytest.CaptureFixture[str]) -> None:
    shown = values(capsys, "show", "smollm2")
    assert list(shown) == [
        *("name", "title", "state", "digest", "size", "source", "origin", "backend", "format"),
        *("architecture", "parameters", "quantisation", "context_tokens", "licence", "files"),
    ]
    assert list(shown["files"][0]) == ["role", "name", "digest", "size", "path"]


def test_words_go_to_stderr_and_data_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "pull", "tiny")
    assert (status, out) == (0, "")
    assert err.startswith("tiny pulled (0.2 MB, sha256:")
    status, out, err = run(capsys, "list")
    assert out.splitlines()[0].split()[:3] == ["NAME", "STATE", "SIZE"]
    assert err == ""
    assert run(capsys, "show", "tiny")[1].startswith("name: tiny\n")
    assert execute(["--quiet", "model", "rm", "tiny"]) == 0
    assert capsys.readouterr() == ("", "")


def test_verify_names_what_is_damaged_and_fails(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "pull", "tiny")
    path = workplace / "data" / "models" / "blobs" / "sha256" / sha256(GGUF)
    path.chmod(0o644)
    path.write_bytes(GGUF[:-1] + bytes([GGUF[-1] ^ 1]))
    status, out, err = run(capsys, "verify", "tiny")
    assert status == 4
    assert out.startswith("tiny: damaged\n  `w.gguf` has 200,640 bytes with the digest sha256:")
    assert "hint: lockgate model pull tiny" in err
    status, out, _ = run(capsys, "verify", "tiny", "--json")
    assert (status, json.loads(out)["models"][0]["ok"]) == (4, False)
    assert run(capsys, "pull", "tiny")[0] == 0
    assert run(capsys, "verify", "tiny")[:2] == (0, "tiny: ok\n")


def test_a_file_gets_the_name_that_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "pull", "./w.gguf", "--name", "mine")[0] == 0
    assert values(capsys, "show", "mine")["state"] == "pulled"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pull", "./w.gguf"), "lockgate model pull ./w.gguf --name w"),
        (("pull", "w.gguf"), "a file needs a name"),
        (("pull", "a", "b", "--name", "c"), "--name takes exactly one path"),
        (("pull", "none.gguf", "--name", "c"), "`none.gguf` is not a file"),
        (("pull", "w.gguf", "--name", "tiny"), "`tiny` is a model of the catalogue"),
        (("pull",), "missing argument"),
        (("show", "smollm"), "did you mean `smollm2`?"),
        (("rm", "smollm2"), "is not in the local store"),
    ],
)
def test_a_wrong_command_line_is_answered_with_what_to_do(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert message in err


def test_a_truncated_file_is_refused(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace / "cut.gguf").write_bytes(GGUF[:1000])
    status, _, err = run(capsys, "pull", "cut.gguf", "--name", "cut")
    assert status == 4
    assert "error[corrupt]: `cut.gguf` is cut off: it has 1,000 bytes" in err


def test_an_interrupted_pull_leaves_nothing_visible_and_no_lock(workplace: Path) -> None:
    command = [
        "env",
        "--default-signal=INT",
        sys.executable,
        "-m",
        "lockgate",
        "model",
        "pull",
        "hub",
    ]
    with serve() as site:
        released, reached = threading.Event(), threading.Event()
        site.files[hub_path("a/b", "w.gguf")] = GGUF
        site.faults = [Fault(cut=100_000, hold=released, reached=reached)]
        (workplace / "lockgate.toml").write_text(
            toml("hub", hf_entry("a/b", [file_entry("w.gguf", GGUF)]) | {"backend": "llama_cpp"})
        )
        environment = {
            "HF_ENDPOINT": site.url,
            "LOCKGATE_DATA_DIR": str(workplace / "data"),
            "HOME": str(workplace),
        }
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
            assert reached.wait(60)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
            released.set()
        assert (process.returncode, err.strip()) == (130, b"interrupted")
        names = [path.name for path in (workplace / "data" / "models" / "ingest").iterdir()]
        assert set(names) <= {f"{sha256(GGUF)}.part", f"{sha256(GGUF)}.etag"}
        done = subprocess.run(command, env=environment, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
