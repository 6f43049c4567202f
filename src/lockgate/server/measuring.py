"""What an answer took, read in one way from whole answers and from streams.

https://platform.openai.com/docs/api-reference/chat/object and …/chat/streaming. Servers report
usage in the last chunk, in each chunk (running totals), or not at all; then it is estimated from
the number of bytes of text, which is the same however the text was cut into chunks.
"""

from typing import Any, Final

import msgspec
from msgspec import UNSET

from lockgate.domain.money import TokenCounts
from lockgate.server.replies import REPLY, WRITTEN, Choice, Usage

BYTES_PER_TOKEN: Final = 3


class ErrorInstead(Exception):
    """An upstream says what went wrong where its answer should be."""


def measured_whole(body: bytes) -> tuple[Usage | None, int]:
    """Return what a whole answer says that it took, and the bytes of its text where it does not.

    Raises:
        ErrorInstead: it says what went wrong.
        msgspec.MsgspecError, UnicodeError, RecursionError: it is not the JSON of such an answer.

    """
    if not body.isascii():
        body.decode("utf-8")  # texts that are not looked at go out, too
    reply = REPLY.decode(body)
    if reply.error is not None:
        raise ErrorInstead
    usage = said(reply.usage)
    if usage is not None:
        return usage, 0
    try:
        written = WRITTEN.decode(body)
    except msgspec.ValidationError:
        return None, 0  # the text is of no shape that is known
    if written.choices is None:
        if written.data is UNSET:
            raise msgspec.ValidationError("it has neither `choices` nor `data`")
        return None, 0  # embeddings: there is no text
    return None, sum(map(text_bytes, written.choices))


def said(usage: Usage | None) -> Usage | None:
    """Return the usage unless it says nothing: nothing is not what a call takes."""
    if usage is None or (usage.prompt_tokens <= 0 and usage.completion_tokens <= 0):
        return None
    return usage


def larger(known: Usage | None, found: Usage | None) -> Usage | None:
    """Return the later one of two totals of a stream. They only grow.

    A server that sends zeros last must not make a call free.
    """
    found = said(found)
    if known is None or found is None:
        return known or found
    newest = known if known.completion_tokens > found.completion_tokens else found
    return Usage(
        prompt_tokens=max(known.prompt_tokens, found.prompt_tokens),
        completion_tokens=newest.completion_tokens,
        prompt_tokens_details=newest.prompt_tokens_details,
    )


def text_bytes(choice: Choice) -> int:
    """Return how many bytes of text a choice, or a part of one, has; arguments of tools too."""
    part = choice.delta or choice.message
    if part is None:
        return _size(choice.text)
    size = _size(part.content)
    if part.odd:
        size += _size(part.reasoning_content) + _size(part.reasoning) + _size(part.refusal)
        size += sum(map(_call_bytes, part.tool_calls if isinstance(part.tool_calls, list) else ()))
    return size


def counts_of(
    usage: Usage | None, *, sent: int, written: int | None, duration_us: int = 0, most: int = 0
) -> TokenCounts:
    """Return what a call took, as reported, or else estimated from what was sent and written.

    `sent` and `written` are bytes. A stream that was cut off before its usage came is charged for
    what was delivered. Where nobody knows what was written (None) it is `most`, in tokens.
    """
    if usage is None:
        return TokenCounts(
            input_tokens=-(-sent // BYTES_PER_TOKEN),
            output_tokens=most if written is None else -(-written // BYTES_PER_TOKEN),
            duration_us=duration_us,
            estimated=True,
        )
    given = max(0, usage.prompt_tokens)
    details = usage.prompt_tokens_details
    cached = 0 if details is None else min(max(0, details.cached_tokens), given)
    return TokenCounts(
        input_tokens=given,
        cached_tokens=cached,
        output_tokens=max(0, usage.completion_tokens),
        duration_us=duration_us,
    )


def _call_bytes(call: Any) -> int:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return 0
    return _size(function.get("name")) + _size(function.get("arguments"))


def _size(text: Any) -> int:
    if not isinstance(text, str):
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8"))
