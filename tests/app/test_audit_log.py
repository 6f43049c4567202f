import asyncio
from datetime import UTC, datetime, timedelta

from conftest import Opener
from ledgers import refused
from lockgate.app.audit_log import retention_job
from lockgate.domain.audit import Entry, verify
from lockgate.domain.digest import Digest
from lockgate.ports import GatewayState, Payload
from waiting import until

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def entry(name: str) -> Entry:
    return Entry(id=name, at=NOON, actor="a", action="call", subject="s", detail={})


def test_contents_past_their_time_go_and_the_chain_stays_whole(opener: Opener) -> None:
    count = 2500

    async def work() -> None:
        async with opener() as store:
            async with store.begin() as unit:
                await unit.append(entry("a"))
                for n in range(count):
                    data = b"%d" % n
                    await unit.put_payload(Digest.of(data), Payload(data=data, expires_at=NOON))
                kept = Payload(data=b"kept", expires_at=NOON + timedelta(days=9))
                await unit.put_payload(Digest.of(b"kept"), kept)
            later, stop = NOON + timedelta(days=1), asyncio.Event()
            task = asyncio.create_task(retention_job(lambda: later, refused)(store, stop))
            await until(lambda: none_left(store))
            stop.set()
            await task
            async with store.begin() as unit:
                assert await unit.payload(Digest.of(b"kept")) == b"kept"
                assert verify(await unit.events(), await unit.head()) == 1

    async def none_left(state: GatewayState) -> bool:
        async with state.begin() as unit:
            found = [await unit.payload(Digest.of(b"%d" % n)) for n in range(0, count, 100)]
        return not any(found)

    asyncio.run(work())
