"""What an upstream used, read from OpenAI's shapes: one reader for whole answers and for streams.

https://platform.openai.com/docs/api-reference/chat/object and …/chat/streaming. Servers report
usage in the last chunk, in each chunk (running totals), or not at all; then it is estimated from
the number of bytes of text, which is the same however the text was cut into chunks.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from lockgate.domain.money import TokenCounts

_MOST: Final = 1 << 31
_BYTES_PER_TOKEN: Final = 3
_TEMPLATE_TOKENS: Final = 16
"""More than chat templates add around a message."""
_TEXTS: Final = ("content", "reasoning_content", "reasoning", "refusal")


class UsageReader:
    """Takes chunks, or one whole response, as parsed JSON; bounded memory."""

    def __init__(self, *, prompt_bytes: int) -> None:
        self._prompt_bytes = prompt_bytes
        self._reported: TokenCounts | None = None
        self._bytes = 0

    def feed(self, chunk: Mapping[str, Any]) -> None:
        """Read one chunk. Never raises: what has no known shape counts as nothing."""
        usage = chunk.get("usage")
        if isinstance(usage, Mapping):
            found = read_usage(usage)
            if found is not None:
                # Running totals only grow; a server that sends zeros last must not make it free.
                self._reported = found if self._reported is None else _larger(self._reported, found)
        choices = chunk.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                self._bytes += _text_bytes(choice)

    def finish(self, *, duration_us: int = 0) -> TokenCounts:
        """Return what was used, as reported, or else estimated from the text so far.

        A stream that was cut off before its usage came is charged for what was delivered.
        """
        if self._reported is not None:
            found, estimated = self._reported, False
        else:
            found = TokenCounts(
                input_tokens=-(-self._prompt_bytes // _BYTES_PER_TOKEN),
                output_tokens=-(-self._bytes // _BYTES_PER_TOKEN),
            )
            estimated = True
        return TokenCounts(
            input_tokens=found.input_tokens,
            cached_tokens=found.cached_tokens,
            output_tokens=found.output_tokens,
            duration_us=duration_us,
            estimated=estimated,
        )


def read_response(
    parts: Iterable[Mapping[str, Any]], *, prompt_bytes: int, duration_us: int = 0
) -> TokenCounts:
    """Return what a call used: `parts` are its chunks, or one whole response."""
    reader = UsageReader(prompt_bytes=prompt_bytes)
    for part in parts:
        reader.feed(part)
    return reader.finish(duration_us=duration_us)


def read_usage(usage: Mapping[str, Any]) -> TokenCounts | None:
    """Read a `usage` object; None if it has no count of input tokens that can be one."""
    given = _count(usage.get("prompt_tokens", usage.get("input_tokens")))
    if given is None:
        return None
    output = _count(usage.get("completion_tokens", usage.get("output_tokens"))) or 0
    details = usage.get("prompt_tokens_details", usage.get("input_tokens_details"))
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else None
    return TokenCounts(
        input_tokens=given, cached_tokens=min(cached or 0, given), output_tokens=output
    )


def ceiling(
    *, prompt_bytes: int, messages: int, output_tokens: int, choices: int = 1
) -> TokenCounts:
    """Return the most that a call can use, to reserve before it: a token has at least a byte."""
    return TokenCounts(
        input_tokens=prompt_bytes + _TEMPLATE_TOKENS * (messages + 1),
        output_tokens=output_tokens * choices,
    )


def _larger(one: TokenCounts, other: TokenCounts) -> TokenCounts:
    given = max(one.input_tokens, other.input_tokens)
    # The smaller cached part is the dearer one.
    newest = one if one.output_tokens > other.output_tokens else other
    return TokenCounts(
        input_tokens=given,
        cached_tokens=min(newest.cached_tokens, given),
        output_tokens=newest.output_tokens,
    )


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST:
        return None
    return value


def _text_bytes(choice: Any) -> int:
    if not isinstance(choice, Mapping):
        return 0
    part = choice.get("delta", choice.get("message", choice))
    if not isinstance(part, Mapping):
        return 0
    texts = [part.get(name) for name in _TEXTS]
    texts.append(choice.get("text"))
    calls = part.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            texts += [function.get("name"), function.get("arguments")]
    return sum(_size(text) for text in texts if isinstance(text, str))


def _size(text: str) -> int:
    try:
        return len(text.encode("utf-8"))
    except UnicodeEncodeError:
        # JSON may cut a pair of surrogates in two: each half is 2 of the 4 bytes that both are.
        halves = sum("\ud800" <= letter <= "\udfff" for letter in text)
        return len(text.encode("utf-8", "surrogatepass")) - halves
