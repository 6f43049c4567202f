"""A gateway signs checkpoints of the audit log: one replica at each interval, and each at its end.

Whose turn it is stands in the database. A log that contradicts a checkpoint that was signed before
is not signed: somebody rewrote it, and a new signature would hide that.
"""

import asyncio
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lockgate.app.audit_log import checkpoint_keys
from lockgate.app.background import Background, running, until
from lockgate.app.calls import new_id
from lockgate.app.state import open_store
from lockgate.app.trust import key_ring, unattended_signer
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.audit import AuditEvent, Head, follow
from lockgate.domain.checkpoint import Checkpoint
from lockgate.errors import Corrupt, Denied, LockgateError, StorageFailed
from lockgate.ports import Clock, GatewayState, SharedState

if TYPE_CHECKING:
    from lockgate.signing.keys import Signer

NEWEST: Final = "audit-checkpoint.1"
TURN: Final = "audit-checkpoint-turn.1"
RETRY_S: Final = 30.0
_FOLDER: Final = "checkpoints"
_END: Final = ".checkpoint"
_MAX_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Who signs, where to, and whose signatures count."""

    signer: "Signer"
    keys: Mapping[str, str]
    """PEM by fingerprint."""
    folder: Path


@dataclass(slots=True, kw_only=True)
class Counts:
    """What a scrape shows. Written by one thread, read by another."""

    failures: int = 0
    newest_at: float = 0.0
    """When the newest checkpoint of any replica was signed, since 1970."""
    _told: int = 0

    def news(self) -> int:
        """Return the failures since this was asked last. For one reader."""
        failures = self.failures
        found, self._told = failures - self._told, failures
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """Who signs until when the next may."""

    holder: str
    due: datetime


@dataclass(slots=True, kw_only=True)
class Checkpointer:
    """Signs for one replica. Lives through every failure, and tells `failed`."""

    place: Place
    every_s: float
    clock: Clock
    failed: Callable[[LockgateError], None]
    counts: Counts = field(default_factory=Counts)
    _mine: Checkpoint | None = None
    """The newest that is known to have been signed; from the folder after a start."""

    async def follow(self, state: GatewayState, stop: asyncio.Event) -> None:
        """Sign at the interval until `stop`, and then once more: a job for `Background`."""
        while not stop.is_set():
            await until(stop, await self.turn(state))
        await self.end(state)

    async def turn(self, state: GatewayState) -> float:
        """Sign if that is due and nobody else does; return the seconds until it is due again."""
        try:
            wait_s = await self._claim(state)
            if wait_s:
                await self._shared(state)
        except LockgateError as error:
            self.lost(error)
            return min(RETRY_S, self.every_s)
        if wait_s:
            return wait_s
        try:
            await self._sign(state)
        except LockgateError as error:
            self.lost(error)
            retry_s = min(RETRY_S, self.every_s)
            again = _Turn(holder="", due=self.clock() + timedelta(seconds=retry_s))
            with suppress(LockgateError):
                await state.change(TURN, lambda _: _written(again))
            return retry_s
        return self.every_s

    async def end(self, state: GatewayState) -> None:
        """Sign what has been added since the last time, whoever's turn it is."""
        try:
            await self._sign(state)
        except LockgateError as error:
            self.lost(error)

    async def _claim(self, state: GatewayState) -> float:
        """Return 0 and hold the turn, or in how many seconds it may be taken."""
        now, holder = self.clock(), new_id()
        wait_s = self._wait_s(_read_turn(await state.read(TURN)), now)
        if wait_s:
            return wait_s
        mine = _Turn(holder=holder, due=now + timedelta(seconds=self.every_s))

        def take(before: str | None) -> str:
            known = _read_turn(before)
            return _written(mine) if known is None or not self._wait_s(known, now) else before or ""

        await state.change(TURN, take)
        taken = _read_turn(await state.read(TURN))
        return 0.0 if taken == mine else self._wait_s(taken, now) or self.every_s

    def _wait_s(self, turn: _Turn | None, now: datetime) -> float:
        """Return 0 if the turn is free. One further off than an interval is of a wrong clock."""
        left_s = 0.0 if turn is None else (turn.due - now).total_seconds()
        return left_s if 0 < left_s <= self.every_s else 0.0

    async def _sign(self, state: GatewayState) -> None:
        from lockgate.signing.checkpoint import sign

        known = await self._known(state)
        async with state.begin() as unit:
            for checkpoint in known:
                at = checkpoint.head.seq
                _hold(checkpoint, await unit.events(after=at - 1, limit=1))
            head = await unit.head()
        newest = max(known, key=lambda c: c.head.seq, default=None)
        if head == (Head() if newest is None else newest.head):
            return
        checkpoint = Checkpoint(head=head, at=self.clock())
        # A device may take a second to sign, and a disk to write.
        data = await asyncio.to_thread(sign, checkpoint, self.place.signer)
        await asyncio.to_thread(_write, self.place.folder / f"{head.seq:020}{_END}", data)
        self._mine = checkpoint
        self.counts.newest_at = checkpoint.at.timestamp()
        await state.change(NEWEST, lambda before: _newer(before, data, head.seq))

    async def _known(self, state: SharedState) -> list[Checkpoint]:
        """Return the newest checkpoint of this replica and the newest of all, if keys still count.

        Raises:
            Corrupt: the file of the former was changed.

        """
        if self._mine is None:
            newest = await asyncio.to_thread(_newest_file, self.place.folder)
            self._mine = None if newest is None else self._verified(newest)
        found = (self._mine, await self._shared(state))
        return [checkpoint for checkpoint in found if checkpoint is not None]

    async def _shared(self, state: SharedState) -> Checkpoint | None:
        text = await state.read(NEWEST)
        try:
            shared = None if text is None else self._verified(text.encode())
        except Corrupt as error:  # the next one takes its place
            self.lost(error)
            return None
        if shared is not None:
            self.counts.newest_at = shared.at.timestamp()
        return shared

    def _verified(self, data: bytes) -> Checkpoint | None:
        from lockgate.signing.checkpoint import verified

        try:
            return verified(data, self.place.keys)
        except Denied:  # by a key that was rotated since
            return None

    def lost(self, error: LockgateError) -> None:
        """Count a failure, and tell of it."""
        self.counts.failures += 1
        self.failed(error)


@contextmanager
def open_checkpoints(
    loaded: Loaded, environment: Environment, *, failed: Callable[[LockgateError], None]
) -> Generator[Counts | None]:
    """Sign checkpoints for the length of a block, on a thread of their own; None: none is to sign.

    Open it before whatever writes to the log, so that the last checkpoint has what that wrote.

    Raises:
        NotFound: there is no such key, or the variable with its passphrase is not set.
        Denied: the passphrase is wrong.

    """
    chosen = loaded.config.audit
    if chosen.checkpoint_signer is None:
        yield None
        return
    signer = unattended_signer(loaded, environment, chosen.checkpoint_signer)
    public = key_ring(environment).show(chosen.checkpoint_signer).pem.encode()
    folder = chosen.checkpoint_folder
    checkpointer = Checkpointer(
        place=Place(
            signer=signer,
            keys=checkpoint_keys([public], environment),
            folder=environment.state_dir / _FOLDER if folder is None else loaded.resolve(folder),
        ),
        every_s=chosen.checkpoint_every_s,
        clock=_now,
        failed=failed,
    )
    background = Background(
        lambda: open_store(loaded, environment),
        [checkpointer.follow],
        failed=checkpointer.lost,
        name="lockgate-checkpoints",
    )
    with running(background):
        yield checkpointer.counts


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCheckpoint:
    """A checkpoint as it was signed. Its signature has not been looked at."""

    data: bytes
    said: Checkpoint
    key: str
    """Fingerprint of the key that is said to have signed."""


async def newest_checkpoint(state: SharedState) -> SignedCheckpoint | None:
    """Return the newest checkpoint that a gateway signed; None: there is none.

    Raises:
        Corrupt: it was changed, and is none.

    """
    text = await state.read(NEWEST)
    return None if text is None else _unverified(text.encode())


def _unverified(data: bytes) -> SignedCheckpoint:
    from lockgate.signing import bundle

    found = bundle.parse(data)
    return SignedCheckpoint(data=data, said=Checkpoint.parse(found.payload), key=found.hint)


def _hold(checkpoint: Checkpoint, found: Sequence[AuditEvent]) -> None:
    """Raise Corrupt unless the event of a checkpoint is in the log as it was."""
    head = checkpoint.head
    event = next(iter(found), None)
    if event is not None and event.seq == head.seq:
        before = Head(seq=event.seq - 1, digest=event.previous)
        if follow(before, event) == head:
            return
    raise Corrupt(
        f"the audit log has another event {head.seq} than the checkpoint of "
        f"{checkpoint.at.isoformat()}, which says {head.digest}",
        hint="nothing is signed: see `lockgate audit verify --checkpoint`; if the log was begun "
        "anew, move the checkpoints away",
    )


def _newer(before: str | None, data: bytes, seq: int) -> str:
    """Return the checkpoint that is of more events: two replicas end at the same time."""
    if before is not None:
        with suppress(Corrupt):
            if _unverified(before.encode()).said.head.seq > seq:
                return before
    return data.decode("ascii")


def _newest_file(folder: Path) -> bytes | None:
    try:
        newest = max(folder.glob(f"*{_END}"), default=None)
        if newest is None:
            return None
        with newest.open("rb") as file:
            return file.read(_MAX_BYTES)
    except OSError as error:
        raise StorageFailed(f"`{folder}` cannot be read: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{new_id()}.partial")
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise StorageFailed(f"`{path}` cannot be written: {error.strerror}") from error


def _written(turn: _Turn) -> str:
    return json.dumps({"holder": turn.holder, "due": turn.due.isoformat()})


def _read_turn(text: str | None) -> _Turn | None:
    """Return whose turn it is; what is malformed is nobody's: to sign twice does no harm."""
    if text is None:
        return None
    try:
        found = json.loads(text)
        return _Turn(holder=str(found["holder"]), due=datetime.fromisoformat(found["due"]))
    except (ValueError, TypeError, KeyError):
        return None


def _now() -> datetime:
    return datetime.now(UTC)
