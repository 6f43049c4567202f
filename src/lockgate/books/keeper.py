"""Keeps one replica's books in step with the database, on a thread of its own."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from lockgate.books.budgets import Budgets
from lockgate.books.journal import LEASE, Journal
from lockgate.books.quarantine import Quarantine
from lockgate.books.slices import Slice
from lockgate.books.spool import Spool
from lockgate.domain.budget import Lease, Loan
from lockgate.errors import Corrupt, LockgateError, StorageFailed, Unavailable
from lockgate.ports import Clock, GatewayState

FLUSH_S: Final = 0.05
_FEW_BYTES: Final = 128 << 10
"""What came during a commit, and is left to the next turn: under load each commit is followed by
some more records, and a commit for each few of them takes longer than the records."""
_AHEAD_S: Final = 0.1
_LIMITS_S: Final = 0.5
_RENEW_S: Final = 20.0
_ADOPT_S: Final = 10.0
_BACK_OFF_S: Final = 0.5
_END_S: Final = 5.0
"""Without a batch that was taken, at the end."""
_LOAN_S: Final = 2.0
_DOWN_S: Final = 1.0


class _Silent(StorageFailed):
    """A database that hangs while this process is to end."""


class Keeper:
    """Flushes the spool, borrows, gives back, and takes over what dead replicas left.

    `failed` is told of each failure that it lives through; it goes on by itself.
    """

    def __init__(
        self,
        *,
        spool: Spool,
        budgets: Budgets,
        clock: Clock,
        failed: Callable[[LockgateError], None],
        root: Path,
    ) -> None:
        self._spool = spool
        self._budgets = budgets
        self._clock = clock
        self._failed = failed
        self._root = root
        self.quarantine = Quarantine(root, clock=clock, failed=failed)
        self._state: GatewayState | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due: dict[str, float] = {}
        self._down_until = 0.0
        self._taken = spool.start
        budgets.connect(self.lend)

    @property
    def behind_bytes(self) -> int:
        """How much of the spool is not in the ledger yet; read on any thread."""
        return self._spool.end - self._taken

    async def run(self, state: GatewayState, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then bring everything to the database."""
        self._state, self._loop = state, asyncio.get_running_loop()
        journal = Journal(self._spool, state, clock=self._clock, quarantine=self.quarantine)
        while not stop.is_set():
            try:
                await self._durably(self._step(state, journal), journal, stop)
                pause = FLUSH_S
            except _Silent as error:
                self._leave(error)
                return
            except (StorageFailed, Corrupt) as error:
                self._failed(error)
                self._sync()
                pause = _BACK_OFF_S
            await _until(stop, pause)
        await self._end(state, journal, stop)

    def lend(self, one: Slice, need: int, ask: int) -> Future[Loan]:
        """Ask the shared account; called on any thread."""
        if self._loop is None or self._loop.is_closed():
            refused: Future[Loan] = Future()
            refused.set_exception(
                Unavailable("the budgets are not open yet", hint="the database has not answered")
            )
            return refused
        return asyncio.run_coroutine_threadsafe(self._lend(one, need, ask), self._loop)

    async def _lend(self, one: Slice, need: int, ask: int) -> Loan:
        assert self._state is not None
        if self._loop_time() < self._down_until:
            raise _silent(one)  # at once: a thousand calls must not wait for the same silence
        lease = Lease(
            replica=self._spool.name,
            bucket=one.bucket,
            nanos=ask,
            spent=0,
            expires_at=self._clock() + LEASE,
        )
        try:
            async with asyncio.timeout(_LOAN_S), self._state.begin() as unit:
                return await unit.budgets.lend(lease, limit=one.limit, need=need)
        except (TimeoutError, StorageFailed) as error:
            self._down_until = self._loop_time() + _DOWN_S
            raise _silent(one) from error

    async def _durably(
        self, work: Coroutine[Any, Any, Any], journal: Journal, stop: asyncio.Event
    ) -> None:
        """Work. A database that hangs is one that takes nothing, too.

        Once told to stop, it is given up when it has taken nothing for some seconds.

        Raises as the work, and:
            StorageFailed: it was given up.

        """
        working = asyncio.ensure_future(work)
        try:
            await self._watch(working, journal, stop)
        except BaseException:
            working.cancel()
            await asyncio.wait({working})
            raise
        await working

    async def _watch(
        self, working: "asyncio.Future[Any]", journal: Journal, stop: asyncio.Event
    ) -> None:
        batches, since = journal.batches, self._loop_time()
        while not (await asyncio.wait({working}, timeout=_BACK_OFF_S))[0]:
            self._sync()
            if journal.batches != batches or not stop.is_set():
                batches, since = journal.batches, self._loop_time()
            elif self._loop_time() > since + _END_S:
                raise _Silent(
                    "the database takes nothing: the books stay in the spool",
                    hint="the next process on this host takes them over",
                )

    def _sync(self) -> None:
        """Have what the database does not take outlive a power cut."""
        try:
            self._spool.sync()
        except StorageFailed as error:
            self._failed(error)

    async def _step(self, state: GatewayState, journal: Journal) -> None:
        full: StorageFailed | None = None
        try:
            self._budgets.maintain()
        except StorageFailed as error:
            full = error  # it may be the spool that fills the disk: flushing it makes room
        while await journal.flush():
            self._taken = self._spool.end - journal.behind
            if journal.behind < _FEW_BYTES:
                break
        if self._is_due("limits", _LIMITS_S):
            await self._limits(state)
        if self._is_due("ahead", _AHEAD_S):
            for one in self._budgets.wanting():
                self._budgets.lent(one, await self._lend(one, 1, 1))
        if self._is_due("renew", _RENEW_S):
            async with state.begin() as unit:
                await unit.budgets.renew(self._spool.name, self._clock() + LEASE)
        if self._is_due("adopt", _ADOPT_S):
            await adopt(self._root, state, clock=self._clock, failed=self._failed)
        if full is not None:
            raise full

    async def _limits(self, state: GatewayState) -> None:
        async with state.begin() as unit:
            limits = await unit.budgets.all()
        lowered = self._budgets.load(limits)
        for one in {*lowered, *self._budgets.idle()}:
            free = self._budgets.take_free(one)
            if free:
                async with state.begin() as unit:
                    await unit.budgets.give_back(self._spool.name, one.bucket, free)

    async def _end(self, state: GatewayState, journal: Journal, stop: asyncio.Event) -> None:
        try:
            self._budgets.maintain()
            await self._durably(journal.wind_up(), journal, stop)
        except (StorageFailed, Corrupt) as error:
            self._leave(error)
        else:
            self._spool.close(remove=True)
            await _forget(self._spool, state, self._failed)

    def _leave(self, error: LockgateError) -> None:
        """Let go of the spool. Its folder stays, for the next process to take over."""
        self._failed(error)
        self._sync()
        self._spool.close()

    def _loop_time(self) -> float:
        assert self._loop is not None
        return self._loop.time()

    def _is_due(self, name: str, every_s: float) -> bool:
        now = self._loop_time()
        if now < self._due.get(name, 0.0):
            return False
        self._due[name] = now + every_s
        return True


def _silent(one: Slice) -> StorageFailed:
    return StorageFailed(
        f"the database with the budget of `{one.bucket.account}` does not answer",
        hint="try again: what this replica has borrowed already is used without it",
    )


async def adopt(
    root: Path, state: GatewayState, *, clock: Clock, failed: Callable[[LockgateError], None]
) -> int:
    """Take over the spools below `root` that no living process holds; return how many.

    One that is damaged is left as it is, for a person; its leases stay lent.
    """
    count = 0
    quarantine = Quarantine(root, clock=clock, failed=failed)
    for folder in _folders(root):
        try:
            spool = Spool(folder)
        except StorageFailed:
            continue  # its owner lives, or it is gone by now
        except Corrupt as error:
            failed(error)
            continue
        try:
            await Journal(spool, state, clock=clock, quarantine=quarantine).wind_up()
        except Corrupt as error:
            failed(error)
            spool.close()
        except BaseException:
            spool.close()
            raise
        else:
            spool.close(remove=True)
            await _forget(spool, state, failed)
            count += 1
    return count


async def _forget(
    spool: Spool, state: GatewayState, failed: Callable[[LockgateError], None]
) -> None:
    """Delete the row of a spool whose folder is gone: nobody can open it again."""
    try:
        async with state.begin() as unit:
            await unit.usage.forget_spool(spool.name)
    except StorageFailed as error:
        failed(error)  # a row too many does no harm


def _folders(root: Path) -> Sequence[Path]:
    return (
        sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
        if root.is_dir()
        else []
    )


async def _until(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
