"""A configuration that is read again starts nothing anew that it does not change."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledgers import refused
from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_renewal import Previous, Renewal
from lockgate.config.gateway_settings import CacheSettings, RateLimit, ServerSettings
from lockgate.config.load import Loaded
from lockgate.config.settings import Config, OpenAIBackend, UpstreamLimits
from lockgate.errors import StorageFailed
from lockgate.traffic.elsewhere import SharedElsewhere
from lockgate.traffic.kill_switch import Kill, Kills, Scope

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BACKENDS = ("there", "llama_cpp")


def loaded(
    *,
    limits: Mapping[str, int] | None = None,
    first_byte_s: float = 30.0,
    ttl_s: float = 60.0,
) -> Loaded:
    backend = OpenAIBackend(
        kind="openai",
        url="http://127.0.0.1:1/v1",
        models={"m": "m"},
        limits=UpstreamLimits(first_byte_s=first_byte_s),
    )
    rows = {name: RateLimit(requests_per_minute=amount) for name, amount in (limits or {}).items()}
    server = ServerSettings(limits=rows, cache=CacheSettings(ttl_s=ttl_s))
    return Loaded(
        config=Config(backends={"there": backend}, server=server), path=None, folder=Path("/")
    )


def opened(given: Loaded, before: Previous | None = None) -> Previous:
    """Do what `open_gateway` does with the parts that remember."""
    renewal = Renewal(given, before)
    limits = renewal.limits()
    controls = Controls(
        limits=limits,
        sharing=renewal.sharing(limits, renewal.shared(), failed=refused),
        switch=renewal.switch(),
        breakers=renewal.breakers({"there": 15.0}),
        queues=renewal.queues(BACKENDS),
        retries=renewal.retries(),
        cache=renewal.cache(),
    )
    renewal.settle()
    return Previous(loaded=given, controls=controls)


def take(previous: Previous, subject: str) -> bool:
    assert previous.controls.limits is not None
    return previous.controls.limits.take([subject], tokens=0).allowed


def test_what_did_not_change_goes_on_as_it_was() -> None:
    before = opened(loaded(limits={"key:a": 2}))
    before.controls.switch.now = Kills(
        (Kill(scope=Scope.MODEL, name="m", reason="leak", actor="a", at="now"),)
    )
    after = opened(loaded(limits={"key:a": 2}), before)

    one, other = before.controls, after.controls
    assert other.limits is one.limits
    assert other.sharing is one.sharing
    assert other.switch.now.kills
    assert other.breakers["there"] is one.breakers["there"]
    assert other.retries is one.retries
    assert other.cache is one.cache is not None
    assert {name: other.queues[name] is one.queues[name] for name in BACKENDS} == {
        "there": True,
        "llama_cpp": True,
    }


def test_a_limit_that_stays_keeps_its_count_and_one_that_changes_begins_anew() -> None:
    before = opened(loaded(limits={"key:a": 2, "key:b": 2}))
    for key in ("key:a", "key:b"):
        assert [take(before, key) for _ in range(3)] == [True, True, False]

    after = opened(loaded(limits={"key:a": 2, "key:b": 3}), before)

    assert not take(after, "key:a")
    assert take(after, "key:b")


def test_limits_follow_the_new_rules_only_once_the_gateway_is_in_its_place() -> None:
    before = opened(loaded(limits={"key:a": 1}))
    assert take(before, "key:a")

    refused_one = Renewal(loaded(limits={"key:a": 100}), before)
    refused_one.limits()
    assert not take(before, "key:a")

    refused_one.settle()
    assert take(before, "key:a")


def test_a_backend_that_changes_has_a_new_breaker_and_a_new_queue() -> None:
    before = opened(loaded())
    after = opened(loaded(first_byte_s=5.0), before)

    assert after.controls.breakers["there"] is not before.controls.breakers["there"]
    assert after.controls.queues["there"] is not before.controls.queues["there"]
    assert after.controls.queues["llama_cpp"] is before.controls.queues["llama_cpp"]


def test_a_cache_of_another_size_or_time_is_another_one_and_limits_can_come_and_go() -> None:
    before = opened(loaded())
    after = opened(loaded(ttl_s=5.0, limits={"key:a": 1}), before)
    assert after.controls.cache is not before.controls.cache
    assert after.controls.limits is not None
    last = opened(loaded(ttl_s=0.0), after)
    assert (last.controls.cache, last.controls.limits, last.controls.sharing) == (None, None, None)


class State:
    """Implements `ports.SharedState`, and says whose it is."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def read(self, name: str) -> str | None:
        return self._name

    async def change(self, name: str, change: object) -> None:
        raise AssertionError(name)


def test_shared_state_is_asked_of_the_newest_that_lends_it_and_then_of_the_one_before() -> None:
    async def lend(shared: SharedElsewhere, name: str) -> tuple[asyncio.Event, asyncio.Task[None]]:
        stop = asyncio.Event()
        lending = asyncio.create_task(shared.serve(State(name), stop))
        await asyncio.sleep(0)
        return stop, lending

    async def main() -> None:
        shared = SharedElsewhere()
        old, first = await lend(shared, "old")
        new, second = await lend(shared, "new")
        assert await shared.read("x") == "new"
        new.set()
        await second
        assert await shared.read("x") == "old"
        old.set()
        await first
        with pytest.raises(StorageFailed):
            await shared.read("x")

    asyncio.run(main())
