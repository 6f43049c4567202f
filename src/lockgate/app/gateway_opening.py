"""Opens what stands behind a gateway's desk: books, limits, the kill switch, and who may call."""

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from lockgate.app.background import Background, Job, running
from lockgate.app.books import Books, load_prices, open_books, spool_root
from lockgate.app.gateway_access import AnyKey, ConfiguredKeys, LocalCaller, is_reachable
from lockgate.app.gateway_desk import Desk, limits_by_pattern
from lockgate.app.gateway_shared import SharedBridge, following
from lockgate.app.gateway_stages import Authenticator
from lockgate.app.state import open_store
from lockgate.books.prices import Prices
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.config.settings import LimitSettings
from lockgate.errors import LockgateError
from lockgate.traffic.bucket import Limit
from lockgate.traffic.kill_switch import KillSwitch
from lockgate.traffic.rate_limits import Limits, RateLimits

_LOG: Final = logging.getLogger("lockgate.gateway")
_PATIENCE: Final = 100
_MOMENT_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """What a gateway has behind its desk."""

    desk: Desk
    switch: KillSwitch
    authenticator: Authenticator
    keyless: bool
    """Everyone who reaches the address is the person at this machine."""
    books: Books | None
    prices: Prices | None


async def open_behind(loaded: Loaded, environment: Environment, stack: AsyncExitStack) -> Behind:
    """Open it all for as long as the stack is open.

    Raises:
        InvalidConfig: the price file or an issuer is malformed.
        NotFound: there is no such price file.
        StorageFailed: the folder of the spools cannot be made.

    """
    config = loaded.config
    keyless = not (
        config.server.require_keys
        or config.server.keys
        or config.identity.issuers
        or is_reachable(config.server.listen)
    )
    bridge = SharedBridge()
    jobs: list[Job] = [bridge.job]
    authenticator: Authenticator = LocalCaller()
    if not keyless:
        authenticator, more = _access(loaded, environment)
        jobs += more
    prices = None
    if config.books.prices is not None:
        prices = load_prices(loaded.resolve(config.books.prices))
    books = await _books(loaded, environment, stack, jobs, wanted=prices is not None or not keyless)
    limits = RateLimits(limits_by_pattern(_limits(config.server.limits)), clock=time.monotonic)
    switch = await stack.enter_async_context(following(bridge, limits, replica=uuid.uuid4().hex))
    desk = Desk(limits=limits, kills=lambda: switch.now, clock=_now, books=books, prices=prices)
    return Behind(
        desk=desk,
        switch=switch,
        authenticator=authenticator,
        keyless=keyless,
        books=books,
        prices=prices,
    )


def _access(loaded: Loaded, environment: Environment) -> tuple[Authenticator, Sequence[Job]]:
    from lockgate.app.identity import key_fetcher, open_authenticator

    stored, jobs = open_authenticator(
        loaded.config.identity, clock=_now, fetch=key_fetcher(environment), failed=_failed
    )
    configured = ConfiguredKeys(loaded.config.server.keys)
    return AnyKey(configured, stored), jobs


async def _books(
    loaded: Loaded,
    environment: Environment,
    stack: AsyncExitStack,
    jobs: Sequence[Job],
    *,
    wanted: bool,
) -> Books | None:
    """Start the thread that talks to the database; with books, if they are wanted."""
    open_state = partial(open_store, loaded, environment)
    if not wanted:
        thread = running(Background(open_state, jobs, failed=_failed))
        await asyncio.to_thread(thread.__enter__)
        stack.push_async_callback(asyncio.to_thread, thread.__exit__, None, None, None)
        return None
    opened = open_books(open_state, spool_root(environment), clock=_now, failed=_failed, jobs=jobs)
    books = await asyncio.to_thread(opened.__enter__)
    # It ends by bringing everything to the database, while other requests go on.
    stack.push_async_callback(asyncio.to_thread, opened.__exit__, None, None, None)
    for _ in range(_PATIENCE):
        if books.budgets.is_loaded:
            break
        await asyncio.sleep(_MOMENT_S)
    return books


def _limits(rows: Mapping[str, LimitSettings]) -> Mapping[str, Limits]:
    return {
        name: Limits(
            requests=_limit(row.requests, row.per_s, row.burst_requests),
            tokens=_limit(row.tokens, row.per_s, row.burst_tokens),
        )
        for name, row in rows.items()
    }


def _limit(amount: int | None, per_s: float, burst: int | None) -> Limit | None:
    return None if amount is None else Limit(amount=amount, per_s=per_s, burst=burst or amount)


def _now() -> datetime:
    return datetime.now(UTC)


def _failed(error: LockgateError) -> None:
    _LOG.warning("%s", error.advice)
