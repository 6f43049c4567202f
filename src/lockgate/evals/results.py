"""The result of a case, and the JSON Lines file that a run writes and a later run takes up.

One line a case, in the order of the suite, written as soon as the order allows. A run that ends
early leaves `FILE.part`; the next one reads it, keeps the results whose `input` is unchanged, and
asks only for the others.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Self

from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import InvalidConfig, StorageFailed

FORMAT = 1
MAX_LINE = 64 << 20


class Outcome(StrEnum):
    """How a case ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"


class Fault(StrEnum):
    """Whose error it was."""

    NONE = ""
    CASE = "case"
    """The case or one of its assertions makes no sense."""
    PROVIDER = "provider"
    JUDGE = "judge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One case's end."""

    id: str
    input: str
    name: str
    path: str
    line: int
    provider: str
    prompt: str
    outcome: Outcome
    score: float
    reason: str
    fault: Fault = Fault.NONE
    output: Json = None
    assertions: tuple[JsonObject, ...] = ()
    named: Mapping[str, Json] = field(default_factory=dict)
    """Metric to `[score, weight]`."""
    degraded: tuple[str, ...] = ()
    case: str = ""
    """Hex. What was asked, whoever answers: equal in two runs of one dataset."""
    observed: JsonObject = field(default_factory=dict)
    """What the suite's gates want to know beside the verdict."""

    @property
    def document(self) -> dict[str, Json]:
        return {
            "id": self.id,
            "input": self.input,
            "name": self.name,
            "path": self.path,
            "line": self.line,
            "provider": self.provider,
            "prompt": self.prompt,
            "outcome": str(self.outcome),
            "fault": str(self.fault),
            "score": self.score,
            "reason": self.reason,
            "output": self.output,
            "assertions": list(self.assertions),
            "named": dict(self.named),
            "degraded": list(self.degraded),
            "case": self.case,
            "observed": dict(self.observed),
        }

    @classmethod
    def read(cls, value: Mapping[str, Json]) -> Self:
        """Read a document.

        Raises:
            KeyError, TypeError, ValueError: it is none.

        """
        members = dict(value)
        return cls(
            id=str(members["id"]),
            input=str(members["input"]),
            name=str(members["name"]),
            path=str(members["path"]),
            line=int(members["line"]),  # type: ignore[arg-type]
            provider=str(members["provider"]),
            prompt=str(members["prompt"]),
            outcome=Outcome(str(members["outcome"])),
            score=float(members["score"]),  # type: ignore[arg-type]
            reason=str(members["reason"]),
            fault=Fault(str(members["fault"])),
            output=members["output"],
            assertions=tuple(members["assertions"]),  # type: ignore[arg-type]
            named=dict(members["named"]),  # type: ignore[arg-type]
            degraded=tuple(members["degraded"]),  # type: ignore[arg-type]
            case=str(members["case"]),
            observed=dict(members["observed"]),  # type: ignore[arg-type]
        )


def line_of(result: Result) -> bytes:
    """Return a result as one line: keys sorted, no space, so that equal results are equal bytes."""
    text = json.dumps(
        result.document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return text.encode("utf-8", "backslashreplace") + b"\n"


def read_results(path: Path) -> Iterator[Result]:
    """Yield the results of a file.

    Raises:
        InvalidConfig: it cannot be read, or a line of it is no result.

    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), 1):
                try:
                    yield Result.read(json.loads(line))
                except (ValueError, TypeError, KeyError, RecursionError) as error:
                    raise InvalidConfig(
                        f"`{path}`, line {number} is not a result: {error}",
                        hint="give a file that `lockgate eval --results FILE` wrote",
                    ) from None
    except OSError as error:
        raise InvalidConfig(f"`{path}` cannot be read: {error.strerror}") from error


class Journal:
    """Writes results in order, and gives back those of a run that ended early."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._part = path and path.with_name(f"{path.name}.part")
        self._old = path and path.with_name(f"{path.name}.old")
        self._file: IO[bytes] | None = None
        self._source: IO[bytes] | None = None
        self._lock_path = path and path.with_name(f"{path.name}.lock")
        self._locked: IO[bytes] | None = None
        self._known: dict[bytes, int] = {}

    def __enter__(self) -> Self:
        if self._path is None or self._part is None or self._old is None:
            return self
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock()
            _append(self._part, self._old)
            if self._old.exists():
                self._source = self._old.open("rb")
                self._known = _index(self._source)
            self._file = self._part.open("wb")
        except OSError as error:
            self.__exit__()
            raise _failed(self._path, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._locked is not None and self._lock_path is not None:
            with suppress(OSError):
                self._lock_path.unlink(missing_ok=True)
        for file in (self._file, self._source, self._locked):
            if file is not None:
                with suppress(OSError):  # a full disk has been told at the write
                    file.close()
        self._file = self._source = self._locked = None

    def _lock(self) -> None:
        """Keep other processes off the file; the system lets go of it if this one dies."""
        assert self._lock_path is not None
        locked = self._lock_path.open("ab")
        try:
            fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = _is_at(locked, self._lock_path)  # its last owner may have removed it since
        except BlockingIOError:
            mine = False
        if not mine:
            locked.close()
            raise StorageFailed(
                f"another run writes `{self._path}`", hint="wait for it, or give another file"
            )
        self._locked = locked

    @property
    def resumed(self) -> int:
        """How many results an earlier run left."""
        return len(self._known)

    def known(self, id_: str, input_: str) -> Result | None:
        """Return the result that an earlier run left for the case, unless the case has changed."""
        offset = self._known.get(bytes.fromhex(id_ + input_))
        if offset is None or self._source is None:
            return None
        self._source.seek(offset)
        return Result.read(json.loads(self._source.readline()))

    def write(self, result: Result) -> None:
        """Append a result.

        Raises:
            StorageFailed: the disk is full.

        """
        if self._file is None:
            return
        try:
            self._file.write(line_of(result))
            self._file.flush()  # a process that is killed leaves every finished case
        except OSError as error:
            assert self._path is not None
            raise _failed(self._path, error) from error

    def finish(self) -> None:
        """Put the whole file in its place. Until then the old one stands."""
        if self._file is None or self._part is None or self._path is None or self._old is None:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._part.replace(self._path)
            self._old.unlink(missing_ok=True)
        except OSError as error:
            raise _failed(self._path, error) from error


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _append(part: Path, old: Path) -> None:
    """Move what is in `part` behind what is in `old`."""
    if not part.exists():
        return
    if not old.exists():
        part.replace(old)
        return
    with old.open("rb+") as target, part.open("rb") as source:
        target.seek(0, os.SEEK_END)
        if target.tell():
            target.seek(-1, os.SEEK_END)
            if target.read(1) != b"\n":  # the earlier run was cut off inside a line
                target.write(b"\n")
        while data := source.read(1 << 20):
            target.write(data)
        target.flush()
        os.fsync(target.fileno())
    part.unlink()


def _index(file: IO[bytes]) -> dict[bytes, int]:
    """Return offsets of whole lines by case; a line that was cut off is skipped."""
    found: dict[bytes, int] = {}
    offset = 0
    while line := file.readline(MAX_LINE):
        if line.endswith(b"\n"):
            try:
                value = json.loads(line)
                Result.read(value)
                found[bytes.fromhex(value["id"] + value["input"])] = offset
            except (ValueError, TypeError, KeyError, RecursionError):
                pass
        offset += len(line)
    return found


def _failed(path: Path, error: OSError) -> StorageFailed:
    return StorageFailed(
        f"`{path}` cannot be written: {error.strerror}",
        hint="what is finished stands in its `.part` file: run again to go on",
    )
