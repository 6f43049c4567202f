"""Files that a command line names."""

from pathlib import Path

from lockgate.errors import NotFound, StorageFailed


def read_file(path: Path, limit: int) -> bytes:
    """Return a file's first `limit` + 1 bytes.

    Raises:
        NotFound: it cannot be read.

    """
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise NotFound(f"`{path}` cannot be read: {error.strerror}") from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file in one step; `/dev/stdout` and other devices are written to.

    Raises:
        StorageFailed: it cannot be written; what was there is as it was.

    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        target = path.resolve()
        partial = target.with_name(f".{target.name}.partial")
        try:
            partial.write_bytes(data)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise StorageFailed(f"`{path}` cannot be written: {error.strerror}") from error
