"""Answers the cases of a suite with a model of this machine, asked without a task around it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lockgate.domain.digest import Digest, Json
from lockgate.domain.inference import Completion, Dispatch, Generate, Message
from lockgate.errors import InvalidInput
from lockgate.evals.assertion import Response
from lockgate.evals.expand import Case
from lockgate.evals.javascript import parse
from lockgate.evals.suite import Provider, Suite
from lockgate.ports import Backend

if TYPE_CHECKING:
    from lockgate.oci.models import ModelStore

MODEL_PREFIX = "lockgate:model:"
_MOST_TOKENS = 4_096
_TOKENS = 256
_SEED = 7
_ROLES: Mapping[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


def is_model(provider: Provider) -> bool:
    """Say whether a provider is a model rather than a task."""
    return provider.id.startswith(MODEL_PREFIX)


def models_of(suite: Suite, store: Callable[[], "ModelStore"]) -> Mapping[str, Digest]:
    """Return the digest of each model that the suite's providers name.

    Raises:
        NotFound: no catalogue knows a model, and it is not here.

    """
    names = sorted({provider.id for provider in suite.providers if is_model(provider)})
    if not names:
        return {}
    known = store()
    return {name: known.digest(name.removeprefix(MODEL_PREFIX)) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Answers with models in this process: neither metered nor audited, as a judge is not."""

    digests: Mapping[str, Digest]
    store: Callable[[], "ModelStore"]
    backends: Callable[[], Mapping[str, Backend]]

    async def respond(self, case: Case) -> Response:
        """Return what the model says to the case's prompt.

        Raises:
            InvalidInput: the prompt or the provider's `config` cannot be asked.
            LockgateError: the model did not answer.

        """
        name = case.provider.id.removeprefix(MODEL_PREFIX)
        backend = self.backends()[self.store().backend(name)]
        request = Generate(
            messages=messages_of(case.sent),
            role="evaluated",
            max_tokens=_most_tokens(case.provider),
            seed=_SEED,
            logprobs=True,
        )
        started = time.monotonic_ns()
        result = await backend.infer(
            Dispatch(model=name, digest=self.digests[case.provider.id], request=request)
        )
        taken = (time.monotonic_ns() - started) / 1e6
        assert isinstance(result, Completion)
        made = result.usage.output_tokens
        return Response(
            output=result.text,
            latency_ms=taken,
            cost=0.0,
            finish_reason=result.finish_reason,
            logprobs=result.logprobs,
            measures={"tokens_per_s": made / taken * 1e3} if made and taken > 0 else {},
        )


def messages_of(prompt: str) -> tuple[Message, ...]:
    """Return a chat that is written as JSON, as promptfoo reads it, or the prompt as one turn.

    Raises:
        InvalidInput: the chat has a turn that a model cannot be told.

    """
    if not prompt.lstrip().startswith("["):
        return (Message(role="user", content=prompt),)
    try:
        turns = parse(prompt)
    except ValueError:
        turns = None
    if not (isinstance(turns, Sequence) and not isinstance(turns, str) and turns):
        return (Message(role="user", content=prompt),)
    if not all(isinstance(turn, Mapping) and "role" in turn for turn in turns):
        return (Message(role="user", content=prompt),)
    return tuple(_message(turn) for turn in turns)


def _message(turn: Json) -> Message:
    assert isinstance(turn, Mapping)
    role, content = _ROLES.get(str(turn["role"])), turn.get("content")
    if role is None or not isinstance(content, str):
        raise InvalidInput(
            f"a turn of the prompt has the role `{turn['role']}` and `{str(content)[:40]}`",
            hint=f"a turn has a text and one of the roles {', '.join(_ROLES)}",
        )
    return Message(role=role, content=content)


def _most_tokens(provider: Provider) -> int:
    found = provider.config.get("max_tokens", _TOKENS)
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= _MOST_TOKENS:
        raise InvalidInput(
            f"`max_tokens` of `{provider.id}` is `{found}`, not a whole number up to {_MOST_TOKENS}"
        )
    return found
