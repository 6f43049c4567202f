import json
from pathlib import Path
from typing import Any

import pytest

from lockgate.cli.main import execute
from lockgate.tasks.prompt.folder import create
from oci.samples import file_entry, gguf

GGUF = gguf(10)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a prompt-only task that runs on the model `tiny`, whose file is here."""
    create(tmp_path / "tasks" / "triage", "triage")
    (tmp_path / "w.gguf").write_bytes(GGUF)
    listed = file_entry("w.gguf", GGUF)
    (tmp_path / "lockgate.toml").write_text(
        '[models.tiny]\nsource = "file"\npath = "."\nbackend = "llama_cpp"\n'
        "[[models.tiny.files]]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in listed.items())
        + '[tasks.triage.models]\ntext = {model = "tiny"}\n'
    )
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    assert execute(["model", "pull", "tiny"]) == 0
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = execute(list(arguments))
    output = capsys.readouterr()
    return status, output.out, output.err


def build(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status, out, err = run(capsys, "release", "build", "triage", *arguments)
    assert status == 0, err
    return out.strip()


def values(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    status, out, err = run(capsys, *arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def test_the_same_build_gives_the_same_release(capsys: pytest.CaptureFixture[str]) -> None:
    digest = build(capsys)

    assert build(capsys) == digest
    (found,) = values(capsys, "release", "list")
    assert (found["task"], found["digest"], found["complete"]) == ("triage", digest, True)
    shown = values(capsys, "release", "show", digest[7:15])
    assert shown["digest"] == digest
    assert ("text", "tiny", "model") in [(p["role"], p["name"], p["kind"]) for p in shown["pins"]]


def test_an_alias_moves_and_every_move_is_audited(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = build(capsys, "--tag", "stable")
    prompt = workplace / "tasks" / "triage" / "prompt.j2"
    prompt.write_text(prompt.read_text() + "\nBe brief.\n")
    second = build(capsys)

    assert first != second
    assert values(capsys, "release", "show", "triage:stable")["digest"] == first
    assert run(capsys, "release", "tag", second, "stable")[0] == 0
    assert values(capsys, "release", "show", "triage:stable")["digest"] == second
    assert run(capsys, "release", "untag", "triage", "stable")[0] == 0
    status, _, err = run(capsys, "release", "show", "triage:stable")
    assert (status, err.splitlines()[0]) == (
        2,
        "error[not-found]: the task `triage` has no alias `stable`",
    )
    actions = [event["action"] for event in values(capsys, "audit", "list")][:5]
    assert actions == [
        "release.untag",
        "release.tag",
        "release.build",
        "release.tag",
        "release.build",
    ]
    assert run(capsys, "audit", "verify")[0] == 0


def test_a_missing_model_is_named_with_the_command_to_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert execute(["model", "rm", "tiny"]) == 0

    status, out, err = run(capsys, "release", "build", "triage")

    assert (status, out) == (4, "")
    assert "error[model-missing]: the model `tiny` is not here" in err
    assert "hint: lockgate model pull tiny" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("build", "nothing"), "there is no task `nothing`"),
        (("show", "123456"), "no release here is `123456`"),
        (("show", "triage@production"), "nothing was promoted to `production`"),
        (("tag", "triage:x", "y"), "the task `triage` has no alias `x`"),
        (("untag", "triage", "x"), "the task `triage` has no alias `x`"),
    ],
)
def test_what_does_not_exist_is_said(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "release", *arguments)

    assert (status, out) == (2, "")
    assert message in err


def test_an_alias_must_be_a_plain_name(capsys: pytest.CaptureFixture[str]) -> None:
    digest = build(capsys)

    status, _, err = run(capsys, "release", "tag", digest, "../up")

    assert status == 2
    assert "`../up` cannot be the name of an alias" in err


def test_a_release_prints_its_bill_of_materials(capsys: pytest.CaptureFixture[str]) -> None:
    digest = build(capsys)
    status, out, err = run(capsys, "release", "bom", digest)
    assert status == 0, err
    document = json.loads(out)
    assert document["metadata"]["component"]["bom-ref"] == digest
    names = {component["name"] for component in document["components"]}
    assert {"tiny", "triage"} <= names
    status, out, err = run(capsys, "model", "bom", "tiny")
    assert status == 0, err
    assert json.loads(out)["components"][0]["name"] == "tiny"
    assert run(capsys, "model", "bom", "nobody")[0] == 2


def test_a_release_pins_the_index_that_the_configuration_names(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "texts").mkdir()
    (workplace / "texts" / "a.md").write_text("Refuse what is not known.")
    toml = workplace / "lockgate.toml"
    told = toml.read_text()
    plain = build(capsys)
    toml.write_text(told + '[tasks.triage]\npins = ["index/handbook"]\n')
    status, _, err = run(capsys, "release", "build", "triage")
    assert (status, "`index/handbook`, which is not in the store" in err) == (2, True)
    arguments = ("index", "build", "texts", "--name", "handbook", "--words-only")
    status, index, err = run(capsys, *arguments)
    assert status == 0, err

    digest = build(capsys)

    assert digest != plain
    pins = values(capsys, "release", "show", digest)["pins"]
    (pin,) = [pin for pin in pins if pin["role"] == "index"]
    assert (pin["name"], pin["kind"], pin["digest"]) == ("handbook", "index", index.strip())
    assert run(capsys, "release", "verify", digest)[0] == 0
    toml.write_text(told + '[tasks.triage]\npins = ["tiny"]\n')
    status, _, err = run(capsys, "release", "build", "triage")
    assert (status, "which is a model; an index" in err) == (2, True)
