"""A long request is looked through with pauses, in which others are served."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from lockgate.app.gateway_controls import Controls, guards
from lockgate.app.gateway_meter import GatewayMeter
from lockgate.config.guard_settings import GuardClassSettings, GuardSettings
from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action
from lockgate.server.failures import HttpFailure
from lockgate.server.guarding import Guarding
from lockgate.server.requests import ChatRequest, CompletionRequest

LINE = "81.2.69.142 asks jane@acme.io for /v1/orders/{n}\n"
TEXT = "".join(LINE.format(n=n) for n in range(2000))
PARTS = [LINE.format(n=n) for n in range(2000)]


def controls(personal: Action = Action.REDACT) -> Controls:
    settings = GuardSettings(internal=GuardClassSettings(personal=personal))
    return Controls(guards=guards(settings))


def guarding(of: Controls) -> Guarding:
    return Guarding(of, GatewayMeter(of), DataClass.INTERNAL)


def chat(*contents: Any, **more: Any) -> ChatRequest:
    messages = [{"role": "user", "content": content} for content in contents]
    return msgspec.convert({"model": "m", "messages": messages, **more}, ChatRequest)


def completion(prompt: Any) -> CompletionRequest:
    return msgspec.convert({"model": "m", "prompt": prompt}, CompletionRequest)


LONG: dict[str, Callable[[], ChatRequest | CompletionRequest]] = {
    "one long text": lambda: chat(TEXT),
    "many short messages": lambda: chat(*PARTS),
    "many parts of a message": lambda: chat([{"type": "text", "text": part} for part in PARTS]),
    "a list of prompts": lambda: completion(PARTS),
    "names and values of metadata": lambda: chat("hi", metadata={part: part for part in PARTS}),
}


@pytest.mark.parametrize("kind", LONG)
def test_others_are_served_while_a_long_request_is_looked_through(kind: str) -> None:
    of, asked, same = controls(), LONG[kind](), LONG[kind]()
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def scenario() -> bool:
        beside = asyncio.create_task(others())
        try:
            return await guarding(of).clean_long(asked)
        finally:
            beside.cancel()

    changed = asyncio.run(scenario())

    assert turns > 8
    assert changed
    assert guarding(of).clean(same)
    assert msgspec.to_builtins(asked) == msgspec.to_builtins(same)
    assert "jane" not in str(msgspec.to_builtins(asked))


def test_two_long_requests_take_turns() -> None:
    of, order = controls(), list[str]()

    async def one(name: str) -> None:
        await guarding(of).clean_long(chat(TEXT))
        order.append(name)

    async def scenario() -> None:
        held = of.guards
        assert held is not None
        async with held.turn:
            tasks = [asyncio.create_task(one(name)) for name in "ab"]
            for _ in range(50):
                await asyncio.sleep(0)
            assert order == []
        await asyncio.gather(*tasks)

    asyncio.run(scenario())

    assert order == ["a", "b"]


def test_a_long_request_that_is_given_up_lets_the_next_one_on() -> None:
    of = controls()

    async def scenario() -> bool:
        given_up = asyncio.create_task(guarding(of).clean_long(chat(TEXT)))
        await asyncio.sleep(0)
        given_up.cancel()
        async with asyncio.timeout(30):
            return await guarding(of).clean_long(chat(TEXT))

    assert asyncio.run(scenario())


def test_a_rule_that_blocks_stops_a_long_request() -> None:
    with pytest.raises(HttpFailure) as failed:
        asyncio.run(guarding(controls(Action.BLOCK)).clean_long(chat(TEXT)))

    assert failed.value.param in {"email", "ipv4"}
