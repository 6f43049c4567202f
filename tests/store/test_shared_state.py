import asyncio

import pytest

from conftest import Opener


def test_a_text_is_what_the_last_change_made_of_it(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store:
            assert await store.read("limits") is None
            await store.change("limits", lambda before: f"{before} one")
            await store.change("limits", lambda before: f"{before} two")
            await store.change("other", lambda _: "x")
        async with opener() as store:
            assert await store.read("limits") == "None one two"

    asyncio.run(work())


def test_no_change_of_many_replicas_is_lost(opener: Opener) -> None:
    def add(before: str | None) -> str:
        return str(int(before or 0) + 1)

    async def replica() -> None:
        async with opener() as store:
            for _ in range(10):
                await store.change("count", add)

    async def work() -> None:
        async with opener() as store:
            await asyncio.gather(*(replica() for _ in range(4)))
            assert await store.read("count") == "40"

    asyncio.run(work())


def test_a_change_that_fails_leaves_the_text_as_it_was(opener: Opener) -> None:
    def refuse(before: str | None) -> str:
        raise ValueError(before)

    async def work() -> None:
        async with opener() as store:
            await store.change("count", lambda _: "1")
            with pytest.raises(ValueError, match="1"):
                await store.change("count", refuse)
            assert await store.read("count") == "1"

    asyncio.run(work())
