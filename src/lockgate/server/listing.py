"""`GET /v1/models`, health, metrics and the API's own document."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lockgate.app.gateway_meter import GatewayMeter
from lockgate.app.gateway_models import EmbeddedModel, ServedModel, ServedModels
from lockgate.errors import NotFound
from lockgate.server.exchange import Exchange

_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Answers what is asked about the gateway itself."""

    models: ServedModels
    meter: GatewayMeter
    ready: Callable[[], str]
    """Returns why requests should go elsewhere; empty if they should not."""
    document: Callable[[], Any]

    async def list_models(self, exchange: Exchange) -> None:
        """Answer with the models that the caller may use."""
        rows = [
            _row(model)
            for name, model in sorted(self.models.items())
            if exchange.caller.may("model", name)
        ]
        await exchange.respond_json({"object": "list", "data": rows})

    async def show_model(self, exchange: Exchange) -> None:
        """Answer with one model."""
        name = exchange.params["model"]
        exchange.require("model", name)
        model = self.models.get(name)
        if model is None:
            raise NotFound(f"there is no model `{name[:_SHOWN]}` here", hint="see `GET /v1/models`")
        await exchange.respond_json(_row(model))

    async def live(self, exchange: Exchange) -> None:
        """Answer that the process runs."""
        await exchange.respond_json({"status": "ok"})

    async def is_ready(self, exchange: Exchange) -> None:
        """Answer whether requests may come: not before the start's end, nor while draining."""
        reason = self.ready()
        if reason:
            await exchange.respond_json({"status": "unavailable", "reason": reason}, status=503)
            return
        await exchange.respond_json({"status": "ok"})

    async def metrics(self, exchange: Exchange) -> None:
        """Answer with the metrics page."""
        body, kind = self.meter.expose()
        await exchange.respond(body, kind=(b"content-type", kind.encode("latin-1")))

    async def openapi(self, exchange: Exchange) -> None:
        """Answer with the API's document."""
        await exchange.respond_json(self.document())


def _row(model: ServedModel) -> dict[str, Any]:
    owner = "lockgate" if isinstance(model, EmbeddedModel) else model.upstream
    return {"id": model.name, "object": "model", "created": 0, "owned_by": owner}
