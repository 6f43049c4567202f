#!/usr/bin/env python3
"""Train the commit-type classifier on labelled commits, and write its weights.

usage: tools/train_commit_types.py [COMMITS.jsonl.gz] [TARGET.safetensors]

Each repository's commits are ordered by time. The newest tenth sets the temperature and the
threshold, on a model that has not seen it; the weights are then made of everything. What is written
is therefore not tested on this data: `bench/commit_types.py` tests the same recipe, trained on the
oldest 80 % alone. The same data gives the same bytes.
"""

import gzip
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from sklearn.svm import LinearSVC

from lockgate.backends.linear import FORMAT, hashed
from lockgate.tasks.release_notes import features

DATA = Path("../shared/data/commits/dev.jsonl.gz")
TARGET = Path("src/lockgate/tasks/release_notes/weights/commit-type.safetensors")
CALIBRATION = 0.1
"""Share of the time before the end that sets temperature and threshold."""
BUCKETS = 1 << 17
REGULARISATION = 0.03
WANTED_PRECISION = 0.5
"""The threshold is the lowest confidence at which a decision is right this often."""
SEED = 7


@dataclass(frozen=True)
class Commits:
    """Labelled commits, and where each stands in its repository's time, from 0 to 1."""

    rows: list[dict[str, Any]]
    position: npt.NDArray[np.float64]

    @property
    def types(self) -> npt.NDArray[np.str_]:
        return np.array([row["type"] for row in self.rows])

    @property
    def repositories(self) -> npt.NDArray[np.str_]:
        return np.array([row["repo"] for row in self.rows])

    def tokens(self, *, counts: bool) -> list[tuple[str, ...]]:
        """Return the features, with or without line counts."""
        return [
            features.row(
                row["subject"],
                [("M", path) for path, _, _ in row["files"]],
                counts=[(a or 0, d or 0) for _, a, d in row["files"]] if counts else None,
            ).tokens
            for row in self.rows
        ]


def read(path: Path) -> Commits:
    if not path.exists():
        sys.exit(f"{path} is absent: the training data is not part of the repository")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    position = np.zeros(len(rows))
    for name in sorted({row["repo"] for row in rows}):
        mine = [i for i, row in enumerate(rows) if row["repo"] == name]
        mine.sort(key=lambda i: (rows[i]["ts"], i))
        position[mine] = np.arange(len(mine)) / len(mine)
    return Commits(rows, position)


def matrix(tokens: Sequence[Sequence[str]]) -> scipy.sparse.csr_matrix:
    """Return the hashed features, a row a commit."""
    pairs = [hashed(row, BUCKETS) for row in tokens]
    places = np.concatenate([places for places, _ in pairs])
    values = np.concatenate([values for _, values in pairs])
    starts = np.cumsum([0, *(len(places) for places, _ in pairs)])
    found = scipy.sparse.csr_matrix((values, places, starts), shape=(len(tokens), BUCKETS))
    found.sum_duplicates()
    return found


def fit(bare: Any, counted: Any, types: npt.NDArray[np.str_]) -> LinearSVC:
    """Train on every commit twice: once as a history without line counts shows it."""
    both = scipy.sparse.vstack([bare, counted])
    model = LinearSVC(C=REGULARISATION, random_state=SEED, class_weight="balanced")
    return model.fit(both, np.concatenate([types, types]))


def temperature(margins: npt.NDArray[Any], truth: npt.NDArray[np.int64]) -> float:
    """Return the temperature with the least negative log-likelihood."""

    def loss(candidate: float) -> float:
        scaled = margins / candidate
        scaled -= scaled.max(axis=1, keepdims=True)
        logs = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        return float(-logs[np.arange(len(truth)), truth].mean())

    return float(min(np.geomspace(0.05, 5, 200).round(4), key=loss))


def threshold(shares: npt.NDArray[Any], truth: npt.NDArray[np.int64]) -> float:
    """Return the lowest confidence whose neighbourhood is right often enough."""
    best, right = shares.max(axis=1), shares.argmax(axis=1) == truth
    for candidate in np.arange(0.1, 0.9, 0.01):
        near = (best >= candidate) & (best < candidate + 0.1)
        if near.sum() >= 20 and right[near].mean() >= WANTED_PRECISION:
            return float(round(candidate, 2))
    return 0.5


def softmax(margins: npt.NDArray[Any]) -> npt.NDArray[Any]:
    exponents = np.exp(margins - margins.max(axis=1, keepdims=True))
    shares: npt.NDArray[Any] = exponents / exponents.sum(axis=1, keepdims=True)
    return shares


def encode(model: LinearSVC, chosen: dict[str, str]) -> bytes:
    """Return the safetensors file: int8 weights with a scale a label."""
    scales = (np.abs(model.coef_).max(axis=1) / 127).astype("<f4")
    weights = np.round(model.coef_ / scales[:, None]).astype("i1")
    tensors = {
        "weights": ("I8", weights),
        "scales": ("F32", scales),
        "bias": ("F32", model.intercept_.astype("<f4")),
    }
    header: dict[str, Any] = {"__metadata__": chosen}
    at = 0
    for name, (kind, array) in tensors.items():
        end = at + array.nbytes
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(array.tobytes() for _, array in tensors.values())
    return len(text).to_bytes(8, "little") + text + body


def train(commits: Commits, *, until: float = 1.0) -> bytes:
    """Return the weights file made of each repository's commits before `until` of its time."""
    bare, counted = (matrix(commits.tokens(counts=c)) for c in (False, True))
    types = commits.types
    early = commits.position < until - CALIBRATION
    kept = commits.position < until
    first = fit(bare[early], counted[early], types[early])
    names = list(first.classes_)
    calibration = kept & ~early
    truth = np.array([names.index(name) for name in types[calibration]])
    margins = first.decision_function(bare[calibration])
    heat = temperature(margins, truth)
    chosen = {
        "format": FORMAT,
        "labels": json.dumps(names),
        "temperature": str(heat),
        "threshold": str(threshold(softmax(margins / heat), truth)),
        "features": str(features.VERSION),
    }
    final = fit(bare[kept], counted[kept], types[kept])
    assert list(final.classes_) == names, "every type occurs in the oldest part"
    return encode(final, chosen)


def main() -> None:
    paths = [Path(argument) for argument in sys.argv[1:]]
    data = train(read(paths[0] if paths else DATA))
    target = paths[1] if len(paths) > 1 else TARGET
    target.write_bytes(data)
    print(f"{target}: {len(data)} bytes")


if __name__ == "__main__":
    main()
