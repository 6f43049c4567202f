"""An engine from a configuration."""

import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lockgate.app.admission import admission_of
from lockgate.app.backends import Backends, Cassettes
from lockgate.app.guards import guard_of
from lockgate.app.indexes import StoredIndexes
from lockgate.app.models import model_store
from lockgate.app.releases import Plans
from lockgate.app.running_releases import RunningReleases
from lockgate.app.state import open_store
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.engine.answer import Answering
from lockgate.engine.infer import Inferring
from lockgate.engine.record import Ledger
from lockgate.engine.replay import Replaying
from lockgate.engine.retrieve import Retrieving
from lockgate.ports import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What the edges use."""

    answering: Answering
    replaying: Replaying
    store: State
    releases: RunningReleases
    """What was promoted to this environment."""


@asynccontextmanager
async def open_engine(
    loaded: Loaded,
    environment: Environment,
    *,
    cassettes: Cassettes | None = None,
    unpacks: bool = False,
) -> AsyncGenerator[Engine]:
    """Build an engine from a configuration, and close what it opened at the end.

    `unpacks` as for `RunningReleases`.
    """
    from lockgate.checks.no_secrets import NoSecretsCheck
    from lockgate.checks.schema import JsonSchemaValidator
    from lockgate.guards.secrets import SecretGuard
    from lockgate.retrieval.lexical import LexicalRetriever

    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(loaded, environment))
        models = model_store(loaded, environment)
        backends = Backends(loaded, environment, models, cassettes or Cassettes())
        stack.callback(backends.close)
        admission = admission_of(loaded, environment, _now)
        guard = guard_of(loaded.config.guards)
        releases = RunningReleases(loaded, environment, admission, unpacks=unpacks)
        await releases.load(store)
        answering = Answering(
            plans=Plans(loaded, models, checks=(NoSecretsCheck(SecretGuard()),), promoted=releases),
            admission=admission,
            guard=guard,
            validator=JsonSchemaValidator(),
            retrieving=Retrieving(
                indexes=StoredIndexes(models.layout), retriever=LexicalRetriever(), guard=guard
            ),
            inferring=Inferring(backends=backends, stopwatch=_stopwatch),
            ledger=Ledger(
                store=store,
                clock=_now,
                stopwatch=_stopwatch,
                retention=timedelta(days=loaded.config.audit.payload_retention_days),
            ),
        )
        yield Engine(
            answering=answering,
            replaying=Replaying(store=store, answering=answering),
            store=store,
            releases=releases,
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _stopwatch() -> int:
    return time.monotonic_ns() // 1000
