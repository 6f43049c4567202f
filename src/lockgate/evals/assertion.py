"""What is asked of an output, and the answer: the words that every family shares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import InvalidInput

PASSED = "Assertion passed"


class Graded(NamedTuple):
    """What one assertion says of one output. A tuple: a run makes millions."""

    passed: bool
    score: float
    reason: str
    method: str = ""
    """What gave the number, where that is not the type itself: a judge and its model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """One entry of `assert`."""

    type: str
    """Without `not-`."""
    inverse: bool = False
    value: Json = None
    has_value: bool = False
    """Whether `value` stands there at all: `value: null` is another thing than no value."""
    threshold: float | None = None
    weight: float = 1.0
    metric: str = ""
    parts: "tuple[Assertion, ...]" = ()
    """What an `assert-set` holds."""
    options: JsonObject = field(default_factory=dict)
    """All other members: `alpha` of `meteor`, `config`, `transform`."""
    line: int = 0
    templated: bool = False
    """Whether `value` must be rendered with the case's variables."""

    @property
    def name(self) -> str:
        """The type as the suite writes it."""
        return f"not-{self.type}" if self.inverse else self.type


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What a provider gave for one case."""

    output: Json = None
    """Text, or the JSON value of a structured answer; null: there is none."""
    latency_ms: float | None = None
    cost: float | None = None
    finish_reason: str | None = None
    logprobs: tuple[float, ...] = ()
    guardrails: JsonObject | None = None
    cached: bool = False
    confidence: float | None = None
    """The provider's own, from 0 to 1."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """What was measured beside latency and cost: `tokens_per_s`, `memory_mib`."""
    features: Sequence[JsonObject] = ()
    """What classifiers were given for it: `model`, `digest` and `tokens` of each row."""
    degraded: tuple[str, ...] = ()
    """Why the answer is less than was asked for, such as rules in place of a model."""


class Found(NamedTuple):
    """One place of a text that a detector found; never the text itself."""

    rule: str
    start: int
    end: int


Find: TypeAlias = Callable[[str], Sequence[Found]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detectors:
    """What other rooms lend to assertions; None: there is none here."""

    secrets: Find | None = None
    personal: Find | None = None
    injection: Find | None = None
    links: Callable[[str, Sequence[str]], Sequence[Found]] | None = None
    """Finds links to other hosts than those that are allowed."""
    ranking: Callable[[str, Sequence[str], Mapping[str, float], int], float] | None = None
    """Returns a measure (`recall`, `mrr`, `ndcg`) of ranked ids, by grades of what is relevant."""


@dataclass(slots=True, kw_only=True)
class Context:
    """What an assertion may look at beside the output."""

    response: Response
    variables: Mapping[str, Json]
    tools: Sequence[Json] | None = None
    """Tool definitions of the provider's configuration."""
    functions: Sequence[Json] | None = None
    vectors: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Embeddings by text: the runner fetches them before the assertions are asked."""
    asked: dict[int, Graded] = field(default_factory=dict)
    """What those said that had to be waited for, by the assertion's identity."""
    prompt: str = ""
    """What the provider was sent."""
    detectors: Detectors = field(default_factory=Detectors)
    baseline: Sequence[Json] = ()
    """The answer of the baseline to the case, if there is one."""
    row: Sequence[Json] = ()
    """Outputs of all providers and prompts for the same case, where an assertion compares them."""
    place: int = 0
    """Of this output among them."""


class Grade(Protocol):
    """An assertion type.

    Raises:
        InvalidInput: the assertion makes no sense of this value or this response; the case is an
            error then, inverse or not.

    """

    def __call__(self, assertion: Assertion, output: Json, context: Context) -> Graded: ...


Text: TypeAlias = str


def verdict(passed: bool, reason: str) -> Graded:  # noqa: FBT001
    """Return a pass with score 1 or a failure with score 0 and its reason."""
    return Graded(True, 1.0, PASSED) if passed else Graded(False, 0.0, reason)


def number(assertion: Assertion, default: float) -> float:
    """Return the threshold, or what promptfoo takes without one."""
    return default if assertion.threshold is None else assertion.threshold


def invalid(assertion: Assertion, problem: str) -> InvalidInput:
    """Return the error for an assertion that cannot be asked."""
    return InvalidInput(
        f"the assertion `{assertion.name}` {problem}",
        hint=f"see line {assertion.line} of the suite" if assertion.line else None,
    )
