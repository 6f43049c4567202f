"""`lockgate key`: private keys of this machine."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.files import read_file
from lockgate.cli.options import examples
from lockgate.cli.output import data, data_json, table, words
from lockgate.cli.passphrase import passphrase
from lockgate.cli.session import Session
from lockgate.cli.signer import passphrase_file_option
from lockgate.domain.digest import Json

if TYPE_CHECKING:
    from lockgate.signing.key_file import KeyInfo
    from lockgate.signing.ring import KeyRing

SHORT = 12
MAX_PEM = 4096
# Cannot be a statement or a trust root: what is signed of these begins with `DSSEv1`.
PROBE = b"lockgate: does this key sign?"


def _new_secret_options(command: Callable[..., Any]) -> Callable[..., Any]:
    plain = click.option(
        "--no-passphrase", is_flag=True, help="Leave the private key unencrypted on the disk."
    )
    return plain(passphrase_file_option(command))


@click.group()
def key() -> None:
    """Make and look after the keys that sign releases and attestations."""


@key.command(
    "new",
    epilog=examples(
        "lockgate key new build", "lockgate key new build --passphrase-file /run/secrets/build"
    ),
)
@click.argument("name")
@_new_secret_options
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
    ring = _ring(session)
    ring.require_free(name)  # before a person thinks of a passphrase
    secret = _secret(session, passphrase_file, no_passphrase=no_passphrase)
    _show(ring.new(name, secret), as_json=as_json)
    words(f"next: lockgate key export {name} gives the public half, for a trust root")


@key.command("list", epilog=examples("lockgate key list", "lockgate key list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def list_keys(session: Session, *, as_json: bool) -> None:
    """List the keys of this machine."""
    found = _ring(session).list()
    if as_json:
        data_json([_document(info) for info in found])
        return
    rows = [(info.name, info.fingerprint[:SHORT], _state(info)) for info in found]
    table(("NAME", "FINGERPRINT", "ENCRYPTED"), rows)


@key.command("show", epilog=examples("lockgate key show build"))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def show_key(session: Session, name: str, *, as_json: bool) -> None:
    """Show the key NAME, its whole fingerprint, and where it counts."""
    from lockgate.app.trust import trusted

    info = _ring(session).show(name)
    known = trusted(session.environment, info.fingerprint)
    if as_json:
        data_json({**_document(info), "trusted": None if known is None else known.document})
        return
    data(f"name         {info.name}")
    data(f"fingerprint  {info.fingerprint}")
    data(f"encrypted    {_state(info)}")
    if known is None:
        data("trusted      no: the trust root here does not name it")
        return
    state = "revoked" if known.revoked else f"as {', '.join(sorted(known.roles))}"
    data(f"trusted      {state}, held by {known.holder}, for {', '.join(known.scopes)}")


@key.command(
    "link",
    epilog=examples(
        "lockgate key link release --uri 'hsm:2?label=yubikey' --pem release.pub",
        "lockgate key link release --uri awskms:alias/release --pem release.pub",
    ),
)
@click.argument("name")
@click.option(
    "--uri", required=True, help="Where it is: `hsm:`, `awskms:`, `azurekms:`, `gcpkms:`."
)
@click.option(
    "--pem",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file with its public half.",
)
@passphrase_file_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def link_key(session: Session, /, name: str, uri: str, pem: Path, **given: Any) -> None:
    """Call a key NAME that a device or a service holds, once it has signed a test.

    Needs the extra `kms`. Where a PIN is wanted, it is read as passphrases are.
    """
    from lockgate.app.trust import device_signer

    ring = _ring(session)
    ring.require_free(name)
    public = read_file(pem, MAX_PEM)
    secret = partial(passphrase, session, given["passphrase_file"])
    device_signer(uri, public, secret).sign(PROBE)
    _show(ring.link(name, public, uri), as_json=given["as_json"])
    words(f"next: lockgate trust add --key {name} … --sign KEY")


@key.command("export", epilog=examples("lockgate key export build > build.pub"))
@click.argument("name")
@click.pass_obj
def export_key(session: Session, name: str) -> None:
    """Print the public half of the key NAME as PEM."""
    data(_ring(session).show(name).pem.rstrip("\n"))


@key.command("rotate", epilog=examples("lockgate key rotate build"))
@click.argument("name")
@_new_secret_options
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
    ring = _ring(session)
    ring.show(name)
    secret = _secret(session, passphrase_file, no_passphrase=no_passphrase)
    old, new = ring.rotate(name, secret)
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


def _document(info: "KeyInfo") -> dict[str, Json]:
    return {
        "name": info.name,
        "fingerprint": info.fingerprint,
        "encrypted": info.encrypted,
        "uri": info.uri or None,
        "pem": info.pem,
    }


def _state(info: "KeyInfo") -> str:
    return f"at {info.uri}" if info.uri else "yes" if info.encrypted else "NO"
