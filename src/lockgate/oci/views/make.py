"""Makes views, and attaches them to what they are of."""

from collections.abc import Callable, Mapping
from typing import Final

from lockgate.domain.artifact import Descriptor, Kind
from lockgate.domain.digest import Digest
from lockgate.oci.layout import Layout
from lockgate.oci.views.image import image
from lockgate.oci.views.modelpack import modelpack
from lockgate.oci.views.models import docker, ollama
from lockgate.oci.views.view import Primary, View, read_primary, require_kind

_MAKERS: Final[Mapping[View, tuple[Callable[[Primary], bytes], frozenset[Kind]]]] = {
    View.DOCKER: (docker, frozenset({Kind.MODEL})),
    View.OLLAMA: (ollama, frozenset({Kind.MODEL})),
    View.MODELPACK: (modelpack, frozenset({Kind.PROMPT, Kind.DATASET, Kind.INDEX})),
    View.IMAGE: (image, frozenset({Kind.MODEL, Kind.INDEX, Kind.DATASET, Kind.PROMPT})),
}


def attach_view(layout: Layout, digest: Digest, view: View) -> Descriptor:
    """Make a view of an artifact of the store, and attach it; return where its manifest is.

    It moves with the artifact from then on. Making it again changes nothing.

    Raises:
        UsageError: the artifact has no such view.
        Corrupt: a file of it is damaged.
        StorageFailed: the disk is full or read-only.

    """
    layout.prepare()
    make, kinds = _MAKERS[view]
    primary = read_primary(layout, digest)
    require_kind(primary, view, {kind.artifact_type: kind for kind in kinds})
    return layout.attach(make(primary))
