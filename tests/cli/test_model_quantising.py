"""`lockgate model quantise`, and how its outcome says what it was made of."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from lockgate.cli.main import execute
from lockgate.domain.artifact import Manifest
from lockgate.domain.digest import Digest
from lockgate.domain.predicates.bom import hashes
from lockgate.domain.predicates.provenance import BuildType
from lockgate.oci.attestations import AttestationStore
from lockgate.oci.bom import bill_of_materials
from lockgate.oci.layout import Layout
from oci.test_quantise import COLUMNS, F32, ROWS, weights, written


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A machine with a model of plain weights, and a key."""
    matrix = (F32, (COLUMNS, ROWS), weights().tobytes())
    written(tmp_path / "plain.gguf", {"blk.0.attn_q.weight": matrix})
    (tmp_path / "lockgate.toml").touch()
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert execute(["--quiet", "model", "pull", "plain.gguf", "--name", "plain"]) == 0
    assert execute(["--quiet", "key", "new", "build", "--no-passphrase"]) == 0
    return Layout(tmp_path / "data" / "models")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = execute(["model", *arguments])
    output = capsys.readouterr()
    return status, output.out, output.err


def show(capsys: pytest.CaptureFixture[str], name: str) -> Any:
    status, out, err = run(capsys, "show", name, "--json")
    assert status == 0, err
    return json.loads(out)


def test_a_smaller_model_names_the_one_that_it_was_made_of(
    workplace: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "quantise", "plain", "--name", "small", "--sign", "build")
    assert status == 0, err
    base, small = show(capsys, "plain"), show(capsys, "small")
    assert out.strip() == small["digest"]
    assert small["quantisation"] == "Q8_0"
    assert small["size"] < base["size"] / 3
    assert small["origin"] == f"plain@{base['digest']}"
    assert run(capsys, "verify", "small")[0] == 0
    assert list(workplace.ingest.iterdir()) == []

    digest, base_digest = Digest.parse(small["digest"]), Digest.parse(base["digest"])
    component: Any = bill_of_materials(workplace, digest)["components"]
    (ancestor,) = component[0]["pedigree"]["ancestors"]
    assert ancestor["hashes"] == [{"alg": "SHA-256", "content": base_digest.hex}]
    assert base_digest not in hashes(bill_of_materials(workplace, digest))

    (bundle,) = AttestationStore(workplace).about(digest)
    payload = json.loads(bundle)["dsseEnvelope"]["payload"]
    predicate = json.loads(base64.b64decode(payload))["predicate"]
    definition = predicate["buildDefinition"]
    assert definition["buildType"] == BuildType.QUANTIZE
    assert definition["externalParameters"] == {"quantization": "Q8_0"}
    assert definition["resolvedDependencies"][0]["digest"] == {"sha256": base_digest.hex}


def test_the_same_model_gives_the_same_digest(
    workplace: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(capsys, "quantise", "plain", "--name", "small", "--to", "q4_0")
    second = run(capsys, "quantise", "plain", "--name", "small", "--to", "q4_0")
    assert first[:2] == second[:2]
    assert Manifest.parse(workplace.read(Digest.parse(first[1].strip()))).layers[0].size < 9000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plain", "--name", "smollm2"), "is a model of the catalogue"),
        (("plain", "--name", "a b"), "cannot be a model's name"),
        (("nobody", "--name", "x"), "no model is called `nobody`"),
        (("small", "--name", "x"), "quantised already"),
        (("commit-type", "--name", "x"), "one file of GGUF can be quantised"),
    ],
)
def test_what_cannot_be_quantised_is_said(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert run(capsys, "quantise", "plain", "--name", "small")[0] == 0
    status, out, err = run(capsys, "quantise", *arguments)
    assert (status, out) == (2, "")
    assert said in err
