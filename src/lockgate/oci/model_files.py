"""A model as the store has it: what its manifest says, and what is wrong with its files."""

from collections.abc import Mapping, MutableSequence, Sequence
from pathlib import Path
from typing import Final

from lockgate.domain.digest import Digest
from lockgate.oci.catalogue import FileSource, Model, ModelFile
from lockgate.oci.disk import hash_file
from lockgate.oci.layout import Layout
from lockgate.oci.manifest import config_digest, unpack

_BACKENDS: Final[Mapping[str, str]] = {"safetensors": ""}
"""Backends by format, where it is not `llama_cpp`: nothing here runs safetensors by itself."""
_OWN_BACKEND: Final = "llama_cpp"


def stored_model(layout: Layout, name: str, digest: Digest) -> Model:
    """Return the model of a manifest of the store.

    Raises:
        Corrupt: the manifest, or its config, is damaged or not one of a model.

    """
    manifest = layout.read(digest)
    stored = unpack(manifest, layout.read(config_digest(manifest)))
    return Model(
        name=name,
        source=stored.origin or FileSource(path=Path()),
        files=stored.files,
        backend=_BACKENDS.get(stored.format, _OWN_BACKEND),
        title=stored.title,
        licence=stored.licence,
        architecture=stored.architecture,
        format=stored.format,
        parameters=stored.parameters,
        quantisation=stored.quantisation,
    )


def problem(file: ModelFile, path: Path) -> str:
    """Return what is wrong with a file; empty if every byte is right."""
    if not path.is_file():
        return f"`{file.title}` is missing: `{path}`"
    digest, size = hash_file(path)
    if digest == file.digest:
        return ""
    return f"`{file.title}` has {size:,} bytes with the digest {digest}, expected {file.digest}"


def problems(model: Model, paths: Mapping[str, Path]) -> MutableSequence[str]:
    """Return what is wrong with a model's files, given by role."""
    found = (problem(file, paths[file.role]) for file in model.files)
    return [said for said in found if said]


def listed(names: Sequence[str]) -> str:
    """Return names for a message."""
    return ", ".join(f"`{name}`" for name in names)
