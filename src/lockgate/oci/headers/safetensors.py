"""Reads the header of a safetensors file: 8 bytes of length, then JSON.

Format: huggingface/safetensors `README.md`, "Format": no duplicate keys, no tensor that overlaps
another, and no byte that belongs to none, so that no other file can hide in it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final, TypeGuard

from lockgate.errors import Corrupt
from lockgate.oci.disk import storage

_LENGTH_BYTES: Final = 8
_LONGEST: Final = 16 << 20
"""Bytes of the JSON. The reference reader takes 100 MB, a thousand times what models need."""
_MOST_TENSORS: Final = 1 << 18
_MOST_DIMENSIONS: Final = 16
_LARGEST: Final = 1 << 48
_METADATA: Final = "__metadata__"
_MEMBERS: Final = frozenset({"dtype", "shape", "data_offsets"})
_BITS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a safetensors file says about itself."""

    metadata: Mapping[str, str]
    tensors: int
    parameters: int
    """Numbers in all tensors."""
    bytes_by_dtype: Mapping[str, int]

    @property
    def precision(self) -> str:
        """The type that holds most bytes; empty without tensors."""
        return max(self.bytes_by_dtype, key=lambda at: (self.bytes_by_dtype[at], at), default="")


def read_header(path: Path, *, shown: str | None = None) -> Header:
    """Read the header, and check that the tensors are exactly the rest of the file.

    Messages call the file `shown`; by default, its path.

    Raises:
        Corrupt: it is not safetensors, or not whole.
        StorageFailed: it cannot be read.

    """
    named = shown or str(path)
    with storage(path), path.open("rb") as file:
        size = path.stat().st_size
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if size < _LENGTH_BYTES or not 2 <= length <= size - _LENGTH_BYTES:  # noqa: PLR2004  `{}`
            raise _refused(named, f"its header has {length:,} bytes, the file has {size:,}")
        if length > _LONGEST:
            raise _refused(named, f"its header has {length:,} bytes, at most {_LONGEST:,} are read")
        data = file.read(length)
    document = _parsed(named, data)
    metadata = _metadata(named, document.pop(_METADATA, {}))
    if len(document) > _MOST_TENSORS:
        raise _refused(named, f"it has {len(document):,} tensors, at most {_MOST_TENSORS:,} read")
    return _summed(named, document, metadata, size - _LENGTH_BYTES - length)


def _parsed(named: str, data: bytes) -> dict[str, Any]:
    def pairs(found: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(found)
        if len(members) != len(found):
            # Two readers could take either of them.
            raise ValueError("a key stands twice in it")
        return members

    if data[:1] != b"{":
        raise _refused(named, "its header does not begin with `{`")
    try:
        document = json.loads(data, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise _refused(named, f"its header is not JSON: {str(error)[:80]}") from error
    if not isinstance(document, dict):
        raise _refused(named, "its header is not an object")
    return document


def _metadata(named: str, value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _refused(named, f"`{_METADATA}` is not an object of strings")
    return value


def _summed(
    named: str, document: Mapping[str, Any], metadata: Mapping[str, str], room: int
) -> Header:
    by_dtype: dict[str, int] = {}
    spans: list[tuple[int, int, str]] = []
    parameters = 0
    for name, tensor in document.items():
        dtype, count, begin, end = _tensor(named, name, tensor)
        spans.append((begin, end, name))
        by_dtype[dtype] = by_dtype.get(dtype, 0) + end - begin
        parameters += count
    at = 0
    for begin, end, name in sorted(spans):
        if begin != at:
            what = "overlaps another" if begin < at else f"leaves {begin - at:,} bytes unused"
            raise _refused(
                named, f"the tensor `{name[:80]}` {what}: begins at {begin:,}, expected {at:,}"
            )
        at = end
    if at != room:
        raise _refused(named, f"its tensors take {at:,} bytes, {room:,} follow the header")
    return Header(
        metadata=metadata, tensors=len(spans), parameters=parameters, bytes_by_dtype=by_dtype
    )


def _tensor(named: str, name: str, tensor: object) -> tuple[str, int, int, int]:
    said: dict[str, Any] = tensor if isinstance(tensor, dict) else {}
    dtype, shape, offsets = said.get("dtype"), said.get("shape"), said.get("data_offsets")
    if (
        set(said) != _MEMBERS
        or not isinstance(dtype, str)
        or dtype not in _BITS
        or not _sizes(shape, most=_MOST_DIMENSIONS)
        or not _sizes(offsets, most=2)
        or len(offsets) != 2  # noqa: PLR2004
    ):
        raise _refused(named, f"the tensor `{name[:80]}` is malformed: `{str(tensor)[:120]}`")
    count = prod(shape)
    begin, end = offsets
    # Types of fewer than 8 bits are packed; the last byte is full.
    if count * _BITS[dtype] != 8 * (end - begin):
        raise _refused(
            named,
            f"the tensor `{name[:80]}` has {end - begin:,} bytes, {count:,} `{dtype}` take "
            f"{count * _BITS[dtype] / 8:,.0f}",
        )
    return dtype, count, begin, end


def _sizes(value: object, *, most: int) -> TypeGuard[list[int]]:
    return (
        isinstance(value, list)
        and len(value) <= most
        and all(type(number) is int and 0 <= number <= _LARGEST for number in value)
    )


def _refused(named: str, why: str) -> Corrupt:
    return Corrupt(f"`{named}` is not a whole safetensors file: {why}", hint="fetch it again")
