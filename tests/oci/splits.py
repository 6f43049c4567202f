"""Cuts a GGUF file into several, as llama.cpp's `gguf-split` does.

Keys: llama.cpp `src/llama-arch.cpp` (`split.no`, `split.count`, `split.tensors.count`). The first
file has the keys of the whole; the others have these three.
"""

import struct
from collections.abc import Sequence
from pathlib import Path

from lockgate.oci.gguf import Tensor, read_contents, tensor_bytes
from oci.samples import gguf, noise

_U16, _I32 = 2, 5


def split(path: Path, count: int) -> Sequence[bytes]:
    """Return `count` files that are one model; `path` has a tensor for each at least."""
    contents, data = read_contents(path), path.read_bytes()
    total = len(contents.tensors)
    ends = [total * (number + 1) // count for number in range(count)]
    files = []
    for number, end in enumerate(ends):
        pairs = [*contents.pairs.values()] if number == 0 else []
        pairs += [
            _pair("split.no", _U16, struct.pack("<H", number)),
            _pair("split.count", _U16, struct.pack("<H", count)),
            _pair("split.tensors.count", _I32, struct.pack("<i", total)),
        ]
        tensors = contents.tensors[ends[number - 1] if number else 0 : end]
        begin = contents.start
        body = [data[begin + at.offset :][: tensor_bytes(at.shape, at.type)] for at in tensors]
        files.append(gguf_file(pairs, tensors, body))
    return files


def several(path: Path, count: int, tensors: int = 5) -> Sequence[bytes]:
    """Return a small model in `count` files; `path` is for the whole of it."""
    path.write_bytes(gguf(64))
    pairs = [*read_contents(path).pairs.values()]
    body = [noise(256, b"%d" % at) for at in range(tensors)]
    made = [Tensor(name=f"blk.{at}.weight", shape=(64,), type=0, offset=0) for at in range(tensors)]
    path.write_bytes(gguf_file(pairs, made, body))
    return split(path, count)


def gguf_file(pairs: Sequence[bytes], tensors: Sequence[Tensor], body: Sequence[bytes]) -> bytes:
    """Return a file of encoded pairs and of tensors with their bytes."""
    listed, blocks, offset = b"", b"", 0
    for tensor, block in zip(tensors, body, strict=True):
        listed += _text(tensor.name) + struct.pack("<I", len(tensor.shape))
        listed += struct.pack(f"<{len(tensor.shape)}QIQ", *tensor.shape, tensor.type, offset)
        blocks += block + bytes(-len(block) % 32)
        offset = len(blocks)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(pairs)) + b"".join(pairs) + listed
    return head + bytes(-len(head) % 32) + blocks


def _pair(name: str, kind: int, value: bytes) -> bytes:
    return _text(name) + struct.pack("<I", kind) + value


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()
