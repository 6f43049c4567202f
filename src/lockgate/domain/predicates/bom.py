"""The bill of materials of an artifact, as far as a gate reads it (CycloneDX 1.7, JSON)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lockgate.domain.digest import Digest, JsonObject
from lockgate.errors import Corrupt, LockgateError

PREDICATE_TYPE: Final = "https://cyclonedx.org/bom"
MAX_COMPONENTS: Final = 100_000


def hashes(predicate: JsonObject) -> frozenset[Digest]:
    """Return every SHA-256 that the document gives a component, nested ones included.

    Raises:
        Corrupt: it is not a CycloneDX document, or has a malformed hash.

    """
    if predicate.get("bomFormat") != "CycloneDX":
        raise Corrupt(f"bom.bomFormat is `{str(predicate.get('bomFormat'))[:80]}`, not `CycloneDX`")
    metadata = predicate.get("metadata")
    waiting: list[Any] = [metadata.get("component")] if isinstance(metadata, Mapping) else []
    waiting.append(predicate)  # its `components`
    found: set[Digest] = set()
    seen = 0
    while waiting:
        component = waiting.pop()
        if not isinstance(component, Mapping):
            continue
        seen += 1
        if seen > MAX_COMPONENTS:
            raise Corrupt(f"the bom has more than {MAX_COMPONENTS:,} components")
        found.update(_hashes(component))
        waiting.extend(_list(component.get("components")))
    return frozenset(found)


def _hashes(component: Mapping[str, Any]) -> Sequence[Digest]:
    found = []
    for item in _list(component.get("hashes")):
        if not isinstance(item, Mapping) or item.get("alg") != "SHA-256":
            continue
        try:
            found.append(Digest.parse(f"sha256:{item.get('content')}"))
        except LockgateError as error:
            raise Corrupt(f"bom.components.hashes: {error.message}") from error
    return found


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
