import asyncio
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from backends.reference import TEXTS, Reference
from catalogued import MINILM
from lockgate.backends.onnx import OnnxBackend
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Dispatch, Embed, Embedding, Generate
from lockgate.errors import Corrupt, Unavailable
from lockgate.oci.models import ModelStore

LONG = "word " * 400
PATHS = (str(Path(__file__).parent), str(Path(__file__).parents[1]))
ROOT = Path(__file__).parents[2]


def embed(backend: OnnxBackend, *texts: str, model: str = "minilm") -> Embedding:
    dispatch = Dispatch(model=model, digest=MINILM, request=Embed(texts=texts))
    return asyncio.run(backend.infer(dispatch))


def test_vectors_agree_with_a_reference_in_float32(real_models: ModelStore) -> None:
    reference = Reference(real_models.files("minilm"))

    result = embed(OnnxBackend(real_models), *TEXTS, LONG)

    for text, raw in zip((*TEXTS, LONG), result.vectors, strict=True):
        vector = np.frombuffer(raw, "<f4")
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        assert vector @ reference.embed(text) >= 0.99, text


def test_a_vector_is_the_same_bytes_alone_among_others_and_in_another_process(
    real_models: ModelStore,
) -> None:
    backend = OnnxBackend(real_models, workers=2)
    together = embed(backend, *TEXTS, LONG).vectors
    assert [embed(backend, text).vectors[0] for text in (*TEXTS, LONG)] == list(together)
    assert embed(OnnxBackend(real_models, workers=1), *TEXTS, LONG).vectors == together

    script = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_onnx import *\nimport conftest\n"
        "store = conftest.real_models.__wrapped__()\n"
        "print(embed(OnnxBackend(store), TEXTS[0]).vectors[0].hex())"
    )
    other = subprocess.run(
        [sys.executable, "-c", script, *PATHS],
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

    def files(self, model: str, digest: Digest | None = None) -> Mapping[str, Path]:
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
    dispatch = Dispatch(model="minilm", digest=MINILM, request=Generate(messages=()))
    with pytest.raises(Unavailable, match="it cannot generate"):
        asyncio.run(backend.infer(dispatch))
    backend.close()
