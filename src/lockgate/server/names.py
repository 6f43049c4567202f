"""What the configuration names and only a whole gateway knows: routes, and models to fall back to.

A name that nobody has would do nothing: a limit that does not hold, a fallback that never comes.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence

from lockgate.config.gateway_settings import ServerSettings
from lockgate.config.schema import did_you_mean
from lockgate.errors import InvalidConfig
from lockgate.server.route import Route

_LOG = logging.getLogger("lockgate.gateway")
_ROUTE = "route:"


def refuse_unknown_routes(settings: ServerSettings, routes: Sequence[Route]) -> None:
    """Refuse limits and sampling rules for routes that there are not.

    Raises:
        InvalidConfig: one names such a route, or a limit one that takes none.

    """
    limited = {route.name for route in routes if route.scope and route.method == "POST"}
    for subject in settings.limits:
        name = subject.removeprefix(_ROUTE)
        if subject.startswith(_ROUTE) and name != "*" and name not in limited:
            raise _unknown(f'server.limits."{subject}"', name, limited, "that has limits")
    known = {route.name for route in routes}
    for number, rule in enumerate(settings.tracing.rules):
        if rule.route and rule.route not in known:
            raise _unknown(f"server.tracing.rules.{number}", rule.route, known, "here")


def _unknown(where: str, name: str, known: Iterable[str], what: str) -> InvalidConfig:
    names = sorted(known)
    return InvalidConfig(
        f"`{where}`: there is no route `{name}` {what}{did_you_mean(name, names)}",
        hint=f"the routes are {', '.join(names)}",
    )


def warn_of_unknown_fallbacks(
    fallbacks: Mapping[str, Sequence[str]], models: Iterable[str]
) -> None:
    """Log fallbacks that are no models here. They may be pulled later, so nothing is refused."""
    known = sorted(models)
    for model, others in fallbacks.items():
        for name in (model, *others):
            if name in known:
                continue
            _LOG.warning(
                "`server.fallbacks.%s` names `%s`, which is no model here%s",
                *(model, name, did_you_mean(name, known)),
                extra={"hint": "see `GET /v1/models`; `lockgate model pull` brings local ones"},
            )
