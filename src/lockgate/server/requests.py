"""The bodies of OpenAI's inference endpoints: every member that we take, and no other.

What is not here is refused and never passed on: other gateways let a member of the body choose
the host, the headers or the template of the call. Members without a value are left out when a
body is encoded again, so that equal requests have equal bytes.
"""

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from lockgate.errors import InvalidInput

MAX_MESSAGES = 4096
MAX_TEXTS = 2048
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=1 << 24)]
Unit: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Penalty: TypeAlias = Annotated[float, Meta(ge=-2, le=2)]
Temperature: TypeAlias = Annotated[float, Meta(ge=0, le=2)]
Stop: TypeAlias = str | Annotated[list[str], Meta(max_length=16)]
Object: TypeAlias = dict[str, Any]


class Image(Struct, forbid_unknown_fields=True):
    """A picture inside the message."""

    url: str
    detail: str | UnsetType | None = UNSET


class Part(Struct, forbid_unknown_fields=True):
    """A part of a message."""

    type: Literal["text", "image_url", "input_audio", "refusal"]
    text: str | UnsetType = UNSET
    image_url: Image | UnsetType = UNSET
    input_audio: dict[str, str] | UnsetType = UNSET
    refusal: str | UnsetType = UNSET


class Message(Struct, forbid_unknown_fields=True):
    """A turn of a chat."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | UnsetType | None = UNSET
    name: str | UnsetType | None = UNSET
    tool_calls: list[Object] | UnsetType | None = UNSET
    tool_call_id: str | UnsetType | None = UNSET
    function_call: Object | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    reasoning_content: str | UnsetType | None = UNSET
    # Clients send an answer back as it came, with all that its server put into it.
    reasoning: str | UnsetType | None = UNSET
    annotations: list[Object] | UnsetType | None = UNSET
    audio: Object | UnsetType | None = UNSET

    @property
    def nests(self) -> bool:
        """See `Body.nests`."""
        return bool(self.tool_calls or self.function_call or self.annotations or self.audio)


class Body(Struct, forbid_unknown_fields=True, kw_only=True):
    """What a request says."""

    @property
    def nests(self) -> bool:
        """Whether it holds objects of no fixed depth: without them it is as deep as its types."""
        return False


class StreamOptions(Struct, forbid_unknown_fields=True):
    """What a stream says beside its text."""

    include_usage: bool | UnsetType = UNSET
    include_obfuscation: bool | UnsetType = UNSET


class Sampling(Body, forbid_unknown_fields=True, kw_only=True):
    """What all generating endpoints share."""

    model: Name
    stream: bool | UnsetType | None = UNSET
    stream_options: StreamOptions | UnsetType | None = UNSET
    max_tokens: Count | UnsetType | None = UNSET
    temperature: Temperature | UnsetType | None = UNSET
    top_p: Unit | UnsetType | None = UNSET
    n: Annotated[int, Meta(ge=1, le=16)] | UnsetType | None = UNSET
    stop: Stop | UnsetType | None = UNSET
    presence_penalty: Penalty | UnsetType | None = UNSET
    frequency_penalty: Penalty | UnsetType | None = UNSET
    logit_bias: dict[str, float] | UnsetType | None = UNSET
    seed: int | UnsetType | None = UNSET
    user: Annotated[str, Meta(max_length=256)] | UnsetType | None = UNSET
    top_k: Annotated[int, Meta(ge=-1, le=1 << 20)] | UnsetType | None = UNSET
    min_p: Unit | UnsetType | None = UNSET
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | UnsetType | None = UNSET

    @property
    def streams(self) -> bool:
        """Whether the answer is to come in parts."""
        return self.stream is True

    @property
    def wants_usage(self) -> bool:
        """Whether the client asked for the usage at the end of a stream."""
        options = self.stream_options
        return isinstance(options, StreamOptions) and options.include_usage is True

    @property
    def answers(self) -> int:
        """How many answers are written for it."""
        return self.n if isinstance(self.n, int) else 1


class ChatRequest(Sampling, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /v1/chat/completions`."""

    messages: Annotated[list[Message], Meta(min_length=1, max_length=MAX_MESSAGES)]
    max_completion_tokens: Count | UnsetType | None = UNSET
    logprobs: bool | UnsetType | None = UNSET
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | UnsetType | None = UNSET
    tools: Annotated[list[Object], Meta(max_length=512)] | UnsetType | None = UNSET
    tool_choice: str | Object | UnsetType | None = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET
    response_format: Object | UnsetType | None = UNSET
    reasoning_effort: str | UnsetType | None = UNSET
    verbosity: str | UnsetType | None = UNSET
    metadata: dict[str, str] | UnsetType | None = UNSET
    modalities: list[Literal["text"]] | UnsetType | None = UNSET
    prediction: Object | UnsetType | None = UNSET
    prompt_cache_key: str | UnsetType | None = UNSET
    safety_identifier: str | UnsetType | None = UNSET
    service_tier: str | UnsetType | None = UNSET
    store: bool | UnsetType | None = UNSET

    @property
    def nests(self) -> bool:
        """See `Body.nests`."""
        if self.tools or self.response_format or self.prediction:
            return True
        if not isinstance(self.tool_choice, UnsetType):
            return True
        return any(message.nests for message in self.messages)


class CompletionRequest(Sampling, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /v1/completions`."""

    prompt: str | Annotated[list[str], Meta(min_length=1, max_length=MAX_TEXTS)]
    suffix: str | UnsetType | None = UNSET
    echo: bool | UnsetType | None = UNSET
    logprobs: Annotated[int, Meta(ge=0, le=20)] | UnsetType | None = UNSET
    best_of: Annotated[int, Meta(ge=1, le=16)] | UnsetType | None = UNSET

    @property
    def answers(self) -> int:
        """See `Sampling.answers`: so many for each prompt, those included that nobody gets."""
        tried = self.best_of if isinstance(self.best_of, int) else 1
        prompts = len(self.prompt) if isinstance(self.prompt, list) else 1
        return max(super().answers, tried) * prompts


class EmbeddingRequest(Body, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /v1/embeddings`."""

    model: Name
    input: str | Annotated[list[str], Meta(min_length=1, max_length=MAX_TEXTS)]
    encoding_format: Literal["float", "base64"] | UnsetType | None = UNSET
    dimensions: Count | UnsetType | None = UNSET
    user: Annotated[str, Meta(max_length=256)] | UnsetType | None = UNSET


CHAT: "msgspec.json.Decoder[ChatRequest]" = msgspec.json.Decoder(ChatRequest)
COMPLETION: "msgspec.json.Decoder[CompletionRequest]" = msgspec.json.Decoder(CompletionRequest)
EMBEDDING: "msgspec.json.Decoder[EmbeddingRequest]" = msgspec.json.Decoder(EmbeddingRequest)


_CLIENTS_TOOLS = frozenset({"function", "custom"})
"""Tools that the client runs. Others, such as `mcp`, name an address that the upstream asks."""


def refuse_addresses(request: ChatRequest) -> None:
    """Refuse what would make the upstream go somewhere: pictures to fetch, tools to call, shelves.

    Raises:
        InvalidInput: a picture is named by an address and not there as data, a tool is one that
            the upstream uses by itself, or the upstream is to keep the call.

    """
    if request.store is True:
        raise InvalidInput(
            "`store` is true, and no upstream is asked to keep a call", hint="leave it out"
        )
    for tool in request.tools or ():
        if tool.get("type") not in _CLIENTS_TOOLS:
            raise InvalidInput(
                f"the client does not run tools of the type `{str(tool.get('type'))[:40]}`",
                hint="tools are of the type `function`",
            )
    for message in request.messages:
        if not isinstance(message.content, list):
            continue
        for part in message.content:
            image = part.image_url
            if isinstance(image, Image) and not image.url.startswith("data:image/"):
                raise InvalidInput(
                    f"a picture is at `{image.url[:80]}`, and nothing is fetched from here",
                    hint="send it as `data:image/png;base64,...`",
                )
