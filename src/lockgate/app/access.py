"""Reads the file that says who may read which text of an index."""

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from lockgate.domain.call import DataClass
from lockgate.domain.search import Reading
from lockgate.errors import InvalidConfig, NotFound

_MOST_BYTES: Final = 1 << 20
_MOST_RULES: Final = 1000
_KEYS: Final = frozenset({"path", "readers", "classification"})


@dataclass(frozen=True, slots=True)
class Access:
    """Rules in order; the first that fits a path counts. What none fits is for everybody."""

    rules: tuple[tuple[str, Reading], ...] = ()
    """Patterns over paths within the folder; `*` matches `/` too."""

    def of(self, path: str) -> Reading:
        """Return who may read the text at a path."""
        return next((said for pattern, said in self.rules if fnmatchcase(path, pattern)), Reading())


EVERYBODY: Final = Access()


def read_access(path: Path) -> Access:
    """Read the rules, tables `[[documents]]` with `path`, `readers` and `classification`.

    Raises:
        NotFound: there is no such file.
        InvalidConfig: it is malformed; every problem is listed.

    """
    try:
        data = path.read_bytes()
        document = tomllib.loads(data.decode("utf-8")) if len(data) <= _MOST_BYTES else {}
    except FileNotFoundError as error:
        raise NotFound(f"`{path}` does not exist") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidConfig(f"`{path}` is not TOML: {str(error)[:120]}") from error
    tables = document.get("documents")
    if document.keys() != {"documents"} or not isinstance(tables, list):
        raise InvalidConfig(
            f"`{path}` has the tables {', '.join(sorted(document)) or 'none'}, "
            "expected `[[documents]]` alone",
            hint='[[documents]] with path = "hr/*", readers = ["hr/*"]',
        )
    if len(tables) > _MOST_RULES:
        raise InvalidConfig(f"`{path}` has {len(tables):,} rules, at most {_MOST_RULES:,} allowed")
    problems: list[str] = []
    rules = [_rule(table, f"documents[{at}]", problems) for at, table in enumerate(tables)]
    if problems:
        raise InvalidConfig(f"`{path}` has problems:\n  " + "\n  ".join(problems))
    return Access(tuple(rules))


def _rule(table: Any, where: str, problems: list[str]) -> tuple[str, Reading]:
    if not isinstance(table, dict):
        problems.append(f"{where}: is not a table")
        return "", Reading()
    problems.extend(f"{where}.{key}: is not a known key" for key in table.keys() - _KEYS)
    pattern, readers = table.get("path"), table.get("readers")
    classification = table.get("classification", "")
    if not isinstance(pattern, str) or not pattern:
        problems.append(f"{where}.path: is missing, or no text")
    if readers is not None and not (
        isinstance(readers, list) and all(isinstance(one, str) and one for one in readers)
    ):
        problems.append(f"{where}.readers: is not a list of names")
        readers = None
    if classification not in {"", *map(str, DataClass)}:
        allowed = ", ".join(DataClass)
        problems.append(f"{where}.classification: is `{classification}`, not one of {allowed}")
    said = Reading(
        readers=None if readers is None else tuple(readers), classification=str(classification)
    )
    return str(pattern), said
