"""Attestations beside what they are about: referrers in the layout."""

from collections.abc import Iterator

from lockgate.domain.artifact import EMPTY_BYTES, MANIFEST, Descriptor, Manifest
from lockgate.domain.digest import Digest
from lockgate.errors import LockgateError
from lockgate.oci.layout import Layout

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


class AttestationStore:
    """Signed bundles in one layout. Knows nothing of signatures."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def subject(self, digest: Digest) -> Descriptor:
        """Return what a referrer names. Raises Corrupt if the artifact is not here."""
        data = self._layout.read(digest)
        return Descriptor(media_type=MANIFEST, digest=digest, size=len(data))

    def add(self, bundle: bytes, referrer: Manifest) -> Digest:
        """Attach a bundle; return the digest of its bytes. Attaching it again changes nothing."""
        self._layout.prepare()
        self._layout.put(EMPTY_BYTES)
        digest = self._layout.put(bundle)
        self._layout.attach(referrer.encode())
        return digest

    def about(self, digest: Digest) -> Iterator[bytes | str]:
        """Yield each bundle about an artifact, or why one cannot be read."""
        for found in self._layout.referrers(digest, artifact_type=BUNDLE):
            try:
                manifest = Manifest.parse(self._layout.read(found.digest))
                for layer in manifest.layers:
                    yield self._layout.read(layer.digest)
            except LockgateError as error:
                yield f"{found.digest}: {error.message}"
