"""What a call needs: tasks, models, guards, checks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from lockgate.domain.call import Answer, DataClass, Draft
from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.inference import (
    Classification,
    Classify,
    Completion,
    Dispatch,
    Embed,
    Embedding,
    Generate,
    Result,
    Vector,
)
from lockgate.domain.redact import Redaction, Sanitised
from lockgate.domain.release import Release
from lockgate.domain.search import Passage, Reading
from lockgate.domain.task import TaskSpec
from lockgate.domain.verdict import Verdict

Clock: TypeAlias = Callable[[], datetime]
"""Returns the current time, aware, in UTC."""

Stopwatch: TypeAlias = Callable[[], int]
"""Returns microseconds of a monotonic clock."""


class Backend(Protocol):
    """Runs models. Opens them at the first use, never at construction."""

    @property
    def data_classes(self) -> frozenset[DataClass]:
        """What may be sent here. Backends inside the process take every class."""
        ...

    async def infer(self, dispatch: Dispatch) -> Result:
        """Run one inference; the result's type follows the request's.

        `usage.duration_us` and `usage.inferences` are left 0: the engine meters.

        Raises:
            ModelMissing: the model is not in the local store.
            Unavailable: the model cannot answer now, or does not do this kind of request.

        """
        ...


@runtime_checkable
class StreamingBackend(Protocol):
    """A backend that hands out a text while it is written."""

    async def stream(self, dispatch: Dispatch, write: Callable[[str], None]) -> Completion:
        """Run one `Generate`; `write` gets each part, in the caller's event loop.

        The parts are the completion's text, in order. Raises as `Backend.infer`.
        """
        ...


class ModelFiles(Protocol):
    """Where a model's files are."""

    def files(self, model: str, digest: Digest | None = None) -> Mapping[str, Path]:
        """Return read-only paths by role (`weights`, `tokenizer`, `config`), to be mapped in place.

        Weights in several files are `weights`, `shard-2`, `shard-3` and so on.

        With `digest`, of the manifest that a release pins, the files are those of that manifest,
        whatever the name stands for by now.

        Raises:
            ModelMissing: the model is not in the local store; the hint has the command.
            NotFound: no catalogue knows the model.

        """
        ...


class Models(Protocol):
    """What a running task may ask of models. Each method is one metered inference."""

    async def generate(self, request: Generate) -> Completion:
        """Write text.

        Raises:
            Unavailable: no model answers; a task may go on without.
            OverBudget: the call's budget is used up.

        """
        ...

    async def embed(self, request: Embed) -> Embedding:
        """Turn texts into unit-length vectors. Raises as `generate`."""
        ...

    async def classify(self, request: Classify) -> Classification:
        """Label rows. Raises as `generate`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Something that an index can find."""

    id: str
    text: str


class Retriever(Protocol):
    """Finds the documents that fit a query, best first; ties keep the documents' order."""

    def search(self, documents: Sequence[Document], query: str, *, limit: int) -> Sequence[str]:
        """Return ids."""
        ...


class Index(Protocol):
    """A search index that is open."""

    @property
    def embedder(self) -> Digest | None:
        """The model that made its vectors; None if it is searched by words."""
        ...

    @property
    def passages(self) -> Sequence[Passage]:
        """Every piece of every document, in the index's order."""
        ...

    @property
    def reading(self) -> Mapping[str, Reading]:
        """Who may read each document."""
        ...

    def nearest(self, query: Vector, among: Sequence[int], *, limit: int) -> Sequence[int]:
        """Return the places of the best of the pieces `among`; ties keep their order."""
        ...


class Indexes(Protocol):
    """The search indexes of this machine."""

    def open(self, digest: Digest) -> Index:
        """Return the index with that manifest, every byte of it verified.

        Raises:
            Unavailable: it is not here; the hint has the command.
            Corrupt: it is damaged.

        """
        ...


class Passages(Protocol):
    """What a running task may ask of the indexes that its release pins."""

    async def find(self, index: str, query: str, *, limit: int) -> Sequence[Passage]:
        """Return the best pieces of documents that the caller may read, best first.

        Raises:
            Unavailable: the release pins no such index, it is not here, or its embedder does not
                answer; a task may go on without.

        """
        ...


class Progress(Protocol):
    """Told how far long work is. Edges draw it, or do not."""

    def start(self, label: str, total: int) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def finish(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a task gets beside its input."""

    models: Models
    retriever: Retriever
    progress: Progress
    redactions: tuple[Redaction, ...] = ()
    """The secrets that were taken out of the input."""
    passages: Passages | None = None
    """None where a task is tried out of the engine."""


Options: TypeAlias = Mapping[str, str | int | bool | Sequence[str] | None]
"""Values of `TaskSpec.options` by name."""


class Task(Protocol):
    """A contract for a piece of AI work, and its two implementations."""

    @property
    def spec(self) -> TaskSpec: ...

    @property
    def checks(self) -> Sequence["Check"]:
        """Judges of this task's drafts, beside the schema check that every task gets."""
        ...

    def collect(self, options: Options) -> JsonObject:
        """Read what the options name (a repository, a file) into an input.

        The only method that may touch files or run programs. The engine never calls it: the
        edge does, before the call.

        Raises:
            UsageError: and its subclasses; what the options name cannot be read.

        """
        ...

    async def run(self, given: JsonObject, context: Context) -> Draft:
        """Answer with the models' help. `given` matches the input schema and holds no secrets.

        Raises:
            Unavailable: a model that this task cannot do without did not answer.

        """
        ...

    def rules(self, given: JsonObject, context: Context) -> Draft:
        """Answer without any model: deterministic, complete, never raises for valid input."""
        ...

    def render(self, answer: Answer, form: str) -> str:
        """Return the answer in one of `spec.formats`, without a final newline."""
        ...

    def gate(self, answer: Answer, options: Options) -> Verdict | None:
        """Say whether the answer passes what the options demand (`--fail-on`); None: no gate."""
        ...


class Admission(Protocol):
    """Says whether a release may run here."""

    def admit(self, release: Release) -> JsonObject:
        """Return what the audit log is to note of it: environment, what is required, policy.

        Raises:
            Denied: the environment's policy does not admit the release.
            Corrupt: what it rests on was changed.

        """
        ...


class Check(Protocol):
    """Judges a draft. Never raises for a bad draft: that is a FAIL verdict."""

    @property
    def name(self) -> str: ...

    def judge(self, given: JsonObject, draft: Draft) -> Verdict: ...


class SchemaValidator(Protocol):
    """Validates JSON values against JSON Schemas (draft 2020-12)."""

    def problems(self, schema: JsonObject, value: Json) -> Sequence[str]:
        """Return one sentence a violation, each with the path of the value; empty if valid."""
        ...


class Guard(Protocol):
    """Takes secrets out of values, and what else is configured."""

    def sanitise(self, value: Json, *, data_class: DataClass = DataClass.INTERNAL) -> Sanitised:
        """Return `value` with what was found replaced by placeholders.

        Raises:
            Denied: a rule blocks the value.

        """
        ...
