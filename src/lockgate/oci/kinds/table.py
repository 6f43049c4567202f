"""The kinds by artifact type, and the check that each artifact passes before it gets a name."""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Final

from lockgate.domain.artifact import Kind, Manifest
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, LockgateError
from lockgate.oci.kinds.artifact import Artifact
from lockgate.oci.layout import Layout

Validator = Callable[[Artifact], None]
"""Raises Corrupt, or Denied, with what is wrong with an artifact of its kind."""

# By module, so that a store of models alone needs no template engine.
_VALIDATORS: Final[Mapping[Kind, str]] = {
    Kind.MODEL: "lockgate.oci.kinds.model",
    Kind.PROMPT: "lockgate.oci.kinds.prompt",
    Kind.INDEX: "lockgate.oci.kinds.search_index",
    Kind.DATASET: "lockgate.oci.kinds.dataset",
    Kind.ADAPTER: "lockgate.oci.kinds.adapter",
    Kind.TASK: "lockgate.oci.kinds.task",
    Kind.POLICY: "lockgate.oci.kinds.policy",
}
_TYPES: Final[Mapping[str, Kind]] = {kind.artifact_type: kind for kind in _VALIDATORS}


def kind_of(manifest: Manifest) -> Kind | None:
    """Return the kind whose form is checked here; None for every other manifest."""
    return _TYPES.get(manifest.artifact_type)


def fault(layout: Layout, digest: Digest) -> str:
    """Say what is wrong with an artifact whose bytes are right; empty if nothing is.

    What is not here cannot be checked: a release may pin what is elsewhere.
    """
    try:
        manifest = Manifest.parse(layout.read(digest))
    except LockgateError:
        return ""
    kind = kind_of(manifest)
    blobs = (manifest.config, *manifest.layers)
    if kind is None or not all(layout.has(at.digest, at.size) for at in blobs):
        return ""
    try:
        _require_types(kind, manifest)
        _validator(kind)(Artifact(layout, digest))
    except LockgateError as error:
        return f"is not a valid {kind}: {error.message}"
    return ""


def require_valid(layout: Layout, digests: Iterable[Digest]) -> None:
    """Check artifacts before they get a name.

    Raises:
        Corrupt: one of them is not what its kind promises.

    """
    for digest in digests:
        if said := fault(layout, digest):
            raise Corrupt(f"{digest} {said}", hint="nothing got a name; see who packed it")


def _validator(kind: Kind) -> Validator:
    # Each name comes from the table above.
    found: Validator = import_module(_VALIDATORS[kind]).require
    return found


def _require_types(kind: Kind, manifest: Manifest) -> None:
    said = manifest.config.media_type
    if kind is not Kind.MODEL and said != kind.config_type:
        raise Corrupt(f"its config is `{said[:120]}`, expected `{kind.config_type}`")
