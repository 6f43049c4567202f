"""Quantising, compared with ggml's own code inside the library that runs the models."""

import ctypes
import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import xllamacpp

from lockgate.errors import Corrupt, UsageError
from lockgate.oci.gguf import read_contents, read_header, tensor_bytes
from lockgate.oci.quantise import Quantisation, quantise

F32, F16, BF16 = 0, 1, 30
TYPES = {Quantisation.Q8_0: 8, Quantisation.Q4_0: 2}
ROWS, COLUMNS = 24, 96


def written(
    path: Path, tensors: Mapping[str, tuple[int, tuple[int, ...], bytes]], *, alignment: int = 32
) -> Path:
    """Write GGUF of these tensors, with an alignment of its own."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    keys = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("general.file_type") + struct.pack("<II", 4, 0),
        text("general.alignment") + struct.pack("<II", 4, alignment),
        text("llama.context_length") + struct.pack("<II", 4, 512),
    ]
    infos, body = b"", b""
    for name, (kind, shape, data) in tensors.items():
        dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        infos += text(name) + dimensions + struct.pack("<IQ", kind, len(body))
        body += data + bytes(-len(data) % alignment)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(keys)) + b"".join(keys) + infos
    path.write_bytes(head + bytes(-len(head) % alignment) + body)
    return path


def weights(seed: bytes = b"") -> np.ndarray:
    """Return weights of many sizes, with a block of zeros, halves and equal ends."""
    raw = np.frombuffer(hashlib.shake_128(b"w" + seed).digest(4 * ROWS * COLUMNS), "<u4")
    found = (raw.astype(np.float64) / 2**32 - 0.5).astype(np.float32).reshape(ROWS, COLUMNS)
    found *= np.logspace(-6, 3, ROWS, dtype=np.float32)[:, None]
    found[0, :32] = 0
    found[1, :32] = np.linspace(-127, 127, 32, dtype=np.float32)
    found[1, 1:6] = [0.5, -0.5, 1.5, -2.5, 3.5]
    found[2, :32] = np.where(np.arange(32) % 2, 8, -8)
    return found


def reference(values: np.ndarray, kind: int) -> bytes:
    """Return what ggml makes of it."""
    folder = Path(xllamacpp.__file__).parent
    library = ctypes.CDLL(str(next(folder.glob("xllamacpp*.so"))))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    target = ctypes.create_string_buffer(values.size * 4)
    data = np.ascontiguousarray(values)
    size = library.ggml_quantize_chunk(
        ctypes.c_int(kind),
        data.ctypes.data_as(ctypes.c_void_p),
        target,
        ctypes.c_int64(0),
        ctypes.c_int64(values.shape[0]),
        ctypes.c_int64(values.shape[1]),
        None,
    )
    return target.raw[:size]


def tensor(path: Path, name: str) -> tuple[int, bytes]:
    contents = read_contents(path)
    (found,) = [at for at in contents.tensors if at.name == name]
    begin = contents.start + found.offset
    end = begin + tensor_bytes(found.shape, found.type)
    return found.type, path.read_bytes()[begin:end]


@pytest.mark.parametrize("to", Quantisation)
@pytest.mark.parametrize("kind", [F32, F16, BF16])
def test_the_bytes_are_those_of_ggml(tmp_path: Path, to: Quantisation, kind: int) -> None:
    values = weights()
    if kind == F16:
        data = values.astype("<f2").tobytes()
        values = values.astype("<f2").astype(np.float32)
    elif kind == BF16:
        halves = (values.view(np.uint32) >> 16).astype("<u2")
        data = halves.tobytes()
        values = (halves.astype(np.uint32) << 16).view(np.float32)
    else:
        data = values.tobytes()
    source = written(tmp_path / "a.gguf", {"blk.0.ffn_up.weight": (kind, (COLUMNS, ROWS), data)})

    assert quantise(source, tmp_path / "b.gguf", to) == 1

    assert tensor(tmp_path / "b.gguf", "blk.0.ffn_up.weight") == (
        TYPES[to],
        reference(values, TYPES[to]),
    )


def test_what_is_no_matrix_stays_and_the_header_says_what_was_done(tmp_path: Path) -> None:
    values = weights()
    norm = values[:1].tobytes()
    odd = values[:, :30].tobytes()
    source = written(
        tmp_path / "a.gguf",
        {
            "token_embd.weight": (F32, (COLUMNS, ROWS), values.tobytes()),
            "output_norm.weight": (F32, (COLUMNS,), norm),
            "blk.0.odd.weight": (F32, (30, ROWS), odd),
            "blk.0.attn_q.weight": (F32, (COLUMNS, ROWS), values.tobytes()),
            "blk.0.attn_q.bias": (F32, (COLUMNS, 1), norm),
        },
        alignment=64,
    )
    target = tmp_path / "b.gguf"
    assert quantise(source, target, Quantisation.Q4_0) == 2
    header = read_header(target)
    assert (header.architecture, header.context_tokens) == ("llama", 512)
    assert header.quantisation == "Q4_0"
    assert tensor(target, "token_embd.weight")[0] == TYPES[Quantisation.Q8_0]
    assert tensor(target, "blk.0.attn_q.weight")[0] == TYPES[Quantisation.Q4_0]
    assert tensor(target, "output_norm.weight") == (F32, norm)
    assert tensor(target, "blk.0.odd.weight") == (F32, odd)
    assert tensor(target, "blk.0.attn_q.bias") == (F32, norm)
    quantise(source, tmp_path / "c.gguf", Quantisation.Q4_0)
    assert (tmp_path / "c.gguf").read_bytes() == target.read_bytes()


def test_what_is_quantised_already_is_refused(tmp_path: Path) -> None:
    source = written(tmp_path / "a.gguf", {"a.weight": (F32, (COLUMNS, ROWS), weights().tobytes())})
    quantise(source, tmp_path / "b.gguf", Quantisation.Q8_0)
    with pytest.raises(UsageError, match="quantised already"):
        quantise(tmp_path / "b.gguf", tmp_path / "c.gguf", Quantisation.Q8_0)
    data = source.read_bytes()
    source.write_bytes(data[:-64])
    with pytest.raises(Corrupt, match="cut off"):
        quantise(source, tmp_path / "c.gguf", Quantisation.Q8_0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e9])
def test_what_is_no_weight_is_refused(tmp_path: Path, value: float) -> None:
    values = weights()
    values[3, 5] = value
    shape = (COLUMNS, ROWS)
    source = written(tmp_path / "a.gguf", {"a.weight": (F32, shape, values.tobytes())})
    with pytest.raises(Corrupt, match="a weight that is not below"):
        quantise(source, tmp_path / "b.gguf", Quantisation.Q8_0)
