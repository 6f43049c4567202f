from collections.abc import Generator, Iterator
from itertools import count
from pathlib import Path

import pytest

from lockgate.oci.layout import Layout
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.repository import Repository
from lockgate.oci.registry.settings import RegistrySettings
from registries import Running, running_registry

_NAMES = count()


@pytest.fixture(scope="session")
def debian() -> Generator[Running]:
    """Debian's registry, without accounts."""
    with running_registry() as running:
        yield running


@pytest.fixture(scope="session")
def locked() -> Generator[Running]:
    """Debian's registry, for one account."""
    with running_registry(login=True) as running:
        yield running


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "store")
    made.prepare()
    return made


@pytest.fixture
def registry(debian: Running) -> Iterator[Registry]:
    with Registry(debian.host, RegistrySettings(), pause=lambda _: None) as opened:
        yield opened


@pytest.fixture
def repository(registry: Registry, layout: Layout) -> Repository:
    """A repository that no other test uses."""
    return Repository(registry, f"tests/r{next(_NAMES)}", layout)
