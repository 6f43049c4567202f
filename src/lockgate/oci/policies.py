"""Policies in the layout: the text that an owner signs, named by its digest."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from lockgate.domain.artifact import Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, NotFound, UsageError
from lockgate.oci.kinds.policy import pack_policy
from lockgate.oci.layout import Layout
from lockgate.oci.tree import Tree

_PREFIX: Final = "policy/"
_MOST_BYTES: Final = 1 << 20


def policy_name(digest: Digest) -> str:
    """Return the name under which a policy is in the layout's index."""
    return f"{_PREFIX}{digest.hex}"


class PolicyStore:
    """Policies in one OCI image layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def put(self, name: str, text: bytes) -> Digest:
        """Store a policy's text. The same text again changes nothing.

        Raises:
            StorageFailed: the disk is full or read-only.

        """
        packed = pack_policy(name, text)
        packed.put(self._layout, policy_name(packed.digest))
        return packed.digest

    def text(self, digest: Digest) -> bytes:
        """Return the text of a policy.

        Raises:
            NotFound: it is not here.
            Corrupt: it is not a policy, or damaged.

        """
        if not self._layout.blob(digest).exists():
            raise NotFound(
                f"the policy {digest} is not here",
                hint="fetch it with `lockgate policy pull oci://HOST/REPOSITORY:TAG`",
            )
        manifest = Manifest.parse(self._layout.read(digest))
        layer = _layer(manifest, str(digest))
        if not self._layout.has(layer.digest, layer.size):
            raise Corrupt(f"the policy {digest} lacks its text {layer.digest}")
        return self._layout.read(layer.digest)

    def list(self) -> Sequence[Digest]:
        """Return the policies that are here, by digest."""
        names = sorted(n for n in self._layout.manifests() if n.startswith(_PREFIX))
        return [Digest.parse(f"sha256:{name.removeprefix(_PREFIX)}") for name in names]

    def find(self, text: str) -> Digest:
        """Return the digest that `sha256:…`, or at least six of its hex digits, stands for.

        Raises:
            NotFound: no policy here, or more than one, begins like that.

        """
        start = text.removeprefix("sha256:")
        found = [digest for digest in self.list() if digest.hex.startswith(start)]
        if len(start) < _SHORTEST or len(found) != 1:
            count = (len(found) if len(start) >= _SHORTEST else 0) or "no"
            raise NotFound(
                f"`{text[:80]}` stands for {count} policies here, expected one",
                hint="keep one with `lockgate policy pack FILE`, which prints its digest",
            )
        return found[0]


def policies_only(address: str) -> Callable[[Tree], Mapping[str, Descriptor]]:
    """Return what lets a pull take policies only. It raises UsageError for anything else."""

    def names(tree: Tree) -> Mapping[str, Descriptor]:
        try:
            _layer(tree.root.manifest, address)
        except Corrupt as error:
            raise UsageError(error.message, hint="give the address of a policy") from None
        return {policy_name(tree.root.digest): tree.root.descriptor}

    return names


_SHORTEST: Final = 6


def _layer(manifest: Manifest, what: str) -> Descriptor:
    if manifest.artifact_type != Kind.POLICY.artifact_type:
        found = manifest.artifact_type or manifest.config.media_type
        raise Corrupt(f"`{what}` is a `{found[:120]}`, not a policy: `{Kind.POLICY.artifact_type}`")
    if len(manifest.layers) != 1 or manifest.layers[0].size > _MOST_BYTES:
        sizes = ", ".join(f"{layer.size:,}" for layer in manifest.layers[:4]) or "none"
        raise Corrupt(
            f"the policy `{what}` has layers of {sizes} bytes, "
            f"expected one of at most {_MOST_BYTES:,}"
        )
    return manifest.layers[0]
