"""What is known of a model on this machine, as values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lockgate.domain.digest import Digest
from lockgate.errors import UsageError
from lockgate.oci.catalogue import BuiltinSource, FileSource, HfSource, Model, OciSource, PypiSource

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def require_name(name: str) -> None:
    """Refuse what cannot be a model's name. Raises UsageError."""
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"`{name[:80]}` cannot be a model's name", hint=f"names match `{_NAME.pattern}`"
        )


class State(StrEnum):
    """Whether a model can be used."""

    PULLED = "pulled"
    MISSING = "missing"
    OUTDATED = "outdated"
    """The store has what an older catalogue described."""
    DAMAGED = "damaged"
    """A file is missing or has the wrong size."""
    BUILTIN = "builtin"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullResult:
    """What a pull did."""

    name: str
    digest: Digest
    size: int
    fetched: bool
    """False if everything was there already."""
    note: str = ""
    """What else the user should know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a full check of a model's bytes found."""

    name: str
    digest: Digest
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model with its state here."""

    model: Model
    state: State
    digest: Digest
    """Of its manifest: what a release pins."""
    paths: Mapping[str, Path]
    """By role; empty unless it can be used."""

    @property
    def source(self) -> str:
        """The kind of its source, as in the catalogue."""
        match self.model.source:
            case PypiSource():
                return "pypi"
            case HfSource():
                return "hf"
            case FileSource():
                return "file"
            case BuiltinSource():
                return "builtin"
            case OciSource():
                return "oci"

    @property
    def origin(self) -> str:
        """Where exactly it comes from; empty if that was not kept."""
        match self.model.source:
            case PypiSource(requirement=requirement):
                return requirement
            case HfSource(repo=repo, revision=revision):
                return f"{repo}@{revision}"
            case FileSource(path=path):
                return str(path) if path.is_absolute() else ""
            case BuiltinSource(path=path):
                return path
            case OciSource(name=name, digest=digest):
                return f"{name}@{digest}"
