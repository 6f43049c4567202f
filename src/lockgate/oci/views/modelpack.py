"""The view of prompts, data sets and indexes as ModelPack, which their layers are already.

Format: modelpack/model-spec `config.md`: its schema is closed, so what is typed cannot go there.
"""

from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Json
from lockgate.oci.views.view import Primary, derived

_TITLE = "org.opencontainers.image.title"


def modelpack(primary: Primary) -> bytes:
    """Return the manifest of the same layers with ModelPack's type and config."""
    layers = primary.manifest.layers
    name = primary.manifest.annotations.get(_TITLE, "")
    described: dict[str, Json] = {"name": name} if name else {}
    config: dict[str, Json] = {
        "descriptor": described,
        "config": {},
        "modelfs": {"type": "layers", "diffIds": [str(at.digest) for at in layers]},
    }
    made = (Kind.MODEL.config_type, config, layers)
    return derived(primary, made, artifact_type=Kind.MODEL.artifact_type)
