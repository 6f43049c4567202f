"""Reads the header of a GGUF file and says whether all of its tensors are there.

Format: ggml-org/ggml `docs/gguf.md`, versions 2 and 3, little-endian. Every length in a file is
checked against the file before it is used.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

from lockgate.errors import Corrupt
from lockgate.oci.disk import storage

_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_STRING, _ARRAY = 8, 9
_WIDTHS: Final[Mapping[int, str]] = MappingProxyType(
    {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
)
_MOST_KEYS: Final = 1 << 16
_MOST_TENSORS: Final = 1 << 20
_MOST_DIMENSIONS: Final = 4
_DEEPEST: Final = 4
_LONGEST_KEPT: Final = 256
_TEMPLATE: Final = "tokenizer.chat_template"
_LONGEST_TEMPLATE: Final = 1 << 20
_DEFAULT_ALIGNMENT: Final = 32
_LENGTH: Final = struct.Struct("<Q")
_BLOCK: Final = 1 << 20
_ALIGNMENT: Final = "general.alignment"

# ggml type id: values a block, bytes a block (ggml `ggml-common.h`).
_BLOCKS: Final[Mapping[int, tuple[int, int]]] = MappingProxyType(
    {
        0: (1, 4),
        1: (1, 2),
        2: (32, 18),
        3: (32, 20),
        6: (32, 22),
        7: (32, 24),
        8: (32, 34),
        9: (32, 36),
        10: (256, 84),
        11: (256, 110),
        12: (256, 144),
        13: (256, 176),
        14: (256, 210),
        15: (256, 292),
        16: (256, 66),
        17: (256, 74),
        18: (256, 98),
        19: (256, 50),
        20: (32, 18),
        21: (256, 110),
        22: (256, 82),
        23: (256, 136),
        24: (1, 1),
        25: (1, 2),
        26: (1, 4),
        27: (1, 8),
        28: (1, 8),
        29: (256, 56),
        30: (1, 2),
        34: (256, 54),
        35: (256, 66),
        39: (32, 17),
    }
)
# `general.file_type` (ggml `docs/gguf.md`, llama.cpp `llama.h`).
_FILE_TYPES: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "F32",
        1: "F16",
        2: "Q4_0",
        3: "Q4_1",
        7: "Q8_0",
        8: "Q5_0",
        9: "Q5_1",
        10: "Q2_K",
        11: "Q3_K_S",
        12: "Q3_K_M",
        13: "Q3_K_L",
        14: "Q4_K_S",
        15: "Q4_K_M",
        16: "Q5_K_S",
        17: "Q5_K_M",
        18: "Q6_K",
        32: "BF16",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Which part of a model a file is (llama.cpp `gguf-split`: `split.no`, `split.count` …)."""

    number: int
    """From 1 on, as in the files' names. The header counts from 0."""
    count: int
    tensors: int
    """In this file."""
    total: int
    """Tensors in all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a GGUF file says about itself; what it does not say is empty."""

    architecture: str
    title: str
    licence: str
    quantisation: str
    context_tokens: int | None
    chat_template: str = ""
    """`tokenizer.chat_template`: Jinja by strangers. Not to be rendered unseen."""
    kind: str = ""
    """`general.type`: `model` or `adapter`, for example."""
    adapter: str = ""
    """`adapter.type`: `lora`, for example."""
    shard: Shard | None = None
    """None if the file is a model by itself."""


def read_header(path: Path, *, shown: str | None = None) -> Header:
    """Read the header, and check that the file is long enough for its tensors.

    Messages call the file `shown`; by default, its path.

    Raises:
        Corrupt: it is not GGUF, or it is cut off.
        StorageFailed: it cannot be read.

    """
    with storage(path), path.open("rb") as file:
        reader = _Reader(shown or str(path), file, path.stat().st_size)
        tensors, count = reader.begin()
        keys = dict(reader.pair() for _ in range(count))
        reader.require_tensors(tensors, keys.get(_ALIGNMENT))
    architecture = _text(keys.get("general.architecture"))
    context = keys.get(f"{architecture}.context_length")
    file_type = keys.get("general.file_type")
    template = keys.get(_TEMPLATE)
    return Header(
        architecture=architecture,
        title=_text(keys.get("general.name")),
        licence=_text(keys.get("general.license")),
        quantisation=_FILE_TYPES.get(file_type, "") if isinstance(file_type, int) else "",
        context_tokens=context if isinstance(context, int) else None,
        chat_template=template if isinstance(template, str) else "",
        kind=_text(keys.get("general.type")),
        adapter=_text(keys.get("adapter.type")),
        shard=_shard(keys, tensors),
    )


def _shard(keys: Mapping[str, object], tensors: int) -> Shard | None:
    count = _natural(keys.get("split.count"))
    if count <= 1:
        return None
    return Shard(
        number=_natural(keys.get("split.no")) + 1,
        count=count,
        tensors=tensors,
        total=_natural(keys.get("split.tensors.count")),
    )


def _natural(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A tensor of a GGUF file, and where its bytes are."""

    name: str
    shape: tuple[int, ...]
    """As GGUF has it: the first dimension is contiguous."""
    type: int
    """The ggml type's number."""
    offset: int
    """Bytes from the beginning of the tensors' part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A GGUF file's parts, to be written again with other tensors."""

    version: int
    pairs: Mapping[str, bytes]
    """Keys in their order, each with its bytes: name, type and value."""
    tensors: tuple[Tensor, ...]
    start: int
    """Byte where the tensors' part begins."""
    alignment: int


def read_contents(path: Path) -> Contents:
    """Read a file's parts. Raises as `read_header`."""
    with storage(path), path.open("rb") as file:
        reader = _Reader(str(path), file, path.stat().st_size)
        tensors, count = reader.begin()
        pairs: dict[str, bytes] = {}
        alignment: object = None
        for _ in range(count):
            at = file.tell()
            name, value = reader.pair()
            alignment = value if name == _ALIGNMENT else alignment
            end = file.tell()
            file.seek(at)
            pairs[name] = file.read(end - at)
        read = tuple(reader.tensor() for _ in range(tensors))
        step = _step(alignment)
        start = -(-file.tell() // step) * step
        reader.require(start + max((_end(at) for at in read), default=0))
    return Contents(version=reader.version, pairs=pairs, tensors=read, start=start, alignment=step)


def tensor_bytes(shape: tuple[int, ...], kind: int) -> int:
    """Return the bytes of a tensor. Of a type that is new to us: 0."""
    per_block, width = _BLOCKS.get(kind, (1, 0))
    return prod(shape) // per_block * width


def _end(tensor: Tensor) -> int:
    return tensor.offset + tensor_bytes(tensor.shape, tensor.type)


def _step(alignment: object) -> int:
    return alignment if isinstance(alignment, int) and alignment > 0 else _DEFAULT_ALIGNMENT


def _text(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() else ""


class _Reader:
    def __init__(self, shown: str, file: BinaryIO, size: int) -> None:
        self._shown = shown
        self._file = file
        self._size = size
        self._longest = _LONGEST_KEPT
        self.version = 0

    def begin(self) -> tuple[int, int]:
        """Read the fixed part: how many tensors and keys there are."""
        if self._file.read(len(_MAGIC)) != _MAGIC:
            raise Corrupt(
                f"`{self._shown}` is not a GGUF file: it does not begin with `GGUF`",
                hint="models of other formats come from a catalogue entry in `lockgate.toml`",
            )
        self.version, tensors, count = self.values("<IQQ")
        if self.version not in _VERSIONS:
            raise Corrupt(
                f"`{self._shown}` has GGUF version {self.version}; versions 2 and 3 can be read",
                hint="convert it with a newer llama.cpp",
            )
        if tensors > _MOST_TENSORS or count > _MOST_KEYS:
            raise self.implausible()
        return tensors, count

    def implausible(self) -> Corrupt:
        return Corrupt(
            f"`{self._shown}` is not a whole GGUF file: its header is damaged at byte "
            f"{self._file.tell():,}",
            hint="fetch the file again",
        )

    def _cut_off(self, needed: int) -> Corrupt:
        return Corrupt(
            f"`{self._shown}` is cut off: it has {self._size:,} bytes, "
            f"its header asks for at least {needed:,}",
            hint="fetch the file again",
        )

    def values(self, form: str) -> tuple[int, ...]:
        """Unpack fixed-size values."""
        return struct.unpack(form, self._bytes(struct.calcsize(form)))

    def _bytes(self, length: int) -> bytes:
        end = self._file.tell() + length
        if end > self._size:
            raise self._cut_off(end)
        return self._file.read(length)

    def _skip(self, length: int) -> None:
        end = self._file.tell() + length
        if end > self._size:
            raise self._cut_off(end)
        self._file.seek(length, 1)

    def pair(self) -> tuple[str, object]:
        """Read a key and its value; of long values, only the chat template is kept whole."""
        name = self.string()
        self._longest = _LONGEST_TEMPLATE if name == _TEMPLATE else _LONGEST_KEPT
        value = self.value()
        self._longest = _LONGEST_KEPT
        return name, value

    def string(self) -> str:
        """Read a string; of a long one, only the beginning."""
        (length,) = self.values("<Q")
        kept = min(length, self._longest)
        text = self._bytes(kept).decode("utf-8", "replace")
        self._skip(length - kept)
        return text

    def value(self, depth: int = 0) -> object:
        """Read a value; arrays are only passed over."""
        (kind,) = self.values("<I")
        return self._value(kind, depth)

    def _value(self, kind: int, depth: int) -> object:
        if kind in _WIDTHS:
            return self.values("<" + _WIDTHS[kind])[0]
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY or depth > _DEEPEST:
            raise self.implausible()
        element, count = self.values("<IQ")
        if element in _WIDTHS:
            self._skip(count * struct.calcsize("<" + _WIDTHS[element]))
            return None
        if count > self._size:  # each element takes a byte or more
            raise self._cut_off(self._file.tell() + count)
        if element == _STRING:
            self._skip_strings(count)
            return None
        for _ in range(count):
            self._value(element, depth + 1)
        return None

    def _skip_strings(self, count: int) -> None:
        """Pass over strings, of which a vocabulary has a hundred thousand: block by block."""
        begin, at = self._file.tell(), 0
        block = self._file.read(_BLOCK)
        for _ in range(count):
            if at + _LENGTH.size > len(block):
                begin, at = begin + at, 0
                if begin + _LENGTH.size > self._size:
                    raise self._cut_off(begin + _LENGTH.size)
                self._file.seek(begin)
                block = self._file.read(_BLOCK)
                if len(block) < _LENGTH.size:  # somebody cut the file meanwhile
                    raise self._cut_off(begin + _LENGTH.size)
            at += _LENGTH.size + _LENGTH.unpack_from(block, at)[0]
        if begin + at > self._size:
            raise self._cut_off(begin + at)
        self._file.seek(begin + at)

    def require_tensors(self, count: int, alignment: object) -> None:
        """Check that the last tensor's last byte is in the file."""
        ends = [_end(self.tensor()) for _ in range(count)]
        step = _step(alignment)
        self.require(-(-self._file.tell() // step) * step + max(ends, default=0))

    def require(self, needed: int) -> None:
        """Check that the file has so many bytes."""
        if needed > self._size:
            raise self._cut_off(needed)

    def tensor(self) -> Tensor:
        """Read where a tensor is."""
        name = self.string()
        (dimensions,) = self.values("<I")
        if dimensions > _MOST_DIMENSIONS:
            raise self.implausible()
        shape = self.values(f"<{dimensions}Q")
        kind, offset = self.values("<IQ")
        return Tensor(name=name, shape=shape, type=kind, offset=offset)
