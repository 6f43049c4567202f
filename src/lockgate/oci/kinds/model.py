"""Models: no file runs code, and every header that can be read holds."""

from typing import Final

from lockgate.domain.artifact import Kind
from lockgate.errors import Corrupt, Denied
from lockgate.oci.formats import format_of
from lockgate.oci.headers.weights import RUNS_CODE, read_weights
from lockgate.oci.kinds.artifact import Artifact, title
from lockgate.oci.shards import ordered

_READABLE: Final = frozenset({"gguf", "safetensors"})


def require(artifact: Artifact) -> None:
    """Check a model, also one that another tool packed.

    Raises:
        Denied: a file of it runs code when it is loaded.
        Corrupt: a header does not fit its file, a model in several files is not whole, or the
            config names other files.

    """
    shards = []
    for layer in artifact.layers:
        path = artifact.path(layer)
        found = format_of(path)
        if found in RUNS_CODE:
            raise Denied(f"`{title(layer)}` is `{found}`, which runs code when it is loaded")
        if found in _READABLE:
            shard = read_weights(path, shown=title(layer)).shard
            if shard is not None:
                shards.append((title(layer), shard))
    ordered(shards)
    if artifact.manifest.config.media_type == Kind.MODEL.config_type:
        _require_files(artifact)


def _require_files(artifact: Artifact) -> None:
    """Compare the config's list of files (ModelPack `config.md`, `diffIds`) with the layers."""
    listed = artifact.document("model").inside("modelfs").texts("diffIds")
    # Of an archive, the list has the digest of what it holds: only its length can be compared.
    raw = [layer for layer in artifact.layers if layer.media_type.endswith(".raw")]
    if len(listed) != len(artifact.layers):
        raise Corrupt(f"its config names {len(listed)} files, it has {len(artifact.layers)}")
    missing = [title(layer) for layer in raw if str(layer.digest) not in listed]
    if missing:
        raise Corrupt(f"its config does not name `{missing[0]}`")
