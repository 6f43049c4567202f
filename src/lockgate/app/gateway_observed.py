"""What the models and the retriever did for one call of a task, noted where it happened.

Tasks run on a thread of their own and metrics belong to that of the server: the notes are read
there, when the call is over.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from secrets import randbits

from lockgate.domain.call import Call, DataClass
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Classify, Dispatch, Embed, Generate, Result
from lockgate.domain.release import Release
from lockgate.domain.search import Passage
from lockgate.domain.usage import Usage
from lockgate.engine.answer import Plan
from lockgate.engine.record import Entry
from lockgate.engine.retrieve import Retrieving
from lockgate.errors import LockgateError, Unavailable
from lockgate.ports import Backend, Document, Models, Passages, Retriever
from lockgate.telemetry.spans import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One inference or one search, from `start_ns` to `end_ns` since 1970."""

    operation: str
    """As OpenTelemetry names it: `chat`, `embeddings`, `classify` or `retrieval`."""
    backend: str = ""
    model: str = ""
    """Or the index that was searched."""
    destination: str = ""
    """The server that was asked; empty: it happened in this process."""
    span_id: int = 0
    """What the server was told that the span of this has; 0: nothing."""
    digest: Digest | None = None
    """Of the model's manifest."""
    start_ns: int
    end_ns: int
    usage: Usage = field(default_factory=Usage)
    failure: str = ""
    """The kind of failure, such as `timeout`; empty: it succeeded."""
    code: str = ""
    """Of the error."""


@dataclass(slots=True)
class Observer:
    """Collects the notes of one call. Mutable, and private to it."""

    found: list[Observation] = field(default_factory=list[Observation])
    release: Release | None = None
    """What answers, once it is chosen."""
    trace: Trace | None = None
    """The request's, which goes on in the servers that are asked."""
    nanos: int = 0
    """What its inferences cost so far, those of rejected and failed attempts included."""


@dataclass(frozen=True, slots=True)
class ObservedPlans(Mapping[str, Plan]):
    """How tasks are served; which release was chosen is noted."""

    plans: Mapping[str, Plan]
    observer: Observer

    def __getitem__(self, task: str) -> Plan:
        plan = self.plans[task]
        self.observer.release = plan.release
        return plan

    def __iter__(self) -> Iterator[str]:
        return iter(self.plans)

    def __len__(self) -> int:
        return len(self.plans)


@dataclass(frozen=True, slots=True)
class ObservedBackends(Mapping[str, Backend]):
    """Backends by name, whose inferences are noted."""

    backends: Mapping[str, Backend]
    observer: Observer
    destinations: Mapping[str, str] = field(default_factory=dict[str, str])
    """Where those are that are servers."""

    def __getitem__(self, name: str) -> Backend:
        destination = self.destinations.get(name, "")
        return _Observed(name, self.backends[name], self.observer, destination)

    def __iter__(self) -> Iterator[str]:
        return iter(self.backends)

    def __len__(self) -> int:
        return len(self.backends)


@dataclass(frozen=True, slots=True)
class _Observed:
    """Implements `ports.Backend` around another one."""

    name: str
    backend: Backend
    observer: Observer
    destination: str

    @property
    def data_classes(self) -> frozenset[DataClass]:
        return self.backend.data_classes

    async def infer(self, dispatch: Dispatch) -> Result:
        """As `ports.Backend.infer`."""
        began = time.time_ns()
        usage, failure, code = Usage(), "cancelled", "cancelled"
        span_id, headers = self._trace()
        if headers:
            dispatch = replace(dispatch, trace_headers=tuple(headers))
        try:
            result = await self.backend.infer(dispatch)
            usage, failure, code = result.usage, "", ""
        except LockgateError as error:
            failure = error.why if isinstance(error, Unavailable) else "internal"
            code = error.code
            raise
        finally:
            self.observer.found.append(
                Observation(
                    operation=_operation(dispatch),
                    backend=self.name,
                    model=dispatch.model,
                    digest=dispatch.digest,
                    destination=self.destination,
                    span_id=span_id,
                    start_ns=began,
                    end_ns=time.time_ns(),
                    usage=usage,
                    failure=failure,
                    code=code,
                )
            )
        return result

    def _trace(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Return the id of the span to come, and the headers that say it to a server."""
        trace = self.observer.trace
        if trace is None or not self.destination:
            return 0, []
        if trace.sampled:
            # Not the tracer's ids: they belong to the thread that serves.
            span_id = randbits(64) or 1
            return span_id, trace.headers_below(span_id)
        return 0, trace.headers() if trace.continues else []


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedRetrieving(Retrieving):
    """Searches, and notes each: those of indexes, and those of a task's own input."""

    observer: Observer

    def passages(self, call: Call, release: Release, models: Models, entry: Entry) -> Passages:
        """As `Retrieving.passages`."""
        found = Retrieving.passages(self, call, release, models, entry)
        return _ObservedPassages(found, self.observer)


def observed_retrieving(retrieving: Retrieving, observer: Observer) -> ObservedRetrieving:
    """Return the same searches, noted."""
    return ObservedRetrieving(
        indexes=retrieving.indexes,
        retriever=_ObservedRetriever(retrieving.retriever, observer),
        guard=retrieving.guard,
        observer=observer,
    )


@dataclass(frozen=True, slots=True)
class _ObservedPassages:
    """Implements `ports.Passages` around another one."""

    passages: Passages
    observer: Observer

    async def find(self, index: str, query: str, *, limit: int) -> Sequence[Passage]:
        """As `ports.Passages.find`."""
        began, code = time.time_ns(), "cancelled"
        try:
            found = await self.passages.find(index, query, limit=limit)
            code = ""
        except LockgateError as error:
            code = error.code
            raise
        finally:
            self.observer.found.append(
                Observation(
                    operation="retrieval",
                    model=index,
                    start_ns=began,
                    end_ns=time.time_ns(),
                    failure=code,
                    code=code,
                )
            )
        return found


@dataclass(frozen=True, slots=True)
class _ObservedRetriever:
    """Implements `ports.Retriever` around another one."""

    retriever: Retriever
    observer: Observer

    def search(self, documents: Sequence[Document], query: str, *, limit: int) -> Sequence[str]:
        """As `ports.Retriever.search`."""
        began = time.time_ns()
        found = self.retriever.search(documents, query, limit=limit)
        self.observer.found.append(
            Observation(operation="retrieval", model="words", start_ns=began, end_ns=time.time_ns())
        )
        return found


def _operation(dispatch: Dispatch) -> str:
    match dispatch.request:
        case Generate():
            return "chat"
        case Embed():
            return "embeddings"
        case Classify():
            return "classify"
