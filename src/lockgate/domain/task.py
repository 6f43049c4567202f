"""What a task promises: its schemas, options, budget and evaluation cases."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from lockgate.domain.call import EngineKind
from lockgate.domain.digest import JsonObject
from lockgate.domain.prompt import Prompt
from lockgate.domain.usage import Budget


class OnUnavailable(StrEnum):
    """What a task does when its model cannot answer, or its answer fails a check."""

    RULES = "rules"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of `lockgate run TASK`."""

    name: str
    """Long name without dashes in front, such as `repo`; `_` in it becomes `-`."""
    help: str
    kind: Literal["text", "path", "flag", "choice", "integer"] = "text"
    choices: tuple[str, ...] = ()
    default: str | int | bool | None = None
    positional: bool = False
    """A positional argument. Of kind `path`, `-` or nothing means standard input."""
    multiple: bool = False
    metavar: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One evaluation case: an input and what must hold of the output."""

    name: str
    input: JsonObject
    expect: JsonObject
    """Members that the output must have, compared by equality, nested objects member-wise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """The contract of a task. Everything here is data; the behaviour is in `ports.Task`."""

    name: str
    version: str
    title: str
    """One line, sentence case, no final period."""
    input_schema: JsonObject
    output_schema: JsonObject
    aliases: tuple[str, ...] = ()
    roles: tuple[tuple[str, str], ...] = ()
    """(role, default model) for each model that `run` uses, such as ("text", "smollm2")."""
    formats: tuple[str, ...] = ("json",)
    """Names that `render` takes; the first is the default."""
    options: tuple[Option, ...] = ()
    examples: tuple[str, ...] = ()
    """Command lines for `--help`."""
    engine: EngineKind = EngineKind.MODEL
    """What answers unless the caller or the configuration says otherwise: what measured better."""
    on_unavailable: OnUnavailable = OnUnavailable.RULES
    budget: Budget = field(default_factory=Budget)
    cases: tuple[Case, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    """What the task's code asks models for; a release pins each of them."""
    indexes: tuple[str, ...] = ()
    """Search indexes that `run` uses, by their names without `index/`; a release pins each."""
    plain: str | None = None
    """The member of the input that a plain text stands for; None: a text alone is no input."""
