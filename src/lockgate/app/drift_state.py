"""What a nightly look at drift keeps until the next one: the reference, and the evidence so far."""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import numpy as np

from lockgate.app.drift_features import (
    Feature,
    Kind,
    Row,
    categories_of,
    choose,
    numbers_of,
    place_of,
    vectors_of,
)
from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import InvalidInput, StorageFailed
from lockgate.statistics.exchange import ExchangeProcess
from lockgate.statistics.samples import Array

FORMAT: Final = 1
SEED: Final = 7
LEAST: Final = 2
"""Values that a reference must have of a feature."""
MAX_BYTES: Final = 1 << 30


@dataclass(slots=True, kw_only=True)
class Watched:
    """One feature: its reference, and the process of all nights since."""

    feature: Feature
    numbers: list[float] = field(default_factory=list)
    categories: dict[str, int] = field(default_factory=dict)
    vectors: list[list[float]] = field(default_factory=list)
    process: ExchangeProcess

    def night(self, rows: Sequence[Row]) -> None:
        """Count a night's values."""
        match self.feature.kind:
            case Kind.NUMBER:
                self.process.add_night(numbers_of(self.feature, rows))
            case Kind.CATEGORY:
                words = categories_of(self.feature, rows)
                self.process.add_night([place_of(word) for word in words])
            case Kind.VECTOR:
                found = vectors_of(self.feature, rows)
                self.process.add_night(_distances(found, _centre(self.vectors)))


def watched(feature: Feature, rows: Sequence[Row]) -> Watched | None:
    """Return a feature with these rows as its reference; None if they say too little."""
    match feature.kind:
        case Kind.NUMBER:
            numbers = numbers_of(feature, rows)
            if len(numbers) < LEAST:
                return None
            process = ExchangeProcess(numbers, seed=SEED)
            return Watched(feature=feature, numbers=numbers, process=process)
        case Kind.CATEGORY:
            words = categories_of(feature, rows)
            if len(words) < LEAST:
                return None
            process = ExchangeProcess([place_of(word) for word in words], seed=SEED)
            return Watched(feature=feature, categories=dict(Counter(words)), process=process)
        case Kind.VECTOR:
            vectors = vectors_of(feature, rows)
            if len(vectors) < 2 * LEAST or len({len(v) for v in vectors}) > 1:
                return None
            # The centre is of one half and ranks are among the other: a distance to a centre that
            # was fitted to the same vectors is too short.
            held_back = _distances(vectors[1::2], _centre(vectors))
            process = ExchangeProcess(held_back, seed=SEED)
            return Watched(feature=feature, vectors=vectors, process=process)


def _centre(vectors: Sequence[Sequence[float]]) -> Array:
    centre: Array = np.asarray(vectors[::2], dtype=np.float64).mean(axis=0)
    return centre


def _distances(vectors: Sequence[Sequence[float]], centre: Array) -> list[float]:
    if not vectors:
        return []
    if any(len(vector) != len(centre) for vector in vectors):
        raise InvalidInput(
            f"a vector has not the reference's {len(centre)} dimensions",
            hint="embed both with the same model, or begin anew with `--reset`",
        )
    moved: Array = np.linalg.norm(np.asarray(vectors, dtype=np.float64) - centre, axis=1)
    return [float(x) for x in moved]


@dataclass(slots=True, kw_only=True)
class DriftState:
    """Everything that is kept between nights."""

    task: str
    made: datetime
    rows: int
    """Of the reference."""
    last: int = 0
    """The last event that was counted."""
    nights: int = 0
    files: list[str] = field(default_factory=list)
    """Digests of files that were counted as nights."""
    features: list[Watched] = field(default_factory=list)

    @classmethod
    def begun(cls, task: str, rows: Sequence[Row], *, now: datetime, last: int = 0) -> Self:
        """Take rows as the reference."""
        found = [watched(feature, rows) for feature in choose(rows)]
        features = [w for w in found if w is not None]
        return cls(task=task, made=now, rows=len(rows), last=last, features=features)

    def night(self, rows: Sequence[Row]) -> None:
        """Count a night."""
        self.nights += 1
        for one in self.features:
            one.night(rows)

    @property
    def document(self) -> dict[str, Json]:
        return {
            "format": FORMAT,
            "task": self.task,
            "made": self.made.astimezone(UTC).isoformat(),
            "rows": self.rows,
            "last": self.last,
            "nights": self.nights,
            "files": list(self.files),
            "features": [
                {
                    "name": w.feature.name,
                    "kind": str(w.feature.kind),
                    "numbers": w.numbers,
                    "categories": dict(w.categories),
                    "vectors": w.vectors,
                    "process": w.process.document,
                }
                for w in self.features
            ],
        }

    @classmethod
    def read(cls, value: JsonObject) -> Self:
        """Return the state that wrote a document.

        Raises:
            InvalidInput: the document is none.

        """
        document: dict[str, Json] = dict(value)
        if document.get("format") != FORMAT:
            raise InvalidInput(
                f"the format of the state is `{document.get('format')}`, this program's `{FORMAT}`",
                hint="begin anew with `--reset`",
            )
        try:
            return cls(
                task=str(document["task"]),
                made=datetime.fromisoformat(str(document["made"])),
                rows=int(document["rows"]),  # type: ignore[arg-type]
                last=int(document["last"]),  # type: ignore[arg-type]
                nights=int(document["nights"]),  # type: ignore[arg-type]
                files=[str(name) for name in document["files"]],  # type: ignore[union-attr]
                features=[_read(dict(row)) for row in document["features"]],  # type: ignore[union-attr,arg-type]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"this is no state of `lockgate drift`: {error}",
                hint="begin anew with `--reset`",
            ) from error


def _read(row: JsonObject) -> Watched:
    members: dict[str, Json] = dict(row)
    process = members["process"]
    assert isinstance(process, dict)
    return Watched(
        feature=Feature(name=str(members["name"]), kind=Kind(str(members["kind"]))),
        numbers=[float(x) for x in members["numbers"]],  # type: ignore[union-attr,arg-type]
        categories={str(k): int(v) for k, v in dict(members["categories"]).items()},  # type: ignore[arg-type]
        vectors=[[float(x) for x in v] for v in members["vectors"]],  # type: ignore[union-attr,arg-type]
        process=ExchangeProcess.resumed(process),
    )


def load_state(path: Path) -> DriftState | None:
    """Return the state of a file; None if there is no file.

    Raises:
        InvalidInput: it is no state.

    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidInput(f"`{path}` cannot be read: {error.strerror}") from error
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"`{path}` is not JSON: {error}", hint="begin anew with `--reset`"
        ) from error
    if not isinstance(value, dict):
        raise InvalidInput(f"`{path}` is no state of `lockgate drift`")
    return DriftState.read(value)


def save_state(path: Path, state: DriftState) -> None:
    """Write a state in one step: an interrupted run counts no night.

    Raises:
        StorageFailed: it cannot be written.

    """
    part = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(state.document, allow_nan=False), "utf-8")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageFailed(f"`{path}` cannot be written: {error.strerror}") from error
