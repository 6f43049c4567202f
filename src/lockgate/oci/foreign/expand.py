"""Undoes the compression of a layer, into a file and within bounds.

Formats: RFC 1952 (gzip), RFC 8878 (Zstandard). Python has the second from 3.14 on; before that it
comes with the extra `zstd`.
"""

import gzip
import sys
import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, UsageError
from lockgate.oci.disk import CHUNK, storage
from lockgate.oci.foreign.media_types import Wrapping

_ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
_WINDOW_BITS: Final = 27
"""128 MiB, what `zstd -d` and OCI tools take: the decoder keeps that many bytes at most."""
_NAMES: Final[Mapping[Wrapping, str]] = {Wrapping.TAR_GZIP: "gzip", Wrapping.TAR_ZSTD: "zstd"}


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def require_decoder(wrapping: Wrapping, layer: str) -> None:
    """Refuse a layer, given by its media type, that nothing installed here decompresses.

    Raises:
        UsageError: the extra is missing.

    """
    if wrapping is Wrapping.TAR_ZSTD and not _has(_ZSTD):
        raise UsageError(
            f"a layer is `{layer}`, and nothing that is installed here reads zstd",
            hint="pip install 'lockgate[zstd]', or have it packed without compression",
        )


def expand(blob: Path, target: Path, wrapping: Wrapping, *, most: int) -> None:
    """Write what the layer `blob` holds to `target`.

    Raises:
        Corrupt: it is not what its media type says, is cut off, or holds more than `most` bytes.
        StorageFailed: the disk is full or read-only.

    """
    opened, damaged = _decoder(blob, wrapping)
    size = 0
    with storage(target), target.open("wb") as output, opened as stream:
        try:
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                if size > most:
                    raise Corrupt(
                        f"a compressed layer of {blob.stat().st_size:,} bytes holds more than "
                        f"{most:,}",
                        hint="have it packed without compression; nothing was kept",
                    )
                output.write(chunk)
        except damaged as error:
            raise Corrupt(
                f"the layer {Digest(blob.name)} is not {_NAMES[wrapping]}, or cut off: {error}",
                hint="have it packed again; nothing was kept",
            ) from error


def _decoder(
    blob: Path, wrapping: Wrapping
) -> tuple[AbstractContextManager[_Stream], tuple[type[Exception], ...]]:
    if wrapping is Wrapping.TAR_GZIP:
        return gzip.GzipFile(blob), (gzip.BadGzipFile, EOFError, zlib.error)
    zstd: Any = import_module(_ZSTD)
    options = {zstd.DecompressionParameter.window_log_max: _WINDOW_BITS}
    start: Callable[..., AbstractContextManager[_Stream]] = zstd.open
    return start(blob, options=options), (zstd.ZstdError, EOFError)


def _has(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package is not here either
        return False
