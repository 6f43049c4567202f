"""Prompts: templates, the variables that they read, and the most tokens that they may need."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Json, JsonObject, canonical
from lockgate.domain.predicates.fields import Fields
from lockgate.domain.prompt import Prompt
from lockgate.errors import Corrupt
from lockgate.oci.kinds.artifact import API_VERSION, Artifact, title
from lockgate.oci.kinds.packed import CODE, File, PackedArtifact, pack

ENGINE: Final = "jinja2-sandboxed"
_TURNS: Final = frozenset({"system", "user", "assistant"})
_SEED: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFacts:
    """What a gate compares with the rest of a release."""

    runs_on: str
    """The role of the model that takes it."""
    required: tuple[str, ...]
    """The variables that its templates read."""
    provided: tuple[str, ...]
    """The variables that whoever asks gives."""
    budget_tokens: int | None


def pack_prompt(prompt: Prompt, *, version: str) -> PackedArtifact:
    """Pack a prompt: a file a message, and the answer's schema if there is a fixed one."""
    files = [
        File(
            name=f"prompts/{at}-{message.role}.j2",
            media_type=CODE,
            role=message.role,
            data=message.content.encode(),
            subtype="prompt",
        )
        for at, message in enumerate(prompt.messages, start=1)
    ]
    messages: list[Json] = [
        {"role": message.role, "layer": str(file.digest)}
        for message, file in zip(prompt.messages, files, strict=True)
    ]
    config: dict[str, Json] = {
        "apiVersion": API_VERSION,
        "name": prompt.name,
        "version": version,
        "engine": ENGINE,
        "messages": messages,
        "variables": [
            {"name": at.name, "type": "string", "required": True, "maxChars": at.max_chars}
            for at in prompt.variables
        ],
        "decoding": {"temperature": "0", "seed": _SEED, "maxTokens": prompt.max_tokens},
        "runsOn": prompt.runs_on,
        "budgetTokens": prompt.budget_tokens,
    }
    if prompt.schema is not None:
        schema = File(
            name="schema/output.schema.json",
            media_type=CODE,
            role="output-schema",
            data=canonical(prompt.schema),
        )
        files.append(schema)
        config["response"] = {"format": "json_schema", "layer": str(schema.digest)}
    return pack(Kind.PROMPT, prompt.name, config, files)


def require(artifact: Artifact) -> None:
    """Check a prompt: its templates parse, may be rendered, and read only what is declared.

    Raises:
        Corrupt: something of it does not hold.

    """
    config = artifact.config("prompt")
    for member in ("name", "version", "runsOn"):
        config.text(member)
    if config.text("engine") != ENGINE:
        raise config.wrong("engine", f"is not `{ENGINE}`")
    decoding = config.inside("decoding")
    decoding.decimal("temperature")
    decoding.integer("seed")
    declared = _declared(config)
    undeclared = _read(artifact, config) - declared.keys()
    if undeclared:
        raise Corrupt(
            f"its templates read `{min(undeclared)}`, declared are: "
            f"{', '.join(sorted(declared)) or 'none'}"
        )
    if config.has("response"):
        _require_schema(artifact, config.inside("response"))
    least = decoding.integer("maxTokens")
    if config.integer("budgetTokens") < least:
        raise config.wrong("budgetTokens", f"is less than the answer's `maxTokens`, {least:,}")


def facts(artifact: Artifact) -> PromptFacts:
    """Return what a gate compares. Raises Corrupt as `require`."""
    config = artifact.config("prompt")
    return PromptFacts(
        runs_on=config.text("runsOn"),
        required=tuple(sorted(_read(artifact, config))),
        provided=tuple(sorted(_declared(config))),
        budget_tokens=config.integer("budgetTokens"),
    )


def _declared(config: Fields) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for variable in config.each("variables"):
        name = variable.text("name")
        if not name.isidentifier() or name in found:
            raise variable.wrong("name", "is not a name of its own")
        variable.text("type")
        variable.boolean("required")
        found[name] = variable.integer("maxChars")
    return found


def _read(artifact: Artifact, config: Fields) -> frozenset[str]:
    # Imported here: the template engine is needed for templates only.
    from lockgate.oci.kinds.templates import variables  # noqa: PLC0415

    messages: Sequence[Fields] = config.each("messages")
    if not messages:
        raise config.wrong("messages", "has no message")
    found: frozenset[str] = frozenset()
    for message in messages:
        if message.text("role") not in _TURNS:
            raise message.wrong("role", f"is none of {', '.join(sorted(_TURNS))}")
        layer = artifact.named(message, "layer")
        found |= variables(artifact.text(layer), title(layer))
    return found


def _require_schema(artifact: Artifact, response: Fields) -> None:
    if response.text("format") != "json_schema":
        raise response.wrong("format", "is not `json_schema`")
    layer = artifact.named(response, "layer")
    require_json_object(artifact.text(layer), title(layer))


def require_json_object(text: str, name: str) -> JsonObject:
    """Return a JSON object. Raises Corrupt if it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"`{name}` is not JSON: {str(error)[:80]}") from error
    if not isinstance(found, dict):
        raise Corrupt(f"`{name}` is not a JSON object")
    return found
