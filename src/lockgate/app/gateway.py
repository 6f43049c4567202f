"""A gateway from a configuration: the engine, the models by name, and who may call."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lockgate.app.books import Books
from lockgate.app.gateway_access import Keyring, LocalCaller
from lockgate.app.gateway_admin import StateBridge, open_bridge
from lockgate.app.gateway_audit import GroupedAudit, NoAudit
from lockgate.app.gateway_books import open_gateway_books
from lockgate.app.gateway_controls import Controls, guards
from lockgate.app.gateway_engine import EngineRoom
from lockgate.app.gateway_models import EmbeddedModel, ServedModel, UpstreamModel
from lockgate.app.gateway_queues import Urgencies
from lockgate.app.gateway_renewal import Previous, Renewal
from lockgate.app.gateway_stages import AuditSink, Authenticator
from lockgate.app.gateway_task_meter import model_variant
from lockgate.app.identity import list_keys
from lockgate.app.models import model_store
from lockgate.app.state import open_store
from lockgate.app.task_calls import OnceCalls, expired_calls_job
from lockgate.app.tasks import find_task, task_names
from lockgate.config.environment import Environment
from lockgate.config.gateway_settings import ServerSettings
from lockgate.config.load import Loaded
from lockgate.config.settings import OpenAIBackend, UpstreamLimits
from lockgate.domain.call import EngineKind
from lockgate.domain.digest import Digest
from lockgate.errors import InvalidConfig, LockgateError
from lockgate.oci.inventory import ModelInfo, State
from lockgate.ports import Backend, Task
from lockgate.telemetry.collector_headers import read_headers
from lockgate.telemetry.metrics import Metrics
from lockgate.upstream.address import Pinned, pin
from lockgate.upstream.limits import Limits
from lockgate.upstream.pool import Pool
from lockgate.upstream.reply import Client

_LOG = logging.getLogger("lockgate.gateway")
_USABLE = frozenset({State.PULLED, State.BUILTIN})
_GENERATING = "llama_cpp"
_EMBEDDING = "onnx"
_ANSWERS_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What the edge uses."""

    settings: ServerSettings
    loaded: Loaded
    engine: EngineRoom
    audit: AuditSink
    controls: Controls
    models: Mapping[str, ServedModel]
    tasks: Mapping[str, Task]
    authenticator: Authenticator
    admin: StateBridge
    """The admin API's way to the database."""
    keyless: bool
    """Everyone who reaches the address is the person at this machine."""
    has_prices: bool = False
    """Calls cost something: what is reserved for an answer is the most that it may be."""
    ready: Callable[[], bool] = lambda: True
    """Whether what it needs from the database has come."""
    settle: Callable[[], None] = lambda: None
    """To be called once it has taken the place of the one before."""
    once: OnceCalls | None = None
    """Where calls of tasks with an idempotency key are known to all replicas."""

    trace_headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """What goes to the collector of traces with each export."""
    behind_bytes: Callable[[], int] = lambda: 0
    """What waits for the database."""
    set_aside: Callable[[], int] = lambda: 0
    """Records that the database could not take."""

    def read(self, metrics: Metrics) -> None:
        """Set the gauges of what belongs to the gateway as a whole."""
        metrics.gauge("lockgate_spool_bytes").labels().set(self.behind_bytes())
        metrics.gauge("lockgate_spool_quarantined").labels().set(self.set_aside())
        metrics.gauge("lockgate_audit_waiting").labels().set(self.audit.waiting)
        info = metrics.gauge("lockgate_release_info")
        for model in self.models.values():
            info.labels(*model_variant(model.name, model.release.decode("ascii"))).set(1)

    @property
    def counted(self) -> Previous:
        """What the gateway that takes its place goes on with."""
        return Previous(loaded=self.loaded, controls=self.controls)

    def engine_of(self, task: str) -> EngineKind:
        """Return what answers a task unless the caller says otherwise."""
        return self.loaded.config.task(task).engine or self.tasks[task].spec.engine


@asynccontextmanager
async def open_gateway(
    loaded: Loaded, environment: Environment, *, previous: Gateway | None = None
) -> AsyncGenerator[Gateway]:
    """Build a gateway, and close what it opened at the end.

    One that takes the place of a `previous` one goes on with what that has counted and kept.

    Raises:
        InvalidConfig: two models have one name, an upstream's address is not one, or a variable
            that the configuration names is not set.
        Denied: an upstream is in a network that the configuration does not name.
        UpstreamFailed: an upstream's name does not resolve.

    """
    settings = loaded.config.server
    trace_headers = _trace_headers(settings, environment)
    async with AsyncExitStack() as stack:
        keyless = await _keyless(loaded, environment)
        renewal = Renewal(loaded, None if previous is None else previous.counted)
        switch = renewal.switch()
        room = EngineRoom(loaded, environment, switch)
        stack.push_async_callback(room.stop)
        engine = await room.start()
        models = _embedded(loaded, environment, engine.answering.inferring.backends)
        slow_s = await _elsewhere(loaded, environment, stack, models)
        shared, limits = renewal.shared(), renewal.limits()
        kept = stack.enter_context(
            open_gateway_books(
                loaded,
                environment,
                failed=_failed,
                more=[switch.follow(_failed), shared.serve, expired_calls_job(_now, _failed)],
            )
        )
        has_prices = loaded.config.books.prices is not None
        billing = kept.billing if has_prices or settings.record_calls else None
        room.bill(billing)
        stack.push_async_callback(room.stop)  # before the books close: it writes in them
        sharing = renewal.sharing(limits, shared, failed=_failed)
        if sharing is not None:
            stack.callback(asyncio.create_task(sharing.run()).cancel)
        audit = _audit(kept.books, stack) if settings.record_calls else NoAudit()
        admin = stack.enter_context(
            open_bridge(lambda: open_store(loaded, environment), failed=_failed)
        )
        tasks = {name: task for name in task_names(loaded) if (task := find_task(loaded, name))}
        controls = Controls(
            limits=limits,
            sharing=sharing,
            switch=switch,
            billing=billing,
            breakers=renewal.breakers(slow_s),
            queues=renewal.queues({model.backend_name for model in models.values()}),
            urgencies=Urgencies(settings.urgency),
            retries=renewal.retries(),
            cache=renewal.cache(),
            guards=guards(loaded.config.guards),
        )
        yield Gateway(
            settings=settings,
            loaded=loaded,
            engine=room,
            audit=audit,
            controls=controls,
            models=models,
            tasks=tasks,
            authenticator=LocalCaller() if keyless else Keyring(settings.keys, kept.authenticator),
            admin=admin,
            keyless=keyless,
            ready=lambda: kept.is_ready and (sharing is None or sharing.has_joined),
            has_prices=has_prices,
            behind_bytes=lambda: kept.books.behind_bytes,
            set_aside=lambda: kept.books.set_aside,
            settle=renewal.settle,
            once=_once(loaded, admin),
            trace_headers=trace_headers,
        )


def _trace_headers(settings: ServerSettings, environment: Environment) -> dict[str, str]:
    variable = settings.tracing.headers_env
    if variable is None:
        return {}
    text = environment.secret(variable)
    if text is None:
        raise InvalidConfig(
            f"the environment variable `{variable}` is not set",
            hint="`server.tracing.headers_env` in lockgate.toml names it",
        )
    return read_headers(text, variable)


def _audit(books: Books, stack: AsyncExitStack) -> AuditSink:
    """Return what notes calls in groups, and ends before the books do."""
    grouped = GroupedAudit(books)
    stack.callback(grouped.close)
    return grouped


async def _elsewhere(
    loaded: Loaded,
    environment: Environment,
    stack: AsyncExitStack,
    models: dict[str, ServedModel],
) -> dict[str, float]:
    """Add the models of servers elsewhere; return after how many seconds a call of each is slow."""
    slow_s: dict[str, float] = {}
    for name, backend in loaded.config.backends.items():
        if isinstance(backend, OpenAIBackend) and backend.models:
            pinned = await _pin(name, backend)
            client = _client(pinned, backend.limits, environment)
            stack.push_async_callback(client.close)
            slow_s[name] = backend.limits.first_byte_s / 2
            _add(models, _upstream(name, backend, pinned, client, environment))
    return slow_s


def _once(loaded: Loaded, bridge: StateBridge) -> OnceCalls | None:
    """Return what makes calls once; None where no content is kept, answers neither."""
    retention = timedelta(days=loaded.config.audit.payload_retention_days)
    if not retention:
        return None
    return OnceCalls(bridge, clock=_now, keep=min(retention, _ANSWERS_KEPT))


def _now() -> datetime:
    return datetime.now(UTC)


async def _keyless(loaded: Loaded, environment: Environment) -> bool:
    """Say whether nobody ever had a key: in the configuration, of an issuer, in the database.

    Revoked keys count: to revoke the last one must not open the door to everyone here.
    """
    if loaded.config.server.keys or loaded.config.identity.issuers:
        return False
    async with open_store(loaded, environment) as state:
        return not await list_keys(state)


def _failed(error: LockgateError) -> None:
    _LOG.warning("%s", error.message, extra={"code": error.code, "hint": error.hint})


def _embedded(
    loaded: Loaded, environment: Environment, backends: Mapping[str, Backend]
) -> dict[str, ServedModel]:
    found: dict[str, ServedModel] = {}
    for info in model_store(loaded, environment).list():
        kind = getattr(loaded.config.backend(info.model.backend), "kind", "")
        if info.state in _USABLE and kind in {_GENERATING, _EMBEDDING}:
            found[info.model.name] = EmbeddedModel(
                name=info.model.name,
                backend_name=info.model.backend,
                backends=backends,
                digest=info.digest,
                generates=_generates(info, kind),
                release=str(info.digest).encode("ascii"),
            )
    return found


def _generates(info: ModelInfo, kind: str) -> bool:
    return kind == _GENERATING and "bert" not in info.model.architecture


async def _pin(name: str, backend: OpenAIBackend) -> Pinned:
    return await asyncio.to_thread(pin, name, backend.url, networks=backend.networks)


def _client(pinned: Pinned, limits: UpstreamLimits, environment: Environment) -> Client:
    chosen = Limits(
        connect_s=limits.connect_s,
        first_byte_s=limits.first_byte_s,
        idle_s=limits.idle_s,
        total_s=limits.total_s,
        connections=limits.connections,
    )
    if pinned.scheme == "http":
        return Pool(pinned, limits=chosen)
    from lockgate.upstream.tls import TlsClient

    return TlsClient(pinned, limits=chosen, ca_file=environment.ca_file)


def _upstream(
    name: str, backend: OpenAIBackend, pinned: Pinned, client: Client, environment: Environment
) -> list[UpstreamModel]:
    headers = [(b"content-type", b"application/json"), (b"accept-encoding", b"identity")]
    if backend.token_env is not None:
        token = environment.secret(backend.token_env)
        if token is None:
            raise InvalidConfig(
                f"the environment variable `{backend.token_env}` is not set",
                hint=f"`backends.{name}.token_env` in lockgate.toml names it",
            )
        headers.append((b"authorization", f"Bearer {token}".encode()))
    return [
        UpstreamModel(
            name=ours,
            upstream=name,
            served=served,
            client=client,
            path=pinned.path,
            headers=tuple(headers),
            data_classes=frozenset(backend.data_classes),
            # As a release pins it: a server does not say which bytes it runs.
            release=str(
                Digest.of_json({"kind": backend.kind, "url": backend.url, "model": served})
            ).encode("ascii"),
            destination=f"{pinned.host}:{pinned.port}",
            most_s=backend.limits.total_s,
        )
        for ours, served in backend.models.items()
    ]


def _add(models: dict[str, ServedModel], more: list[UpstreamModel]) -> None:
    for model in more:
        known = models.get(model.name)
        if isinstance(known, UpstreamModel):
            raise InvalidConfig(
                f"the model `{model.name}` is in `backends.{known.upstream}.models` and in "
                f"`backends.{model.upstream}.models`",
                hint="give one of them another name",
            )
        models[model.name] = model
