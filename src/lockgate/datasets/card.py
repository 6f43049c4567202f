"""What stands beside the rows of a dataset: schema, licence, where it came from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import Corrupt, InvalidInput

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_MAX_LICENCE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file that rows came from, and what was done to them."""

    file: str
    digest: str
    split: str
    rows: int
    left_out: int = 0
    """Lines that were broken or did not match the schema."""
    origin: str = ""
    """Where the file is from, as its importer says."""

    @property
    def document(self) -> dict[str, Json]:
        return {
            "file": self.file,
            "digest": self.digest,
            "split": self.split,
            "rows": self.rows,
            "left_out": self.left_out,
            "origin": self.origin,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A dataset's description; part of the artifact, so of its digest."""

    name: str
    task: str
    licence: str
    """An SPDX expression, or `LicenseRef-…`."""
    schema: JsonObject
    lineage: tuple[Source, ...] = ()
    splits: Mapping[str, int] = field(default_factory=dict)
    """Rows by split."""

    @property
    def about(self) -> dict[str, Json]:
        """What the artifact's config holds beside the splits."""
        return {
            "name": self.name,
            "licence": self.licence,
            "schema": self.schema,
            "lineage": [source.document for source in self.lineage],
        }

    @classmethod
    def read(cls, config: Mapping[str, Json]) -> Self:
        """Return the card of a dataset artifact's config.

        Raises:
            Corrupt: it is none.

        """
        try:
            members = dict(config)
            splits: dict[str, dict[str, int]] = dict(members["splits"])  # type: ignore[arg-type]
            return cls(
                name=str(members.get("name", members["task"])),
                task=str(members["task"]),
                licence=str(members.get("licence", "NOASSERTION")),
                schema=dict(members.get("schema") or {}),  # type: ignore[arg-type]
                lineage=tuple(Source(**row) for row in members.get("lineage") or ()),  # type: ignore[union-attr,arg-type]
                splits={name: int(split["rows"]) for name, split in splits.items()},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"the config of a dataset is none: {error!r}") from error


def checked_name(name: str, what: str) -> str:
    """Return a name that can be one of a dataset or a split.

    Raises:
        InvalidInput: it cannot.

    """
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(
            f"`{name[:80]}` cannot be the name of a {what}",
            hint="use lower-case letters, digits, dots and hyphens, such as `triage-2026`",
        )
    return name


def checked_licence(text: str) -> str:
    """Return a licence that somebody stated.

    Raises:
        InvalidInput: it is empty, or no expression.

    """
    if not text.strip() or len(text) > _MAX_LICENCE or not text.isprintable():
        raise InvalidInput(
            f"`{text[:80]}` is no licence",
            hint="give an SPDX identifier such as `CC0-1.0`, or `LicenseRef-internal`",
        )
    return text.strip()


def schema_of(rows: Sequence[JsonObject]) -> JsonObject:
    """Return a JSON Schema that rows match: their members, with the types that were seen."""
    types: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for row in rows:
        for name, value in row.items():
            types.setdefault(name, set()).add(_type(value))
            counts[name] = counts.get(name, 0) + 1
    properties: dict[str, Json] = {}
    for name in sorted(types):
        found = sorted(types[name] - ({"integer"} if "number" in types[name] else set()))
        properties[name] = {"type": found[0] if len(found) == 1 else list(found)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": sorted(name for name, count in counts.items() if count == len(rows)),
        "properties": properties,
    }


def _type(value: Json) -> str:  # noqa: PLR0911  a table
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case Mapping():
            return "object"
        case _:
            return "array"
