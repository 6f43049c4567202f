"""What we read of an upstream's answers: usage and text, each decoded and nothing else."""

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

Count: TypeAlias = Annotated[int, Meta(ge=-(1 << 31), le=1 << 31)]
"""Tokens. An upstream can lie, and what no ledger holds must not get there."""


class Details(Struct):
    """How much of a prompt the upstream had kept."""

    cached_tokens: Count = 0


class Usage(Struct):
    """Tokens, as the upstream counted them."""

    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    prompt_tokens_details: Details | None = None


class Reply(Struct):
    """A whole answer."""

    usage: Usage | None = None
    error: Any = None
    """Some servers say with a 200 that they failed."""


class Delta(Struct):
    """What a chunk adds. Beside the content, of which guards take care, only its size counts."""

    content: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: Any = None

    @property
    def odd(self) -> bool:
        """Whether there may be text beside the content."""
        return bool(self.tool_calls or self.reasoning_content or self.reasoning or self.refusal)


class Choice(Struct):
    """One of a chunk's answers; in a whole answer it has a message."""

    index: int = 0
    delta: Delta | None = None
    message: Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class Chunk(Struct):
    """A part of a stream."""

    choices: list[Choice] = []
    usage: Usage | None = None
    error: Any = None


class Written(Struct):
    """What a whole answer has written, or its embeddings."""

    choices: list[Choice] | None = None
    data: msgspec.Raw | UnsetType = UNSET
    """Of embeddings."""


class Problem(Struct):
    """What an upstream says is wrong."""

    message: str = ""
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


class Refusal(Struct):
    """An answer that is an error: as OpenAI's, as Ollama's, as vLLM's used to be, as FastAPI's."""

    error: Problem | str = ""
    message: Any = None
    detail: Any = None


REPLY: "msgspec.json.Decoder[Reply]" = msgspec.json.Decoder(Reply)
WRITTEN: "msgspec.json.Decoder[Written]" = msgspec.json.Decoder(Written)
CHUNK: "msgspec.json.Decoder[Chunk]" = msgspec.json.Decoder(Chunk)
REFUSAL: "msgspec.json.Decoder[Refusal]" = msgspec.json.Decoder(Refusal)
