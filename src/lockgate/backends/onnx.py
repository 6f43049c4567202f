"""Sentence embeddings through ONNX Runtime: int8, one text a run.

One text a run, so that a vector never depends on its neighbours, and one thread a run, so that it
never depends on the machine's cores. The graph is ours (`tools/onnx_graph.py`); its weights are
external data: the model's own safetensors file, mapped in place from the local store, where its
name is its sha256.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from threading import Lock

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states
from tokenizers import Tokenizer

from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Dispatch, Embed, Embedding, Vector
from lockgate.domain.usage import Usage
from lockgate.errors import Corrupt, Unavailable
from lockgate.ports import ModelFiles

MAX_TOKENS = 256
GRAPHS = {"minilm": "minilm-int8.onnx"}
"""The models that we have a graph for."""

_LOAD_ERRORS = (
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.NoSuchFile,
    states.NotImplemented,
    states.RuntimeException,
)
"""The library's errors share no base but Exception."""


@dataclass(frozen=True, slots=True)
class _Model:
    session: onnxruntime.InferenceSession
    tokenizer: Tokenizer


class OnnxBackend:
    """Implements `ports.Backend` for `Embed`."""

    data_classes = frozenset(DataClass)

    def __init__(self, files: ModelFiles, *, workers: int = 2) -> None:
        self._files = files
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="onnx")
        self._models: dict[Digest, _Model] = {}
        self._opening = Lock()

    async def infer(self, dispatch: Dispatch) -> Embedding:
        """Return a vector a text; texts longer than 256 tokens are cut."""
        request = dispatch.request
        if not isinstance(request, Embed):
            raise Unavailable(
                f"the backend `onnx` embeds; it cannot {type(request).__name__.lower()}",
                hint="give the role another backend in lockgate.toml",
            )
        loop = asyncio.get_running_loop()
        model = await loop.run_in_executor(self._pool, self._open, dispatch)
        runs = [loop.run_in_executor(self._pool, _embed, model, text) for text in request.texts]
        results: Sequence[tuple[Vector, int]] = await asyncio.gather(*runs)
        return Embedding(
            vectors=tuple(vector for vector, _ in results),
            usage=Usage(input_tokens=sum(tokens for _, tokens in results)),
        )

    def close(self) -> None:
        """Drop the models, and wait for what still runs."""
        self._pool.shutdown(cancel_futures=True)
        self._models.clear()

    def _open(self, dispatch: Dispatch) -> _Model:
        with self._opening:
            if dispatch.digest not in self._models:
                self._models[dispatch.digest] = _load(dispatch, self._files)
            return self._models[dispatch.digest]


def _load(dispatch: Dispatch, files: ModelFiles) -> _Model:
    name = dispatch.model
    graph = GRAPHS.get(name)
    if graph is None:
        raise Unavailable(
            f"the backend `onnx` has no graph for the model `{name}`",
            hint=f"it runs: {', '.join(GRAPHS)}; GGUF embedding models run on `llama_cpp`",
        )
    found = files.files(name, dispatch.digest)
    weights = Path(found["weights"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors come as exceptions, not as lines on stderr
    # The graph says the file's name, its sha256; this says the folder.
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(weights.parent)
    )
    data = (resources.files("lockgate.backends") / graph).read_bytes()
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_buffer(Path(found["tokenizer"]).read_bytes())
    except (*_LOAD_ERRORS, ValueError, OSError) as error:
        raise Corrupt(
            f"the model `{name}` does not load: {str(error)[:200]}",
            hint=f"run `lockgate model verify {name}`",
        ) from error
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return _Model(session=session, tokenizer=tokenizer)


def _embed(model: _Model, text: str) -> tuple[Vector, int]:
    encoded = model.tokenizer.encode(text.encode("utf-8", "replace").decode("utf-8"))
    ids = np.array([encoded.ids], dtype=np.int64)
    outputs = model.session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    vector: bytes = np.asarray(outputs[0][0], dtype="<f4").tobytes()
    return vector, len(encoded.ids)
