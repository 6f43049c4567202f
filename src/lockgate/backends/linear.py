"""Classifier heads: multinomial linear models over hashed tokens, with calibrated probabilities.

The weights are one safetensors file (u64 little-endian header length, JSON header, tensors):
`weights` int8 [labels, buckets], `scales` float32 [labels] and `bias` float32 [labels]. The
header's `__metadata__` holds the labels, the temperature and the threshold. Tokens are hashed by
CRC-32; within a namespace (the part before `=`) each has the weight 1/sqrt(n), so that long texts
do not drown the rest. Feature hashing: Weinberger et al. 2009; temperature scaling: Guo et al.
2017, "On Calibration of Modern Neural Networks", section 4.2.
"""

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Classification, Classify, Dispatch, Label, Row
from lockgate.domain.usage import Usage
from lockgate.errors import Corrupt, Unavailable
from lockgate.ports import ModelFiles

FORMAT = "lockgate.linear.v1"
MAX_HEADER_BYTES = 1 << 20
MAX_FILE_BYTES = 1 << 28
_DIGITS = 6
"""Decimals of a probability: the last bits of a sum differ between processors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A loaded model."""

    labels: tuple[str, ...]
    weights: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    temperature: float
    threshold: float

    def judge(self, row: Row) -> Label:
        """Label one row; abstain below the threshold."""
        scores = self.margins(row) / self.temperature
        exponents = np.exp(scores - scores.max())
        shares = exponents / exponents.sum()
        best = int(shares.argmax())
        confidence = round(float(shares[best]), _DIGITS)
        return Label(
            label=self.labels[best] if confidence >= self.threshold else None,
            confidence=confidence,
            probabilities={
                name: round(float(share), _DIGITS)
                for name, share in zip(self.labels, shares, strict=True)
            },
        )

    def margins(self, row: Row) -> npt.NDArray[np.float64]:
        """Return a score a label, before calibration."""
        buckets, values = hashed(row.tokens, self.weights.shape[1])
        total = self.weights[:, buckets].astype(np.float64) @ values
        margins: npt.NDArray[np.float64] = total * self.scales + self.bias
        return margins


def hashed(
    tokens: Sequence[str], buckets: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return each token's bucket and weight."""
    spaces = [token.partition("=")[0] for token in tokens]
    sizes: dict[str, int] = {}
    for space in spaces:
        sizes[space] = sizes.get(space, 0) + 1
    places = np.array([zlib.crc32(t.encode("utf-8", "replace")) % buckets for t in tokens], "i8")
    values = np.array([1 / math.sqrt(sizes[space]) for space in spaces], "f8")
    return places, values


class LinearBackend:
    """Implements `ports.Backend` for `Classify`."""

    data_classes = frozenset(DataClass)

    def __init__(self, files: ModelFiles) -> None:
        self._files = files
        self._heads: dict[Digest, Head] = {}

    async def infer(self, dispatch: Dispatch) -> Classification:
        """Label every row, each on its own."""
        request = dispatch.request
        if not isinstance(request, Classify):
            raise Unavailable(
                f"the backend `linear` classifies; it cannot {type(request).__name__.lower()}",
                hint="give the role another backend in lockgate.toml",
            )
        if dispatch.digest not in self._heads:
            files = self._files.files(dispatch.model, dispatch.digest)
            self._heads[dispatch.digest] = load(files["weights"])
        head = self._heads[dispatch.digest]
        return Classification(
            labels=tuple(head.judge(row) for row in request.rows),
            usage=Usage(input_tokens=sum(len(row.tokens) for row in request.rows)),
        )


def load(path: Path) -> Head:
    """Read a head.

    Raises:
        Corrupt: the file is cut off, or not one of ours.

    """
    data = path.read_bytes() if path.stat().st_size <= MAX_FILE_BYTES else b""
    size = int.from_bytes(data[:8], "little")
    if not 0 < size <= min(MAX_HEADER_BYTES, len(data) - 8):
        raise Corrupt(f"`{path}` is not a safetensors file: its header is {size} bytes long")
    try:
        header = json.loads(data[8 : 8 + size])
        metadata = header["__metadata__"]
        labels = tuple(str(name) for name in json.loads(metadata["labels"]))
        if metadata["format"] != FORMAT:
            raise Corrupt(f"`{path}` has the format `{metadata['format']}`, not `{FORMAT}`")
        body = data[8 + size :]
        head = Head(
            labels=labels,
            weights=_tensor(body, header["weights"], np.dtype("i1")),
            scales=_tensor(body, header["scales"], np.dtype("<f4")),
            bias=_tensor(body, header["bias"], np.dtype("<f4")),
            temperature=float(metadata["temperature"]),
            threshold=float(metadata["threshold"]),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise Corrupt(f"`{path}` is not a classifier head: {error}") from error
    shapes = (head.weights.shape[:1], head.scales.shape, head.bias.shape)
    if set(shapes) != {(len(labels),)} or not labels or head.temperature <= 0:
        raise Corrupt(f"`{path}` has {len(labels)} labels and tensors of {shapes}")
    return head


def _tensor(body: bytes, entry: Mapping[str, Any], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    begin, end = entry["data_offsets"]
    shape = tuple(int(n) for n in entry["shape"])
    if not 0 <= begin <= end <= len(body) or math.prod(shape) * kind.itemsize != end - begin:
        raise ValueError(f"a tensor of shape {shape} lies at {begin}..{end} of {len(body)} bytes")
    array: npt.NDArray[Any] = np.frombuffer(body, kind, math.prod(shape), begin).reshape(shape)
    return array
