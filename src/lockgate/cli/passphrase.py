"""Where the passphrase of a private key comes from."""

from pathlib import Path

import click

from lockgate.cli.session import Session
from lockgate.errors import NotFound, UsageError

_MAX_BYTES = 4096


def passphrase(session: Session, file: Path | None, *, new: bool = False) -> bytes:
    """Return it from a file, from the variable that the configuration names, or from a prompt.

    Raises:
        NotFound: the file cannot be read, or the variable is not set.
        UsageError: neither is given, and there is no terminal to ask at.

    """
    if file is not None:
        try:
            with file.open("rb") as opened:
                return opened.read(_MAX_BYTES).rstrip(b"\r\n")
        except OSError as error:
            raise NotFound(f"`{file}` cannot be read: {error.strerror}") from error
    variable = session.loaded.config.keys.passphrase_env
    if variable is not None:
        found = session.environment.secret(variable)
        if found is None:
            raise NotFound(
                f"the environment variable `{variable}` is not set",
                hint="`keys.passphrase_env` in lockgate.toml names it",
            )
        return found.encode()
    if not _has_terminal():
        raise UsageError(
            "a passphrase is needed, and there is no terminal to ask for it",
            hint="give `--passphrase-file`, or name a variable with `keys.passphrase_env`",
        )
    text: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True)
    return text.encode()


def _has_terminal() -> bool:
    """Say whether a person can be asked, even if stdin is a pipe."""
    try:
        with Path("/dev/tty").open("rb"):
            return True
    except OSError:
        return False
