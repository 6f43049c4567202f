"""The application for a gateway: its route table, filled."""

from collections.abc import Callable
from dataclasses import dataclass

from lockgate.app.gateway import Gateway
from lockgate.app.gateway_meter import GatewayMeter, tracer_of
from lockgate.server.admin import admin_of
from lockgate.server.admin_routes import admin_routes
from lockgate.server.application import Application
from lockgate.server.asking import Asking
from lockgate.server.bodies import Room
from lockgate.server.closing import Closing
from lockgate.server.completions import Completions
from lockgate.server.embedded import Embedded
from lockgate.server.listing import Listing
from lockgate.server.names import refuse_unknown_routes, warn_of_unknown_fallbacks
from lockgate.server.openapi import document
from lockgate.server.route import Route
from lockgate.server.routes import inference_routes, operation_routes, paths, task_routes
from lockgate.server.second_pass import second_pass_of
from lockgate.server.tasks import Tasks
from lockgate.server.tracing import Tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An application and the parts that its owner looks after."""

    application: Application
    tasks: Tasks
    meter: GatewayMeter
    close: Callable[[], None]
    """Sends the last spans, and blocks for at most two seconds."""


def build(gateway: Gateway, *, ready: Callable[[], str], previous: Built | None = None) -> Built:
    """Return the application. `ready` says why requests should go elsewhere, if they should.

    It counts on where a `previous` one does.

    Raises:
        InvalidConfig: it names a route that there is not.

    """
    settings = gateway.settings
    default_class = gateway.loaded.config.data.default_class
    meter = GatewayMeter(gateway.controls, previous=previous.meter if previous else None)
    meter.watch(gateway.read)
    routes: list[Route] = []
    listing = Listing(
        models=gateway.models, meter=meter, ready=ready, document=lambda: document(routes)
    )
    closing = Closing(models=gateway.models, audit=gateway.audit, meter=meter)
    completions = Completions(
        second_pass=second_pass_of(gateway.loaded.config.guards, gateway.models),
        models=gateway.models,
        fallbacks=settings.fallbacks,
        embedded=Embedded(),
        closing=closing,
        controls=gateway.controls,
        meter=meter,
        asking=Asking(gateway.controls, meter, closing),
        max_output_tokens=settings.max_output_tokens,
        caps_answers=gateway.has_prices,
        default_class=default_class,
        max_body_bytes=settings.max_body_bytes,
    )
    tasks = Tasks(
        tasks=gateway.tasks,
        answer=gateway.engine.answer,
        meter=meter.tasks,
        engine_of=gateway.engine_of,
        controls=gateway.controls,
        default_class=default_class,
        max_body_bytes=settings.max_task_bytes,
        once=gateway.once,
    )
    routes += inference_routes(completions, listing)
    routes += operation_routes(listing)
    routes += admin_routes(admin_of(gateway, lambda: routes), near=settings.admin_from == "here")
    routes += task_routes(tasks, gateway.tasks.values(), paths(routes))
    refuse_unknown_routes(settings, routes)
    warn_of_unknown_fallbacks(settings.fallbacks, gateway.models)
    tracer, close_tracer = tracer_of(settings.tracing, gateway.trace_headers, dropped=meter.dropped)
    application = Application(
        routes,
        authenticator=gateway.authenticator,
        meter=meter,
        tracing=Tracing(tracer, settings.tracing.otlp_url is not None),
        room=Room(
            settings.max_held_bytes, largest=max(settings.max_body_bytes, settings.max_task_bytes)
        ),
        keyless=gateway.keyless,
    )
    return Built(application=application, tasks=tasks, meter=meter, close=close_tracer)
