"""Datasets in the local store: imported, found, checked; and files that are masked or made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lockgate.app.models import layout_of
from lockgate.config.environment import Environment
from lockgate.datasets.card import Card, Source, checked_licence, checked_name, schema_of
from lockgate.datasets.rows import Broken, Row, Table, read_table
from lockgate.domain.artifact import Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.errors import Corrupt, InvalidInput, NotFound

if TYPE_CHECKING:
    from lockgate.checks.schema import JsonSchemaValidator
    from lockgate.datasets.quality import Looking, Quality
    from lockgate.oci.layout import Layout

PREFIX: Final = "dataset/"
_MAX_SCHEMA: Final = 1 << 20
_MAX_KEY: Final = 4096
_MAX_PROBLEMS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """A line that does not belong into a dataset."""

    path: str
    line: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A dataset that was stored."""

    card: Card
    digest: Digest
    left_out: Sequence[Flaw]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the command line asks for."""

    name: str
    files: Mapping[str, Path]
    """By split."""
    licence: str
    task: str = ""
    schema: Path | None = None
    origin: str = ""
    leave_out: bool = False
    """Whether lines that do not fit are left out, and counted, or stop the import."""


def import_dataset(environment: Environment, options: ImportOptions) -> Imported:
    """Read, check and store a dataset. The same files give the same digest.

    Raises:
        NotFound: a file cannot be read.
        InvalidInput: a name, the licence or a line is not what it must be; lines are listed.

    """
    checked_name(options.name, "dataset")
    licence = checked_licence(options.licence)
    tables = {checked_name(s, "split"): read_table(path) for s, path in options.files.items()}
    given = _schema_file(options.schema) if options.schema else None
    schema = given or schema_of([row.value for table in tables.values() for row in table.rows])
    flaws: list[Flaw] = []
    kept = {split: _fitting(table, schema, flaws) for split, table in tables.items()}
    if flaws and not options.leave_out:
        raise InvalidInput(_listed(flaws), hint="mend them, or leave them out with `--leave-out`")
    if not any(kept.values()):
        raise InvalidInput("no row is left to import", hint="see `lockgate dataset check FILE`")
    card = Card(
        name=options.name,
        task=options.task or options.name,
        licence=licence,
        schema=schema,
        lineage=tuple(
            Source(
                file=Path(table.path).name,  # no path of this machine
                digest=str(table.digest),
                split=split,
                rows=len(kept[split]),
                left_out=len(table.rows) - len(kept[split]) + table.broken_count,
                origin=options.origin,
            )
            for split, table in tables.items()
        ),
        splits={split: len(rows) for split, rows in kept.items()},
    )
    digest = store(environment, card, {s: [r.value for r in rows] for s, rows in kept.items()})
    return Imported(card=card, digest=digest, left_out=flaws)


def store(environment: Environment, card: Card, rows: Mapping[str, Sequence[JsonObject]]) -> Digest:
    """Put a dataset into the local store under its name; an older one of the name stays by digest.

    Raises:
        StorageFailed: the disk is full or read-only.

    """
    from lockgate.oci.kinds.dataset import pack_splits

    packed = pack_splits(card.task, rows, card.about)
    layout = layout_of(environment)
    packed.put(layout, f"{PREFIX}{card.name}")
    packed.put(layout, f"{PREFIX}{card.name}/{packed.digest.hex}")
    return packed.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A dataset of the local store."""

    card: Card
    digest: Digest
    layers: Mapping[str, Descriptor]
    """By split."""


def dataset_names(environment: Environment) -> list[str]:
    """Return the names of the datasets here, without those of single versions."""
    names = (n.removeprefix(PREFIX) for n in layout_of(environment).manifests() if _is_named(n))
    return sorted(names)


def find_dataset(environment: Environment, name: str) -> Found:
    """Return the dataset of a name, or of `NAME/DIGEST`.

    Raises:
        NotFound: there is none.
        Corrupt: what is stored is damaged.

    """
    layout = layout_of(environment)
    found = layout.manifests().get(f"{PREFIX}{name}")
    if found is None:
        known = ", ".join(dataset_names(environment)) or "none"
        raise NotFound(
            f"there is no dataset `{name}` here; there are: {known}",
            hint="bring one with `lockgate dataset import`",
        )
    manifest = Manifest.parse(layout.read(found.digest))
    if manifest.artifact_type != Kind.DATASET.artifact_type:
        raise Corrupt(f"`{name}` is a `{manifest.artifact_type}`, not a dataset")
    config = json.loads(layout.read(manifest.config.digest))
    layers = {
        layer.annotations.get("io.lockgate.role", "").removeprefix("split:"): layer
        for layer in manifest.layers
    }
    return Found(card=Card.read(config), digest=found.digest, layers=layers)


def rows_of(environment: Environment, found: Found) -> dict[str, list[Row]]:
    """Return a stored dataset's rows by split; each is verified against its digest."""
    layout: Layout = layout_of(environment)
    return {
        split: [
            Row(line=number, value=json.loads(line))
            for number, line in enumerate(_content(layout, layer).splitlines(), 1)
        ]
        for split, layer in found.layers.items()
    }


def _content(layout: "Layout", layer: Descriptor) -> bytes:
    path = layout.blob(layer.digest)
    try:
        with path.open("rb") as file:
            content = file.read(layer.size + 1)
    except OSError as error:
        raise Corrupt(f"`{path}` cannot be read: {error.strerror}") from error
    if Digest.of(content) != layer.digest:
        raise Corrupt(f"`{path}` does not match its name", hint="import the dataset again")
    return content


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found, beside lines that are no rows."""

    quality: "Quality"
    flaws: Sequence[Flaw]

    @property
    def whole(self) -> bool:
        return self.quality.whole and not self.flaws

    @property
    def document(self) -> dict[str, Json]:
        return {
            **self.quality.document,
            "whole": self.whole,
            "broken": [
                {"path": f.path, "line": f.line, "problem": f.problem}
                for f in self.flaws[:_MAX_PROBLEMS]
            ],
            "broken_count": len(self.flaws),
        }


def check_dataset(
    environment: Environment,
    targets: Mapping[str, Path] | str,
    looking: "Looking",
    schema_file: Path | None,
) -> Checked:
    """Check files by split, or a stored dataset by its name.

    Raises:
        NotFound: there is no such file or dataset.

    """
    from lockgate.datasets.quality import check

    flaws: list[Flaw] = []
    schema = _schema_file(schema_file) if schema_file else None
    splits: dict[str, list[Row]] = {}
    if isinstance(targets, str):
        found = find_dataset(environment, targets)
        schema = schema or found.card.schema
        for split, rows in rows_of(environment, found).items():
            splits[split] = _valid(rows, schema, split, flaws)
    else:
        for split, path in targets.items():
            table = read_table(path)
            _note_broken(table, flaws)
            splits[split] = _valid(table.rows, schema, table.path, flaws)
    quality = check(splits, looking)
    return Checked(quality=quality, flaws=flaws)


def masking_key(path: Path) -> bytes:
    """Return the key of pseudonyms.

    Raises:
        NotFound: it cannot be read.

    """
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY)
    except OSError as error:
        raise NotFound(
            f"`{path}` cannot be read: {error.strerror}",
            hint=f"make a key: `head -c 32 /dev/urandom > {path}`",
        ) from error


def synthetic(
    schema_file: Path | None, like_file: Path | None, count: int, seed: int
) -> list[JsonObject]:
    """Return rows of a schema, or of the shapes of observed rows; those of a schema are valid.

    Raises:
        InvalidInput: both or neither are given, or the schema asks for what is not made.

    """
    from lockgate.datasets.shapes import like
    from lockgate.datasets.synth import from_schema

    if (schema_file is None) is (like_file is None):
        raise InvalidInput("give either `--schema FILE` or `--like FILE`")
    if like_file is not None:
        return like([row.value for row in read_table(like_file).rows], count, seed=seed)
    assert schema_file is not None, "one of the two was given"
    schema = _schema_file(schema_file)
    rows = from_schema(schema, count, seed=seed)
    validator = _validator()
    for number, row in enumerate(rows, 1):
        if problems := validator.problems(schema, row):
            raise InvalidInput(
                f"row {number} of the seed {seed} does not match `{schema_file}`: {problems[0]}",
                hint="the schema has a keyword that is not followed here: try `--like FILE`",
            )
    return rows


def write_rows(rows: Sequence[JsonObject]) -> bytes:
    """Return rows as JSON Lines: keys in their order, one form of each row."""
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")


def _is_named(name: str) -> bool:
    return name.startswith(PREFIX) and "/" not in name.removeprefix(PREFIX)


def _fitting(table: Table, schema: JsonObject, flaws: list[Flaw]) -> list[Row]:
    _note_broken(table, flaws)
    return _valid(table.rows, schema, table.path, flaws)


def _note_broken(table: Table, flaws: list[Flaw]) -> None:
    named: Sequence[Broken] = table.broken
    flaws += [Flaw(path=table.path, line=b.line, problem=b.problem) for b in named]


def _valid(
    rows: Sequence[Row], schema: JsonObject | None, path: str, flaws: list[Flaw]
) -> list[Row]:
    if schema is None:
        return list(rows)
    validator = _validator()
    kept = []
    for row in rows:
        if problems := validator.problems(schema, row.value):
            flaws.append(Flaw(path=path, line=row.line, problem=problems[0]))
        else:
            kept.append(row)
    return kept


def _validator() -> "JsonSchemaValidator":
    from lockgate.checks.schema import JsonSchemaValidator

    return JsonSchemaValidator()


def _schema_file(path: Path) -> JsonObject:
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(_MAX_SCHEMA))
    except OSError as error:
        raise NotFound(f"`{path}` cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"`{path}` is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"`{path}` is JSON, but no schema of objects")
    return value


def _listed(flaws: Sequence[Flaw]) -> str:
    shown = "\n".join(f"  {f.path}, line {f.line}: {f.problem}" for f in flaws[:20])
    return f"{len(flaws)} line(s) do not fit:\n{shown}"
