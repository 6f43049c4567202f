"""Takes up a price file that was changed while a gateway runs."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from lockgate.app.background import Job, until
from lockgate.app.books import load_prices
from lockgate.books.prices import Prices
from lockgate.errors import LockgateError
from lockgate.ports import GatewayState

_LOG = logging.getLogger("lockgate.gateway")
EVERY_S: Final = 2.0
_Stamp: TypeAlias = tuple[int, int, int] | None


class PriceWatch:
    """Looks at one file. What it was when this was made has been read already."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = self._seen = _stamp(path)
        self.take: Callable[[Prices], None] | None = None
        """Gets new prices. Until it is set nothing is looked at."""

    def look(self) -> Prices | None:
        """Return the prices if there are new ones.

        Whoever writes a file may not be done: only what is the same at two looks is read.

        Raises:
            InvalidConfig, NotFound: it has something that is no price, or is gone; said once.

        """
        before, self._seen = self._seen, _stamp(self._path)
        if self._seen == self._read or self._seen != before:
            return None
        self._read = self._seen
        return load_prices(self._path)

    def follow(self, failed: Callable[[LockgateError], None]) -> Job:
        """Return the job that hands over new prices. A file with a problem changes nothing."""

        async def work(_: GatewayState, stop: asyncio.Event) -> None:
            while not stop.is_set():
                try:
                    self.step()
                except LockgateError as error:
                    failed(error)
                await until(stop, EVERY_S)

        return work

    def step(self) -> None:
        """Look once, and hand over what is new. Raises as `look`."""
        found = None if self.take is None else self.look()
        if found is not None and self.take is not None:
            self.take(found)
            _LOG.info("the prices of `%s` were read again", self._path)


def _stamp(path: Path) -> _Stamp:
    """Return what tells one version of a file from another."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
