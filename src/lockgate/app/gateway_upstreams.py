"""Models at servers elsewhere, by the names that the gateway has for them."""

import asyncio
from contextlib import AsyncExitStack

from lockgate.app.gateway_models import ServedModel, UpstreamModel
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.config.settings import OpenAIBackend, UpstreamLimits
from lockgate.domain.digest import Digest
from lockgate.errors import InvalidConfig
from lockgate.upstream.address import Pinned, pin
from lockgate.upstream.cork import Cork
from lockgate.upstream.limits import Limits
from lockgate.upstream.pool import Pool
from lockgate.upstream.reply import Client


async def add_upstreams(
    loaded: Loaded,
    environment: Environment,
    stack: AsyncExitStack,
    models: dict[str, ServedModel],
    cork: Cork,
) -> dict[str, float]:
    """Add the models of servers elsewhere; return after how many seconds a call of each is slow.

    Raises:
        InvalidConfig: two models have one name, an upstream's address is not one, or the variable
            with its token is not set.
        Denied: an upstream is in a network that the configuration does not name.
        UpstreamFailed: an upstream's name does not resolve.

    """
    slow_s: dict[str, float] = {}
    for name, backend in loaded.config.backends.items():
        if isinstance(backend, OpenAIBackend) and backend.models:
            pinned = await asyncio.to_thread(pin, name, backend.url, networks=backend.networks)
            client = _client(pinned, backend.limits, environment, cork)
            stack.push_async_callback(client.close)
            slow_s[name] = backend.limits.first_byte_s / 2
            _add(models, _upstream(name, backend, pinned, client, environment))
    return slow_s


def _client(pinned: Pinned, limits: UpstreamLimits, environment: Environment, cork: Cork) -> Client:
    chosen = Limits(
        connect_s=limits.connect_s,
        first_byte_s=limits.first_byte_s,
        idle_s=limits.idle_s,
        total_s=limits.total_s,
        connections=limits.connections,
    )
    if pinned.scheme == "http":
        return Pool(pinned, limits=chosen, cork=cork)
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
