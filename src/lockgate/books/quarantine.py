"""Records that the database can never take, set aside so that those behind them go on.

A record whose checksum is right and which cannot be read was written by another version of the
program; one can be too large for the audit log. Either would hold up its spool for good. The file
keeps the bytes, and the audit log says that it is there.
"""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from lockgate.books.records import MOST_BYTES, Audited, Content, decode, encode_audited
from lockgate.books.spool import Record
from lockgate.domain.audit import Entry
from lockgate.errors import Corrupt, LockgateError, StorageFailed
from lockgate.ports import Clock

FOLDER: Final = ".quarantine"
_AUDIT: Final = b"A"
_OWNER_ONLY: Final = 0o600


class Quarantine:
    """The quarantine of the spools below `root`. `failed` is told of each record that comes in."""

    def __init__(
        self, root: Path, *, clock: Clock, failed: Callable[[LockgateError], None]
    ) -> None:
        self._folder = root / FOLDER
        self._clock = clock
        self._failed = failed

    def read(self, spool: str, record: Record) -> Content:
        """Return what a record holds; of one that cannot be taken, the entry that says so.

        Raises:
            StorageFailed: it cannot be set aside. Nothing is lost: try again.

        """
        try:
            content = decode(record.content)
            if len(record.content) <= MOST_BYTES or not isinstance(content, Audited):
                return content
            problem = f"the audit event has {len(record.content)} bytes, the most is {MOST_BYTES}"
        except Corrupt as error:
            problem = error.message
        return self._set_aside(spool, record, problem)

    def holds_money(self, spool: str) -> bool:
        """Say whether a record of a spool is here that may have been of money."""
        return any(
            path.name.partition(".")[0] == spool and path.suffix != ".audit"
            for path in self._paths()
        )

    @property
    def count(self) -> int:
        """How many records are here, until somebody has looked at them and taken them away."""
        return len(self._paths())

    def _paths(self) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.suffix != ".partial"]
        except FileNotFoundError:
            return []

    def _set_aside(self, spool: str, record: Record, problem: str) -> Content:
        kind = "audit" if record.content[:1] == _AUDIT else "money"
        path = self._folder / f"{spool}.{record.end}.{kind}"
        if not path.exists():
            _keep(path, record.content)
            self._failed(
                Corrupt(
                    f"a record of the spool `{spool}` was set aside: {problem}",
                    hint=f"see `{path}`; delete it when it is dealt with",
                )
            )
        said = Entry(
            # Equal for equal records: one that is set aside again is the same event.
            id=f"{spool}.{record.end}",
            at=self._clock(),
            actor="lockgate",
            action="spool.quarantine",
            subject=spool,
            detail={
                "kind": kind,
                "bytes": len(record.content),
                "sha256": sha256(record.content).hexdigest(),
                "problem": problem[:200],
            },
        )
        return decode(encode_audited(said))


def _keep(path: Path, content: bytes) -> None:
    partial = path.with_suffix(path.suffix + ".partial")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _OWNER_ONLY)
        with os.fdopen(file, "wb") as writing:
            writing.write(content)
            writing.flush()
            os.fsync(writing.fileno())  # the record goes from the spool once this is in its place
        partial.rename(path)
    except OSError as error:
        raise StorageFailed(
            f"`{path}` cannot be written: {error.strerror}", hint="free some space"
        ) from error
