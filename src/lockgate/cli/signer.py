"""Opens the key that a command signs with."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.passphrase import passphrase
from lockgate.cli.session import Session

if TYPE_CHECKING:
    from lockgate.signing.keys import Signer


def passphrase_file_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--passphrase-file`."""
    return click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Read the passphrase from this file.  [default: `keys.passphrase_env`, or asked]",
    )(command)


def signer(session: Session, name: str, passphrase_file: Path | None) -> "Signer":
    """Return the key of that name, its passphrase asked for if it has one.

    Raises:
        NotFound: there is no such key.
        Denied: the passphrase is wrong.

    """
    from lockgate.app.trust import key_ring

    ring = key_ring(session.environment)
    secret = passphrase(session, passphrase_file) if ring.show(name).encrypted else None
    return ring.open(name, secret)
