"""What the engine needs from the outside. Adapters implement these; tests fake them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from lockgate.domain.audit import AuditEvent, Entry, Head
from lockgate.domain.budget import Balance, Bucket, Budget, Lease, Loan, Period, UsageEvent
from lockgate.domain.call import Answer, DataClass, Draft
from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.identity import GatewayKey, KeySecret
from lockgate.domain.inference import (
    Classification,
    Classify,
    Completion,
    Dispatch,
    Embed,
    Embedding,
    Generate,
    Result,
)
from lockgate.domain.money import TokenCounts
from lockgate.domain.promotion import Alias, Promotion
from lockgate.domain.redact import Redaction, Sanitised
from lockgate.domain.release import Release
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The stored content of a call: the sanitised input, the output, the inferences."""

    data: bytes
    """Canonical JSON."""
    expires_at: datetime | None


class Unit(Protocol):
    """One transaction. All methods see and make changes together."""

    async def append(self, entry: Entry) -> AuditEvent:
        """Chain one more event. Concurrent writers are serialised."""
        ...

    async def head(self) -> Head: ...

    async def event(self, call: str) -> AuditEvent | None:
        """Return the newest event with that id."""
        ...

    async def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[AuditEvent]:
        """Return events with `seq > after` in order, at most `limit`."""
        ...

    async def recent(self, *, limit: int, task: str | None = None) -> Sequence[AuditEvent]:
        """Return the newest events, newest first; only those of `task` if given."""
        ...

    async def put_payload(self, digest: Digest, payload: Payload) -> None:
        """Store content by its digest; storing it again prolongs it, never shortens."""
        ...

    async def payload(self, digest: Digest) -> bytes | None: ...

    async def drop_expired(self, now: datetime, *, limit: int = 1000) -> int:
        """Delete payloads that expired before `now`, in one bounded batch; return how many."""
        ...


class Store(Protocol):
    """Durable state."""

    def begin(self) -> AbstractAsyncContextManager[Unit]:
        """Open a transaction: committed at the end of the block, rolled back on an exception.

        Raises:
            StorageFailed: the database cannot be opened, locked or written.

        """
        ...


class Pointers(Protocol):
    """Which release has a name, and which runs where. Part of one transaction."""

    async def put_alias(self, alias: Alias) -> None:
        """Set or move an alias."""
        ...

    async def drop_alias(self, task: str, name: str) -> bool:
        """Delete an alias; return whether there was one."""
        ...

    async def aliases(self, task: str | None = None) -> Sequence[Alias]:
        """Return all aliases, or those of one task, by task and name."""
        ...

    async def add_promotion(self, promotion: Promotion) -> None:
        """Note that a release took over. The newest one of an environment and a task holds."""
        ...

    async def promotions(
        self, *, environment: str | None = None, task: str | None = None, limit: int = 1
    ) -> Sequence[Promotion]:
        """Return the newest promotions, newest first."""
        ...


class StateUnit(Unit, Pointers, Protocol):
    """One transaction over all durable state."""


class State(Protocol):
    """Durable state with the pointers to releases; also a `Store`."""

    def begin(self) -> AbstractAsyncContextManager[StateUnit]:
        """Open a transaction. As `Store.begin`."""
        ...


class SharedState(Protocol):
    """Small texts by name that every replica sees: leases of limits, the kill switch."""

    async def read(self, name: str) -> str | None:
        """Return the text of that name.

        Raises:
            StorageFailed: the database does not answer.

        """
        ...

    async def change(self, name: str, change: Callable[[str | None], str]) -> None:
        """Replace a text by what `change` makes of it; no other replica comes in between.

        `change` is pure: it may be called again, on any thread. Raises as `read`.
        """
        ...


class Keys(Protocol):
    """The gateway's API keys. Part of one transaction."""

    async def version(self) -> int:
        """Return a number that every change moves."""
        ...

    async def add(self, key: GatewayKey, secret: KeySecret) -> None:
        """Store a new key. Raises Taken if there is one with its id."""
        ...

    async def rotate(self, secret: KeySecret, *, old_until: datetime) -> None:
        """Add a secret to a key; its others end at `old_until`. Raises NotFound."""
        ...

    async def revoke(self, key: str, at: datetime) -> bool:
        """End a key and its secrets; return whether it was valid."""
        ...

    async def all(self) -> Sequence[GatewayKey]: ...

    async def secrets(self) -> Sequence[KeySecret]: ...


class BudgetBook(Protocol):
    """Limits, and what is lent of them to replicas. Part of one transaction."""

    async def put(self, budget: Budget) -> None: ...

    async def drop(self, account: str, period: Period) -> bool: ...

    async def all(self) -> Sequence[Budget]: ...

    async def balances(self) -> Sequence[Balance]: ...

    async def leases(self, replica: str | None = None) -> Sequence[Lease]: ...

    async def lend(self, lease: Lease, *, limit: int, need: int) -> Loan:
        """Add to a replica's lease about `lease.nanos`, at least `need`, or nothing.

        Atomic: what is lent never exceeds `limit`, however many replicas ask at once.
        """
        ...

    async def give_back(self, replica: str, bucket: Bucket, nanos: int) -> bool:
        """Return unspent nanos; False, and nothing changed, if the lease does not have them."""
        ...

    async def spend(
        self, replica: str, spent: Mapping[Bucket, int], *, expires_at: datetime
    ) -> None:
        """Count nanos of a replica's lease as spent."""
        ...

    async def renew(self, replica: str, expires_at: datetime) -> None: ...

    async def close(self, replica: str, *, keep: bool = False) -> None:
        """End a replica's leases: what is unspent returns, or counts as spent with `keep`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotal:
    """The sum of many usage events."""

    name: str
    calls: int
    counts: TokenCounts
    nanos: int


class UsageLedger(Protocol):
    """The usage events, and how far each replica's spool was taken over. One transaction."""

    async def open_spool(self, replica: str) -> int:
        """Return how far a spool is in the ledger: 0 for a new one, -1 for a closed one."""
        ...

    async def spool(self, replica: str) -> int | None:
        """Return the position of a spool, -1 for a closed one; None if it never was opened."""
        ...

    async def advance(self, replica: str, before: int, after: int) -> bool:
        """Move the position if it is still `before`: who gets True adds the events, once."""
        ...

    async def close_spool(self, replica: str) -> None:
        """Note, for good, that all of a spool is in the ledger."""
        ...

    async def add(self, events: Sequence[UsageEvent]) -> None:
        """Add events; those whose id is there already are left as they are."""
        ...

    async def events(self, *, since: datetime, limit: int) -> Sequence[UsageEvent]:
        """Return the newest events, newest first."""
        ...

    async def totals(
        self, dimension: str, *, since: datetime, until: datetime, limit: int
    ) -> Sequence[UsageTotal]:
        """Sum by `team`, `key`, `task`, `route` or `model`, the dearest first."""
        ...


class GatewayUnit(StateUnit, Protocol):
    """One transaction over all durable state, the gateway's included."""

    async def lock_audit(self) -> None:
        """Be the only one who appends, until the transaction ends."""
        ...

    async def append_all(self, entries: Sequence[Entry]) -> Sequence[AuditEvent]:
        """Chain many events, in order: one lock and one new head for all of them."""
        ...

    @property
    def keys(self) -> Keys: ...

    @property
    def budgets(self) -> BudgetBook: ...

    @property
    def usage(self) -> UsageLedger: ...


class GatewayState(SharedState, Protocol):
    """All durable state; also a `State` and a `Store`."""

    def begin(self) -> AbstractAsyncContextManager[GatewayUnit]:
        """Open a transaction. As `Store.begin`."""
        ...
