"""Inferences as JSON: their addresses, and what cassettes and audit records keep of them.

`decode_result(encode_result(r)) == r`, through canonical bytes as well. Vectors are base64
(RFC 4648 section 4) of their little-endian float32 values.
"""

import binascii
import math
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import fields
from typing import Literal, assert_never

from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.inference import (
    Classification,
    Classify,
    Completion,
    Dispatch,
    Embed,
    Embedding,
    Generate,
    Inference,
    Label,
    Result,
    Row,
)
from lockgate.domain.usage import Usage
from lockgate.errors import Corrupt

_FLOAT_BYTES = 4


def encode_dispatch(dispatch: Dispatch) -> dict[str, Json]:
    """Return what decides a result: the model's digest and the request.

    The model's name and the role are left out: they say why the model is asked, not what.
    """
    return {"model": str(dispatch.digest), "request": _request(dispatch.request)}


def dispatch_digest(dispatch: Dispatch) -> Digest:
    """Return the address of the dispatch's result: equal for equal questions to equal models."""
    return Digest.of_json(encode_dispatch(dispatch))


def encode_result(result: Result) -> dict[str, Json]:
    """Return the result as JSON, usage included."""
    return {**_content(result), "usage": _usage(result.usage)}


def result_digest(result: Result) -> Digest:
    """Return the address of what came back, whatever it cost: usage is left out."""
    return Digest.of_json(_content(result))


def decode_result(value: Json) -> Result:
    """Read what `encode_result` wrote.

    Raises:
        Corrupt: it is something else; the message names the member.

    """
    given = _object(value, "result")
    usage = _decode_usage(_object(given.get("usage"), "usage"))
    match given.get("kind"):
        case "completion":
            return Completion(
                text=_text(given.get("text"), "text"),
                usage=usage,
                finish_reason=_finish_reason(given.get("finish_reason")),
                logprobs=tuple(_float(v, "logprobs") for v in _list(given, "logprobs")),
            )
        case "embedding":
            vectors = tuple(_vector(v) for v in _list(given, "vectors"))
            return Embedding(vectors=vectors, usage=usage)
        case "classification":
            labels = tuple(_label(v) for v in _list(given, "labels"))
            return Classification(labels=labels, usage=usage)
        case kind:
            raise Corrupt(f"a recorded result has the unknown kind `{kind}`")


def _request(request: Inference) -> dict[str, Json]:
    match request:
        case Generate():
            return {
                "kind": "generate",
                "messages": [{"role": m.role, "content": m.content} for m in request.messages],
                "max_tokens": request.max_tokens,
                "seed": request.seed,
                "schema": request.schema,
                "logprobs": request.logprobs,
            }
        case Embed():
            return {"kind": "embed", "texts": list(request.texts)}
        case Classify():
            return {"kind": "classify", "rows": [_row(row) for row in request.rows]}
        case _:
            assert_never(request)


def _row(row: Row) -> dict[str, Json]:
    vector = None if row.vector is None else _base64(row.vector)
    return {"tokens": list(row.tokens), "vector": vector}


def _content(result: Result) -> dict[str, Json]:
    match result:
        case Completion():
            return {
                "kind": "completion",
                "text": result.text,
                "finish_reason": result.finish_reason,
                "logprobs": list(result.logprobs),
            }
        case Embedding():
            return {"kind": "embedding", "vectors": [_base64(v) for v in result.vectors]}
        case Classification():
            return {
                "kind": "classification",
                "labels": [
                    {
                        "label": label.label,
                        "confidence": label.confidence,
                        "probabilities": dict(label.probabilities),
                    }
                    for label in result.labels
                ],
            }
        case _:
            assert_never(result)


def _usage(usage: Usage) -> dict[str, Json]:
    return {f.name: int(getattr(usage, f.name)) for f in fields(Usage)}


def _decode_usage(given: JsonObject) -> Usage:
    counts: dict[str, int] = {}
    for field in fields(Usage):
        value = given.get(field.name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong(field.name, "an integer")
        counts[field.name] = value
    return Usage(**counts)


def _finish_reason(value: Json) -> Literal["stop", "length"]:
    match value:
        case "stop" | "length":
            return value
        case _:
            raise _wrong("finish_reason", "`stop` or `length`")


def _label(value: Json) -> Label:
    given = _object(value, "labels")
    label = given.get("label")
    probabilities = _object(given.get("probabilities"), "probabilities")
    return Label(
        label=None if label is None else _text(label, "label"),
        confidence=_float(given.get("confidence"), "confidence"),
        probabilities={k: _float(v, "probabilities") for k, v in probabilities.items()},
    )


def _base64(vector: bytes) -> str:
    return b64encode(vector).decode("ascii")


def _vector(value: Json) -> bytes:
    try:
        vector = b64decode(_text(value, "vectors"), validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("vectors", "base64") from None
    if len(vector) % _FLOAT_BYTES:
        raise _wrong("vectors", "float32 values")
    return vector


def _object(value: Json, name: str) -> JsonObject:
    if not isinstance(value, dict):
        raise _wrong(name, "an object")
    return value


def _list(given: JsonObject, name: str) -> Sequence[Json]:
    value = given.get(name)
    if not isinstance(value, list):
        raise _wrong(name, "a list")
    return value


def _text(value: Json, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "a string")
    return value


def _float(value: Json, name: str) -> float:
    # Canonical JSON writes 1.0 as `1`, so an integer is read back as the float that it was.
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(name, "a number")
    try:
        number = float(value)
    except OverflowError:
        raise _wrong(name, "a number that a double holds") from None
    if not math.isfinite(number):
        raise _wrong(name, "a finite number")
    return number


def _wrong(name: str, expected: str) -> Corrupt:
    return Corrupt(f"the member `{name}` of a recorded result is not {expected}")
