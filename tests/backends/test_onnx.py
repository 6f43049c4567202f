import asyncio
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import erf
from tokenizers import Tokenizer

from lockgate.backends.onnx import OnnxBackend
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Dispatch, Embed, Embedding, Generate
from lockgate.errors import Corrupt, Unavailable
from lockgate.oci.models import ModelStore

TEXTS = (
    "Fix a race in the cache",
    "The quick brown fox jumps over the lazy dog, and then it rests for a while.",
    "def area(radius: float) -> float:\n    return 3.14159 * radius ** 2",
    "修复缓存中的竞争条件",
    "# Changes\n\n- **one**: `code`\n- [two](https://example.org)",
    "Überprüfe die Größe; café, naïve, señor",
    "kernel: BUG: unable to handle page fault for address: ffffc90000a3b000",
    "word " * 400,
)
ROOT = Path(__file__).parents[2]


class Reference:
    """The same network in numpy, float32, written from the model's configuration."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        data = files["weights"].read_bytes()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        self.w = {
            name: np.frombuffer(
                data, "<f4", math.prod(t["shape"]), 8 + size + t["data_offsets"][0]
            ).reshape(t["shape"])
            for name, t in header.items()
            if name != "__metadata__" and t["dtype"] == "F32"
        }
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


def embed(backend: OnnxBackend, *texts: str, model: str = "minilm") -> Embedding:
    dispatch = Dispatch(model=model, digest=Digest.of(b"m"), request=Embed(texts=texts))
    return asyncio.run(backend.infer(dispatch))


def test_vectors_agree_with_a_reference_in_float32(real_models: ModelStore) -> None:
    reference = Reference(real_models.files("minilm"))

    result = embed(OnnxBackend(real_models), *TEXTS)

    for text, raw in zip(TEXTS, result.vectors, strict=True):
        vector = np.frombuffer(raw, "<f4")
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        assert vector @ reference.embed(text) >= 0.99, text


def test_a_vector_is_the_same_bytes_alone_among_others_and_in_another_process(
    real_models: ModelStore,
) -> None:
    backend = OnnxBackend(real_models, workers=2)
    together = embed(backend, *TEXTS).vectors
    assert [embed(backend, text).vectors[0] for text in TEXTS] == list(together)
    assert embed(OnnxBackend(real_models, workers=1), *TEXTS).vectors == together

    script = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_onnx import *\nimport conftest\n"
        "store = conftest.real_models.__wrapped__()\n"
        "print(embed(OnnxBackend(store), TEXTS[0]).vectors[0].hex())"
    )
    other = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parent)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert other.stdout.strip() == together[0].hex()


def test_the_committed_graph_is_what_its_tool_writes(
    real_models: ModelStore, tmp_path: Path
) -> None:
    weights = real_models.files("minilm")["weights"]
    target = tmp_path / "graph.onnx"
    subprocess.run([sys.executable, ROOT / "tools/onnx_graph.py", weights, target], check=True)

    committed = ROOT / "src/lockgate/backends/minilm-int8.onnx"
    assert target.read_bytes() == committed.read_bytes()


class Elsewhere:
    """Implements ports.ModelFiles with the files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self, model: str) -> Mapping[str, Path]:
        return {"weights": self.folder / "weights", "tokenizer": self.folder / "tokenizer"}


def test_a_damaged_model_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"nothing")
    (tmp_path / "tokenizer").write_bytes(b"{}")

    with pytest.raises(Corrupt, match="does not load") as caught:
        embed(OnnxBackend(Elsewhere(tmp_path)), "x")
    assert caught.value.hint == "run `lockgate model verify minilm`"


def test_what_it_cannot_do_is_unavailable(real_models: ModelStore) -> None:
    backend = OnnxBackend(real_models)

    with pytest.raises(Unavailable, match="no graph for the model `other`"):
        embed(backend, "x", model="other")
    dispatch = Dispatch(model="minilm", digest=Digest.of(b"m"), request=Generate(messages=()))
    with pytest.raises(Unavailable, match="it cannot generate"):
        asyncio.run(backend.infer(dispatch))
    backend.close()
