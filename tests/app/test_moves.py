"""Moving releases: one at a time, and nothing on what is no longer so."""

import asyncio
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conftest import Opener
from lockgate.app.decisions import Rests
from lockgate.app.evidence import Question
from lockgate.app.moves import Move, Mover, moves_nothing
from lockgate.app.policies import PolicyInForce
from lockgate.app.promotion import Outcome, apply
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.config.settings import Config, PolicySettings, StoreSettings
from lockgate.domain.digest import Digest
from lockgate.domain.gate.decision import Decision, Finding, Rule
from lockgate.domain.gate.decision import Outcome as Verdict
from lockgate.domain.gate.evidence import Evidence, Intent, ReleaseFacts
from lockgate.domain.policy_document import EMBEDDED
from lockgate.errors import NotFound, Overloaded, StorageFailed, Unavailable
from lockgate.ports import State

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NEW, OTHER = Digest.of(b"new"), Digest.of(b"other")
NOWHERE = Environment.read({})


def question(release: Digest, actor: str) -> Question:
    return Question(
        release=release,
        environment="production",
        intent=Intent.PROMOTE,
        policy=PolicyInForce(document=EMBEDDED),
        trust=None,
        now=NOON,
        actor=actor,
    )


def allowed(release: Digest, *, previous: Digest | None) -> Outcome:
    """What the gate says of a release if that one runs."""
    finding = Finding(rule=Rule.CLOSURE, check="intact", outcome=Verdict.ALLOW, message="m")
    facts = ReleaseFacts(digest=release, document={}, task="review", version="1", intact=True)
    evidence = Evidence(
        environment="production", release=facts, pins=(), attestations=(), refused=()
    )
    decision = Decision(
        task="review",
        environment="production",
        release=release,
        intent="promote",
        at=NOON,
        findings=(finding,),
        inputs={"evidence": str(Digest.of(b"evidence"))},
    )
    return Outcome(decision=decision, evidence=evidence, done=False, previous=previous)


async def promote(state: State, release: Digest, *, previous: Digest | None, actor: str) -> Outcome:
    return await apply(
        question(release, actor),
        allowed(release, previous=previous),
        NOWHERE,
        state,
        rests=Rests(policy=None, trust=None),
        signer=None,
    )


def test_of_two_promotions_that_saw_the_same_release_run_one_is_made(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as state:
            assert (await promote(state, OTHER, previous=None, actor="ops/ana")).done
            with pytest.raises(StorageFailed, match="meanwhile") as refused:
                await promote(state, NEW, previous=None, actor="ops/ben")
            assert str(OTHER) in refused.value.message
            assert (await promote(state, NEW, previous=OTHER, actor="ops/ben")).done
            async with state.begin() as unit:
                made = await unit.promotions(task="review", limit=9)
                events = await unit.events()
            assert [(p.release, p.previous, p.actor) for p in made] == [
                (NEW, OTHER, "ops/ben"),
                (OTHER, None, "ops/ana"),
            ]
            assert [e.entry.actor for e in events] == ["ops/ana", "ops/ben"]

    asyncio.run(work())


def test_a_second_move_is_refused_while_one_runs_and_that_one_ends_though_its_client_left(
    tmp_path: Path,
) -> None:
    database = tmp_path / "lockgate.db"
    config = Config(store=StoreSettings(url=f"sqlite:{database}"))
    loaded = Loaded(config=config, path=None, folder=tmp_path)
    place = Environment.read({"LOCKGATE_DATA_DIR": str(tmp_path / "data")})
    wanted = Move(environment="production", actor="ops/ana", release="review:next")

    async def work() -> None:
        mover = Mover(loaded, place)
        with pytest.raises(NotFound):
            await mover.move(wanted)
        # Somebody holds the database, so that the next one waits for it.
        with sqlite3.connect(database, isolation_level=None) as raw:
            raw.execute("PRAGMA locking_mode = EXCLUSIVE")
            raw.execute("BEGIN EXCLUSIVE")
            raw.execute("CREATE TABLE held (name TEXT)")
            first = asyncio.create_task(mover.move(wanted))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await mover.move(wanted)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            with pytest.raises(Overloaded):
                await mover.move(wanted)
            raw.execute("ROLLBACK")
        raw.close()
        await mover.close()
        with pytest.raises(NotFound):
            await mover.move(wanted)

    asyncio.run(work())


def test_a_gates_key_that_is_not_there_is_found_at_the_start(tmp_path: Path) -> None:
    config = Config(policy=PolicySettings(gate_signer="gate"))
    place = Environment.read({"LOCKGATE_DATA_DIR": str(tmp_path)})
    with pytest.raises(NotFound, match="no key `gate`"):
        Mover(Loaded(config=config, path=None, folder=tmp_path), place)


def test_where_there_is_no_gateway_nothing_is_moved() -> None:
    with pytest.raises(Unavailable):
        asyncio.run(moves_nothing(Move(environment="production", actor="a")))
