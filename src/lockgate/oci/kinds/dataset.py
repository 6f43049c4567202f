"""Evaluation data sets: JSON Lines, with a root over the rows of each split."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lockgate.domain.artifact import Descriptor, Kind
from lockgate.domain.digest import Json, JsonObject, canonical
from lockgate.domain.predicates.fields import Fields
from lockgate.errors import Corrupt
from lockgate.oci.kinds.artifact import API_VERSION, Artifact, title
from lockgate.oci.kinds.merkle import merkle_root
from lockgate.oci.kinds.packed import DATASET, File, PackedArtifact, pack

_MOST_ROWS: Final = 1_000_000


def pack_dataset(task: str, split: str, rows: Sequence[JsonObject]) -> PackedArtifact:
    """Pack evaluation cases as JSON Lines, with the Merkle root over the rows."""
    return pack_splits(task, {split: rows}, {})


def pack_splits(
    task: str, splits: Mapping[str, Sequence[JsonObject]], about: JsonObject
) -> PackedArtifact:
    """Pack a data set: a file of JSON Lines a split; `about` joins the config, so the digest."""
    described: dict[str, Json] = {}
    files = []
    for split in sorted(splits):
        lines = [canonical(row) for row in splits[split]]
        file = File(
            name=f"{split}.jsonl",
            media_type=DATASET,
            role=f"split:{split}",
            data=b"".join(line + b"\n" for line in lines),
        )
        files.append(file)
        described[split] = {
            "layer": str(file.digest),
            "rows": len(lines),
            "root": f"sha256:{merkle_root(lines).hex()}",
        }
    config: JsonObject = {**about, "apiVersion": API_VERSION, "task": task, "splits": described}
    return pack(Kind.DATASET, task, config, files)


def require(artifact: Artifact) -> None:
    """Check that each split has the rows, and the root, that the config says.

    Raises:
        Corrupt: one has not, or a row is not a JSON object.

    """
    config = artifact.config("dataset")
    config.text("task")
    names = config.mapping("splits")
    if not names:
        raise config.wrong("splits", "names no split")
    splits = config.inside("splits")
    for name in names:
        split = splits.inside(name)
        require_rows(artifact, artifact.named(split, "layer"), split, "rows")


def require_rows(artifact: Artifact, layer: Descriptor, said: Fields, count: str) -> None:
    """Compare the rows of a file with their number and their root. Raises Corrupt."""
    read = 0

    def rows() -> Iterator[bytes]:
        nonlocal read
        for line in artifact.lines(layer):
            read += 1
            if read > _MOST_ROWS:
                raise Corrupt(f"`{title(layer)}` has more than {_MOST_ROWS:,} rows")
            require_object(line, layer, read)
            yield line

    root = f"sha256:{merkle_root(rows()).hex()}"
    if read != said.integer(count):
        raise said.wrong(count, f"is not the number of rows of `{title(layer)}`, {read:,}")
    if root != said.text("root"):
        raise said.wrong("root", f"is not that of the rows of `{title(layer)}`, {root}")


def require_object(line: bytes, layer: Descriptor, number: int) -> JsonObject:
    """Return a row. Raises Corrupt if it is not a JSON object."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"`{title(layer)}` line {number:,} is not JSON") from error
    if not isinstance(row, dict):
        raise Corrupt(f"`{title(layer)}` line {number:,} is not an object")
    return row
