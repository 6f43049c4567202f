"""Fetches a blob with several connections, each chunk at its place in one file.

Ranges: RFC 9110 14. The whole is verified by SHA-256 while it arrives. Where there is a table of
its chunks, a bad one is fetched again alone. A table that can be trusted stands for the SHA-256:
then each chunk is verified as it arrives. Otherwise the table is asked only when the whole is
wrong, since it would say nothing that the SHA-256 does not.
"""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

import urllib3
from blake3 import blake3

from lockgate.domain.artifact import Descriptor
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt
from lockgate.oci.blobs import Blobs
from lockgate.oci.chunks import CHUNK_BYTES, ChunkTable, length
from lockgate.oci.index import BLAKE3
from lockgate.oci.registry.answers import OK, PARTIAL, RANGE_REFUSED, Interrupted, integer, refuse
from lockgate.oci.registry.chunk import Advance, Chunk, Meter
from lockgate.oci.registry.client import Registry, Request
from lockgate.oci.registry.follower import Follower
from lockgate.oci.registry.partial import Partial, discard
from lockgate.oci.registry.patience import Patience
from lockgate.oci.registry.ranges import blocks, release, require_range, require_size, wrong_size
from lockgate.oci.registry.transport import read_answer

_TRIES: Final = 3
"""How often one chunk may arrive with wrong bytes."""


class _RangeIgnored(Exception):
    """The server sends the whole file, whatever part it is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A blob to fetch, and how to know it."""

    blob: Descriptor
    table: ChunkTable | None = None
    table_suffices: bool = False
    """The table comes from somebody who is trusted to have hashed the same bytes both ways.

    Otherwise the blob's SHA-256 is taken too: a forged table could bring other bytes into the
    store under a digest that other artifacts refer to.
    """


class Downloads:
    """The blobs of one repository, for reading into a layout."""

    def __init__(self, registry: Registry, repository: str, layout: Blobs) -> None:
        self._registry = registry
        self._repository = repository
        self._layout = layout

    def fetch(self, wanted: Wanted, advance: Advance) -> bool:
        """Make the layout have the blob; return whether it was fetched now.

        Goes on with what an earlier attempt finished. A second process that wants the same blob
        waits for the first. `advance` is told of every byte, those that were here included.

        Raises:
            Corrupt: the registry has other bytes; nothing of them is kept.
            Denied: the account may not, or a redirect leads where it may not.
            NotFound: the registry does not have it.
            Unavailable: the registry failed too often; what arrived is kept.
            StorageFailed: the disk is full or read-only.

        """
        blob = wanted.blob
        if self._layout.has(blob.digest, blob.size):
            advance(blob.size)
            return False
        with self._layout.lock(blob.digest.hex):
            if self._layout.has(blob.digest, blob.size):
                advance(blob.size)
                return False
            with Partial.open(self._layout, blob.digest, blob.size) as partial:
                meter = Meter(blob.size, advance)
                work = _Work(self._registry, self._repository, wanted, partial, meter.advance)
                try:
                    work.complete()
                except Corrupt:
                    if work.hopeless:
                        discard(self._layout, blob.digest)
                    raise
            self._layout.adopt(partial.path, blob.digest)
            discard(self._layout, blob.digest, all_=False)
        return True

    def read(self, blob: Descriptor) -> bytes:
        """Return a small blob, hashed. Raises as `fetch`."""
        named = f"`{self._registry.host}/{self._repository}@{blob.digest}`"
        answer = self._registry.ask(
            Request(
                method="GET",
                url=f"/v2/{self._repository}/blobs/{blob.digest}",
                scopes=(f"repository:{self._repository}:pull",),
            )
        )
        if answer.status != OK:
            refuse(answer, named)
        found = Digest.of(answer.data)
        if found != blob.digest or len(answer.data) != blob.size:
            raise Corrupt(
                f"{named} has {len(answer.data):,} bytes with the digest {found}, expected "
                f"{blob.size:,} with {blob.digest}",
                hint="the registry, or something on the way, has other bytes; nothing was kept",
            )
        return answer.data


class _Work:
    """One blob on its way. Several threads take chunks from the same queue."""

    def __init__(
        self,
        registry: Registry,
        repository: str,
        wanted: Wanted,
        partial: Partial,
        advance: Advance,
    ) -> None:
        self._registry = registry
        self._url = f"/v2/{repository}/blobs/{wanted.blob.digest}"
        self._scopes = (f"repository:{repository}:pull",)
        self._named = f"`{registry.host}/{repository}@{wanted.blob.digest}`"
        self._wanted = wanted
        self._partial = partial
        self._advance = advance
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._pending: deque[int] = deque()
        self._follower: Follower | None = None
        self._strict = wanted.table is not None and wanted.table_suffices
        """Each chunk is held against the table as it arrives."""
        self._wrong: Corrupt | None = None
        self.hopeless = True
        """Bytes that arrived are of no use if the work ends with Corrupt."""

    def complete(self) -> None:
        """Fetch what is missing and verify the whole."""
        resumed = self._take_stock()
        while not self._attempt():
            if self._has_bad_chunks():
                self._strict = True
                continue
            if self._wrong is not None and not resumed:
                raise self._wrong
            # What was here may be torn by a power cut: once from the start.
            resumed = False
            self._partial.clear()

    def _take_stock(self) -> bool:
        """Check what an earlier attempt finished, and return whether there was anything."""
        table, partial = self._wanted.table, self._partial
        kept = self._finished()
        for index in kept:
            if table is not None and not self._is_whole(table, index):
                partial.mark(index, done=False)
                continue
            self._advance(length(partial.size, index))
        return bool(kept)

    def _has_bad_chunks(self) -> bool:
        """Say whether the table knows better; let what it refuses be fetched again, once."""
        table = self._wanted.table
        if table is None or self._strict:
            return False
        bad = [index for index in self._finished() if not self._is_whole(table, index)]
        for index in bad:
            self._partial.mark(index, done=False)
        return bool(bad)

    def _finished(self) -> Sequence[int]:
        missing = set(self._partial.missing())
        return [at for at in range(-(-self._partial.size // CHUNK_BYTES)) if at not in missing]

    def _is_whole(self, table: ChunkTable, index: int) -> bool:
        hasher = blake3()
        for block in self._partial.read(index):
            hasher.update(block)
        return hasher.digest() == table.hashes[index]

    def _attempt(self) -> bool:
        """Fetch all missing chunks; return whether the whole has its digest."""
        follower = None
        if self._wanted.table is None or not self._wanted.table_suffices:
            follower = self._follower = Follower(self._partial)
            follower.start()
        try:
            self._fetch()
            self._partial.flush()  # while the last chunks are hashed
            return follower is None or self._agrees(*follower.digests())
        finally:
            if follower is not None:
                follower.stop()
                follower.join()

    def _agrees(self, found: Digest, second: str) -> bool:
        blob = self._wanted.blob
        if found != blob.digest:
            self._wrong = Corrupt(
                f"{self._named} has {blob.size:,} bytes with the digest {found}, "
                f"expected {blob.digest}",
                hint="the registry, or something on the way, has other bytes; nothing was kept",
            )
            return False
        claimed = blob.annotations.get(BLAKE3, second)
        if claimed != second:
            # Checked once, here: at rest the quicker digest then stands for the other one.
            raise Corrupt(
                f"{self._named} has the second digest {second}, its manifest says {claimed[:80]}",
                hint="the manifest is wrong; nothing was kept",
            )
        return True

    def _fetch(self) -> None:
        self._pending = deque(self._partial.missing())
        count = min(len(self._pending), self._registry.settings.connections)
        if not count:
            return
        with ThreadPoolExecutor(count, thread_name_prefix="lockgate-fetch") as pool:
            try:
                running = [pool.submit(self._worker) for _ in range(count)]
                wait(running, return_when=FIRST_EXCEPTION)
            except BaseException:
                self._registry.stop()  # somebody does not want to wait for the rest
                raise
            finally:
                self._stop.set()
        self._stop.clear()
        failures = [error for future in running if (error := future.exception()) is not None]
        ignored = [error for error in failures if isinstance(error, _RangeIgnored)]
        for error in failures:
            if not isinstance(error, _RangeIgnored):
                raise error
        if ignored:
            self._stream()

    def _worker(self) -> None:
        while not self._stop.is_set():
            try:
                index = self._pending.popleft()
            except IndexError:
                return
            self._chunk(index)

    def _chunk(self, index: int) -> None:
        """Fetch one chunk until its bytes are right."""
        patience = self._registry.patience(self._url)
        chunk = Chunk(index, length(self._partial.size, index))
        found = ""
        for _ in range(_TRIES):
            while chunk.got < chunk.size:
                before = chunk.got
                try:
                    self._ranged(chunk)
                except Interrupted as reason:
                    self._wait(patience, reason, further=chunk.got > before)
                if self._stop.is_set() and chunk.got < chunk.size:
                    return
            if self._finish(chunk):
                return
            found = chunk.hasher.hexdigest()
            chunk.restart()
        raise self._bad(chunk, found)

    def _ranged(self, chunk: Chunk) -> None:
        """Ask for the rest of a chunk, and take what comes."""
        total = self._partial.size
        start, end = chunk.start + chunk.got, chunk.start + chunk.size
        whole = (start, end) == (0, total)
        headers = {} if whole else {"Range": f"bytes={start}-{end - 1}"}
        response = self._open(headers)
        if response.status == OK and not whole:
            response.close()
            if total > CHUNK_BYTES:
                raise _RangeIgnored
            chunk.restart()
            raise Interrupted("the server sent the whole blob, not its rest", wait_s=0)
        if response.status == PARTIAL:
            require_range(response, start, end, size=total, named=self._named)
        elif response.status == OK:
            require_size(response, size=total, named=self._named)
        self._take(response, chunk)
        release(response)

    def _stream(self) -> None:
        """Take the whole blob in one answer, for servers that know no ranges."""
        patience = self._registry.patience(self._url)
        tries: dict[int, int] = {}
        while missing := self._partial.missing():
            try:
                self._stream_once(tries)
            except Interrupted as reason:
                further = len(self._partial.missing()) < len(missing)
                self._wait(patience, reason, further=further)

    def _stream_once(self, tries: dict[int, int]) -> None:
        response = self._open({})
        if response.status != OK:
            response.close()
            raise Interrupted(f"the server answered {response.status}, then no ranges", wait_s=0)
        size = self._partial.size
        require_size(response, size=size, named=self._named)
        for index in range(-(-size // CHUNK_BYTES)):
            chunk = Chunk(index, length(size, index))
            known = self._partial.is_done(index)
            self._take(response, chunk, keep=not known)
            if not known and not self._finish(chunk):
                tries[index] = tries.get(index, 0) + 1
                if tries[index] == _TRIES:
                    response.close()
                    raise self._bad(chunk, chunk.hasher.hexdigest())
        release(response)

    def _open(self, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:  # noqa: RET503  `refuse` does not return
        """Send the request, and return an answer that has bytes of the blob."""
        request = Request(method="GET", url=self._url, scopes=self._scopes, headers=headers)
        response = self._registry.open(request)
        if response.status in {OK, PARTIAL}:
            if response.headers.get("content-encoding", "identity") == "identity":
                return response
            response.close()
            raise Interrupted("the server encoded the bytes although that was not wanted")
        answer = self._registry.whole(read_answer(response, self._registry.absolute(self._url)))
        if answer.status == RANGE_REFUSED:
            found = integer(answer.header("content-range").removeprefix("bytes */"))
            raise wrong_size(self._named, found, self._partial.size)
        refuse(answer, self._named)

    def _take(self, response: urllib3.BaseHTTPResponse, chunk: Chunk, *, keep: bool = True) -> None:
        """Read what a chunk lacks out of an answer."""
        with self._registry.reading(response):
            for block in blocks(response, chunk.size - chunk.got):
                if keep:
                    self._partial.write(block, chunk.start + chunk.got)
                fresh = chunk.add(block, hashed=self._strict)
                if keep and fresh:
                    with self._lock:
                        self._advance(fresh)
                self._registry.require_running()
                if self._stop.is_set():
                    break

    def _finish(self, chunk: Chunk) -> bool:
        """Mark a chunk that has all its bytes; return False if they are the wrong ones."""
        table = self._wanted.table if self._strict else None
        if table is not None and chunk.hasher.digest() != table.hashes[chunk.index]:
            return False
        self._partial.mark(chunk.index, done=True)
        if self._follower is not None:
            self._follower.notice()
        return True

    def _wait(self, patience: Patience, reason: Interrupted, *, further: bool) -> None:
        here = self._partial.size - sum(
            length(self._partial.size, index) for index in self._partial.missing()
        )
        kept = f"it goes on after the {here:,} bytes that are here" if here else ""
        patience.wait(reason, further=further, kept=kept)

    def _bad(self, chunk: Chunk, found: str) -> Corrupt:
        assert self._wanted.table is not None, "only a table tells good chunks from bad ones"
        self.hopeless = False
        expected = self._wanted.table.hashes[chunk.index].hex()
        return Corrupt(
            f"bytes {chunk.start:,} to {chunk.start + chunk.size:,} of {self._named} came {_TRIES} "
            f"times with a BLAKE3 other than expected, last {found}, "
            f"expected {expected}",
            hint="the registry, or something on the way, has other bytes; "
            "the chunks that are right are kept for the next attempt",
        )
