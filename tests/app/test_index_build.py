import asyncio
import json
import shutil
from pathlib import Path

import pytest

from backends.conftest import real_models
from lockgate.app.access import read_access
from lockgate.app.index_build import Wanted, build_index
from lockgate.app.indexes import StoredIndexes
from lockgate.app.models import layout_of, models_dir
from lockgate.cli.main import execute
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded, load
from lockgate.domain.artifact import Kind, Manifest
from lockgate.domain.digest import Digest
from lockgate.domain.release import Pin
from lockgate.domain.search import Reading
from lockgate.errors import InvalidInput, ModelMissing, NotFound
from lockgate.oci.facts import Inspector
from lockgate.oci.headers.safetensors import read_header
from lockgate.oci.kinds.table import fault
from lockgate.oci.layout import Layout
from lockgate.oci.models import ModelStore
from oci.doubles import Counter

__all__ = ["real_models"]  # a fixture


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    (tmp_path / "lockgate.toml").touch()
    return load(None, start=tmp_path)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment.read({"HOME": str(tmp_path), "LOCKGATE_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / "b.md").write_text("# Gates\n\nA gate refuses.\n")
    (folder / "deep" / "a.txt").write_text("word " * 300)
    (folder / "code.py").write_text("raise SystemExit")
    (folder / "link.md").symlink_to("/etc/passwd")
    return folder


def build(loaded: Loaded, environment: Environment, folder: Path, embedder: str | None) -> Digest:
    made = build_index(
        loaded, environment, folder, Wanted(name="handbook", embedder=embedder), Counter()
    )
    return asyncio.run(made).digest


def test_the_texts_of_a_folder_become_an_index_and_nothing_else_of_it(
    loaded: Loaded, environment: Environment, texts: Path
) -> None:
    digest = build(loaded, environment, texts, None)
    layout = Layout(environment.data_dir / "models")
    assert layout.manifests()["index/handbook"].digest == digest
    assert fault(layout, digest) == ""
    manifest = Manifest.parse(layout.read(digest))
    config = json.loads(layout.read(manifest.config.digest))
    assert config["count"] == 4
    corpus = layout.read(manifest.layers[0].digest).decode().splitlines()
    assert [json.loads(line)["id"] for line in corpus] == ["b.md", "deep/a.txt"]
    assert build(loaded, environment, texts, None) == digest


def test_an_index_says_who_may_read_each_text(
    loaded: Loaded, environment: Environment, texts: Path
) -> None:
    rules = texts.parent / "access.toml"
    rules.write_text('[[documents]]\npath = "deep/*"\nreaders = ["hr/*"]\n')
    wanted = Wanted(name="handbook", embedder=None, access=read_access(rules))
    made = asyncio.run(build_index(loaded, environment, texts, wanted, Counter()))
    opened = StoredIndexes(layout_of(environment)).open(made.digest)
    assert opened.reading == {"b.md": Reading(), "deep/a.txt": Reading(readers=("hr/*",))}


def test_what_cannot_be_indexed_is_said(
    loaded: Loaded, environment: Environment, texts: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="has no texts"):
        build(loaded, environment, tmp_path / "empty", None)
    with pytest.raises(NotFound, match="is not a folder"):
        build(loaded, environment, tmp_path / "none", None)
    with pytest.raises(ModelMissing, match="minilm"):
        build(loaded, environment, texts, "minilm")
    (texts / "large.md").write_bytes(b"x" * (5 << 20))
    with pytest.raises(InvalidInput, match="larger than"):
        build(loaded, environment, texts, None)


def test_the_vectors_name_the_model_that_made_them(
    loaded: Loaded, environment: Environment, texts: Path, real_models: ModelStore
) -> None:
    (environment.data_dir / "models").parent.mkdir(parents=True)
    shutil.copytree(real_models.files("minilm")["weights"].parents[2], models_dir(environment))
    digest = build(loaded, environment, texts, "minilm")
    layout = layout_of(environment)
    size = layout.blob(digest).stat().st_size
    facts = Inspector(layout).pin(
        Pin(role="index", name="handbook", digest=digest, kind=Kind.INDEX, size=size)
    )
    assert facts.flaws == ()
    assert facts.embedder == real_models.digest("minilm")
    vectors = Manifest.parse(layout.read(digest)).layers[2]
    header = read_header(layout.blob(vectors.digest))
    assert dict(header.bytes_by_dtype) == {"F32": 4 * 384 * 4}


def test_an_index_is_built_on_the_command_line(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert execute(["--quiet", "key", "new", "build", "--no-passphrase"]) == 0
    capsys.readouterr()
    arguments = ["index", "build", str(texts), "--name", "handbook", "--words-only"]
    assert execute([*arguments, "--sign", "build"]) == 0
    output = capsys.readouterr()
    layout = Layout(tmp_path / "data" / "models")
    digest = Digest.parse(output.out.strip())
    assert layout.manifests()["index/handbook"].digest == digest
    assert "2 texts, 4 pieces" in output.err
    assert len(layout.referrers(digest)) == 1
