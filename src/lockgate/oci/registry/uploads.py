"""Brings blobs into a repository (distribution-spec 1.1, "Pushing Blobs")."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, LockgateError, Unavailable, UsageError
from lockgate.oci.disk import storage
from lockgate.oci.registry.answers import (
    ACCEPTED,
    CREATED,
    NO_CONTENT,
    NOT_FOUND,
    OK,
    RANGE_REFUSED,
    Answer,
    Interrupted,
    integer,
    refuse,
)
from lockgate.oci.registry.client import Registry, Request
from lockgate.oci.registry.journal import Journal, Slot
from lockgate.oci.registry.transport import BLOCK

PIECE: Final = 64 << 20
"""Bytes of one PATCH: what a broken connection costs at most."""
_LONGEST_PIECE: Final = 4 << 30
_NO_PATCH: Final = frozenset({400, 404, 405, 411, 413, 415, 501})
"""Answers of registries that take a blob only in one piece."""

Advance = Callable[[int], None]
"""Told of bytes that are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Upload:
    """What does not change while a blob goes up in pieces."""

    digest: Digest
    file: FileIO
    piece: int
    slot: Slot | None
    advance: Advance


class Uploads:
    """The blobs of one repository, for writing."""

    def __init__(
        self,
        registry: Registry,
        repository: str,
        *,
        piece: int = PIECE,
        journal: Journal | None = None,
    ) -> None:
        self._journal = journal
        self._registry = registry
        self._repository = repository
        self._piece = piece
        self._start = f"/v2/{repository}/blobs/uploads/"
        self._scopes = (f"repository:{repository}:pull,push",)

    def has(self, digest: Digest, size: int) -> bool:
        """Say whether the repository has a blob.

        Raises:
            Corrupt: it has one of another size under that digest.
            Denied: the account may not.
            Unavailable: the registry failed too often.

        """
        url = f"/v2/{self._repository}/blobs/{digest}"
        answer = self._registry.ask(Request(method="HEAD", url=url, scopes=self._scopes))
        if answer.status == NOT_FOUND:
            return False
        if answer.status != OK:
            refuse(answer, self._named(digest))
        found = integer(answer.header("content-length"))
        if found is not None and found != size:
            raise Corrupt(
                f"{self._named(digest)} has {found:,} bytes there, {size:,} here",
                hint="lockgate store verify; if the store is whole, the registry is damaged",
            )
        return True

    def mount(self, digest: Digest, source: str) -> bool:
        """Take a blob over from another repository of the registry; return whether that worked.

        Raises as `has`.
        """
        query = urlencode({"mount": str(digest), "from": source})
        scopes = (*self._scopes, f"repository:{source}:pull")
        answer = self._registry.ask(
            Request(
                method="POST",
                url=f"{self._start}?{query}",
                scopes=scopes,
                headers={"Content-Length": "0"},
            )
        )
        if answer.status == ACCEPTED and answer.header("location"):
            # An upload was begun instead. It is given up, so that it does not lie around.
            self._registry.ask(
                Request(
                    method="DELETE",
                    url=self._location(answer, self._start),
                    scopes=self._scopes,
                )
            )
        return answer.status == CREATED

    def push(self, digest: Digest, path: Path, advance: Advance) -> None:
        """Bring a file's bytes into the repository, which it may have already.

        With a journal, a large upload goes on where a process that was killed left it, as far as
        the registry kept it.

        Raises:
            Corrupt: the bytes of `path` are not those of `digest`, says the registry.
            Denied: the account may not.
            UsageError: the registry does not take the blob.
            Unavailable: the registry failed too often.
            StorageFailed: the file cannot be read.

        """
        with storage(path), FileIO(path) as file:
            size = path.stat().st_size
            if size <= self._piece:
                url, _ = self._begin(digest)
                self._put(url, digest, file, (0, size))
                advance(size)
                return
            with self._slot(digest, size) as slot:
                try:
                    self._large(digest, file, slot, advance)
                except Unavailable:
                    raise  # what arrived is still there
                except LockgateError:
                    if slot is not None:
                        slot.forget()
                    raise
                if slot is not None:
                    slot.forget()

    def _slot(self, digest: Digest, size: int) -> AbstractContextManager[Slot | None]:
        return nullcontext() if self._journal is None else self._journal.slot(digest, size)

    def _large(self, digest: Digest, file: FileIO, slot: Slot | None, advance: Advance) -> None:
        size = file.seek(0, 2)
        url, done, piece = self._resumed(slot, size)
        if not url:
            url, least = self._begin(digest)
            # distribution-spec: every piece but the last has at least `OCI-Chunk-Min-Length` bytes.
            piece = max(self._piece, least)
        if size <= piece:
            self._put(url, digest, file, (0, size))
            advance(size)
            return
        if slot is not None:
            slot.note(url, piece)
        if done:
            advance(done)
        upload = _Upload(digest=digest, file=file, piece=piece, slot=slot, advance=advance)
        self._in_pieces(url, done, upload)

    def _resumed(self, slot: Slot | None, size: int) -> tuple[str, int, int]:
        """Return where an earlier upload goes on, its bytes and piece; empty if it does not."""
        noted, piece = slot.read() if slot is not None else ("", 0)
        if not noted:
            return "", 0, 0
        answer = self._registry.ask(Request(method="GET", url=noted, scopes=self._scopes))
        done = _received(answer, 0) if answer.status in {NO_CONTENT, OK} else 0
        # Otherwise forgotten, or broken off in the middle of a piece that was not kept.
        return (self._location(answer, noted), done, piece) if 0 < done <= size else ("", 0, 0)

    def _begin(self, digest: Digest) -> tuple[str, int]:
        answer = self._registry.ask(
            Request(
                method="POST",
                url=self._start,
                scopes=self._scopes,
                headers={"Content-Length": "0"},
            )
        )
        if answer.status != ACCEPTED or not answer.header("location"):
            refuse(answer, f"an upload of {self._named(digest)}")
        least = integer(answer.header("oci-chunk-min-length")) or 0
        if least > _LONGEST_PIECE:
            raise UsageError(
                f"the registry `{self._registry.host}` wants pieces of {least:,} bytes, at most "
                f"{_LONGEST_PIECE:,} are sent"
            )
        return self._location(answer, self._start), least

    def _in_pieces(self, url: str, at: int, upload: "_Upload") -> None:
        digest, file = upload.digest, upload.file
        size = file.seek(0, 2)
        patience = self._registry.patience(self._start)
        reported = at
        while at < size:
            end = min(at + upload.piece, size)
            try:
                answer = self._patch(url, file, at, end)
            except Interrupted as reason:
                url, done = self._status(url)
                patience.wait(reason, further=done > at, kept=f"{done:,} of {size:,} bytes arrived")
                at = done
                continue
            if at == 0 and answer.status in _NO_PATCH:
                url, _ = self._begin(digest)
                self._put(url, digest, file, (0, size))
                upload.advance(size - reported)
                return
            if answer.status == RANGE_REFUSED:
                # The registry has another idea of what arrived: its word counts.
                url, done = self._status(url)
                why = f"the registry wants another piece than the one from byte {at:,} on"
                patience.wait(Interrupted(why, wait_s=0), further=done > at)
                if done == at:
                    url, _ = self._begin(digest)  # it does not know itself: from the start
                    done = 0
                at = done
                continue
            if answer.status not in {ACCEPTED, NO_CONTENT, CREATED}:
                refuse(answer, f"bytes {at:,} to {end:,} of {self._named(digest)}")
            url = self._location(answer, url)
            at = min(_received(answer, end), end)
            if upload.slot is not None:
                upload.slot.note(url, upload.piece)
            if at > reported:
                upload.advance(at - reported)
                reported = at
        self._put(url, digest, file, (size, size))

    def _patch(self, url: str, file: FileIO, start: int, end: int) -> Answer:
        return self._registry.ask_once(
            Request(
                method="PATCH",
                url=url,
                scopes=self._scopes,
                headers={
                    "Content-Type": "application/octet-stream",
                    "Content-Length": str(end - start),
                    "Content-Range": f"{start}-{end - 1}",
                },
                body=lambda: self._blocks(file, start, end),
            )
        )

    def _status(self, url: str) -> tuple[str, int]:
        """Ask how much arrived. An upload that the registry forgot begins again."""
        answer = self._registry.ask(Request(method="GET", url=url, scopes=self._scopes))
        if answer.status == NOT_FOUND:
            begun = self._registry.ask(
                Request(
                    method="POST",
                    url=self._start,
                    scopes=self._scopes,
                    headers={"Content-Length": "0"},
                )
            )
            if begun.status != ACCEPTED:
                refuse(begun, f"an upload to `{self._repository}`")
            return self._location(begun, self._start), 0
        if answer.status not in {NO_CONTENT, OK}:
            refuse(answer, f"the state of an upload to `{self._repository}`")
        return self._location(answer, url), _received(answer, 0)

    def _put(self, url: str, digest: Digest, file: FileIO, span: tuple[int, int]) -> None:
        """Send the last bytes, and have the registry compare the digest."""
        start, end = span
        patience = self._registry.patience(self._start)
        answer = None
        while answer is None:
            separator = "&" if "?" in url else "?"
            request = Request(
                method="PUT",
                url=f"{url}{separator}{urlencode({'digest': str(digest)})}",
                scopes=self._scopes,
                headers={
                    "Content-Type": "application/octet-stream",
                    "Content-Length": str(end - start),
                },
                body=lambda: self._blocks(file, start, end),
            )
            try:
                answer = self._registry.ask_once(request)
            except Interrupted as reason:
                # It may have arrived all the same, and then the upload is no more.
                if self.has(digest, file.seek(0, 2)):
                    return
                patience.wait(reason)
                if start == 0:
                    url, _ = self._begin(digest)
        if answer.status == CREATED:
            return
        if b"DIGEST_INVALID" in answer.data:
            raise Corrupt(
                f"{self._named(digest)}: the registry found other bytes than the digest says "
                f"({answer.reason})",
                hint="lockgate store verify",
            )
        refuse(answer, f"the end of the upload of {self._named(digest)}")

    def _blocks(self, file: FileIO, start: int, end: int) -> Iterator[bytes]:
        """Read a part of a file as it is sent, apart from the file's own position."""
        while start < end:
            self._registry.require_running()
            data = os.pread(file.fileno(), min(BLOCK, end - start), start)
            if not data:
                return  # somebody cut the file: the registry waits for the rest, or finds out
            yield data
            start += len(data)

    def _location(self, answer: Answer, base: str) -> str:
        said = answer.header("location")
        registry = self._registry
        return registry.absolute(said, registry.absolute(base)) if said else base

    def _named(self, digest: Digest) -> str:
        return f"`{self._registry.host}/{self._repository}@{digest}`"


def _received(answer: Answer, otherwise: int) -> int:
    """Read `Range: 0-99` as 100 bytes. Some registries write `bytes=0-99`."""
    said = answer.header("range").removeprefix("bytes=")
    first, dash, last = said.partition("-")
    end = integer(last)
    if not dash or integer(first) != 0 or end is None:
        return otherwise
    # docker-registry says `0-0` for none and for one byte: none is the safe reading.
    return end + 1 if end else 0
