"""Holds an upstream's answers against the schema that the client asked for.

A server may know no schemas and answer anything; the client was promised one.
"""

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Struct

from lockgate.errors import InvalidInput, UpstreamFailed
from lockgate.server.requests import ChatRequest

_MOST_KEPT: Final = 256
_MOST_BYTES: Final = 256 << 10
_UNFINISHED: Final = frozenset({"length", "content_filter"})
_CALLS: Final = frozenset({"tool_calls", "function_call"})
_SHOWN: Final = 120
_ANY_OBJECT: Final[dict[str, Any]] = {"type": "object"}
Checker: TypeAlias = Any
"""A compiled schema of `jsonschema_rs`, which has no type to name before it is imported."""


class _Message(Struct):
    content: str | None = None


class _Choice(Struct):
    message: _Message | None = None
    finish_reason: str | None = None


class _Answer(Struct):
    choices: list[_Choice] = []


_ANSWER: "msgspec.json.Decoder[_Answer]" = msgspec.json.Decoder(_Answer)


@dataclass(slots=True)
class AnswerSchemas:
    """Keeps the schemas that were asked for last. Used from one thread."""

    _kept: OrderedDict[bytes, Checker] = field(default_factory=OrderedDict[bytes, Checker])

    def of(self, asked: ChatRequest) -> Checker | None:
        """Return what checks the answer to a request; None if it wants none, or one too large.

        Raises:
            InvalidInput: the schema is none, or refers to something outside itself.

        """
        wanted = asked.response_format
        if wanted is UNSET or not isinstance(wanted, dict):
            return None
        schema = _schema(wanted)
        if schema is None:
            return None
        text = json.dumps(schema, separators=(",", ":")).encode()
        if len(text) > _MOST_BYTES:
            return None
        digest = hashlib.sha256(text).digest()
        found = self._kept.get(digest)
        if found is None:
            found = self._kept[digest] = _compile(schema)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(digest)
        return found


def check_answer(checker: Checker, upstream: str, body: bytes) -> None:
    """Refuse an answer that does not match. Tool calls, refusals and what was cut off pass.

    Raises:
        UpstreamFailed: it does not match.

    """
    try:
        choices = _ANSWER.decode(body).choices
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise UpstreamFailed(
            f"the answer of the upstream `{upstream}` is not what the API says"
        ) from None
    for choice in choices:
        content = None if choice.message is None else choice.message.content
        if content is not None and not is_match(checker, content, choice.finish_reason):
            raise mismatch(upstream)


def is_match(checker: Checker, text: str, finish_reason: str | None) -> bool:
    """Say whether a choice's text may be shown, as it ended."""
    if finish_reason in _UNFINISHED or (not text and finish_reason in _CALLS):
        return True
    try:
        return bool(checker.is_valid(json.loads(text)))
    except (ValueError, RecursionError):
        return False


def mismatch(upstream: str) -> UpstreamFailed:
    """Return the error for an answer that does not match."""
    return UpstreamFailed(
        f"the answer of the upstream `{upstream}` does not match the schema of `response_format`",
        hint="choose a model that can keep to schemas",
        why="schema",
    )


def _schema(wanted: dict[str, Any]) -> Any:
    if wanted.get("type") == "json_object":
        return _ANY_OBJECT
    named = wanted.get("json_schema")
    if wanted.get("type") != "json_schema" or not isinstance(named, dict):
        return None
    return None if named.get("strict") is False else named.get("schema")


def _compile(schema: Any) -> Checker:
    import jsonschema_rs  # noqa: PLC0415  a request without a schema never needs it

    try:
        return jsonschema_rs.Draft202012Validator(
            schema,
            retriever=_refuse,
            pattern_options=jsonschema_rs.RegexOptions(),  # linear-time matching
        )
    except (jsonschema_rs.ReferencingError, ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0][:_SHOWN]
        raise InvalidInput(f"the schema of `response_format` is not valid: {reason}") from None


def _refuse(uri: str) -> Any:
    raise ValueError(f"`{uri[:_SHOWN]}` is another document: schemas must be self-contained")
