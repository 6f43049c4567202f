"""One use of a model inside a call: what is asked, and what comes back.

A request names a `role` ("text", "embedder", "classifier"); the call's release says which model
and backend fill it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.usage import Usage

Vector: TypeAlias = bytes
"""Little-endian float32 values: hashable, and numpy views them without a copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """Ask for text. Always temperature 0 and a fixed seed."""

    messages: tuple[Message, ...]
    role: str = "text"
    max_tokens: int = 256
    seed: int = 7
    schema: JsonObject | None = None
    """JSON Schema that the text must match; the backend constrains decoding with it."""
    logprobs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed:
    """Ask for one vector a text."""

    texts: tuple[str, ...]
    role: str = "embedder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a classifier sees of one item."""

    tokens: tuple[str, ...] = ()
    """Sparse features by name; the classifier hashes them."""
    vector: Vector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Classify:
    """Ask for one label a row."""

    rows: tuple[Row, ...]
    role: str = "classifier"


Inference: TypeAlias = Generate | Embed | Classify


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A text model's raw reply, before any check."""

    text: str
    usage: Usage
    finish_reason: Literal["stop", "length"] = "stop"
    logprobs: tuple[float, ...] = ()
    """Natural logarithm of each output token's probability, if asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """One unit-length vector a text, in order."""

    vectors: tuple[Vector, ...]
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A classifier's judgement of one row."""

    label: str | None
    """None when the classifier abstains: no class reached its threshold."""
    confidence: float
    """Calibrated probability of the likeliest class, 0 to 1."""
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """One label a row, in order."""

    labels: tuple[Label, ...]
    usage: Usage


Result: TypeAlias = Completion | Embedding | Classification


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """What goes to a backend: the request, and the model that the release pins for its role."""

    model: str
    digest: Digest
    """Of the model's manifest; with the request it is the address of the result."""
    request: Inference
    trace_headers: tuple[tuple[bytes, bytes], ...] = field(default=(), compare=False, repr=False)
    """`traceparent` and `tracestate`, by which a server's spans join the caller's. They are no part
    of what is asked."""
