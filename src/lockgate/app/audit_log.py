"""Looks after the audit log: signed checkpoints, and the end of what is kept beside it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from lockgate.app.background import Job, until
from lockgate.config.environment import Environment
from lockgate.domain.audit import Head
from lockgate.domain.checkpoint import Checkpoint
from lockgate.errors import LockgateError, NotFound
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
    from lockgate.signing.checkpoint import verified

    keys = checkpoint_keys(public_keys, environment)
    return [verified(data, keys) for data in files]


def checkpoint_keys(public_keys: Sequence[bytes], environment: Environment) -> dict[str, str]:
    """Return the keys that checkpoints count by, PEM by fingerprint: the given, the trust root's.

    Raises:
        UsageError: one is no public key.

    """
    from lockgate.app.trust import trust_store
    from lockgate.signing.keys import fingerprint, public_pem

    pems = [public_pem(pem) for pem in public_keys]
    keys = {fingerprint(pem): pem.decode() for pem in pems}
    root = trust_store(environment).held()
    for key in root.keys if root is not None else ():
        if not key.revoked:
            keys.setdefault(key.fingerprint, key.pem)
    return keys


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


async def _drop(state: GatewayState, now: datetime) -> int:
    async with state.begin() as unit:
        return await unit.drop_expired(now, limit=_BATCH)
