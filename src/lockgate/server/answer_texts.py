"""Where the texts of an answer are: its members as a tree, and the paths of the strings in it.

Every string is a text unless its name says that the server wrote it and not the model. So what an
upstream adds to the API, such as its reasoning under a new name, is a text too.
"""

from collections.abc import Iterator
from enum import Enum
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import msgspec
from msgspec import Raw, Struct

from lockgate.server.failures import HttpFailure

Path: TypeAlias = tuple[str | int, ...]
"""Names of members, and places in lists: what a client puts the pieces of a stream together by."""

_STRUCTURE = frozenset(
    {
        *("id", "object", "created", "model", "index", "type", "role", "format"),
        *("finish_reason", "native_finish_reason", "stop_reason", "system_fingerprint"),
        *("service_tier", "usage", "choices", "logprobs", "provider", "obfuscation"),
        *("matched_stop", "timings", "content_filter_results", "prompt_filter_results"),
        # Made by the server, sealed or no text.
        *("data", "signature", "encrypted_content", "embedding"),
    }
)
_DEEPEST = 16


class Kind(Enum):
    """How a text is judged."""

    TEXT = 1
    """Pieces of a stream are one text."""
    PIECE = 2
    """Every piece by itself: names come in one."""
    ARGUMENTS = 3
    """JSON in a string."""


class Text(NamedTuple):
    """A string of an answer."""

    path: Path
    holder: Any
    """The object or list that it is in."""
    key: Any
    text: str
    kind: Kind


def texts(node: Any, path: Path = ()) -> Iterator[Text]:
    """Yield the texts below a member, in order of place.

    Raises:
        HttpFailure: it is nested too deep.

    """
    if len(path) > _DEEPEST:
        raise HttpFailure(502, "upstream-failed", "the answer is nested too deep")
    for step, key, item in _members(node):
        if isinstance(item, str):
            yield Text((*path, step), node, key, item, _kind(path, key))
        elif isinstance(item, dict | list):
            yield from texts(item, (*path, step))


def _members(node: Any) -> Iterator[tuple[str | int, Any, Any]]:
    """Yield the step of the path to each member, its name or place, and what it is."""
    if isinstance(node, dict):
        for name, item in node.items():
            if name not in _STRUCTURE:
                yield name, name, item
        return
    for place, item in enumerate(node):
        step = item.get("index") if isinstance(item, dict) else None
        yield step if isinstance(step, int) else place, place, item


def _kind(path: Path, name: str | int) -> Kind:
    if name == "name" or isinstance(name, int):
        return Kind.PIECE
    return Kind.ARGUMENTS if name == "arguments" and path else Kind.TEXT


def text_at(node: Any, path: Path) -> str:
    """Return the text at a path; the empty one if there is none."""
    for step in path:
        node = _step(node, step)
    return node if isinstance(node, str) else ""


def put(node: Any, path: Path, text: str) -> None:
    """Set the text at a path, and make what leads there."""
    for step, following in pairwise(path):
        found = _step(node, step)
        if not isinstance(found, dict | list):
            found = [] if isinstance(following, int) else {}
            if isinstance(step, str):
                node[step] = found
            else:
                found = {"index": step}
                node.append(found)
        node = found
    node[path[-1]] = text


def _step(node: Any, step: str | int) -> Any:
    if isinstance(node, dict):
        return node.get(step)
    if isinstance(node, list):
        for place, item in enumerate(node):
            if isinstance(item, dict) and item.get("index", place) == step:
                return item
    return None


class PlainPart(Struct, forbid_unknown_fields=True):
    """A message or delta with nothing in it but content."""

    content: str | None = None
    role: str | None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None
    reasoning_content: None = None
    reasoning: None = None
    annotations: tuple[()] | None = None
    audio: None = None


class PlainChoice(Struct, forbid_unknown_fields=True):
    """A choice with nothing in it but one text."""

    index: int = 0
    message: PlainPart | None = None
    delta: PlainPart | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: None = None
    token_ids: None = None
    stop_reason: Raw = Raw()
    matched_stop: Raw = Raw()
    native_finish_reason: Raw = Raw()
    content_filter_results: Raw = Raw()


class Plain(Struct, forbid_unknown_fields=True):
    """An answer, or a chunk of one, with nothing to guard but one text a choice."""

    choices: list[PlainChoice] = []
    id: Raw = Raw()
    object: Raw = Raw()
    created: Raw = Raw()
    model: Raw = Raw()
    usage: Raw = Raw()
    system_fingerprint: Raw = Raw()
    service_tier: Raw = Raw()
    provider: Raw = Raw()
    obfuscation: Raw = Raw()
    timings: Raw = Raw()
    prompt_filter_results: Raw = Raw()
    prompt_logprobs: None = None
    prompt_token_ids: None = None
    kv_transfer_params: None = None
    metadata: None = None
    data: Raw = Raw()


PLAIN: "msgspec.json.Decoder[Plain]" = msgspec.json.Decoder(Plain)


def plain(data: bytes) -> Plain | None:
    """Return what there is to guard in an answer of the plain kind; None if it has more."""
    try:
        return PLAIN.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def document(data: bytes) -> dict[str, Any]:
    """Return an answer as it is, to be looked through.

    Raises:
        HttpFailure: its choices are not where the API has them, so that nobody could look at them.

    """
    try:
        found = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        found = None
    choices = found.get("choices", []) if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(choices, list):
        raise HttpFailure(502, "upstream-failed", "the answer's texts are not texts")
    if not all(isinstance(choice, dict) for choice in choices):
        raise HttpFailure(502, "upstream-failed", "the answer's texts are not texts")
    return found
