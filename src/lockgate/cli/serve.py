"""`lockgate serve`: the gateway, in one process."""

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from lockgate.cli.output import words
from lockgate.cli.session import Session
from lockgate.errors import UsageError

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from lockgate.app.gateway import Gateway

EPILOG = """\b
Examples:
  lockgate serve
  lockgate serve --listen unix:/run/lockgate.sock
  git diff main... | curl -s -X POST http://127.0.0.1:8400/review \\
    -H "Content-Type: text/plain" --data-binary @-"""


@click.command(epilog=EPILOG)
@click.option(
    "--listen",
    metavar="ADDRESS",
    help="HOST:PORT or unix:/PATH.  [default: `server.listen`, else 127.0.0.1:8400]",
)
@click.pass_obj
def serve(session: Session, listen: str | None) -> None:
    """Serve tasks and models over HTTP until SIGTERM.

    SIGHUP reads the configuration again; a configuration with a problem changes nothing.
    """
    from lockgate.config.load import load
    from lockgate.telemetry.logs import log_to_stderr

    try:
        import uvloop

        from lockgate.app.gateway import open_gateway
        from lockgate.server.running import Server, checked_address
    except ModuleNotFoundError as error:
        raise UsageError(
            f"`{error.name}` is not installed",
            hint="pip install 'lockgate[serve]'; in a checkout of Lockgate: make serve",
        ) from error

    settings = session.loaded.config.server
    if listen is not None:
        settings = replace(settings, listen=checked_address(listen))

    def renewed(previous: "Gateway | None") -> "AbstractAsyncContextManager[Gateway]":
        path = session.config_file or session.environment.config_file or session.loaded.path
        loaded = load(path, start=session.loaded.folder)
        return open_gateway(loaded, session.environment, previous=previous)

    def started(gateway: "Gateway", address: str) -> None:
        if not session.quiet:
            _say(gateway, address)

    with log_to_stderr(settings.log_format):
        uvloop.run(Server(settings).serve(renewed, started))


def _say(gateway: "Gateway", listen: str) -> None:
    """Tell what is served, and what to type next."""
    unix = listen.startswith("unix:")
    where = "http://localhost" if unix else f"http://{listen}"
    curl = f"curl -s --unix-socket {listen.removeprefix('unix:')}" if unix else "curl -s"
    key = "" if gateway.keyless else ' -H "Authorization: Bearer $KEY"'
    words(f"lockgate serves on {listen}")
    words(f"  models: {', '.join(sorted(gateway.models)) or 'none (lockgate model pull smollm2)'}")
    words(f"  tasks:  {', '.join(sorted(gateway.tasks))}")
    if gateway.keyless:
        words("  no keys: everyone who reaches this address is you; `server.keys` changes that")
    words("next, in another terminal:")
    words(f"  {curl}{key} {where}/v1/models")
    words(
        f"  git diff HEAD~1 | {curl}{key} -X POST {where}/review "
        '-H "Content-Type: text/plain" --data-binary @-'
    )
