import asyncio

import pytest

from conftest import Opener
from lockgate.errors import Corrupt, NotFound, StorageFailed
from lockgate.traffic.kill_switch import STATE, Kill, KillSwitch, Leaves, Scope
from lockgate.traffic.memory import MemoryState
from traffic.replicas import FailingState

AT = "2026-11-21T12:00:00Z"


def kill(scope: Scope, name: str = "", leaves: Leaves = Leaves.RULES) -> Kill:
    return Kill(scope=scope, name=name, leaves=leaves, reason="wrong", actor="ana", at=AT)


def test_what_one_replica_turns_off_another_knows_after_its_next_refresh(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as ours, opener() as theirs:
            here, there = KillSwitch(ours), KillSwitch(theirs)
            await here.turn_off(kill(Scope.MODEL, "smollm2"))
            assert here.now.of_model("smollm2") == kill(Scope.MODEL, "smollm2")
            await there.refresh()
            assert there.now.of_model("smollm2") == kill(Scope.MODEL, "smollm2")
            assert there.now.of_model("minilm") is None
            await there.turn_on(Scope.MODEL, "smollm2")
            await here.refresh()
            assert here.now.of_model("smollm2") is None

    asyncio.run(work())


def test_two_kills_at_once_both_hold() -> None:
    async def work() -> None:
        state = MemoryState()
        one, two = KillSwitch(state), KillSwitch(state)
        await asyncio.gather(
            one.turn_off(kill(Scope.TASK, "review")), two.turn_off(kill(Scope.TASK, "triage"))
        )
        kills = await one.refresh()
        assert kills.of_task("review")
        assert kills.of_task("triage")
        assert kills.of_task("notes") is None

    asyncio.run(work())


def test_turning_all_off_stops_every_task_and_the_stricter_kill_wins() -> None:
    async def work() -> None:
        switch = KillSwitch(MemoryState())
        await switch.turn_off(kill(Scope.ALL))
        await switch.turn_off(kill(Scope.TASK, "review", Leaves.NOTHING))
        of_review, of_notes = switch.now.of_task("review"), switch.now.of_task("notes")
        assert of_review
        assert of_notes
        assert (of_review.leaves, of_notes.leaves) == (Leaves.NOTHING, Leaves.RULES)

    asyncio.run(work())


def test_while_the_store_is_away_what_was_off_stays_off() -> None:
    async def work() -> None:
        state = FailingState()
        switch = KillSwitch(state)
        await switch.turn_off(kill(Scope.ALL))
        state.down = True
        with pytest.raises(StorageFailed):
            await switch.refresh()
        assert switch.now.of_task("review")

    asyncio.run(work())


def test_turning_on_what_is_not_off_is_an_error_and_changes_nothing() -> None:
    async def work() -> None:
        switch = KillSwitch(MemoryState())
        await switch.turn_off(kill(Scope.TASK, "review"))
        with pytest.raises(NotFound, match="`model review` is not turned off"):
            await switch.turn_on(Scope.MODEL, "review")
        assert switch.now.of_task("review")

    asyncio.run(work())


@pytest.mark.parametrize("text", ["{", "[1]", '[{"scope": "all"}]', '{"a": 1}'])
def test_a_malformed_state_turns_nothing_on(text: str) -> None:
    async def work() -> None:
        state = MemoryState()
        switch = KillSwitch(state)
        await switch.turn_off(kill(Scope.ALL))
        await state.change(STATE, lambda _: text)
        with pytest.raises(Corrupt, match="malformed"):
            await switch.refresh()
        assert switch.now.of_task("review")

    asyncio.run(work())


@pytest.mark.parametrize(("scope", "name"), [(Scope.ALL, "review"), (Scope.TASK, "")])
def test_a_kill_names_exactly_what_it_stops(scope: Scope, name: str) -> None:
    with pytest.raises(ValueError, match="a kill of"):
        kill(scope, name)
