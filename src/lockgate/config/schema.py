"""Checks a file against the dataclasses that describe it, and describes them as JSON Schema.

The only module that imports pydantic; it is imported when there is a file to check.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from lockgate.config.lines import KeyPath, dotted
from lockgate.config.settings import BUILT_IN_BACKENDS, Config

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """One violation of the schema, where in the document it is, and what to do."""

    path: KeyPath
    message: str


def validate(document: Mapping[str, Any]) -> Config | list[Flaw]:
    """Return the settings that `document` gives, or everything that is wrong with it."""
    config = validate_as(Config, document)
    if isinstance(config, list):
        return config
    return list(_unknown_backends(config)) or config


def validate_as(root: type[T], document: Mapping[str, Any]) -> T | list[Flaw]:
    """Return `document` as the dataclass `root`, or everything that is wrong with it."""
    try:
        # JSON mode: strict about types, yet it takes text for enums and paths, lists for tuples.
        text = json.dumps(document, default=lambda value: {"a date or a time": str(value)})
        return TypeAdapter(root).validate_json(text)
    except ValidationError as error:
        return [_flaw(details, document, root) for details in error.errors(include_url=False)]


def json_schema(root: type[Any] = Config) -> Mapping[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a file, by default `lockgate.toml`."""
    schema = TypeAdapter(root).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _flaw(details: ErrorDetails, document: Mapping[str, Any], root: type[Any]) -> Flaw:
    path = _path(details["loc"], document)
    message = _message(details, path, root)
    if details["type"] == "union_tag_invalid":
        path = (*path, details["ctx"]["discriminator"].strip("'"))
    return Flaw(path=path, message=message)


def _path(location: tuple[str | int, ...], document: Any) -> KeyPath:
    """Drop what pydantic adds to a location: the tag of a union, and `[key]`."""
    path: list[str | int] = []
    at = document
    for index, part in enumerate(location):
        if part == "[key]":
            continue
        inside = isinstance(at, Mapping)
        if inside and part not in at and part in (at.get("kind"), at.get("source")):
            continue
        path.append(part)
        at = _child(at, part) if index < len(location) - 1 else None
    return tuple(path)


def _child(at: Any, part: str | int) -> Any:
    if isinstance(at, Mapping):
        return at.get(str(part))
    if isinstance(at, Sequence) and isinstance(part, int) and part < len(at):
        return at[part]
    return None


def _message(details: ErrorDetails, path: KeyPath, root: type[Any]) -> str:
    name = dotted(path) or "the document"
    match details["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            known = _known_names(details["loc"][:-1], root)
            return f"`{name}` is not a setting{did_you_mean(str(path[-1]), known)}"
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            return f"`{name}` is missing"
        case "union_tag_not_found":
            member = details["ctx"]["discriminator"]
            return f"`{name}` needs {member.replace(chr(39), '`')}"
        case "union_tag_invalid":
            member = details["ctx"]["discriminator"].strip("'")
            expected = [tag.strip(" '") for tag in details["ctx"]["expected_tags"].split(",")]
            tag = str(details["ctx"]["tag"])
            return f"`{name}.{member}` cannot be `{tag[:80]}`{_one_of(tag, expected)}"
        case _:
            text = details["msg"].removeprefix("Value error, ")
            return f"`{name}`: {text[:1].lower()}{text[1:].replace(chr(39), '`')}"


def _known_names(location: tuple[str | int, ...], root: type[Any]) -> Sequence[str]:
    """Return the settings that may stand in the table at `location`."""
    at: Any = root
    for part in location:
        at = _inside(at, part)
    return [field.name for field in fields(at)] if is_dataclass(at) else []


def _inside(at: Any, part: str | int) -> Any:
    if is_dataclass(at):
        return get_type_hints(at).get(str(part))
    # A mapping, a tuple or a tagged union: the type of its elements, or of the choice `part`.
    choices = [c for c in get_args(at) if is_dataclass(c)]
    for choice in choices:
        for member in ("kind", "source"):
            if part in get_args(get_type_hints(choice).get(member)):
                return choice
    if get_args(at)[-1:] == (...,):
        return choices[0] if choices else None
    return get_args(at)[-1] if get_args(at) else None


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return `; did you mean …?` for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def _one_of(word: str, known: Sequence[str]) -> str:
    return did_you_mean(word, known) or f": it is one of {', '.join(f'`{k}`' for k in known)}"


def _unknown_backends(config: Config) -> Iterator[Flaw]:
    known = [*BUILT_IN_BACKENDS, *config.backends]
    named: list[tuple[KeyPath, str]] = [
        (("models", name, "backend"), model.backend) for name, model in config.models.items()
    ]
    for task, settings in config.tasks.items():
        for role, filled in settings.models.items():
            if filled.backend is not None:
                named.append((("tasks", task, "models", role, "backend"), filled.backend))
    for path, backend in named:
        if backend not in known:
            hint = did_you_mean(backend, known)
            yield Flaw(path=path, message=f"`{dotted(path)}`: no backend `{backend}`{hint}")
