"""The judge, a model of this machine held to a grammar, and how far it agrees with people."""

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.inference import Completion, Dispatch, Generate, Message
from lockgate.errors import InvalidInput, LockgateError, StorageFailed
from lockgate.evals.asking.services import Judge, JudgeFailed, Question
from lockgate.ports import Backend

if TYPE_CHECKING:
    from lockgate.oci.models import ModelStore

_SEED = 7
_KEPT = 256
_SHORT = 12


def judge_of(
    name: str,
    models: Callable[[], "ModelStore"],
    backends: Callable[[], Mapping[str, Backend]],
) -> Judge:
    """Return a judge; its model is opened at the first question. Equal questions are asked once."""
    asked: dict[Digest, asyncio.Future[JsonObject]] = {}

    async def answer(question: Question) -> JsonObject:
        store = models()
        request = Generate(
            messages=(
                Message(role="system", content=question.system),
                Message(role="user", content=question.text),
            ),
            role="judge",
            max_tokens=question.max_tokens,
            seed=_SEED,
            schema=question.schema,
        )
        key = Digest.of_json([question.system, question.text, question.schema, question.max_tokens])
        if key not in asked:
            while len(asked) >= _KEPT:
                del asked[next(iter(asked))]
            asked[key] = asyncio.ensure_future(_answered(name, request, store, backends()))
        return await asyncio.shield(asked[key])

    @cache
    def named() -> str:
        return f"{name}@{models().digest(name).hex[:_SHORT]}"

    return Judge(name=named, answer=answer)


async def _answered(
    name: str, request: Generate, store: "ModelStore", backends: Mapping[str, Backend]
) -> JsonObject:
    try:
        dispatch = Dispatch(model=name, digest=store.digest(name), request=request)
        result = await backends[store.backend(name)].infer(dispatch)
    except StorageFailed:
        raise
    except LockgateError as error:
        raise JudgeFailed(f"the judge `{name}`: {error.message}", hint=error.hint) from error
    assert isinstance(result, Completion)
    try:
        found = json.loads(result.text)
    except (ValueError, RecursionError):
        found = _closed(result.text)
    if not isinstance(found, dict):
        raise JudgeFailed(f"the judge `{name}` said `{result.text[:80]}`, which is no object")
    return found


def _closed(text: str) -> Json:
    """Return an answer that was cut off inside its last member, the reason."""
    try:
        found: Json = json.loads(f'{text}"}}')
    except (ValueError, RecursionError):
        return None
    return found


def agreements(
    labelled: Mapping[str, Mapping[tuple[bool, bool], int]],
) -> Mapping[str, JsonObject]:
    """Return how far each type of judge agrees with people beyond chance."""
    return {name: _agreement(counts) for name, counts in sorted(labelled.items())}


def _agreement(counts: Mapping[tuple[bool, bool], int]) -> JsonObject:
    from lockgate.statistics.classification import kappa

    people, judge = [], []
    for (person, machine), count in sorted(counts.items()):
        people += ["pass" if person else "fail"] * count
        judge += ["pass" if machine else "fail"] * count
    agreed = sum(count for (person, machine), count in counts.items() if person == machine)
    stated: dict[str, Json] = {
        "labelled": len(people),
        "agreed": agreed,
        "agreement": agreed / len(people),
    }
    try:
        found = kappa(people, judge)
    except InvalidInput as error:
        return {**stated, "kappa": None, "interval": None, "problem": error.advice}
    return {
        **stated,
        "kappa": found.kappa,
        "interval": [found.interval.lower, found.interval.upper],
        "problem": "",
    }
