"""`lockgate key`: private keys of this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.output import data, data_json, table, words
from lockgate.cli.passphrase import passphrase
from lockgate.cli.session import Session

if TYPE_CHECKING:
    from lockgate.signing.key_file import KeyInfo
    from lockgate.signing.ring import KeyRing

SHORT = 12


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _passphrase_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--no-passphrase", is_flag=True, help="Leave the private key unencrypted on the disk."
        ),
        click.option(
            "--passphrase-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Read the passphrase from this file.  [default: `keys.passphrase_env`, or asked]",
        ),
    ):
        command = option(command)
    return command


@click.group()
def key() -> None:
    """Make and look after the keys that sign releases and attestations."""


@key.command(
    "new",
    epilog=_examples(
        "lockgate key new build", "lockgate key new build --passphrase-file /run/secrets/build"
    ),
)
@click.argument("name")
@_passphrase_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def new_key(
    session: Session,
    name: str,
    passphrase_file: Path | None,
    *,
    no_passphrase: bool,
    as_json: bool,
) -> None:
    """Make the key NAME: ECDSA on P-256, encrypted at rest."""
    secret = _secret(session, passphrase_file, no_passphrase=no_passphrase)
    _show(_ring(session).new(name, secret), as_json=as_json)
    words(f"next: lockgate key export {name} gives the public half, for a trust root")


@key.command("list", epilog=_examples("lockgate key list", "lockgate key list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def list_keys(session: Session, *, as_json: bool) -> None:
    """List the keys of this machine."""
    found = _ring(session).list()
    if as_json:
        data_json([_document(info) for info in found])
        return
    rows = [(i.name, i.fingerprint[:SHORT], "yes" if i.encrypted else "NO") for i in found]
    table(("NAME", "FINGERPRINT", "ENCRYPTED"), rows)


@key.command("export", epilog=_examples("lockgate key export build > build.pub"))
@click.argument("name")
@click.pass_obj
def export_key(session: Session, name: str) -> None:
    """Print the public half of the key NAME as PEM."""
    data(_ring(session).show(name).pem.rstrip("\n"))


@key.command("rotate", epilog=_examples("lockgate key rotate build"))
@click.argument("name")
@_passphrase_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def rotate_key(
    session: Session,
    name: str,
    passphrase_file: Path | None,
    *,
    no_passphrase: bool,
    as_json: bool,
) -> None:
    """Keep the key NAME under another name and make a new one in its place.

    Nothing trusts the new key until a trust root names it.
    """
    secret = _secret(session, passphrase_file, no_passphrase=no_passphrase)
    old, new = _ring(session).rotate(name, secret)
    _show(new, as_json=as_json)
    words(f"the old key is `{old.name}` now")
    words(f"next: lockgate trust add --key {name} … --sign KEY")
    words(f"      lockgate trust revoke {old.fingerprint[:SHORT]} --sign KEY")


def _ring(session: Session) -> "KeyRing":
    from lockgate.app.trust import key_ring

    return key_ring(session.environment)


def _secret(session: Session, file: Path | None, *, no_passphrase: bool) -> bytes | None:
    if no_passphrase:
        words("warning: whoever can read the file can sign with this key")
        return None
    return passphrase(session, file, new=True)


def _show(info: "KeyInfo", *, as_json: bool) -> None:
    if as_json:
        data_json(_document(info))
    else:
        data(f"{info.name}  {info.fingerprint}")


def _document(info: "KeyInfo") -> dict[str, str | bool]:
    return {
        "name": info.name,
        "fingerprint": info.fingerprint,
        "encrypted": info.encrypted,
        "pem": info.pem,
    }
