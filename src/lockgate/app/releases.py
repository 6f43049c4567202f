"""The embedded default release of a task, and how the task is served."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate import __version__
from lockgate.app.tasks import BUILT_IN, find_task, task_folders, task_names
from lockgate.config import settings
from lockgate.config.load import Loaded
from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.release import Pin, Release
from lockgate.domain.task import TaskSpec
from lockgate.domain.usage import Budget
from lockgate.engine.answer import Plan
from lockgate.ports import Check

if TYPE_CHECKING:
    from lockgate.oci.models import ModelStore


_DECODING: JsonObject = {"temperature": 0, "seed": 7}
_PYTHON = ">=3.11"
_MIB = 1 << 20
_PACKAGE = Path(__file__).parents[1]


def release_of(loaded: Loaded, models: "ModelStore", spec: TaskSpec) -> Release:
    """Return the embedded default release: the installed code and the configured models."""
    chosen = loaded.config.task(spec.name).models
    pins = []
    for role, default in spec.roles:
        setting = chosen.get(role, settings.RoleSettings())
        name = setting.model or default
        backend = setting.backend or models.backend(name)
        pins.append(_model_pin(loaded, models, role=role, name=name, backend=backend))
    return Release(
        task=spec.name,
        version=spec.version,
        code=_code(loaded, spec.name),
        pins=tuple(pins),
        decoding=_DECODING,
        runtime={
            "python": _PYTHON,
            "backends": sorted({pin.backend for pin in pins}),
            "diskMiB": -(-sum(models.size(pin.name) for pin in pins if pin.kind) // _MIB),
        },
    )


def _model_pin(loaded: Loaded, models: "ModelStore", *, role: str, name: str, backend: str) -> Pin:
    found = loaded.config.backend(backend)
    if isinstance(found, settings.OpenAIBackend):
        # A server does not say which bytes it runs: the pin names the address and the model.
        served = found.models.get(name, name)
        digest = Digest.of_json({"kind": found.kind, "url": found.url, "model": served})
        return Pin(role=role, name=name, backend=backend, digest=digest)
    manifest = models.manifest(name)
    return Pin(
        role=role,
        name=name,
        backend=backend,
        digest=manifest.digest,
        kind=Kind.MODEL,
        size=manifest.size,
    )


def _code(loaded: Loaded, name: str) -> dict[str, str]:
    """Say what implements a task: distribution, version, and a digest of its files."""
    folder = task_folders(loaded).get(name)
    if folder is not None:
        from lockgate.tasks.prompt.folder import read

        return {"distribution": "folder", "version": "0", "digest": str(read(folder).digest)}
    module = BUILT_IN[name].partition(":")[0]
    package = _PACKAGE.joinpath(*module.split(".")[1:-1])
    digest = hashlib.sha256()
    for path, data in _sources(package):
        digest.update(f"{path}\0{len(data)}\0".encode())
        digest.update(data)
    return {
        "distribution": "lockgate",
        "version": __version__,
        "digest": f"sha256:{digest.hexdigest()}",
    }


def _sources(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".py", ".json", ".toml"} and path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


class Plans(Mapping[str, Plan]):
    """How each task is served, made when it is asked for."""

    def __init__(self, loaded: Loaded, models: "ModelStore", *, checks: tuple[Check, ...]) -> None:
        self._loaded = loaded
        self._models = models
        self._checks = checks

    def __getitem__(self, name: str) -> Plan:
        task = find_task(self._loaded, name)
        if task is None:
            raise KeyError(name)
        spec = task.spec
        chosen = self._loaded.config.task(spec.name)
        return Plan(
            task=task,
            release=release_of(self._loaded, self._models, spec),
            budget=_budget(spec.budget, chosen.budget),
            on_unavailable=chosen.on_unavailable or spec.on_unavailable,
            checks=self._checks,
        )

    def __iter__(self) -> Iterator[str]:
        return iter(task_names(self._loaded))

    def __len__(self) -> int:
        return len(task_names(self._loaded))


def _budget(budget: Budget, chosen: settings.BudgetSettings) -> Budget:
    return replace(
        budget,
        **{
            name: value
            for name in ("inferences", "output_tokens", "timeout_s")
            if (value := getattr(chosen, name)) is not None
        },
    )
