"""Where the passphrase of a private key comes from."""

from pathlib import Path

import click

from lockgate.cli.session import Session
from lockgate.errors import NotFound

_MAX_BYTES = 4096


def passphrase(session: Session, file: Path | None, *, new: bool = False) -> bytes:
    """Return it from a file, from the variable that the configuration names, or from a prompt.

    Raises:
        NotFound: the file cannot be read, or the variable is not set.

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
    text: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True)
    return text.encode()
