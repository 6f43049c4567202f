"""A gateway from a configuration: the engine, the models by name, and who may call."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from lockgate.app.books import Books
from lockgate.app.gateway_access import Keyring, LocalCaller
from lockgate.app.gateway_admin import StateBridge, open_bridge
from lockgate.app.gateway_audit import GroupedAudit, NoAudit
from lockgate.app.gateway_books import GatewayBooks, open_gateway_books
from lockgate.app.gateway_checkpoints import Counts, open_checkpoints
from lockgate.app.gateway_controls import Controls, Switch, guards
from lockgate.app.gateway_engine import EngineRoom
from lockgate.app.gateway_limits import Sharing
from lockgate.app.gateway_models import EmbeddedModel, ServedModel
from lockgate.app.gateway_queues import Urgencies
from lockgate.app.gateway_renewal import Previous, Renewal
from lockgate.app.gateway_stages import AuditSink, Authenticator
from lockgate.app.gateway_task_meter import model_variant
from lockgate.app.gateway_upstreams import add_upstreams
from lockgate.app.identity import list_keys
from lockgate.app.models import model_store
from lockgate.app.moves import Move, Mover, moves_nothing
from lockgate.app.running_releases import RunningReleases, ServedTasks
from lockgate.app.state import open_store
from lockgate.app.task_calls import OnceCalls, expired_calls_job
from lockgate.app.tasks import find_task, task_names
from lockgate.config.environment import Environment
from lockgate.config.gateway_settings import ServerSettings
from lockgate.config.load import Loaded
from lockgate.domain.call import EngineKind
from lockgate.errors import InvalidConfig, LockgateError
from lockgate.oci.inventory import ModelInfo, State
from lockgate.ports import Backend, Task
from lockgate.telemetry.collector_headers import read_headers
from lockgate.telemetry.metrics import Metrics
from lockgate.traffic.elsewhere import SharedElsewhere
from lockgate.traffic.rate_limits import RateLimits

if TYPE_CHECKING:
    from lockgate.app.promotion import Outcome

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
    checkpoints: Counts | None = None
    """Of the audit log; None where none are signed."""
    move: Callable[[Move], Awaitable["Outcome"]] = moves_nothing
    """Lets a release take over, for the admin API."""
    releases_behind: Callable[[], int] = lambda: 0
    """Promoted releases that cannot run here yet."""

    def read(self, metrics: Metrics) -> None:
        """Set the gauges of what belongs to the gateway as a whole."""
        metrics.gauge("lockgate_spool_bytes").labels().set(self.behind_bytes())
        metrics.gauge("lockgate_spool_quarantined").labels().set(self.set_aside())
        metrics.gauge("lockgate_audit_waiting").labels().set(self.audit.waiting)
        metrics.gauge("lockgate_releases_behind").labels().set(self.releases_behind())
        if self.checkpoints is not None:
            failures = metrics.counter("lockgate_checkpoint_failures_total").labels()
            failures.inc(self.checkpoints.news())
            newest = metrics.gauge("lockgate_checkpoint_timestamp_seconds").labels()
            newest.set(self.checkpoints.newest_at)
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
        opening = _Opening(loaded, environment, renewal, stack)
        switch, shared = renewal.switch(), renewal.shared()
        room = EngineRoom(loaded, environment, switch)
        models, slow_s = await opening.models(room)
        checkpoints = stack.enter_context(open_checkpoints(loaded, environment, failed=_failed))
        kept = opening.books(switch, shared, room.releases)
        has_prices = loaded.config.books.prices is not None
        billing = kept.billing if has_prices or settings.record_calls else None
        room.bill(billing)
        stack.push_async_callback(room.stop)  # before the books close: it writes in them
        limits, sharing = opening.limits(shared)
        audit = _audit(kept.books, stack) if settings.record_calls else NoAudit()
        admin = opening.bridge()
        controls = replace(
            opening.controls(models, slow_s),
            limits=limits,
            sharing=sharing,
            switch=switch,
            billing=billing,
        )
        yield Gateway(
            settings=settings,
            loaded=loaded,
            engine=room,
            audit=audit,
            controls=controls,
            models=models,
            tasks=ServedTasks(_installed(loaded), room.releases),
            authenticator=LocalCaller() if keyless else Keyring(settings.keys, kept.authenticator),
            admin=admin,
            move=opening.mover().move,
            keyless=keyless,
            ready=lambda: kept.is_ready and (sharing is None or sharing.has_joined),
            has_prices=has_prices,
            behind_bytes=lambda: kept.books.behind_bytes,
            set_aside=lambda: kept.books.set_aside,
            settle=renewal.settle,
            once=_once(loaded, admin),
            trace_headers=trace_headers,
            checkpoints=checkpoints,
            releases_behind=lambda: len(room.releases.behind),
        )


@dataclass(frozen=True, slots=True)
class _Opening:
    """What a gateway is opened from, and what closes its parts."""

    loaded: Loaded
    environment: Environment
    renewal: Renewal
    stack: AsyncExitStack

    async def models(self, room: EngineRoom) -> tuple[dict[str, ServedModel], dict[str, float]]:
        """Start the engine, and connect upstreams; the seconds say when one's calls are slow."""
        self.stack.push_async_callback(room.stop)
        engine = await room.start()
        models = _embedded(self.loaded, self.environment, engine.answering.inferring.backends)
        cork = self.renewal.cork()
        return models, await add_upstreams(self.loaded, self.environment, self.stack, models, cork)

    def books(
        self, switch: Switch, shared: SharedElsewhere, releases: RunningReleases
    ) -> GatewayBooks:
        """Open the books; what else follows the database shares their thread."""
        jobs = [
            switch.follow(_failed),
            shared.serve,
            expired_calls_job(_now, _failed, keep=_answers_kept(self.loaded)),
            releases.follow(_failed),
        ]
        opened = open_gateway_books(self.loaded, self.environment, failed=_failed, more=jobs)
        return self.stack.enter_context(opened)

    def bridge(self) -> StateBridge:
        """Open the admin API's own way to the database."""
        store = partial(open_store, self.loaded, self.environment)
        return self.stack.enter_context(open_bridge(store, failed=_failed))

    def mover(self) -> Mover:
        """Return what moves releases, and ends with the gateway."""
        mover = Mover(self.loaded, self.environment)
        self.stack.push_async_callback(mover.close)
        return mover

    def limits(self, shared: SharedElsewhere) -> tuple[RateLimits | None, Sharing | None]:
        """Return the rate limits, and what keeps them in step with other replicas."""
        limits = self.renewal.limits()
        sharing = self.renewal.sharing(limits, shared, failed=_failed)
        if sharing is not None:
            self.stack.callback(asyncio.create_task(sharing.run()).cancel)
        return limits, sharing

    def controls(self, models: Mapping[str, ServedModel], slow_s: Mapping[str, float]) -> Controls:
        """Return what stands before the models, without what has a way to the database."""
        return Controls(
            breakers=self.renewal.breakers(slow_s),
            queues=self.renewal.queues({model.backend_name for model in models.values()}),
            urgencies=Urgencies(self.loaded.config.server.urgency),
            retries=self.renewal.retries(),
            cork=self.renewal.cork(),
            cache=self.renewal.cache(),
            guards=guards(self.loaded.config.guards),
        )


def _installed(loaded: Loaded) -> dict[str, Task]:
    return {name: task for name in task_names(loaded) if (task := find_task(loaded, name))}


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


def _once(loaded: Loaded, bridge: StateBridge) -> OnceCalls | None:
    """Return what makes calls once; None where no content is kept, answers neither."""
    keep = _answers_kept(loaded)
    return OnceCalls(bridge, clock=_now, keep=keep) if keep else None


def _answers_kept(loaded: Loaded) -> timedelta:
    return min(timedelta(days=loaded.config.audit.payload_retention_days), _ANSWERS_KEPT)


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
