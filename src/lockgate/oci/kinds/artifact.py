"""An artifact of the store, opened to be checked: every byte of it was hashed before."""

import json
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Final

from lockgate.domain.artifact import Descriptor, Manifest
from lockgate.domain.digest import Digest
from lockgate.domain.predicates.fields import Fields
from lockgate.errors import Corrupt, LockgateError
from lockgate.oci.layout import Layout

API_VERSION: Final = "lockgate/v1"
ROLE: Final = "io.lockgate.role"
_TITLE: Final = "org.opencontainers.image.title"
_LONGEST_LINE: Final = 1 << 20


class Artifact:
    """What a manifest names. Its members raise Corrupt for what does not fit together."""

    def __init__(self, layout: Layout, digest: Digest) -> None:
        self._layout = layout
        self.digest = digest
        self.manifest = Manifest.parse(layout.read(digest))

    @property
    def layers(self) -> Sequence[Descriptor]:
        """Its files."""
        return self.manifest.layers

    def config(self, kind: str) -> Fields:
        """Return the typed config. Raises Corrupt if it is not of our version."""
        fields = self.document(kind)
        version = fields.text("apiVersion")
        if version != API_VERSION:
            raise Corrupt(f"{kind}.apiVersion is `{version[:40]}`, expected `{API_VERSION}`")
        return fields

    def document(self, kind: str) -> Fields:
        """Return the config, whatever its version. Raises Corrupt if it is not an object."""
        try:
            document = json.loads(self._layout.read(self.manifest.config.digest))
        except (ValueError, RecursionError) as error:
            raise Corrupt(f"the config of the {kind} is not JSON") from error
        return Fields(document, kind)

    def with_role(self, role: str) -> Descriptor:
        """Return the one layer with a role."""
        found = [layer for layer in self.layers if layer.annotations.get(ROLE) == role]
        if len(found) != 1:
            raise Corrupt(f"{len(found)} files have the role `{role}`, expected 1")
        return found[0]

    def named(self, fields: Fields, member: str) -> Descriptor:
        """Return the layer whose digest a config's member has."""
        said = digest_of(fields, member)
        for layer in self.layers:
            if layer.digest == said:
                return layer
        raise fields.wrong(member, "is the digest of none of the artifact's files")

    def path(self, layer: Descriptor) -> Path:
        """Return where a layer's bytes are."""
        return self._layout.blob(layer.digest)

    def text(self, layer: Descriptor) -> str:
        """Return a small file."""
        try:
            return self._layout.read(layer.digest).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Corrupt(f"`{title(layer)}` is not UTF-8: {error.reason}") from error

    def lines(self, layer: Descriptor) -> Iterator[bytes]:
        """Read a file line by line, without the ends: in bounded memory."""
        with self.path(layer).open("rb") as file:
            yield from _lines(file, title(layer))


def title(layer: Descriptor) -> str:
    """Return a file's name for messages."""
    return layer.annotations.get(_TITLE, layer.digest.hex[:12])


def digest_of(fields: Fields, member: str) -> Digest:
    """Return a digest that is written as `sha256:…`."""
    try:
        return Digest.parse(fields.text(member))
    except LockgateError as error:
        raise fields.wrong(member, "is not a digest") from error


def _lines(file: BufferedReader, name: str) -> Iterator[bytes]:
    number = 0
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        if not line.endswith(b"\n") or len(line) > _LONGEST_LINE:
            raise Corrupt(
                f"`{name}` line {number:,} has no end, or more than {_LONGEST_LINE:,} bytes"
            )
        yield line[:-1]
