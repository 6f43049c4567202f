"""What the store holds of a release, as a gate needs to know it. Every digest is taken again.

A file that has not changed since it was hashed is not read again (`digest_cache`): device, inode,
size and both times are the same, and nobody can set a file's change time. With `trust_unchanged`
false, every byte is read.
"""

from collections.abc import Iterator
from pathlib import Path

from lockgate.domain.artifact import Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest
from lockgate.domain.gate.evidence import FileFacts, PinFacts, ReleaseFacts, TemplateVerdict
from lockgate.domain.release import Pin, Release
from lockgate.errors import Corrupt, LockgateError
from lockgate.oci.digest_cache import DigestCache
from lockgate.oci.formats import format_of
from lockgate.oci.gguf import read_header
from lockgate.oci.hashing import hash_stream
from lockgate.oci.ingest import DIGESTS
from lockgate.oci.kinds.artifact import Artifact
from lockgate.oci.kinds.fits import Fits, fits_of
from lockgate.oci.kinds.table import fault
from lockgate.oci.layout import Layout

_LICENCES = "org.opencontainers.image.licenses"
_SMALL = 1 << 20
_ROLE = "io.lockgate.role"
_TEMPLATE = "chat-template"
_TITLE = "org.opencontainers.image.title"


class Inspector:
    """Looks at releases and artifacts in one layout."""

    def __init__(self, layout: Layout, *, trust_unchanged: bool = True) -> None:
        self._layout = layout
        self._trust_unchanged = trust_unchanged
        self._digests = DigestCache(layout.root / DIGESTS)

    def release(self, digest: Digest) -> tuple[ReleaseFacts, Release]:
        """Look at a release's own two documents.

        Raises:
            Corrupt: they are not those of a release.

        """
        data = self._layout.read(digest)
        manifest = Manifest.parse(data)
        release = Release.parse(self._layout.read(manifest.config.digest))
        flaws = list(self._flaws(manifest))
        if release.digest != digest:
            flaws.append(f"its document is that of {release.digest}, its manifest is {digest}")
        facts = ReleaseFacts(
            digest=digest,
            document=release.document,
            task=release.task,
            version=release.version,
            intact=not flaws,
            flaws=tuple(flaws),
        )
        return facts, release

    def pin(self, pin: Pin) -> PinFacts:
        """Look at an artifact that a release pins. Never raises for a bad one: the facts say so."""
        kind = pin.kind or Kind.MODEL
        try:
            data = self._layout.read(pin.digest)
            manifest = Manifest.parse(data)
        except LockgateError as error:
            return PinFacts(
                role=pin.role,
                name=pin.name,
                kind=kind,
                digest=pin.digest,
                size=pin.size,
                artifact_type=kind.artifact_type,
                found=self._layout.blob(pin.digest).exists(),
                intact=False,
                flaws=(error.message,),
            )
        flaws = tuple(self._flaws(manifest))
        if not flaws and (said := fault(self._layout, pin.digest)):
            flaws = (said,)
        header = self._header(manifest) if not flaws else None
        fits = Fits() if flaws else fits_of(Artifact(self._layout, pin.digest))
        return PinFacts(
            role=pin.role,
            name=pin.name,
            kind=kind,
            digest=pin.digest,
            size=pin.size,
            artifact_type=kind.artifact_type,
            found=True,
            intact=not flaws,
            found_digest=Digest.of(data),
            found_size=len(data),
            found_artifact_type=manifest.artifact_type,
            flaws=flaws,
            files=() if flaws else tuple(self._files(manifest)),
            licences=_licences(manifest),
            chat_template=header[0] if header else None,
            context_tokens=header[1] if header else None,
            embedder=fits.embedder,
            base=fits.base,
            runs_on=fits.runs_on,
            variables_required=fits.required,
            variables_provided=fits.provided,
            budget_tokens=fits.budget_tokens,
        )

    def _flaws(self, manifest: Manifest) -> Iterator[str]:
        for descriptor in (manifest.config, *manifest.layers):
            path = self._layout.blob(descriptor.digest)
            title = descriptor.annotations.get(_TITLE, descriptor.media_type)
            if not path.exists():
                yield f"`{title}` ({descriptor.digest}) is missing"
                continue
            digest, size = self._hashed(path)
            if (digest, size) != (descriptor.digest, descriptor.size):
                yield (
                    f"`{title}` has {size:,} bytes with the digest {digest}, "
                    f"expected {descriptor.size:,} with {descriptor.digest}"
                )

    def _hashed(self, path: Path) -> tuple[Digest, int]:
        state = path.stat()
        if state.st_size <= _SMALL:  # threads and a cache cost more than its bytes
            data = path.read_bytes()
            return Digest.of(data), len(data)
        known = self._digests.get(state) if self._trust_unchanged else None
        if known is None:
            with path.open("rb", buffering=0) as file:
                known = hash_stream(file, limit=state.st_size + 1)
            self._digests.put(state, known)
        return known.digest, known.size

    def _files(self, manifest: Manifest) -> Iterator[FileFacts]:
        for layer in manifest.layers:
            yield FileFacts(
                path=layer.annotations.get(_TITLE, layer.digest.hex),
                digest=layer.digest,
                format=format_of(self._layout.blob(layer.digest)),
                size=layer.size,
            )

    def _header(self, manifest: Manifest) -> tuple[TemplateVerdict | None, int | None] | None:
        beside = self._template_beside(manifest)
        for layer in manifest.layers:
            if _is_gguf(self._layout.blob(layer.digest)):
                inside, context = self._gguf(layer)
                unsafe = beside is not None and not beside.safe
                return (beside if unsafe or inside is None else inside), context
        return None if beside is None else (beside, None)

    def _template_beside(self, manifest: Manifest) -> TemplateVerdict | None:
        """Look at templates in files of their own; the first that is not safe counts."""
        found = None
        for layer in manifest.layers:
            if layer.annotations.get(_ROLE, "").startswith(_TEMPLATE):
                from lockgate.oci.chat_template import danger  # noqa: PLC0415  few models bring one

                text = self._layout.read(layer.digest).decode("utf-8", "replace")
                reason = danger(text)
                found = TemplateVerdict(safe=not reason, reason=reason)
                if reason:
                    return found
        return found

    def _gguf(self, layer: Descriptor) -> tuple[TemplateVerdict | None, int | None]:
        path = self._layout.blob(layer.digest)
        try:
            header = read_header(path, shown=layer.annotations.get(_TITLE))
        except Corrupt as error:
            return TemplateVerdict(safe=False, reason=error.message), None
        if not header.chat_template:
            return None, header.context_tokens
        from lockgate.oci.chat_template import danger  # noqa: PLC0415  few models bring one

        reason = danger(header.chat_template)
        return TemplateVerdict(safe=not reason, reason=reason), header.context_tokens


def _is_gguf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"GGUF"


def _licences(manifest: Manifest) -> tuple[str, ...]:
    licence = manifest.annotations.get(_LICENCES, "")
    return (licence,) if licence else ()
