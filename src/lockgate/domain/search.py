"""What a search of an index finds, and who may see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lockgate.domain.call import DataClass, Principal

_ORDER: Final[Mapping[str, int]] = {str(name): at for at, name in enumerate(DataClass)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Who may read a document."""

    readers: tuple[str, ...] | None = None
    """Names of callers, or beginnings of names such as `hr/*`. None is everybody, () nobody."""
    classification: str = ""
    """Its data class; empty is public."""

    def allows(self, principal: Principal, data_class: DataClass) -> bool:
        """Say whether a caller may see the document in a call of that data class.

        A call goes where its own class may go, so a document of a higher one, or of one that
        nobody knows, is left out.
        """
        if (
            self.classification
            and _ORDER.get(self.classification, len(_ORDER)) > _ORDER[data_class]
        ):
            return False
        if self.readers is None:
            return True
        return any(_matches(reader, principal.name) for reader in self.readers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A piece of a document that fits a query."""

    id: str
    document: str
    text: str


def _matches(reader: str, name: str) -> bool:
    return name.startswith(reader[:-1]) if reader.endswith("*") else name == reader
