"""Writes a GGUF file again with its matrices in 8 or 4 bits a weight.

Blocks of 32 weights share a scale: ggml `ggml-quants.c`, `quantize_row_q8_0_ref` and
`quantize_row_q4_0_ref`, whose bytes these are. The same file gives the same bytes everywhere.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from lockgate.errors import Corrupt, UsageError
from lockgate.oci.disk import storage, writer
from lockgate.oci.gguf import Contents, Tensor, read_contents, tensor_bytes

_F32, _F16, _Q4_0, _Q8_0, _BF16 = 0, 1, 2, 8, 30
_PLAIN: Final[Mapping[int, str]] = {_F32: "<f4", _F16: "<f2", _BF16: "<u2"}
_BLOCK: Final = 32
_ROWS_BYTES: Final = 32 << 20
_UINT32: Final = 4
_LARGEST: Final = 1 << 18
_FILE_TYPE: Final = "general.file_type"
_VERSION: Final = "general.quantization_version"
_KEPT_FINE: Final = ("token_embd.weight", "output.weight")
"""What the words are looked up in: 4 bits there cost more than they save."""
_KEPT_WHOLE: Final = (
    *("position_embd", "token_types", "ffn_gate_inp", "attn_rel_b"),
    *("ssm_conv1d", "shortconv.conv", "time_mix_"),
)
"""What llama.cpp only reads as plain numbers, or is too small to gain."""

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


class Quantisation(StrEnum):
    """What matrices become."""

    Q8_0 = "q8_0"
    Q4_0 = "q4_0"

    @property
    def file_type(self) -> int:
        """The number in `general.file_type` (llama.cpp `llama.h`)."""
        return 7 if self is Quantisation.Q8_0 else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    source: Tensor
    type: int
    offset: int


def quantise(source: Path, target: Path, to: Quantisation) -> int:
    """Write `target`, and return how many tensors were quantised. Memory is bounded.

    Raises:
        UsageError: no tensor is a matrix of plain numbers: it is quantised already, for example.
        Corrupt: the source is no whole GGUF file, or a weight is no number.
        StorageFailed: the disk is full or read-only.

    """
    contents = read_contents(source)
    plan = _plan(contents, to)
    changed = sum(at.type != at.source.type for at in plan)
    if not changed:
        raise UsageError(
            f"`{source.name}` has no matrix in F32, F16 or BF16: it is quantised already",
            hint="begin with the model before it was quantised",
        )
    head = _head(contents, plan, to)
    with storage(target), source.open("rb") as file, FileIO(target, "w") as output:
        write = writer(output)
        write(memoryview(head))
        for at in plan:
            written = 0
            for block in _blocks(file, contents.start, at):
                write(memoryview(block))
                written += len(block)
            write(memoryview(bytes(-written % contents.alignment)))
    return changed


def _plan(contents: Contents, to: Quantisation) -> list[_Planned]:
    planned = []
    offset = 0
    for tensor in contents.tensors:
        kind = _type(tensor, to)
        planned.append(_Planned(source=tensor, type=kind, offset=offset))
        size = tensor_bytes(tensor.shape, kind)
        if size == 0 and 0 not in tensor.shape:
            raise UsageError(
                f"the tensor `{tensor.name}` has the type {kind}, which is not known here",
                hint="quantise it with llama.cpp",
            )
        offset += size + -size % contents.alignment
    return planned


def _type(tensor: Tensor, to: Quantisation) -> int:
    """Return what a tensor becomes: matrices whose rows are whole blocks; norms and the like stay.

    As llama.cpp chooses in `llama-quant.cpp`: names end in `weight`, and there are two dimensions.
    """
    if any(part in tensor.name for part in _KEPT_WHOLE):
        return tensor.type
    matrix = len(tensor.shape) >= 2 and tensor.shape[0] % _BLOCK == 0  # noqa: PLR2004
    weight = tensor.name.endswith("weight") and "_norm" not in tensor.name
    if not (tensor.type in _PLAIN and matrix and weight):
        return tensor.type
    fine = to is Quantisation.Q8_0 or tensor.name in _KEPT_FINE
    return _Q8_0 if fine else _Q4_0


def _head(contents: Contents, plan: list[_Planned], to: Quantisation) -> bytes:
    pairs = {
        **contents.pairs,
        _FILE_TYPE: _uint32(_FILE_TYPE, to.file_type),
        _VERSION: _uint32(_VERSION, 2),
    }
    tensors = b"".join(
        _text(at.source.name)
        + struct.pack("<I", len(at.source.shape))
        + struct.pack(f"<{len(at.source.shape)}Q", *at.source.shape)
        + struct.pack("<IQ", at.type, at.offset)
        for at in plan
    )
    begin = struct.pack("<4sIQQ", b"GGUF", contents.version, len(plan), len(pairs))
    head = begin + b"".join(pairs.values()) + tensors
    return head + bytes(-len(head) % contents.alignment)


def _blocks(file: BinaryIO, start: int, at: _Planned) -> Iterator[bytes]:
    tensor = at.source
    size = tensor_bytes(tensor.shape, tensor.type)
    file.seek(start + tensor.offset)
    if at.type == tensor.type:
        while size:
            block = file.read(min(size, _ROWS_BYTES))
            size -= len(block)
            yield block
        return
    form = np.dtype(_PLAIN[tensor.type])
    row = tensor.shape[0] * form.itemsize
    step = max(row, _ROWS_BYTES // row * row)
    while size:
        read = file.read(min(size, step))
        size -= len(read)
        values = _floats(np.frombuffer(read, form), tensor.type).reshape(-1, _BLOCK)
        # Also false for what is no number: a scale has to fit F16.
        if not np.abs(values).max() < _LARGEST:
            raise Corrupt(
                f"the tensor `{tensor.name}` has a weight that is not below {_LARGEST:,} in size",
                hint="the model is damaged, or was trained to no end",
            )
        yield (_q8_0(values) if at.type == _Q8_0 else _q4_0(values)).tobytes()


def _floats(values: NDArray[np.generic], kind: int) -> Floats:
    if kind == _BF16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)


def _q8_0(values: Floats) -> Bytes:
    """Return a scale in F16 and 32 signed bytes for each row."""
    largest: Floats = np.abs(values).max(axis=1)
    scale = largest / np.float32(127)
    scaled = values * _inverse(scale)[:, None]
    whole = np.trunc(scaled)
    # C's `roundf`: halves away from zero, which `numpy.rint` does not do.
    whole += np.copysign(np.abs(scaled - whole) >= np.float32(0.5), scaled)
    return _joined(scale, whole.astype(np.int8).view(np.uint8))


def _q4_0(values: Floats) -> Bytes:
    """Return a scale in F16 and 32 times 4 bits for each row: the value of 8 means 0."""
    largest = np.take_along_axis(values, np.abs(values).argmax(axis=1)[:, None], axis=1)[:, 0]
    scale = largest / np.float32(-8)
    scaled = values * _inverse(scale)[:, None] + np.float32(8.5)
    nibbles = np.minimum(np.trunc(scaled).astype(np.int8), 15).view(np.uint8)
    half = _BLOCK // 2
    return _joined(scale, nibbles[:, :half] | nibbles[:, half:] << np.uint8(4))


def _inverse(scale: Floats) -> Floats:
    return np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale != 0)


def _joined(scale: Floats, data: Bytes) -> Bytes:
    halves = scale.astype("<f2").view(np.uint8).reshape(-1, 2)
    return np.concatenate([halves, data], axis=1)


def _uint32(name: str, value: int) -> bytes:
    return _text(name) + struct.pack("<II", _UINT32, value)


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded
