"""Opens the key that a command signs with."""

from collections.abc import Callable
from functools import partial
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
    """Return the key of that name, its passphrase or PIN asked for if it has one.

    Raises:
        NotFound: there is no such key.
        Denied: the passphrase is wrong.
        Unavailable: a device holds the key, and its library is not installed.

    """
    from lockgate.app.trust import open_signer

    return open_signer(session.environment, name, partial(passphrase, session, passphrase_file))
