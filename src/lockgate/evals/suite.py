"""A suite: what is asked of whom, and what must hold of the answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lockgate.domain.digest import Json, JsonObject
from lockgate.evals.assertion import Assertion
from lockgate.evals.gate.rule import Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something stands: a report points there."""

    path: str
    """Relative to the suite's folder."""
    line: int
    """Counted from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A template with its label."""

    raw: str
    label: str
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Who answers. Only the edge knows what an id means."""

    id: str
    label: str = ""
    config: JsonObject = field(default_factory=dict)
    prompts: tuple[str, ...] | None = None
    """Labels of the prompts that this provider gets; None: all."""
    transform: str = ""

    @property
    def name(self) -> str:
        return self.label or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCase:
    """One entry of `tests`, with the suite's defaults taken in."""

    place: Place
    description: str = ""
    variables: Mapping[str, Json] = field(default_factory=dict)
    assertions: tuple[Assertion, ...] = ()
    threshold: float | None = None
    options: JsonObject = field(default_factory=dict)
    metadata: JsonObject = field(default_factory=dict)
    providers: tuple[str, ...] | None = None
    prompts: tuple[str, ...] | None = None
    provider_output: Json = None
    """An answer that is there already: nobody is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedMetric:
    """A number made of the named scores."""

    name: str
    formula: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """A file of cases that is read case by case."""

    path: Path
    shown: str
    """The path for people and reports, relative to the suite."""
    form: str
    """`csv`, `json`, `jsonl` or `yaml`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A configuration as it was read."""

    description: str
    folder: Path
    prompts: tuple[Prompt, ...]
    providers: tuple[Provider, ...]
    sources: "tuple[TestCase | CaseFile, ...]"
    """Cases in order: written in the suite, or in files."""
    default: TestCase
    metrics: tuple[DerivedMetric, ...] = ()
    repeat: int = 1
    concurrency: int | None = None
    gate: Gate = field(default_factory=Gate)
    notices: tuple[str, ...] = ()
    """What the suite says that this program leaves out."""
