"""The path of a search. `_CallPassages.find` reads top to bottom.

    pinned index -> what the caller may read -> rank -> guard -> record

What the caller may not read is taken out before anything is ranked: neither the order nor the
weights of words say that it is there.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lockgate.domain.artifact import Kind
from lockgate.domain.call import Call
from lockgate.domain.inference import Embed
from lockgate.domain.release import Pin, Release
from lockgate.domain.search import Passage
from lockgate.engine.record import Entry
from lockgate.errors import Corrupt, Unavailable
from lockgate.ports import Document, Guard, Index, Indexes, Models, Passages, Retriever


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieving:
    """Searches the indexes that releases pin."""

    indexes: Indexes
    retriever: Retriever
    guard: Guard

    def passages(self, call: Call, release: Release, models: Models, entry: Entry) -> Passages:
        """Return what a task may search for one call."""
        return _CallPassages(
            retrieving=self, call=call, release=release, models=models, entry=entry
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _CallPassages:
    """Implements `ports.Passages` for one call."""

    retrieving: Retrieving
    call: Call
    release: Release
    models: Models
    entry: Entry

    async def find(self, index: str, query: str, *, limit: int) -> Sequence[Passage]:
        pin = self._pin(index)
        opened = await self._open(pin)
        allowed = _allowed(opened, self.call)
        places = await self._rank(opened, pin, allowed, query, limit)
        found = [self._clean(opened.passages[at]) for at in places]
        self.entry.retrieved(pin, query, found)
        return found

    def _pin(self, index: str) -> Pin:
        for pin in self.release.pins:
            if pin.kind is Kind.INDEX and pin.name == index:
                return pin
        raise Unavailable(
            f"the release of `{self.release.task}` pins no index `{index}`",
            hint=f"lockgate index build FOLDER --name {index}, and build the release again",
        )

    async def _open(self, pin: Pin) -> Index:
        try:
            return await asyncio.to_thread(self.retrieving.indexes.open, pin.digest)
        except Corrupt as error:
            # A damaged index is a missing one to the call; the message and the hint stay.
            raise Unavailable(error.message, hint=error.hint) from error

    async def _rank(
        self, opened: Index, pin: Pin, allowed: Sequence[int], query: str, limit: int
    ) -> Sequence[int]:
        if not allowed:
            return ()
        if opened.embedder is None:
            return await asyncio.to_thread(self._by_words, opened, allowed, query, limit)
        request = Embed(texts=(query,))
        pinned = [str(at.digest) for at in self.release.pins if at.role == request.role]
        if pinned != [str(opened.embedder)]:
            raise Unavailable(
                f"the index `{pin.name}` was built with the embedder {opened.embedder}, "
                f"the release pins {', '.join(pinned) or 'none'}",
                hint="name it as `embedder` under `[retrieval]` in task.toml, or build the index "
                "again with the one that is pinned",
            )
        vector = (await self.models.embed(request)).vectors[0]
        return await asyncio.to_thread(opened.nearest, vector, allowed, limit=limit)

    def _by_words(
        self, opened: Index, allowed: Sequence[int], query: str, limit: int
    ) -> Sequence[int]:
        documents = [Document(id=str(at), text=opened.passages[at].text) for at in allowed]
        return [int(at) for at in self.retrieving.retriever.search(documents, query, limit=limit)]

    def _clean(self, passage: Passage) -> Passage:
        sanitised = self.retrieving.guard.sanitise(
            {"text": passage.text}, data_class=self.call.data_class
        )
        assert isinstance(sanitised.value, Mapping)
        return replace(passage, text=str(sanitised.value["text"]))


def _allowed(opened: Index, call: Call) -> Sequence[int]:
    """Return the places of what the caller may read."""
    readable = {
        document
        for document, reading in opened.reading.items()
        if reading.allows(call.principal, call.data_class)
    }
    return [at for at, passage in enumerate(opened.passages) if passage.document in readable]
