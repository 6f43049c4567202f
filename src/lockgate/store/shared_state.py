"""Small texts that all replicas see. They are no records: nothing here is audited or kept."""

from collections.abc import Callable

from lockgate.errors import Corrupt
from lockgate.store.sql import Connection


async def read(db: Connection, name: str) -> str | None:
    """Return the text of that name. Raises Corrupt if it is not text."""
    for row in await db.run("shared_state", name=name):
        body = row["body"]
        if not isinstance(body, str):
            raise Corrupt(f"the shared state `{name}` is not text")
        return body
    return None


async def change(db: Connection, name: str, change: Callable[[str | None], str]) -> None:
    """Replace a text by what `change` makes of it, while no other replica can."""
    await db.lock(f"shared:{name}")
    await db.run("put_shared_state", name=name, body=change(await read(db, name)))
