"""Tasks of a gateway ask their backends through queues and breakers."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lockgate.app.gateway_backends import ControlledBackends
from lockgate.config.settings import (
    Config,
    LlamaCppBackend,
    OpenAIBackend,
    ReplayBackend,
    WaitingSettings,
)
from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Completion, Dispatch, Generate, Message, Result
from lockgate.domain.usage import Usage
from lockgate.errors import Overloaded, Unavailable

DISPATCH = Dispatch(
    model="m",
    digest=Digest.of(b"m"),
    request=Generate(messages=(Message(role="user", content="hi"),), max_tokens=8, seed=1),
)


@dataclass
class Slow:
    """Answers when it is told to; implements `ports.Backend`."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    broken: bool = False
    asked: int = 0
    at_a_time: int = 0
    data_classes = frozenset({DataClass.PUBLIC})

    async def infer(self, dispatch: Dispatch) -> Result:
        self.asked += 1
        if self.broken:
            raise Unavailable("broken")
        self.at_a_time += 1
        assert self.at_a_time == 1
        await self.go.wait()
        self.at_a_time -= 1
        return Completion(text="hello", finish_reason="stop", usage=Usage())


def test_what_finds_no_room_is_refused_and_what_waits_is_answered_in_turn() -> None:
    async def test() -> None:
        slow = Slow()
        config = Config(backends={"here": LlamaCppBackend(queue=WaitingSettings(requests=2))})
        backends = ControlledBackends({"here": slow}, config)
        assert backends["here"].data_classes == slow.data_classes
        running = [asyncio.create_task(backends["here"].infer(DISPATCH)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await backends["here"].infer(DISPATCH)
        slow.go.set()
        assert [(await task).usage for task in running] == [Usage()] * 3
        assert slow.asked == 3

    asyncio.run(test())


def test_a_backend_that_fails_is_left_alone() -> None:
    async def test() -> None:
        broken = Slow(broken=True)
        config = Config(backends={"there": OpenAIBackend(kind="openai", url="http://127.0.0.1:1")})
        backends = ControlledBackends({"there": broken}, config)
        for _ in range(40):
            with pytest.raises(Unavailable):
                await backends["there"].infer(DISPATCH)
        assert broken.asked < 20

    asyncio.run(test())


def test_a_backend_that_computes_nothing_is_handed_out_as_it_is() -> None:
    config = Config(backends={"record": ReplayBackend(kind="replay", path=Path("record"))})
    slow = Slow()
    backends = ControlledBackends({"record": slow, "nobody": slow}, config)
    assert backends["record"] is slow
    assert backends["nobody"] is slow
    assert (list(backends), len(backends)) == (["record", "nobody"], 2)
