"""Recorded inferences: a folder with one file a result, named by the address of its dispatch."""

import json
import os
from pathlib import Path

from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest, canonical
from lockgate.domain.inference import Dispatch, Result
from lockgate.domain.recording import decode_result, dispatch_digest, encode_result
from lockgate.errors import Corrupt, StorageFailed, Unavailable
from lockgate.ports import Backend

MAX_RESULT_BYTES = 256 << 20


class Cassette:
    """A folder of results."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, digest: Digest) -> Result | None:
        """Return the result that was recorded for a dispatch.

        Raises:
            Corrupt: the file is not a recorded result.

        """
        path = self._path(digest)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_RESULT_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageFailed(f"`{path}` cannot be read: {error.strerror}") from error
        if len(data) > MAX_RESULT_BYTES:
            raise Corrupt(f"`{path}` is larger than {MAX_RESULT_BYTES} bytes")
        try:
            return decode_result(json.loads(data))
        except (ValueError, RecursionError) as error:
            raise Corrupt(f"`{path}` is not JSON: {error}") from error

    def save(self, digest: Digest, result: Result) -> None:
        """Record a result; a reader sees all of it or nothing.

        Raises:
            StorageFailed: it cannot be written.

        """
        path = self._path(digest)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(canonical(encode_result(result)) + b"\n")
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise StorageFailed(f"`{path}` cannot be written: {error.strerror}") from error

    def _path(self, digest: Digest) -> Path:
        return self._folder / f"{digest.hex}.json"


class ReplayBackend:
    """Implements `ports.Backend` from a cassette: what was not recorded is unavailable."""

    data_classes = frozenset(DataClass)

    def __init__(self, cassette: Cassette) -> None:
        self._cassette = cassette

    async def infer(self, dispatch: Dispatch) -> Result:
        """Return what was recorded for this very dispatch."""
        digest = dispatch_digest(dispatch)
        found = self._cassette.load(digest)
        if found is None:
            raise Unavailable(
                f"no result is recorded for this request to `{dispatch.model}` ({digest})",
                hint="record it with `lockgate run … --record FOLDER`",
            )
        return found


class RecordingBackend:
    """Implements `ports.Backend` by another one, and keeps what it answered."""

    def __init__(self, inner: Backend, cassette: Cassette) -> None:
        self._inner = inner
        self._cassette = cassette

    @property
    def data_classes(self) -> frozenset[DataClass]:
        return self._inner.data_classes

    async def infer(self, dispatch: Dispatch) -> Result:
        """Ask the other backend, and record its answer."""
        result = await self._inner.infer(dispatch)
        self._cassette.save(dispatch_digest(dispatch), result)
        return result
