"""Serves: sockets by uvicorn, the configuration renewed on SIGHUP, a drain on SIGTERM."""

import asyncio
import gc
import ipaddress
import logging
import resource
import signal
import socket
import stat
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from lockgate.app.gateway import Gateway
from lockgate.config.gateway_settings import ServerSettings
from lockgate.errors import LockgateError, Unavailable, UsageError
from lockgate.server.build import Built, build
from lockgate.server.protocol import Edge, EdgeLimits

_LOG = logging.getLogger("lockgate.server")
_BACKLOG = 2048
_FILES = 65_536
_READY_S = 10.0
_UNIX = "unix:"
_OWNER_ONLY = 0o600
_PORT_DIGITS = 5

Opener = Callable[[Gateway | None], AbstractAsyncContextManager[Gateway]]
"""Reads the configuration and opens a gateway, to take the place of another one or of none."""


class _Uvicorn(uvicorn.Server):
    """Leaves signals to us: uvicorn raises a signal again at its end, which would kill us first."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@dataclass(slots=True)
class _Open:
    """A gateway that is open, and what closes it."""

    gateway: Gateway
    built: Built
    stack: AsyncExitStack


def files() -> int:
    """Return how many files this process may have open, after asking for as many as it gets."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
    if now == resource.RLIM_INFINITY or now >= wanted:
        return _FILES if now == resource.RLIM_INFINITY else now
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    return wanted


def connections(files: int) -> int:
    """Return how many clients there may be: half of the files are for upstreams and databases."""
    return min(EdgeLimits().connections, max(1, files // 2))


class Server:
    """One process, one loop, one gateway at a time."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._edge = Edge(limits=EdgeLimits(connections=connections(files())))
        self._uvicorn: uvicorn.Server | None = None
        self._current: _Open | None = None
        self._swapping = asyncio.Lock()
        self._background: set[asyncio.Task[None]] = set()
        self._draining_since: float | None = None

    async def serve(self, open_gateway: Opener, started: Callable[[Gateway, str], None]) -> None:
        """Open the gateway, tell `started` the address too, and serve until SIGTERM or SIGINT.

        Raises:
            UsageError: the address cannot be listened on, or asks for keys that there are not.
            LockgateError: what opening the gateway raises.

        """
        listen = self._settings.listen
        listening: socket.socket | None = None
        try:
            self._current = await self._open(open_gateway, None)
            refuse_open_door(listen, keyless=self._current.gateway.keyless)
            listening = _listen(listen)
            self._edge.app = self._current.built.application
            self._edge.cork = self._current.gateway.controls.cork
            self._uvicorn = server = _Uvicorn(
                uvicorn.Config(
                    self._edge.app,
                    http=self._edge,  # type: ignore[arg-type]  # any callable does
                    ws="none",
                    lifespan="off",
                    interface="asgi3",
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    timeout_graceful_shutdown=max(1, round(self._settings.drain_s)),
                )
            )
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self._reload, open_gateway)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._drain, number)
            _set_apart()
            started(self._current.gateway, _address(listening))
            await server.serve(sockets=[listening])
        finally:
            await self._close()
            if listening is not None:
                listening.close()
                _forget(listen)

    async def _open(self, open_gateway: Opener, previous: _Open | None) -> _Open:
        stack = AsyncExitStack()
        before = None if previous is None else previous.gateway
        known = None if previous is None else previous.built
        try:
            gateway = await stack.enter_async_context(open_gateway(before))
            return _Open(gateway, build(gateway, ready=self._not_ready, previous=known), stack)
        except BaseException:
            await stack.aclose()
            raise

    def _not_ready(self) -> str:
        if self._uvicorn is not None and self._uvicorn.should_exit:
            return "draining"
        current = self._current
        return "" if current is not None and current.gateway.ready() else "starting"

    def _drain(self, number: signal.Signals) -> None:
        """Take no more connections; a second signal does not wait for the requests that run."""
        assert self._uvicorn is not None, "signals are handled once it serves"
        if not self._uvicorn.should_exit:
            self._draining_since = asyncio.get_running_loop().time()
            running = 0 if self._current is None else self._current.built.application.running
            _LOG.info(
                "%s: %d requests run and have %g s to end",
                number.name,
                running,
                self._settings.drain_s,
            )
        self._uvicorn.handle_exit(number, None)

    def _reload(self, open_gateway: Opener) -> None:
        task = asyncio.get_running_loop().create_task(self._swap(open_gateway))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _swap(self, open_gateway: Opener) -> None:
        """Put a new gateway in the old one's place between two requests; close the old one later.

        A configuration with a problem changes nothing.
        """
        async with self._swapping:
            renewed: _Open | None = None
            try:
                old = self._current
                renewed = await self._open(open_gateway, old)
                refuse_open_door(self._settings.listen, keyless=renewed.gateway.keyless)
                await _until_ready(renewed.gateway)
            except LockgateError as error:
                told = {"code": error.code, "hint": error.hint}
                _LOG.error("the configuration stays as it was: %s", error.message, extra=told)
                if renewed is not None:
                    await asyncio.to_thread(renewed.built.close)
                    await renewed.stack.aclose()
                return
            self._current = renewed
            renewed.gateway.settle()
            if old is not None:
                # Whoever was promised an answer asks the new gateway for it.
                renewed.built.tasks.jobs.update(old.built.tasks.jobs)
            self._edge.app = renewed.built.application
        _LOG.info("the configuration was read again")
        if old is not None:
            await old.built.application.idle()
            await old.built.tasks.drain()
            await asyncio.to_thread(old.built.close)
            await old.stack.aclose()
            del old
            _set_apart()

    async def _close(self) -> None:
        for task in tuple(self._background):
            task.cancel()
        if self._current is None:
            return
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(left_s(self._settings.drain_s, self._draining_since, now)):
                await self._current.built.tasks.drain()
        except TimeoutError:
            _LOG.warning("accepted calls did not end in %g s and are lost", self._settings.drain_s)
            await self._current.built.tasks.stop()
        await asyncio.to_thread(self._current.built.close)
        await self._current.stack.aclose()


def left_s(drain_s: float, since: float | None, now: float) -> float:
    """Return how long accepted calls still have: requests had their part of the time before."""
    return drain_s if since is None else max(0.0, since + drain_s - now)


def _set_apart() -> None:
    """Take what is there now, and lives as long as the gateway, out of the garbage collector's way.

    Else it looks at all of it again while requests wait: 20 ms, at some moment under load.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


async def _until_ready(gateway: Gateway) -> None:
    """Wait for what a gateway needs from the database: the one before it answers meanwhile."""
    try:
        async with asyncio.timeout(_READY_S):
            while not gateway.ready():  # noqa: ASYNC110  another thread brings it about
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise Unavailable(f"the database has not answered in {_READY_S:.0f} s") from None


def checked_address(listen: str) -> str:
    """Return `listen` if it is `HOST:PORT` or `unix:/PATH`.

    Raises:
        UsageError: it is not.

    """
    host, _, port = listen.rpartition(":")
    if listen.startswith("unix:/") or (host and port.isdecimal() and len(port) <= _PORT_DIGITS):
        return listen
    raise UsageError(
        f"`{listen[:80]}` is no address to listen on", hint="write HOST:PORT or unix:/PATH"
    )


def refuse_open_door(listen: str, *, keyless: bool) -> None:
    """Refuse to listen where others reach us, unless there are keys.

    Raises:
        UsageError: there are none.

    """
    if not keyless or listen.startswith(_UNIX) or _is_loopback(listen):
        return
    raise UsageError(
        f"`{listen}` can be reached from other machines, and there are no keys",
        hint="make one with `lockgate token new`, or listen on 127.0.0.1",
    )


def _is_loopback(listen: str) -> bool:
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name: who knows what it stands for tomorrow


def _listen(listen: str) -> socket.socket:
    unix = listen.startswith(_UNIX)
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_UNIX if unix else socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        if unix:
            _bind_unix(found, Path(listen.removeprefix(_UNIX)))
        else:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((host, int(port)))
        found.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        found.close()
        raise UsageError(
            f"cannot listen on `{listen}`: {getattr(error, 'strerror', None) or error}",
            hint="choose another address with `--listen`, or stop what has this one",
        ) from error
    found.setblocking(False)
    return found


def _address(listening: socket.socket) -> str:
    """Return what clients connect to: port 0 was any that is free."""
    if listening.family is socket.AF_UNIX:
        return f"{_UNIX}{listening.getsockname()}"
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bind_unix(found: socket.socket, path: Path) -> None:
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()  # of a process that is gone
    found.bind(str(path))
    path.chmod(_OWNER_ONLY)


def _forget(listen: str) -> None:
    if listen.startswith(_UNIX):
        Path(listen.removeprefix(_UNIX)).unlink(missing_ok=True)
