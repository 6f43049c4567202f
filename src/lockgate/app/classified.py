"""Backends that keep what classifiers are given, so that their labels can be explained."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Classify, Dispatch, Result, Row
from lockgate.ports import Backend

if TYPE_CHECKING:
    from lockgate.engine.answer import Answering

MOST_ROWS = 500
"""Of one model: a table of rows by features is made of them."""
Rows = dict[tuple[str, Digest | None], list[Row]]
"""Rows by model and its digest."""


class _Watching:
    """Passes inferences on, and keeps the rows that classifiers are given. A `ports.Backend`."""

    def __init__(self, backend: Backend, seen: Rows) -> None:
        self._backend = backend
        self._seen = seen

    @property
    def data_classes(self) -> frozenset[DataClass]:
        return self._backend.data_classes

    async def infer(self, dispatch: Dispatch) -> Result:
        if isinstance(dispatch.request, Classify):
            kept = self._seen.setdefault((dispatch.model, dispatch.digest), [])
            kept += dispatch.request.rows[: MOST_ROWS - len(kept)]
        return await self._backend.infer(dispatch)


class _Watched(Mapping[str, Backend]):
    def __init__(self, backends: Mapping[str, Backend], seen: Rows) -> None:
        self._backends = backends
        self._seen = seen

    def __getitem__(self, name: str) -> Backend:
        return _Watching(self._backends[name], self._seen)

    def __iter__(self) -> Iterator[str]:
        return iter(self._backends)

    def __len__(self) -> int:
        return len(self._backends)


def watched(answering: "Answering", seen: Rows) -> "Answering":
    """Return what answers calls in the same way, and keeps rows in `seen`."""
    inferring = answering.inferring
    backends = _Watched(inferring.backends, seen)
    return replace(answering, inferring=replace(inferring, backends=backends))
