"""A closure in one file, for machines without a network.

The file is an uncompressed tar in the form of an OCI image layout, which other tools read as
`oci-archive:`. The same closure gives the same bytes: members are sorted, and nothing says who
wrote them or when. Format: OCI image-spec 1.1, `image-layout.md`.
"""

import os
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from lockgate.domain.artifact import Descriptor
from lockgate.domain.digest import Digest, Json, canonical
from lockgate.errors import Corrupt, Denied, NotFound, StorageFailed
from lockgate.oci.contents import (
    BLOBS,
    INDEX_FILE,
    MARKER_FILE,
    Contents,
    other_bytes,
    read_contents,
)
from lockgate.oci.disk import storage, sync, writer
from lockgate.oci.hashing import hash_stream
from lockgate.oci.index import REF_NAME, encode_index
from lockgate.oci.kinds.table import require_valid
from lockgate.oci.layout import Layout, attachment
from lockgate.oci.tar import end, header, padding

_TRIES: Final = 3
MARKER: Final = canonical({"imageLayoutVersion": "1.0.0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An archive that was written."""

    path: Path
    size: int
    blobs: int
    absent: tuple[Digest, ...]
    """What a release pins, is not in the store, and may be absent."""


def export(
    layout: Layout,
    roots: Mapping[str, Descriptor],
    path: Path,
    *,
    may_lack: Collection[Digest] = (),
    advance: Callable[[int], None] | None = None,
) -> Exported:
    """Write all that `roots`, by name, lead to, and what is attached to it. Appears when whole.

    What a release pins has to be in the store, unless it is among `may_lack`: a model inside the
    package, for example.

    Raises:
        NotFound: the store lacks what a release pins.
        Corrupt: a blob is damaged or missing.
        StorageFailed: the disk is full or read-only.

    """
    closure = layout.closure(manifest.digest for manifest in roots.values())
    absent = sorted(digest for digest in closure.pinned if not layout.blob(digest).exists())
    lacking = [digest for digest in absent if digest not in may_lack]
    if lacking:
        raise NotFound(
            f"the release pins {lacking[0]}, which is not in the store",
            hint="pull what it pins: `lockgate model pull` or `lockgate release pull`",
        )
    blobs = sorted((closure.needed | closure.pinned) - set(absent))
    index = _index(layout, roots, sorted(closure.attached))
    partial = path.with_name(f"{path.name}.part")
    try:
        with storage(partial), FileIO(partial, "w") as file:
            tape = _Tape(file)
            for digest in blobs:
                tape.blob(layout.blob(digest), digest, advance)
            tape.small(INDEX_FILE, index)
            tape.small(MARKER_FILE, MARKER)
            tape.write(memoryview(end()))
            os.fsync(file.fileno())
        with storage(path):
            partial.replace(path)
            sync(path.absolute().parent)
    except StorageFailed as error:
        layout.discard(partial)
        hint = "write to a disk with more space, or to a folder of yours: `--output`"
        raise StorageFailed(error.message, hint=hint) from error
    except BaseException:
        layout.discard(partial)
        raise
    return Exported(path=path, size=tape.offset, blobs=len(blobs), absent=tuple(absent))


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """An archive whose contents are in the store now."""

    named: Mapping[str, Descriptor]
    attached: int
    blobs: int
    size: int
    """Bytes of the blobs."""


def import_(
    layout: Layout,
    path: Path,
    *,
    prefix: str = "",
    replace_names: bool = False,
    advance: Callable[[int], None] | None = None,
) -> Imported:
    """Take in all that an archive holds, or nothing.

    Every byte is hashed before anything gets its place, and names come last, in one step. Names
    have to begin with `prefix`: an archive of releases must not say what a model's name means.

    Raises:
        NotFound: there is no such file.
        Corrupt: it is no such archive, or a byte of it is not what its digest says.
        Denied: a name does not begin with `prefix`; or it stands for something else here, and
            `replace_names` is not set.
        StorageFailed: the disk is full or read-only; nothing became visible.

    """
    if not path.is_file():
        raise NotFound(f"`{path}` is not a file", hint="give the path of an exported file")
    layout.prepare()
    with storage(path):
        file = path.open("rb", buffering=0)
    with file:
        contents = read_contents(file, path)
        _require_names(contents, prefix)
        if not replace_names:
            _require_free(layout, contents)
        size = sum(member.size for member in contents.blobs.values())
        layout.require_space(size)
        for _ in range(_TRIES):
            _take(layout, file, contents, advance)
            require_valid(layout, contents.documents)
            if layout.publish(contents.named, contents.attached):
                return Imported(
                    named=contents.named,
                    attached=len(contents.attached),
                    blobs=len(contents.blobs),
                    size=size,
                )
            # Another process removed a blob between its arrival and its naming.
    raise StorageFailed("blobs were removed while they were imported", hint="import again")


def _require_names(contents: Contents, prefix: str) -> None:
    for name in contents.named:
        if not name.startswith(prefix):
            raise Denied(
                f"the archive has the name `{name}`, expected names that begin with `{prefix}`",
                hint="nothing was taken in; see whether the file is of the kind that you mean",
            )


def _require_free(layout: Layout, contents: Contents) -> None:
    here = layout.manifests()
    for name, manifest in contents.named.items():
        if name in here and here[name].digest != manifest.digest:
            raise Denied(
                f"`{name}` stands for {here[name].digest} here and for {manifest.digest} in the "
                "archive",
                hint="import with `--replace` to let it stand for the archive's",
            )


def _take(
    layout: Layout, file: FileIO, contents: Contents, advance: Callable[[int], None] | None
) -> None:
    """Copy every blob into `ingest/`, and move them to their places when all are right."""
    name = f"import-{os.getpid()}-{threading.get_ident()}"
    partials: dict[Digest, Path] = {}
    # The lock tells `lockgate store gc` that somebody still works on the files.
    with layout.lock(name):
        try:
            for digest, member in contents.blobs.items():
                partial = partials[digest] = layout.ingest / f"{name}.{digest.hex}.tmp"
                file.seek(member.offset)
                with storage(partial), FileIO(partial, "w") as copy:
                    found = hash_stream(
                        file, limit=member.size, write=writer(copy), advance=advance
                    )
                if found.digest != digest:
                    raise other_bytes(str(digest), str(found.digest))
                # Checked once, here: at rest the quicker digest then stands for the other one.
                if not contents.claims.get(digest, {found.blake3}) <= {found.blake3}:
                    raise other_bytes(min(contents.claims[digest]), found.blake3)
            for digest, partial in partials.items():
                layout.adopt(partial, digest)
        finally:
            for partial in partials.values():
                layout.discard(partial)


def _index(layout: Layout, roots: Mapping[str, Descriptor], attached: Collection[Digest]) -> bytes:
    entries: list[Json] = [
        {
            "mediaType": manifest.media_type,
            "digest": str(manifest.digest),
            "size": manifest.size,
            "annotations": {REF_NAME: name},
        }
        for name, manifest in sorted(roots.items())
    ]
    return encode_index([*entries, *(attachment(layout.read(digest)) for digest in attached)])


class _Tape:
    """Writes members one after another."""

    def __init__(self, file: FileIO) -> None:
        self._write = writer(file)
        self.offset = 0

    def write(self, data: memoryview) -> None:
        self._write(data)
        self.offset += len(data)

    def small(self, name: str, data: bytes) -> None:
        self.write(memoryview(header(name, len(data), self.offset)))
        self.write(memoryview(data))
        self.write(memoryview(padding(len(data))))

    def blob(self, path: Path, digest: Digest, advance: Callable[[int], None] | None) -> None:
        try:
            source = FileIO(path)
        except FileNotFoundError as error:
            raise _damaged(path, "is missing") from error
        with source:
            size = os.fstat(source.fileno()).st_size
            self.write(memoryview(header(BLOBS + digest.hex, size, self.offset)))
            found = hash_stream(source, limit=size, write=self.write, advance=advance)
        if found.digest != digest:
            raise _damaged(path, f"has the digest {found.digest}, expected {digest}")
        self.write(memoryview(padding(size)))


def _damaged(path: Path, what: str) -> Corrupt:
    return Corrupt(f"`{path}` {what}", hint="lockgate store verify")
