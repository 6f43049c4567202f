"""The search indexes that tasks use, opened once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

from lockgate.domain.digest import Digest
from lockgate.domain.search import Passage, Reading
from lockgate.errors import Unavailable
from lockgate.ports import Index

if TYPE_CHECKING:
    from lockgate.oci.layout import Layout
    from lockgate.oci.stored_index import StoredIndex

_MOST_OPEN: Final = 4


@dataclass(frozen=True, slots=True)
class _Opened:
    """Implements `ports.Index`."""

    stored: "StoredIndex"

    @property
    def embedder(self) -> Digest | None:
        return self.stored.embedder

    @property
    def passages(self) -> Sequence[Passage]:
        return self.stored.passages

    @property
    def reading(self) -> Mapping[str, Reading]:
        return self.stored.reading

    def nearest(self, query: bytes, among: Sequence[int], *, limit: int) -> Sequence[int]:
        from lockgate.retrieval.nearest import nearest

        assert self.stored.vectors is not None, "an index without vectors is searched by words"
        return nearest(self.stored.vectors, query, among, limit=limit)


class StoredIndexes:
    """Implements `ports.Indexes` over a layout. Safe for several threads."""

    def __init__(self, layout: "Layout") -> None:
        self._layout = layout
        self._open: dict[Digest, _Opened] = {}
        self._lock = Lock()

    def open(self, digest: Digest) -> Index:
        """See `ports.Indexes`. The last few stay open: what a digest names does not change."""
        with self._lock:
            found = self._open.pop(digest, None) or self._read(digest)
            self._open[digest] = found
            while len(self._open) > _MOST_OPEN:
                del self._open[next(iter(self._open))]
            return found

    def _read(self, digest: Digest) -> _Opened:
        from lockgate.oci.stored_index import read_index

        if not self._layout.blob(digest).exists():
            raise Unavailable(
                f"the release pins the index {digest}, which is not here",
                hint="pull the release that pins it: lockgate release pull oci://…",
            )
        return _Opened(read_index(self._layout, digest))
