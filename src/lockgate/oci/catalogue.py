"""The models that can be had, and where from."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from lockgate.domain.digest import Digest
from lockgate.errors import InvalidConfig
from lockgate.oci.fields import Fields

ROLES = ("weights", "tokenizer", "config")
_SHARD = re.compile(r"shard-[1-9][0-9]{0,2}")
"""The second file of weights and those after it; `weights` is the first."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_REQUIREMENT = r"[A-Za-z0-9._-]{1,128}==[A-Za-z0-9.!+_-]{1,64}"
_REPO = r"[A-Za-z0-9._-]{1,96}/[A-Za-z0-9._-]{1,96}"
_SHA256 = r"[0-9a-f]{64}"
_REVISION = r"[0-9a-f]{40}"
_PARAMETERS = r"[0-9]{1,6}(\.[0-9])?[TBMK]"  # ModelPack config, `paramSize`: at most one decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of a model."""

    role: str
    member: str
    """Path inside the wheel, the repository or the folder, with `/`."""
    digest: Digest
    size: int
    blake3: str = ""
    """`blake3:<64 hex digits>`; known for what was packed here, never for the catalogue's."""
    chunks: Digest | None = None
    """Of the chunk table of a large file."""

    @property
    def title(self) -> str:
        """The file's name."""
        return PurePosixPath(self.member).name


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiSource:
    """A wheel, from the index that pip is configured for. Nothing is installed."""

    requirement: str
    """`NAME==VERSION`."""
    digest: Digest
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HfSource:
    """A Hugging Face repository at a commit."""

    repo: str
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A folder of this machine."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltinSource:
    """A folder inside the package: always there, never pulled."""

    path: str
    """Below the package, with `/`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OciSource:
    """The manifest that a model was made of: one of another tool, or that of a larger model."""

    name: str
    """Of that model. The host that it came from is no part of what the model is."""
    digest: Digest


Source: TypeAlias = PypiSource | HfSource | FileSource | BuiltinSource | OciSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A catalogue entry. What is unknown is empty."""

    name: str
    source: Source
    files: tuple[ModelFile, ...]
    backend: str
    title: str = ""
    licence: str = ""
    """SPDX expression."""
    architecture: str = ""
    format: str = ""
    parameters: str = ""
    quantisation: str = ""
    context_tokens: int | None = None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Models by name."""

    models: Mapping[str, Model]


def load_catalogue(extra: Mapping[str, Mapping[str, Any]] | None = None) -> Catalogue:
    """Return the package's models and those of the configuration, which must have other names.

    `extra` holds the keys of `[models.NAME]`; None as a value counts as not given.

    Raises:
        InvalidConfig: with every problem, a line each.

    """
    with (Path(__file__).parent / "catalogue.toml").open("rb") as file:
        own = tomllib.load(file)["models"]
    return parse_catalogue(own, extra or {})


def parse_catalogue(
    own: Mapping[str, Mapping[str, Any]], extra: Mapping[str, Mapping[str, Any]]
) -> Catalogue:
    """Validate tables of models. Raises as `load_catalogue`."""
    problems: list[str] = []
    models: dict[str, Model] = {}
    for origin in (own, extra):
        for name, table in origin.items():
            fields = Fields(f"models.{name}", table, problems)
            if name in models:
                fields.refuse("", "has the name of a model that is in the catalogue already")
            fields.check_name(name, _NAME)
            model = _model(name, fields)
            if model is not None:
                models.setdefault(name, model)
    if problems:
        raise InvalidConfig("the model catalogue has problems:\n  " + "\n  ".join(problems))
    return Catalogue(models)


def _model(name: str, fields: Fields) -> Model | None:
    before = len(fields.problems)
    source = _source(fields)
    files = _files(fields)
    backend = fields.text("backend", _NAME)
    title, licence = fields.optional("title"), fields.optional("licence")
    architecture, form = fields.optional("architecture"), fields.optional("format")
    parameters = fields.optional("parameters", _PARAMETERS)
    quantisation = fields.optional("quantisation")
    context = fields.optional_integer("context_tokens")
    fields.refuse_unknown()
    if source is None or len(fields.problems) > before:
        return None
    return Model(
        name=name,
        source=source,
        files=files,
        backend=backend,
        title=title,
        licence=licence,
        architecture=architecture,
        format=form or _format(files),
        parameters=parameters,
        quantisation=quantisation,
        context_tokens=context,
    )


def _source(fields: Fields) -> Source | None:
    before = len(fields.problems)
    source: Source | None = None
    match fields.text("source"):
        case "pypi":
            requirement = fields.text("requirement", _REQUIREMENT)
            digest = fields.text("wheel_sha256", _SHA256)
            size = fields.optional_integer("wheel_size")
            if len(fields.problems) == before:
                source = PypiSource(requirement=requirement, digest=Digest(digest), size=size)
        case "hf":
            repo, revision = fields.text("repo", _REPO), fields.text("revision", _REVISION)
            source = HfSource(repo=repo, revision=revision)
        case "file":
            source = FileSource(path=Path(fields.text("path")))
        case "builtin":
            path = fields.text("path")
            if _is_inside(path):
                source = BuiltinSource(path=path)
            else:
                fields.refuse("path", "must be a relative path below the package")
        case "":
            pass
        case other:
            fields.refuse("source", f"is `{other}`, must be one of: pypi, hf, file, builtin")
    return source


def _files(fields: Fields) -> tuple[ModelFile, ...]:
    found: list[ModelFile] = []
    for part in fields.tables("files"):
        before = len(part.problems)
        role, member = part.text("role"), part.text("member")
        digest, size = part.text("sha256", _SHA256), part.integer("size")
        if role and role not in ROLES and _SHARD.fullmatch(role) is None:
            part.refuse("role", f"is `{role}`, must be one of: {', '.join(ROLES)}, shard-N")
        if member and not _is_inside(member):
            part.refuse("member", "must be a relative path without `..`")
        part.refuse_unknown()
        if len(part.problems) == before:
            found.append(ModelFile(role=role, member=member, digest=Digest(digest), size=size))
    _refuse_twins(fields, "role", [file.role for file in found])
    _refuse_twins(fields, "file name", [file.title for file in found])
    shards = [file.role for file in found if _SHARD.fullmatch(file.role)]
    expected = [f"shard-{number}" for number in range(2, len(shards) + 2)]
    if sorted(shards) != sorted(expected):
        fields.refuse("files", f"has {', '.join(shards)}, must have {', '.join(expected)}")
    if found and not any(file.role == "weights" for file in found):
        fields.refuse("files", "has no file with the role `weights`")
    return tuple(found)


def _refuse_twins(fields: Fields, what: str, values: Sequence[str]) -> None:
    for value in sorted({value for value in values if values.count(value) > 1}):
        fields.refuse("files", f"has the {what} `{value}` more than once")


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return not any(part in {"", ".", ".."} or "\\" in part or "\0" in part for part in parts)


def _format(files: Sequence[ModelFile]) -> str:
    suffix = next((PurePosixPath(f.member).suffix for f in files if f.role == "weights"), "")
    return {".gguf": "gguf", ".safetensors": "safetensors"}.get(suffix.lower(), "")
