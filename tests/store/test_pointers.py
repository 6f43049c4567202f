import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from conftest import Opener
from lockgate.domain.digest import Digest
from lockgate.domain.promotion import Action, Alias, Promotion

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ONE, TWO = Digest.of(b"1"), Digest.of(b"2")


def alias(name: str, release: Digest, task: str = "review") -> Alias:
    return Alias(task=task, name=name, release=release, at=NOON, actor="ana")


def promotion(release: Digest, previous: Digest | None, minutes: int) -> Promotion:
    return Promotion(
        environment="production",
        task="review",
        release=release,
        previous=previous,
        action=Action.PROMOTE,
        at=NOON + timedelta(minutes=minutes),
        actor="ana",
        reason="üñí",
        decision=Digest.of(b"d"),
    )


def test_an_alias_is_moved_and_dropped(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store, store.begin() as unit:
            await unit.put_alias(alias("stable", ONE))
            await unit.put_alias(alias("next", ONE))
            await unit.put_alias(alias("stable", TWO))
            await unit.put_alias(alias("stable", ONE, task="triage"))
        async with opener() as store, store.begin() as unit:
            assert await unit.aliases("review") == [alias("next", ONE), alias("stable", TWO)]
            assert len(await unit.aliases()) == 3
            assert await unit.drop_alias("review", "next")
            assert not await unit.drop_alias("review", "next")

    asyncio.run(work())


def test_the_newest_promotion_of_an_environment_and_a_task_comes_first(opener: Opener) -> None:
    first, second = promotion(ONE, None, 0), promotion(TWO, ONE, 1)
    elsewhere = replace(promotion(ONE, None, 2), environment="staging")
    other = replace(promotion(ONE, None, 3), task="triage")

    async def work() -> None:
        async with opener() as store:
            for item in (first, second, elsewhere, other):
                async with store.begin() as unit:
                    await unit.add_promotion(item)
            async with store.begin() as unit:
                found = await unit.promotions(environment="production", task="review")
                assert found == [second]
                found = await unit.promotions(environment="production", task="review", limit=9)
                assert found == [second, first]
                assert await unit.promotions(limit=9) == [other, elsewhere, second, first]
                assert await unit.promotions(environment="nowhere") == []

    asyncio.run(work())
