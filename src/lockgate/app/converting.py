"""Conversions of models, each with its provenance."""

from datetime import datetime
from typing import TYPE_CHECKING

from lockgate.app.models import layout_of, model_store
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.digest import Digest
from lockgate.errors import UsageError

if TYPE_CHECKING:
    from lockgate.oci.inventory import PullResult
    from lockgate.signing.keys import Signer


def quantise(
    loaded: Loaded, environment: Environment, name: str, *, new: str, to: str
) -> "PullResult":
    """Make a model of another one in fewer bits; `to` is `q8_0` or `q4_0`.

    Raises:
        ModelMissing, NotFound, Corrupt: the model is not here, or damaged.
        UsageError: the new name cannot be taken, or the model cannot be quantised.
        StorageFailed: the disk is full or read-only.

    """
    from lockgate.oci.conversion import quantise_model
    from lockgate.oci.inventory import require_name
    from lockgate.oci.quantise import Quantisation

    require_name(new)
    models = model_store(loaded, environment)
    if models.in_catalogue(new):
        raise UsageError(
            f"`{new}` is a model of the catalogue", hint="choose another name with `--name`"
        )
    base = models.keep(name)
    return quantise_model(layout_of(environment), name, base.digest, new, Quantisation(to))


def attest(
    environment: Environment, name: str, digest: Digest, by: "Signer", at: datetime
) -> Digest:
    """Sign how an artifact of the store was made; return the bundle's digest.

    Raises:
        Corrupt: it is not here, or damaged.
        StorageFailed: the disk is full or read-only.

    """
    from lockgate.app.attesting import attach, making_provenance

    layout = layout_of(environment)
    return attach(layout, making_provenance(layout, name, digest, at), by)
