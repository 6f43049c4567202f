"""The releases of this machine, in the same layout as the artifacts that they pin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lockgate.domain.artifact import EMPTY_BYTES, MANIFEST, Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest
from lockgate.domain.release import Pin, Release
from lockgate.errors import Corrupt, NotFound
from lockgate.oci.layout import Layout

_PREFIX = "release/"
_SHORTEST = 6
_TITLE = "org.opencontainers.image.title"
_LICENCES = "org.opencontainers.image.licenses"
_TEXT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRelease:
    """A release that is here."""

    digest: Digest
    release: Release
    missing: tuple[Pin, ...] = ()
    """Pins whose manifests are not here."""


def listed_name(task: str, digest: Digest) -> str:
    """Return the name under which a release is in the layout's index."""
    return f"{_PREFIX}{task}/{digest.hex}"


class ReleaseStore:
    """Releases in one OCI image layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def put(self, release: Release) -> Digest:
        """Store a release whose pins are here. The same release again changes nothing.

        Raises:
            NotFound: a pinned artifact is not here.
            StorageFailed: the disk is full or read-only.

        """
        missing = self._missing(release)
        if missing:
            listed = ", ".join(f"{pin.role} `{pin.name}` ({pin.digest})" for pin in missing)
            raise NotFound(
                f"the release of `{release.task}` pins what is not here: {listed}",
                hint="pull the models with `lockgate model pull NAME`",
            )
        self._layout.prepare()
        self._layout.put(EMPTY_BYTES)
        self._layout.put(release.config)
        digest = self._layout.put(release.manifest)
        self.name(digest, len(release.manifest), release.task)
        return digest

    def name(self, digest: Digest, size: int, task: str) -> None:
        """List a release whose bytes are here already."""
        entry = Descriptor(
            media_type=MANIFEST,
            digest=digest,
            size=size,
            artifact_type=Kind.RELEASE.artifact_type,
        )
        if not self._layout.name(listed_name(task, digest), entry):
            raise Corrupt(f"a blob of the release {digest} went missing while it was stored")

    def get(self, digest: Digest) -> StoredRelease:
        """Return a release by its digest.

        Raises:
            NotFound: it is not here.
            Corrupt: what is here is not a release, or does not match its digest.

        """
        if not self._layout.blob(digest).exists():
            raise NotFound(
                f"the release {digest} is not here",
                hint="see `lockgate release list`, or fetch it with `lockgate release pull`",
            )
        manifest = Manifest.parse(self._layout.read(digest))
        if manifest.artifact_type != Kind.RELEASE.artifact_type:
            raise Corrupt(
                f"{digest} is not a release: its type is `{manifest.artifact_type or 'none'}`, "
                f"expected `{Kind.RELEASE.artifact_type}`"
            )
        release = Release.parse(self._layout.read(manifest.config.digest))
        if release.digest != digest:
            raise Corrupt(f"the release {digest} has the document of {release.digest}")
        return StoredRelease(digest=digest, release=release, missing=self._missing(release))

    def list(self, task: str | None = None) -> Sequence[StoredRelease]:
        """Return the releases that are here, by task and digest."""
        return [self.get(digest) for name, digest in self._names() if task in {None, name}]

    def find(self, text: str) -> Digest:
        """Return the digest that `sha256:…`, or at least six of its first hex digits, stands for.

        Raises:
            NotFound: no release here, or more than one, begins like that.

        """
        start = text.removeprefix("sha256:")
        found = sorted({digest for _, digest in self._names() if digest.hex.startswith(start)})
        if len(start) < _SHORTEST or not found:
            raise NotFound(
                f"no release here is `{text[:80]}`",
                hint="see `lockgate release list`, or fetch it with `lockgate release pull`",
                request_hint="see `GET /admin/promotions`; one that never ran has to be fetched "
                "where the gateway runs, with `lockgate release pull`",
            )
        if len(found) > 1:
            listed = ", ".join(digest.hex[:12] for digest in found[:4])
            raise NotFound(
                f"`{text}` stands for {len(found)} releases: {listed}", hint="give more digits"
            )
        return found[0]

    def texts(self, pin: Pin) -> Mapping[str, str]:
        """Return the small text files of a pinned artifact by title: prompts, schemas, policies."""
        if pin.kind is None or not self._layout.has(pin.digest, pin.size):
            return {}
        found: dict[str, str] = {}
        for layer in Manifest.parse(self._layout.read(pin.digest)).layers:
            title = layer.annotations.get(_TITLE, "")
            if (
                layer.size > _TEXT_BYTES
                or not title
                or not self._layout.has(layer.digest, layer.size)
            ):
                continue
            data = self._layout.read(layer.digest)
            if b"\0" not in data:
                found[title] = data.decode("utf-8", "replace")
        return found

    def licence(self, pin: Pin) -> str:
        """Return the licence that a pinned artifact's manifest names; empty if it names none."""
        if pin.kind is None or not self._layout.has(pin.digest, pin.size):
            return ""
        return Manifest.parse(self._layout.read(pin.digest)).annotations.get(_LICENCES, "")

    def _names(self) -> Sequence[tuple[str, Digest]]:
        found = []
        for name, descriptor in sorted(self._layout.manifests().items()):
            if name.startswith(_PREFIX):
                found.append((name.removeprefix(_PREFIX).rpartition("/")[0], descriptor.digest))
        return found

    def _missing(self, release: Release) -> tuple[Pin, ...]:
        return tuple(
            pin
            for pin in release.pins
            if pin.kind is not None and not self._layout.has(pin.digest, pin.size)
        )
