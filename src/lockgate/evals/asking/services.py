"""Whom an assertion may ask. The edge lends them; a test lends its own."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import LockgateError
from lockgate.evals.assertion import Assertion, Context, Graded, Response
from lockgate.evals.expand import Case

Embed: TypeAlias = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]


class JudgeFailed(LockgateError):
    """What an assertion asks beside the provider did not answer."""

    code = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a judge is asked. Its answer is held to the schema."""

    system: str
    text: str
    schema: JsonObject
    max_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A model that answers questions with JSON of a schema."""

    name: Callable[[], str]
    """Returns the name for results, with the model's digest."""
    answer: Callable[[Question], Awaitable[JsonObject]]
    """Raises JudgeFailed if there is no answer, or none of the schema."""


class RunCode(Protocol):
    """Runs an assertion's Python in a process of its own, bounded in time and memory."""

    async def __call__(self, code: str, given: JsonObject) -> Json: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What one case's assertions may ask."""

    case: Case
    respond: Callable[[Case], Awaitable[Response]]
    """Answers a case, transforms applied."""
    judge: Judge | None = None
    embed: Embed | None = None
    run_code: RunCode | None = None
    input_schemas: Mapping[str, JsonObject] = field(default_factory=dict)
    """JSON Schemas of what providers take, by their ids."""


class AskedGrade(Protocol):
    """An assertion type that waits. Raises as `Grade`, and JudgeFailed."""

    async def __call__(
        self, assertion: Assertion, output: Json, context: Context, services: Services
    ) -> Graded: ...


async def vectors(services: Services, texts: Sequence[str]) -> Sequence[Sequence[float]]:
    """Return a vector a text.

    Raises:
        JudgeFailed: there is no embedding model.

    """
    if services.embed is None:
        raise JudgeFailed("there is no embedding model", hint="run `lockgate model pull minilm`")
    return await services.embed(texts)
