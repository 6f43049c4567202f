import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import erf
from tokenizers import Tokenizer

TEXTS = (
    "Fix a race in the cache",
    "The quick brown fox jumps over the lazy dog, and then it rests for a while.",
    "def area(radius: float) -> float:\n    return 3.14159 * radius ** 2",
    "修复缓存中的竞争条件",
    "# Changes\n\n- **one**: `code`\n- [two](https://example.org)",
    "Überprüfe die Größe; café, naïve, señor",
    "kernel: BUG: unable to handle page fault for address: ffffc90000a3b000",
)


def tensors(weights: Path) -> dict[str, npt.NDArray[np.float32]]:
    """The float32 tensors of a safetensors file."""
    data = weights.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    return {
        name: np.frombuffer(
            data, "<f4", math.prod(t["shape"]), 8 + size + t["data_offsets"][0]
        ).reshape(t["shape"])
        for name, t in header.items()
        if name != "__metadata__" and t["dtype"] == "F32"
    }


class Reference:
    """all-MiniLM-L6-v2 in numpy, float32, written from the model's configuration."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.w = tensors(files["weights"])
        self.tokenizer = Tokenizer.from_file(str(files["tokenizer"]))
        self.tokenizer.enable_truncation(256)
        self.tokenizer.no_padding()

    def norm(self, x: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float32]:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return np.asarray(scaled * self.w[f"{name}.weight"] + self.w[f"{name}.bias"])

    def linear(self, x: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float32]:
        return np.asarray(x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"])

    def embed(self, text: str) -> npt.NDArray[np.float32]:
        ids = self.tokenizer.encode(text).ids
        n = len(ids)
        x = (
            self.w["embeddings.word_embeddings.weight"][ids]
            + self.w["embeddings.position_embeddings.weight"][:n]
            + self.w["embeddings.token_type_embeddings.weight"][0]
        )
        x = self.norm(x, "embeddings.LayerNorm")
        for layer in range(6):
            p = f"encoder.layer.{layer}."
            q, k, v = (
                self.linear(x, f"{p}attention.self.{part}").reshape(n, 12, 32).transpose(1, 0, 2)
                for part in ("query", "key", "value")
            )
            scores = q @ k.transpose(0, 2, 1) / math.sqrt(32)
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            mixed = (weights @ v).transpose(1, 0, 2).reshape(n, 384)
            out = self.linear(mixed, f"{p}attention.output.dense") + x
            x = self.norm(out, f"{p}attention.output.LayerNorm")
            wide = self.linear(x, f"{p}intermediate.dense")
            wide = (0.5 * wide * (1 + erf(wide / math.sqrt(2)))).astype(np.float32)
            x = self.norm(self.linear(wide, f"{p}output.dense") + x, f"{p}output.LayerNorm")
        mean = x.mean(0)
        return np.asarray(mean / np.linalg.norm(mean))
