"""Prompt-only tasks: the files of their folders."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lockgate.domain.artifact import Kind
from lockgate.domain.digest import JsonObject
from lockgate.errors import Corrupt
from lockgate.oci.kinds.artifact import API_VERSION, ROLE, Artifact, title
from lockgate.oci.kinds.packed import CODE, File, PackedArtifact, pack
from lockgate.oci.kinds.prompt import require_json_object

_ROLES: Final[Mapping[str, str]] = {
    "system.j2": "system",
    "prompt.j2": "user",
    "rules.json.j2": "rules",
    "input.schema.json": "input-schema",
    "output.schema.json": "output-schema",
    "task.toml": "manifest",
}
_TEMPLATES: Final = frozenset({"system", "user", "rules"})
_SCHEMAS: Final = frozenset({"input-schema", "output-schema"})
_NEEDED: Final = ("user", "input-schema", "output-schema", "manifest")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """What a gate compares with the rest of a release."""

    required: tuple[str, ...]
    """The variables that its templates read."""
    provided: tuple[str, ...]
    """The members of its input."""


def pack_task(name: str, version: str, files: Mapping[str, bytes]) -> PackedArtifact:
    """Pack the files of a prompt-only task: templates and schemas by file name."""
    config: JsonObject = {"apiVersion": API_VERSION, "name": name, "version": version}
    listed = [
        File(name=at, media_type=CODE, role=_ROLES.get(at, "file"), data=files[at])
        for at in sorted(files)
    ]
    return pack(Kind.TASK, name, config, listed)


def require(artifact: Artifact) -> None:
    """Check a task: its files are there, templates may be rendered, schemas are objects.

    Raises:
        Corrupt: something of it does not hold.

    """
    config = artifact.config("task")
    for member in ("name", "version"):
        config.text(member)
    for role in _NEEDED:
        artifact.with_role(role)
    for layer in artifact.layers:
        role = layer.annotations.get(ROLE, "")
        if role in _SCHEMAS:
            require_json_object(artifact.text(layer), title(layer))
        elif role == "manifest":
            _require_toml(artifact.text(layer), title(layer))
    _read(artifact)


def facts(artifact: Artifact) -> TaskFacts:
    """Return what a gate compares. Raises Corrupt as `require`."""
    schema_layer = artifact.with_role("input-schema")
    schema = require_json_object(artifact.text(schema_layer), title(schema_layer))
    properties = schema.get("properties")
    required = _read(artifact)
    # Without a list of members, whatever a caller gives is taken.
    provided = {*properties} if isinstance(properties, Mapping) else {*required}
    manifest = artifact.with_role("manifest")
    if "retrieval" in _require_toml(artifact.text(manifest), title(manifest)):
        provided.add("passages")
    return TaskFacts(required=tuple(sorted(required)), provided=tuple(sorted(provided)))


def _read(artifact: Artifact) -> frozenset[str]:
    # Imported here: the template engine is needed for templates only.
    from lockgate.oci.kinds.templates import variables  # noqa: PLC0415

    found: frozenset[str] = frozenset()
    for layer in artifact.layers:
        if layer.annotations.get(ROLE) in _TEMPLATES:
            found |= variables(artifact.text(layer), title(layer))
    return found


def _require_toml(text: str, name: str) -> Mapping[str, object]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Corrupt(f"`{name}` is not TOML: {str(error)[:80]}") from error
