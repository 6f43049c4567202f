"""Looks after the audit log: signed checkpoints, and the end of what is kept beside it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lockgate.app.background import Job, until
from lockgate.config.environment import Environment
from lockgate.domain.audit import Head
from lockgate.domain.checkpoint import Checkpoint
from lockgate.errors import LockgateError, NotFound, StorageFailed
from lockgate.ports import Clock, GatewayState, Store

if TYPE_CHECKING:
    from lockgate.signing.keys import Signer

RETENTION_S: Final = 60.0
_BATCH: Final = 1000


async def make_checkpoint(state: Store, signer: "Signer", now: datetime) -> bytes:
    """Return a signed checkpoint of the log as it is.

    Raises:
        NotFound: the log is empty.

    """
    from lockgate.signing.checkpoint import sign

    async with state.begin() as unit:
        head = await unit.head()
    if head == Head():
        raise NotFound("the audit log is empty: there is nothing to sign")
    return sign(Checkpoint(head=head, at=now), signer)


def read_checkpoints(
    files: Sequence[bytes], public_keys: Sequence[bytes], environment: Environment
) -> Sequence[Checkpoint]:
    """Return what signed checkpoints say, by the given keys or those of the trust root.

    Raises:
        Corrupt: one was changed, or is none.
        Denied: the key that signed one does not count.

    """
    from lockgate.app.trust import trust_store
    from lockgate.signing.checkpoint import verified
    from lockgate.signing.keys import fingerprint, public_pem

    pems = [public_pem(pem) for pem in public_keys]
    keys = {fingerprint(pem): pem.decode() for pem in pems}
    root = trust_store(environment).held()
    for key in root.keys if root is not None else ():
        if not key.revoked:
            keys.setdefault(key.fingerprint, key.pem)
    return [verified(data, keys) for data in files]


def checkpoints_job(
    signer: "Signer",
    folder: Path,
    *,
    every_s: float,
    clock: Clock,
    failed: Callable[[LockgateError], None],
) -> Job:
    """Return the job that writes a signed checkpoint into `folder` whenever the log has grown."""

    async def work(state: GatewayState, stop: asyncio.Event) -> None:
        known = Head()
        while not stop.is_set():
            try:
                known = await _checkpoint(state, signer, folder, clock(), known)
            except LockgateError as error:
                failed(error)
            await until(stop, every_s)

    return work


def retention_job(clock: Clock, failed: Callable[[LockgateError], None]) -> Job:
    """Return the job that deletes contents past their time. The chain holds their digests only."""

    async def work(state: GatewayState, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                more = await _drop(state, clock()) == _BATCH
            except LockgateError as error:
                failed(error)
                more = False
            await until(stop, 0 if more else RETENTION_S)

    return work


async def _checkpoint(
    state: GatewayState, signer: "Signer", folder: Path, now: datetime, known: Head
) -> Head:
    from lockgate.signing.checkpoint import sign

    async with state.begin() as unit:
        head = await unit.head()
    if head in {known, Head()}:
        return known
    data = sign(Checkpoint(head=head, at=now), signer)
    await asyncio.to_thread(_write, folder / f"{head.seq:020}.checkpoint", data)
    return head


async def _drop(state: GatewayState, now: datetime) -> int:
    async with state.begin() as unit:
        return await unit.drop_expired(now, limit=_BATCH)


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise StorageFailed(f"`{path}` cannot be written: {error.strerror}") from error
