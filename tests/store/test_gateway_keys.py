import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from conftest import Opener
from lockgate.domain.identity import GatewayKey, KeySecret, Role
from lockgate.errors import NotFound, UsageError

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def key(name: str = "ci") -> GatewayKey:
    return GatewayKey(
        id=name,
        team="payments",
        roles=frozenset({Role.CALLER, Role.AUDITOR}),
        scopes=frozenset({"task:review", "model:*"}),
        created_at=NOON,
        created_by="ana",
        expires_at=NOON + timedelta(days=9),
    )


def secret(digest: str, name: str = "ci") -> KeySecret:
    return KeySecret(digest=digest, key=name, created_at=NOON)


def test_a_key_comes_back_as_it_was_stored_and_each_change_moves_the_version(
    opener: Opener,
) -> None:
    async def work() -> None:
        async with opener() as store:
            async with store.begin() as unit:
                assert await unit.keys.version() == 0
            async with store.begin() as unit:
                await unit.keys.add(key(), secret("a"))
            async with store.begin() as unit:
                assert await unit.keys.version() == 1
                assert await unit.keys.all() == [key()]
                assert await unit.keys.secrets() == [secret("a")]

    asyncio.run(work())


def test_a_rotated_key_has_two_secrets_and_the_old_one_ends(opener: Opener) -> None:
    later = NOON + timedelta(hours=1)

    async def work() -> None:
        async with opener() as store:
            async with store.begin() as unit:
                await unit.keys.add(key(), secret("a"))
            async with store.begin() as unit:
                await unit.keys.rotate(secret("b"), old_until=later)
            async with store.begin() as unit:
                old, new = await unit.keys.secrets()
                assert (old.digest, old.expires_at) == ("a", later)
                assert (new.digest, new.expires_at) == ("b", None)
                assert await unit.keys.version() == 2

    asyncio.run(work())


def test_a_revoked_key_cannot_be_rotated_and_is_revoked_once(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store:
            async with store.begin() as unit:
                await unit.keys.add(key(), secret("a"))
            async with store.begin() as unit:
                assert await unit.keys.revoke("ci", NOON)
                assert not await unit.keys.revoke("ci", NOON)
                assert not await unit.keys.revoke("nobody", NOON)
            with pytest.raises(NotFound, match="is revoked"):
                async with store.begin() as unit:
                    await unit.keys.rotate(secret("b"), old_until=NOON)
            with pytest.raises(NotFound, match="does not exist"):
                async with store.begin() as unit:
                    await unit.keys.rotate(secret("b", "other"), old_until=NOON)

    asyncio.run(work())


def test_an_id_is_given_once_even_after_its_revocation(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store:
            async with store.begin() as unit:
                await unit.keys.add(key(), secret("a"))
                await unit.keys.revoke("ci", NOON)
            with pytest.raises(UsageError, match="there is a key `ci` already"):
                async with store.begin() as unit:
                    await unit.keys.add(key(), secret("b"))
            async with store.begin() as unit:
                assert "b" not in {s.digest for s in await unit.keys.secrets()}

    asyncio.run(work())
