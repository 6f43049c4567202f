"""all-MiniLM-L6-v2 as a GGUF file in float32: a real GGUF embedding model to test with.

The format is ggml-org/ggml `docs/gguf.md`; the names of keys and tensors are llama.cpp's for the
architecture `bert`.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path

from backends.reference import tensors

ALIGNMENT = 32
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
MEAN = 1
NORMAL, CONTROL = 1, 3
TENSORS = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key: str, kind: int, value: bytes) -> bytes:
    return string(key) + struct.pack("<I", kind) + value


def array(kind: int, values: list[bytes]) -> bytes:
    return struct.pack("<IQ", kind, len(values)) + b"".join(values)


def metadata(tokenizer: Path) -> list[bytes]:
    vocabulary = json.loads(tokenizer.read_text("utf-8"))["model"]["vocab"]
    words = sorted(vocabulary, key=lambda word: int(vocabulary[word]))
    special = [word.startswith("[") and word.endswith("]") for word in words]
    # llama.cpp marks the start of a word, where BERT marks its continuation.
    spelled = [
        word if control else word.removeprefix("##") if word.startswith("##") else "\u2581" + word
        for word, control in zip(words, special, strict=True)
    ]
    kinds = [CONTROL if control else NORMAL for control in special]
    numbers = {
        "general.file_type": 0,
        "bert.block_count": 6,
        "bert.context_length": 512,
        "bert.embedding_length": 384,
        "bert.feed_forward_length": 1536,
        "bert.attention.head_count": 12,
        "bert.pooling_type": MEAN,
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.bos_token_id": vocabulary["[CLS]"],
        "tokenizer.ggml.cls_token_id": vocabulary["[CLS]"],
        "tokenizer.ggml.seperator_token_id": vocabulary["[SEP]"],
        "tokenizer.ggml.unknown_token_id": vocabulary["[UNK]"],
        "tokenizer.ggml.padding_token_id": vocabulary["[PAD]"],
        "tokenizer.ggml.mask_token_id": vocabulary["[MASK]"],
    }
    return [
        entry("general.architecture", STRING, string("bert")),
        entry("bert.attention.layer_norm_epsilon", FLOAT32, struct.pack("<f", 1e-12)),
        entry("bert.attention.causal", BOOL, b"\0"),
        entry("tokenizer.ggml.model", STRING, string("bert")),
        entry("tokenizer.ggml.tokens", ARRAY, array(STRING, [string(word) for word in spelled])),
        entry(
            "tokenizer.ggml.token_type",
            ARRAY,
            array(INT32, [struct.pack("<i", kind) for kind in kinds]),
        ),
        *(entry(key, UINT32, struct.pack("<I", number)) for key, number in numbers.items()),
    ]


def renamed(name: str) -> str:
    stem, kind = name.rsplit(".", 1)
    if not stem.startswith("encoder.layer."):
        return f"{TENSORS[stem]}.{kind}"
    number, rest = stem.removeprefix("encoder.layer.").split(".", 1)
    return f"blk.{number}.{TENSORS[rest]}.{kind}"


def write_gguf(files: Mapping[str, Path], target: Path) -> None:
    keys = metadata(files["tokenizer"])
    weights = {
        renamed(name): tensor
        for name, tensor in tensors(files["weights"]).items()
        if not name.startswith("pooler.")
    }
    infos, offset = [], 0
    for name, tensor in weights.items():
        shape = tensor.shape[::-1]  # the fastest dimension first
        infos.append(
            string(name)
            + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
            + struct.pack("<IQ", 0, offset)
        )
        offset += -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT
    head = b"GGUF" + struct.pack("<IQQ", 3, len(weights), len(keys)) + b"".join(keys + infos)
    with target.open("wb") as file:
        file.write(head.ljust(-(-len(head) // ALIGNMENT) * ALIGNMENT, b"\0"))
        for tensor in weights.values():
            file.write(tensor.tobytes())
            file.write(b"\0" * (-tensor.nbytes % ALIGNMENT))
