"""A reference to something by digest (in-toto `ResourceDescriptor`, spec/v1)."""

from dataclasses import dataclass
from typing import Self

from lockgate.domain.digest import Digest, Json
from lockgate.domain.predicates.fields import Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What went into something: by digest, since an address alone may change under us."""

    digest: Digest | None = None
    """None where only an address is known; such a resource proves nothing."""
    uri: str = ""
    name: str = ""
    media_type: str = ""

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read a descriptor; digests other than SHA-256 are not used.

        Raises:
            Corrupt: it is malformed, or names nothing.

        """
        known = "sha256" in fields.mapping("digest")
        found = cls(
            digest=fields.digest("digest") if known else None,
            uri=fields.text("uri", default=""),
            name=fields.text("name", default=""),
            media_type=fields.text("mediaType", default=""),
        )
        if found.digest is None and not found.uri and not found.name:
            raise fields.wrong("digest", "is missing, and so are uri and name")
        return found

    @property
    def document(self) -> dict[str, Json]:
        """The descriptor as JSON; empty fields are left out."""
        members: dict[str, Json] = {
            "name": self.name,
            "uri": self.uri,
            "mediaType": self.media_type,
        }
        found: dict[str, Json] = {key: value for key, value in members.items() if value}
        if self.digest is not None:
            found["digest"] = {"sha256": self.digest.hex}
        return found
