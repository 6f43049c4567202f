"""The embedded default release of a task, and how the task is served."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate import __version__
from lockgate.app.tasks import BUILT_IN, find_task, task_folders, task_names
from lockgate.config import settings
from lockgate.config.load import Loaded
from lockgate.domain.artifact import Kind, Manifest
from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.release import Pin, Release
from lockgate.domain.task import TaskSpec
from lockgate.domain.usage import Budget
from lockgate.engine.answer import Plan
from lockgate.errors import Denied, InvalidConfig, NotFound
from lockgate.ports import Check, Task

if TYPE_CHECKING:
    from lockgate.oci.kinds.packed import PackedArtifact
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
    pins += [
        Pin(
            role=role,
            name=packed.title,
            digest=packed.digest,
            kind=kind,
            size=len(packed.manifest),
        )
        for role, kind, packed in artifacts_of(loaded, spec)
    ]
    pins += _chosen_pins(loaded, models, spec)
    return Release(
        task=spec.name,
        version=spec.version,
        code=_code(loaded, spec.name),
        pins=tuple(pins),
        decoding=_DECODING,
        runtime={
            "python": _PYTHON,
            "backends": sorted({pin.backend for pin in pins if pin.backend}),
            "diskMiB": -(-sum(map(models.size, _stored_models(pins))) // _MIB),
        },
    )


def artifacts_of(loaded: Loaded, spec: TaskSpec) -> Sequence[tuple[str, Kind, "PackedArtifact"]]:
    """Return the artifacts that a release pins beside models: role, kind, and what to store.

    A prompt-only task's files; what a built-in task asks models for; a task's evaluation cases.
    """
    from lockgate.oci.kinds.dataset import pack_dataset
    from lockgate.oci.kinds.prompt import pack_prompt
    from lockgate.oci.kinds.task import pack_task

    found = [
        ("prompt", Kind.PROMPT, pack_prompt(prompt, version=spec.version))
        for prompt in spec.prompts
    ]
    folder = task_folders(loaded).get(spec.name)
    if folder is not None:
        from lockgate.tasks.prompt.folder import files

        found.append(("task", Kind.TASK, pack_task(spec.name, spec.version, files(folder))))
    if spec.cases:
        rows: list[JsonObject] = [
            {"name": case.name, "input": case.input, "expect": case.expect} for case in spec.cases
        ]
        found.append(("eval-dataset", Kind.DATASET, pack_dataset(spec.name, "test", rows)))
    return found


def _chosen_pins(loaded: Loaded, models: "ModelStore", spec: TaskSpec) -> Iterator[Pin]:
    """Yield the artifacts that the task or the configuration adds: indexes and adapters.

    Raises:
        NotFound: one is not in the store.
        InvalidConfig: it is of a kind that is not added like this.

    """
    task = spec.name
    searched = [f"index/{name}" for name in spec.indexes]
    chosen = list(dict.fromkeys([*searched, *loaded.config.task(task).pins]))
    if not chosen:
        return
    from lockgate.oci.kinds.table import kind_of

    stored = models.layout.manifests()
    for name in chosen:
        if name not in stored and name in searched:
            raise NotFound(
                f"the task `{task}` searches `{name[:120]}`, which is not in the store",
                hint=f"lockgate index build FOLDER --name {name.removeprefix('index/')[:64]}",
            )
        if name not in stored:
            raise NotFound(
                f"`tasks.{task}.pins` names `{name[:120]}`, which is not in the store",
                hint="see what is there with `lockgate store usage`",
            )
        data = models.layout.read(stored[name].digest)
        kind = kind_of(Manifest.parse(data))
        if kind not in {Kind.INDEX, Kind.ADAPTER, Kind.DATASET}:
            raise InvalidConfig(
                f"`tasks.{task}.pins` names `{name[:120]}`, which is a {kind or 'stranger'}; "
                "an index, an adapter or a dataset can be added",
                hint="models are chosen under `models`, by role",
            )
        yield Pin(
            role=str(kind),
            name=name.rpartition("/")[2],
            digest=Digest.of(data),
            kind=kind,
            size=len(data),
        )


def _stored_models(pins: Sequence[Pin]) -> Sequence[str]:
    return [pin.name for pin in pins if pin.kind is Kind.MODEL]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    """A release that was promoted to this environment."""

    release: Release
    task: Task | None = None
    """Made of what the release pins; None: what is installed, if the release was made of that."""


class Plans(Mapping[str, Plan]):
    """How each task is served, made when it is asked for."""

    def __init__(
        self,
        loaded: Loaded,
        models: "ModelStore",
        *,
        checks: tuple[Check, ...],
        promoted: Mapping[str, Promoted] | None = None,
    ) -> None:
        self._promoted = promoted or {}
        self._loaded = loaded
        self._models = models
        self._checks = checks

    def __getitem__(self, name: str) -> Plan:
        task = find_task(self._loaded, name)
        if task is None:
            raise KeyError(name)
        # Asked once: another release may take over at any moment.
        promoted = self._promoted.get(task.spec.name)
        if promoted is not None and promoted.task is not None:
            task = promoted.task
        spec = task.spec
        chosen = self._loaded.config.task(spec.name)
        return Plan(
            task=task,
            release=self._release(spec, promoted),
            budget=_budget(spec.budget, chosen.budget),
            on_unavailable=chosen.on_unavailable or spec.on_unavailable,
            checks=self._checks,
        )

    def _release(self, spec: TaskSpec, promoted: Promoted | None) -> Release:
        """Return the promoted release if there is one, else that of the configuration.

        Raises:
            Denied: other code is installed than the promoted release was made of.

        """
        if promoted is None:
            return release_of(self._loaded, self._models, spec)
        if promoted.task is None:
            require_installed(self._loaded, promoted.release)
        return promoted.release

    def __iter__(self) -> Iterator[str]:
        return iter(task_names(self._loaded))

    def __len__(self) -> int:
        return len(task_names(self._loaded))


def require_installed(loaded: Loaded, release: Release) -> None:
    """Refuse a release that was made of other code than is installed.

    Raises:
        Denied: it was.

    """
    installed = _code(loaded, release.task)
    if dict(release.code) != installed:
        raise Denied(
            f"the promoted release of `{release.task}` was made of {_named(release.code)}, "
            f"installed is {_named(installed)}",
            hint="install that version, or promote a release of what is installed",
        )


def _named(code: Mapping[str, str]) -> str:
    return f"{code.get('distribution')} {code.get('version')} ({code.get('digest', '')[:19]})"


def _budget(budget: Budget, chosen: settings.BudgetSettings) -> Budget:
    return replace(
        budget,
        **{
            name: value
            for name in ("inferences", "output_tokens", "timeout_s")
            if (value := getattr(chosen, name)) is not None
        },
    )
