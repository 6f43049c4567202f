"""`lockgate model push | pull oci://…` against Debian's registry."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from lockgate.cli.main import execute
from lockgate.oci.layout import Layout
from oci import artifacts
from oci.samples import gguf
from registries import PASSWORD, Running, running_registry, skopeo

GGUF = gguf()


@pytest.fixture(scope="module")
def registry() -> Generator[Running]:
    with running_registry(login=True) as running:
        yield running


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Running) -> Path:
    """A machine that is logged in, with one packed model."""
    (tmp_path / "mine.gguf").write_bytes(GGUF)
    (tmp_path / "lockgate.toml").touch()
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(registry.docker_config))
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert execute(["--quiet", "model", "pull", "mine.gguf", "--name", "mine"]) == 0
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = execute(["model", *arguments])
    output = capsys.readouterr()
    return status, output.out, output.err


def values(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    status, out, err = run(capsys, *arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to another machine."""
    data = folder / "elsewhere"
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(data))
    return data


def test_a_model_that_one_machine_pushes_another_pulls_and_runs(
    workplace: Path,
    registry: Running,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address = f"oci://{registry.host}/acme/mine:1"
    pushed = values(capsys, "push", "mine", address)
    assert pushed["sent"] == pushed["blobs"] == 2
    assert values(capsys, "push", "mine", address)["sent"] == 0

    elsewhere(workplace, monkeypatch)
    (pulled,) = values(capsys, "pull", address)["models"]
    assert (pulled["name"], pulled["digest"], pulled["fetched"]) == ("mine", pushed["digest"], True)
    shown = values(capsys, "show", "mine")
    assert Path(shown["files"][0]["path"]).read_bytes() == GGUF
    assert values(capsys, "verify", "mine")["models"][0]["ok"]
    (again,) = values(capsys, "pull", f"{address}@{pushed['digest']}", "--name", "mine")["models"]
    assert again["fetched"] is False


def test_skopeo_and_lockgate_read_what_the_other_brought(
    workplace: Path,
    registry: Running,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    digest = values(capsys, "push", "mine", f"oci://{registry.host}/acme/a:1")["digest"]
    insecure = ("--src-tls-verify=false", "--dest-tls-verify=false")
    done = skopeo(
        "copy",
        *insecure,
        f"docker://{registry.host}/acme/a:1",
        f"docker://{registry.host}/acme/b:2",
        authfile=registry.docker_config,
    )
    assert done.returncode == 0, done.stderr
    elsewhere(workplace, monkeypatch)
    (pulled,) = values(capsys, "pull", f"oci://{registry.host}/acme/b:2", "--name", "c")["models"]
    assert (pulled["name"], pulled["digest"]) == ("c", digest)


def test_a_model_that_ollama_packed_is_pulled_shown_and_pushed_again(
    workplace: Path,
    registry: Running,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from lockgate.app.registries import opened
    from lockgate.config.environment import Environment
    from lockgate.config.load import load
    from lockgate.oci.reference import Reference
    from oci.foreign.packers import GGUF as FOREIGN
    from oci.foreign.packers import ollama

    address = f"oci://{registry.host}/library/foreign:135m"
    environment = Environment.read(
        {
            "LOCKGATE_DATA_DIR": str(workplace / "data"),
            "REGISTRY_AUTH_FILE": str(registry.docker_config),
        }
    )
    with opened(load(None, start=workplace), environment, Reference.parse(address)) as target:
        made = ollama()
        made.push(target, "135m")

    status, _, err = run(capsys, "pull", address)
    assert status == 0, err
    assert f"packed by Ollama as {made.digest}" in err
    shown = values(capsys, "show", "foreign")
    assert (shown["source"], shown["origin"]) == ("oci", f"foreign@{made.digest}")
    assert Path(shown["files"][0]["path"]).read_bytes() == FOREIGN
    assert values(capsys, "verify", "foreign")["models"][0]["ok"]
    assert values(capsys, "pull", address)["models"][0]["fetched"] is False

    ours = f"oci://{registry.host}/acme/repacked:1"
    digest = values(capsys, "push", "foreign", ours)["digest"]
    elsewhere(workplace, monkeypatch)
    (pulled,) = values(capsys, "pull", ours, "--name", "foreign")["models"]
    assert pulled["digest"] == digest == shown["digest"]
    status, _, err = run(capsys, "pull", address, "--name", "smollm2")
    assert status == 2
    assert "choose another name" in err


def test_views_for_other_tools_have_tags_of_their_own(
    registry: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"oci://{registry.host}/acme/viewed:1"
    views = ("--view", "ollama", "--view", "docker", "--view", "image")
    assert run(capsys, "push", "mine", address, *views)[0] == 0
    for tag, packer in (("1-ollama", "Ollama"), ("1-docker", "Docker Model Runner")):
        name = tag.replace("1-", "from-")
        place = f"oci://{registry.host}/acme/viewed:{tag}"
        (pulled,) = values(capsys, "pull", place, "--name", name)["models"]
        assert pulled["note"].startswith(f"packed by {packer}")
        shown = values(capsys, "show", name)
        assert Path(shown["files"][0]["path"]).read_bytes() == GGUF
    status, _, err = run(capsys, "pull", f"{address}-image", "--name", "x")
    assert (status, "not a model" in err) == (2, True)


def test_a_release_is_not_taken_for_a_model(
    workplace: Path, registry: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    from lockgate.app.registries import opened
    from lockgate.config.environment import Environment
    from lockgate.config.load import load
    from lockgate.oci.closure import push_closure
    from lockgate.oci.reference import Reference
    from oci.doubles import Counter

    layout = Layout(workplace / "data" / "models")
    made = artifacts.release(layout, "triage", artifacts.named(layout, "m", b"x"))
    address = f"oci://{registry.host}/acme/release:1"
    environment = Environment.read(
        {
            "LOCKGATE_DATA_DIR": str(workplace / "data"),
            "REGISTRY_AUTH_FILE": str(registry.docker_config),
        }
    )
    with opened(load(None, start=workplace), environment, Reference.parse(address)) as target:
        push_closure(layout, target, made.digest, tag="1", progress=Counter())
    status, _, err = run(capsys, "pull", address, "--name", "x")
    assert status == 2
    assert "not a model" in err
    assert "lockgate release pull" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("push", "mine", "oci://HOST/a@sha256:" + "0" * 64), "names a digest"),
        (("push", "mine", "HOST/a"), "does not begin with `oci://`"),
        (("push", "nobody", "oci://HOST/a"), "no model is called `nobody`"),
        (("push", "smollm2", "oci://HOST/a"), "lockgate model pull smollm2"),
        (("pull", "oci://HOST/a/none:1"), "404"),
        (("pull", "oci://HOST/a/none:1", "--name", "a b"), "404"),
        (("pull", "oci://HOST/acme/held:1", "--name", "smollm2"), "choose another name"),
        (("pull", "oci://HOST/acme/held:1", "--name", "a b"), "cannot be a model's name"),
        (("pull", "oci://a", "oci://b", "--name", "x"), "exactly one"),
    ],
)
def test_what_cannot_be_done_says_why_and_what_to_do(
    registry: Running,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    assert run(capsys, "push", "mine", f"oci://{registry.host}/acme/held:1")[0] == 0
    given = [argument.replace("HOST", registry.host) for argument in arguments]
    status, out, err = run(capsys, *given)
    assert status != 0
    assert said in err
    assert out == ""


def test_without_an_account_the_message_says_how_to_log_in(
    workplace: Path,
    registry: Running,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(workplace / "none"))
    status, _, err = run(capsys, "push", "mine", f"oci://{registry.host}/acme/x:1")
    assert status != 0
    assert f"hint: log in with an account that may: skopeo login {registry.host}" in err
    assert PASSWORD not in err
