"""The composition root: the only module that knows every adapter.

To add a backend: write it in `lockgate.backends`, give it a class in `lockgate.config.settings`,
and add its case to `_open_backend`. The type checker names the place if you forget one. To add
a built-in task: write it in `lockgate.tasks` and add it to `_BUILT_IN`.
"""

import getpass
import hashlib
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from lockgate import __version__
from lockgate.config import settings
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.call import Call, EngineKind, Principal
from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.policy import ALL_TASKS
from lockgate.domain.release import Pin, Release
from lockgate.domain.task import TaskSpec
from lockgate.domain.usage import Budget
from lockgate.engine.answer import Answering, Plan
from lockgate.engine.infer import Inferring
from lockgate.engine.record import Ledger
from lockgate.engine.replay import Replaying
from lockgate.errors import InvalidConfig, NotFound
from lockgate.ports import Backend, Check, Store, Task

if TYPE_CHECKING:
    from lockgate.oci.models import ModelStore

HF_ENDPOINT = "https://huggingface.co"

_BUILT_IN: Mapping[str, str] = {
    "release-notes": "lockgate.tasks.release_notes.task:ReleaseNotes",
    "review": "lockgate.tasks.review.task:Review",
}
_ALIASES: Mapping[str, str] = {"changelog": "release-notes"}
_DECODING: JsonObject = {"temperature": 0, "seed": 7}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cassettes:
    """Where inferences are recorded to or played back from."""

    record: Path | None = None
    playback: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What the edges use."""

    answering: Answering
    replaying: Replaying
    store: Store


@asynccontextmanager
async def open_engine(
    loaded: Loaded, environment: Environment, *, cassettes: Cassettes | None = None
) -> AsyncGenerator[Engine]:
    """Build an engine from a configuration, and close what it opened at the end."""
    from lockgate.checks.no_secrets import NoSecretsCheck
    from lockgate.checks.schema import JsonSchemaValidator
    from lockgate.guards.secrets import SecretGuard
    from lockgate.retrieval.lexical import LexicalRetriever

    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(loaded, environment))
        models = model_store(loaded, environment)
        backends = _Backends(loaded, environment, models, cassettes or Cassettes())
        stack.callback(backends.close)
        guard = SecretGuard()
        answering = Answering(
            plans=_Plans(loaded, models, checks=(NoSecretsCheck(guard),)),
            guard=guard,
            validator=JsonSchemaValidator(),
            retriever=LexicalRetriever(),
            inferring=Inferring(backends=backends, stopwatch=_stopwatch),
            ledger=Ledger(
                store=store,
                clock=_now,
                stopwatch=_stopwatch,
                retention=timedelta(days=loaded.config.audit.payload_retention_days),
            ),
        )
        yield Engine(
            answering=answering,
            replaying=Replaying(store=store, answering=answering),
            store=store,
        )


@asynccontextmanager
async def open_store(loaded: Loaded, environment: Environment) -> AsyncGenerator[Store]:
    """Open the database that the configuration names; SQLite in the state folder by default."""
    chosen = loaded.config.store
    url = chosen.url
    if chosen.url_env:
        url = environment.secret(chosen.url_env)
        if url is None:
            raise InvalidConfig(
                f"the environment variable `{chosen.url_env}` is not set",
                hint="`store.url_env` in lockgate.toml names it",
            )
    if url is not None and not url.startswith("sqlite:"):
        from lockgate.store.postgres import open_postgres

        async with open_postgres(url) as store:
            yield store
        return
    from lockgate.store.sqlite import open_sqlite

    path = (
        environment.state_dir / "lockgate.db"
        if url is None
        else loaded.resolve(Path(url.removeprefix("sqlite:")))
    )
    async with open_sqlite(path) as store:
        yield store


def new_call(loaded: Loaded, task: str, given: JsonObject, *, engine: str | None = None) -> Call:
    """Return a call by the OS user. `engine` None means what the configuration says."""
    return Call(
        id=new_id(),
        principal=os_user(),
        task=task,
        input=given,
        engine=EngineKind(engine) if engine else loaded.config.task(task).engine,
        data_class=loaded.config.data.default_class,
    )


def os_user() -> Principal:
    """Return the person at this machine, who may call every task."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container with an arbitrary user id has no name
        name = f"uid-{os.getuid()}"
    return Principal(name=name, scopes=frozenset({ALL_TASKS}))


def new_id() -> str:
    """Return a UUID version 7 (RFC 9562 section 5.7): sorts by time, to the millisecond."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    value = (milliseconds & (1 << 48) - 1) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def task_names(loaded: Loaded) -> list[str]:
    """Return the names of all tasks, without aliases."""
    return sorted({*_BUILT_IN, *_folders(loaded)})


def find_task(loaded: Loaded, name: str) -> Task | None:
    """Return the task of that name or alias; None if there is none."""
    name = _ALIASES.get(name, name)
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        # Each name comes from the table above.
        task: Task = getattr(import_module(module), attribute)()
        return task
    folder = _folders(loaded).get(name)
    return None if folder is None else _prompt_task(folder, name)


def release_of(loaded: Loaded, models: "ModelStore", spec: TaskSpec) -> Release:
    """Return the embedded default release: the installed code and the configured models."""
    chosen = loaded.config.task(spec.name).models
    pins = []
    for role, default in spec.roles:
        setting = chosen.get(role, settings.RoleSettings())
        name = setting.model or default
        backend = setting.backend or models.backend(name)
        pins.append(
            Pin(
                role=role,
                name=name,
                backend=backend,
                digest=_model_digest(loaded, models, name, backend),
            )
        )
    return Release(
        task=spec.name,
        version=spec.version,
        code=_code(loaded, spec.name),
        pins=tuple(pins),
        decoding=_DECODING,
    )


def model_store(loaded: Loaded, environment: Environment) -> "ModelStore":
    """Return the local model store with the catalogue and the configuration's own models."""
    from lockgate.oci.catalogue import load_catalogue
    from lockgate.oci.models import ModelStore
    from lockgate.oci.settings import ModelSettings

    extra = {name: _catalogue_entry(loaded, m) for name, m in loaded.config.models.items()}
    return ModelStore(
        environment.data_dir / "models",
        load_catalogue(extra),
        ModelSettings(
            package_root=Path(str(resources.files("lockgate"))),
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


def _model_digest(loaded: Loaded, models: "ModelStore", name: str, backend: str) -> Digest:
    found = loaded.config.backend(backend)
    if isinstance(found, settings.OpenAIBackend):
        # A server does not say which bytes it runs: the pin names the address and the model.
        served = found.models.get(name, name)
        return Digest.of_json({"kind": found.kind, "url": found.url, "model": served})
    return models.digest(name)


def _code(loaded: Loaded, name: str) -> dict[str, str]:
    """Say what implements a task: distribution, version, and a digest of its files."""
    folder = _folders(loaded).get(name)
    if folder is not None:
        from lockgate.tasks.prompt.folder import read

        return {"distribution": "folder", "version": "0", "digest": str(read(folder).digest)}
    package = _BUILT_IN[name].partition(":")[0].rpartition(".")[0]
    digest = hashlib.sha256()
    for path, data in _sources(Path(str(resources.files(package)))):
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


def _folders(loaded: Loaded) -> Mapping[str, Path]:
    """Return the folders of prompt-only tasks by name; a built-in name is never taken over."""
    found: dict[str, Path] = {}
    for parent in loaded.config.task_folders:
        for manifest in sorted(loaded.resolve(parent).glob("*/task.toml")):
            found.setdefault(manifest.parent.name, manifest.parent)
    for name, task in loaded.config.tasks.items():
        if task.path is not None:
            found[name] = loaded.resolve(task.path)
    return {name: path for name, path in found.items() if name not in {*_BUILT_IN, *_ALIASES}}


def _prompt_task(folder: Path, name: str) -> Task:
    from lockgate.tasks.prompt.folder import read
    from lockgate.tasks.prompt.task import PromptTask

    task = PromptTask(read(folder))
    if task.spec.name != name:
        raise InvalidConfig(
            f"the task in `{folder}` calls itself `{task.spec.name}`, not `{name}`",
            hint="give the folder and `name` in task.toml the same name",
        )
    return task


class _Plans(Mapping[str, Plan]):
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


class _Backends(Mapping[str, Backend]):
    """Backends by name, made when a call needs them: importing a model runtime takes time."""

    def __init__(
        self,
        loaded: Loaded,
        environment: Environment,
        models: "ModelStore",
        cassettes: Cassettes,
    ) -> None:
        self._loaded = loaded
        self._environment = environment
        self._models = models
        self._cassettes = cassettes
        self._closers: list[Callable[[], None]] = []
        self._open: dict[str, Backend] = {}

    def __getitem__(self, name: str) -> Backend:
        if name not in self._open:
            self._open[name] = self._make(name)
        return self._open[name]

    def __iter__(self) -> Iterator[str]:
        return iter({*settings.BUILT_IN_BACKENDS, *self._loaded.config.backends})

    def __len__(self) -> int:
        return len({*settings.BUILT_IN_BACKENDS, *self._loaded.config.backends})

    def close(self) -> None:
        """Close every backend that was used."""
        for closer in reversed(self._closers):
            closer()

    def _make(self, name: str) -> Backend:
        from lockgate.backends.replay import Cassette, RecordingBackend, ReplayBackend

        if self._cassettes.playback:
            return ReplayBackend(Cassette(self._cassettes.playback))
        found = self._loaded.config.backend(name)
        if found is None:
            raise NotFound(
                f"there is no backend `{name}`", hint="name it in lockgate.toml under `backends`"
            )
        backend = self._open_backend(found)
        if self._cassettes.record:
            return RecordingBackend(backend, Cassette(self._cassettes.record))
        return backend

    def _open_backend(self, found: settings.BackendSettings) -> Backend:
        match found:
            case settings.LlamaCppBackend():
                from lockgate.backends.llama_cpp import LlamaCppBackend

                llama = LlamaCppBackend(
                    self._models, threads=found.threads, context_tokens=found.context_tokens
                )
                self._closers.append(llama.close)
                return llama
            case settings.OnnxBackend():
                from lockgate.backends.onnx import OnnxBackend

                onnx = OnnxBackend(self._models, workers=found.workers)
                self._closers.append(onnx.close)
                return onnx
            case settings.LinearBackend():
                from lockgate.backends.linear import LinearBackend

                return LinearBackend(self._models)
            case settings.OpenAIBackend():
                from lockgate.backends.openai import OpenAIBackend

                return OpenAIBackend(
                    found.url,
                    token=self._token(found),
                    timeout_s=found.timeout_s,
                    data_classes=frozenset(found.data_classes),
                    models=found.models,
                )
            case settings.ReplayBackend():
                from lockgate.backends.replay import Cassette, ReplayBackend

                return ReplayBackend(Cassette(self._loaded.resolve(found.path)))
            case _:
                assert_never(found)

    def _token(self, found: settings.OpenAIBackend) -> str | None:
        if found.token_env is None:
            return None
        token = self._environment.secret(found.token_env)
        if token is None:
            raise InvalidConfig(
                f"the environment variable `{found.token_env}` is not set",
                hint="`token_env` of a backend in lockgate.toml names it",
            )
        return token


def _now() -> datetime:
    return datetime.now(UTC)


def _stopwatch() -> int:
    return time.monotonic_ns() // 1000
