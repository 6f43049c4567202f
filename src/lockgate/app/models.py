"""The local model store: the catalogue, and the models of the configuration."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockgate.config import settings
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded

if TYPE_CHECKING:
    from lockgate.oci.layout import Layout
    from lockgate.oci.models import ModelStore
    from lockgate.oci.releases import ReleaseStore


HF_ENDPOINT = "https://huggingface.co"


def models_dir(environment: Environment) -> Path:
    """Return the folder of the OCI image layout with models and releases."""
    return environment.data_dir / "models"


def layout_of(environment: Environment) -> "Layout":
    """Return the layout that holds models, releases and all that these pin."""
    from lockgate.oci.layout import Layout

    return Layout(models_dir(environment))


def release_store(environment: Environment) -> "ReleaseStore":
    """Return the releases of this machine."""
    from lockgate.oci.releases import ReleaseStore

    return ReleaseStore(layout_of(environment))


def model_store(loaded: Loaded, environment: Environment) -> "ModelStore":
    """Return the local model store with the catalogue and the configuration's own models."""
    from lockgate.oci.catalogue import load_catalogue
    from lockgate.oci.models import ModelStore
    from lockgate.oci.settings import ModelSettings

    extra = {name: _catalogue_entry(loaded, m) for name, m in loaded.config.models.items()}
    return ModelStore(
        models_dir(environment),
        load_catalogue(extra),
        ModelSettings(
            package_root=Path(__file__).parents[1],
            hf_endpoint=environment.hf_endpoint or HF_ENDPOINT,
            hf_token=environment.hf_token,
            ca_file=environment.ca_file,
        ),
    )


def _catalogue_entry(loaded: Loaded, model: settings.ModelSettings) -> dict[str, Any]:
    entry = asdict(model)
    if isinstance(model, settings.FileModel):
        entry["path"] = str(loaded.resolve(model.path))
    return entry
