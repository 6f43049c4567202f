import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.digest import Digest, Json, canonical
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
    Message,
    Result,
    Row,
)
from lockgate.domain.recording import (
    decode_result,
    dispatch_digest,
    encode_dispatch,
    encode_result,
    result_digest,
)
from lockgate.domain.usage import Usage
from lockgate.errors import Corrupt

MODEL = Digest.of(b"a model")

texts = st.text(st.characters(codec="utf-8"))
numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(min_value=0, max_value=2**53)
usages = st.builds(
    Usage,
    inferences=counts,
    input_tokens=counts,
    output_tokens=counts,
    cost_micros=counts,
    duration_us=counts,
)
vectors = st.integers(0, 5).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))
labels = st.builds(
    Label,
    label=st.none() | texts,
    confidence=numbers,
    probabilities=st.dictionaries(texts, numbers),
)
results: st.SearchStrategy[Result] = st.one_of(
    st.builds(
        Completion,
        text=texts,
        usage=usages,
        finish_reason=st.sampled_from(["stop", "length"]),
        logprobs=st.lists(numbers).map(tuple),
    ),
    st.builds(Embedding, vectors=st.lists(vectors).map(tuple), usage=usages),
    st.builds(Classification, labels=st.lists(labels).map(tuple), usage=usages),
)


def dispatch(request: Inference) -> Dispatch:
    return Dispatch(model="tiny", digest=MODEL, request=request)


@given(results)
def test_a_result_survives_the_way_through_canonical_bytes(result: Result) -> None:
    data = canonical(encode_result(result))

    again = decode_result(json.loads(data))

    assert again == result
    assert canonical(encode_result(again)) == data


@given(results, usages)
def test_a_results_digest_covers_what_came_back_and_not_what_it_cost(
    result: Result, usage: Usage
) -> None:
    assert result_digest(replace(result, usage=usage)) == result_digest(result)


def test_different_results_have_different_digests() -> None:
    usage = Usage()
    one = Completion(text="yes", usage=usage)
    others: list[Result] = [
        Completion(text="no", usage=usage),
        Completion(text="yes", usage=usage, finish_reason="length"),
        Completion(text="yes", usage=usage, logprobs=(-0.5,)),
        Embedding(vectors=(b"\0\0\0\0",), usage=usage),
        Classification(labels=(), usage=usage),
    ]

    assert len({result_digest(r) for r in (one, *others)}) == len(others) + 1


REQUESTS: list[Inference] = [
    Generate(messages=(Message(role="user", content="a"),)),
    Generate(messages=(Message(role="system", content="a"),)),
    Generate(messages=(Message(role="user", content="a"),), seed=8),
    Generate(messages=(Message(role="user", content="a"),), max_tokens=9),
    Generate(messages=(Message(role="user", content="a"),), schema={}),
    Generate(messages=(Message(role="user", content="a"),), schema={"type": "object"}),
    Generate(messages=(Message(role="user", content="a"),), logprobs=True),
    Embed(texts=("a",)),
    Embed(texts=("a", "")),
    Classify(rows=()),
    Classify(rows=(Row(tokens=("a",)),)),
    Classify(rows=(Row(tokens=("a",), vector=b""),)),
    Classify(rows=(Row(tokens=("a",), vector=b"\0\0\0\0"),)),
]


def test_every_member_that_can_change_a_result_changes_the_dispatchs_digest() -> None:
    digests = {dispatch_digest(dispatch(request)) for request in REQUESTS}

    assert len(digests) == len(REQUESTS)


def test_the_models_digest_decides_and_neither_its_name_nor_the_role() -> None:
    request = Embed(texts=("a",))
    one = dispatch_digest(dispatch(request))

    assert one == dispatch_digest(replace(dispatch(request), model="alias"))
    assert one == dispatch_digest(dispatch(replace(request, role="other")))
    assert one != dispatch_digest(replace(dispatch(request), digest=Digest.of(b"another")))


def test_a_dispatchs_digest_is_pinned_so_that_old_cassettes_stay_readable() -> None:
    request = Generate(messages=(Message(role="user", content="hi"),))

    assert canonical(encode_dispatch(dispatch(request))).decode() == (
        f'{{"model":"{MODEL}","request":{{"kind":"generate","logprobs":false,"max_tokens":256,'
        '"messages":[{"content":"hi","role":"user"}],"schema":null,"seed":7}}'
    )


def changed(member: str, value: Json) -> Json:
    usage = Usage()
    whole: dict[str, Json] = {}
    for result in (
        Completion(text="", usage=usage),
        Embedding(vectors=(), usage=usage),
        Classification(labels=(), usage=usage),
    ):
        document = encode_result(result)
        whole = document if member in document else whole
    return {**whole, member: value}


LABEL: dict[str, Json] = {"label": "feat", "confidence": 1, "probabilities": {}}

BAD: list[Json] = [
    None,
    [],
    "completion",
    {},
    changed("kind", "poem"),
    changed("usage", None),
    changed("usage", {}),
    changed("usage", {**encode_result(Completion(text="", usage=Usage())), "inferences": True}),
    changed("text", None),
    changed("finish_reason", "bored"),
    changed("logprobs", {}),
    changed("logprobs", ["-1"]),
    changed("logprobs", [True]),
    changed("logprobs", [float("nan")]),
    changed("logprobs", [10**400]),
    changed("vectors", ["not base64"]),
    changed("vectors", ["é"]),
    changed("vectors", ["AA=="]),
    changed("vectors", [7]),
    changed("labels", [LABEL | {"label": 7}]),
    changed("labels", [LABEL | {"probabilities": []}]),
    changed("labels", [LABEL | {"confidence": None}]),
    changed("labels", ["feat"]),
]


@pytest.mark.parametrize("value", BAD, ids=range(len(BAD)))
def test_a_recording_that_is_not_a_result_is_corrupt(value: Json) -> None:
    with pytest.raises(Corrupt):
        decode_result(value)
