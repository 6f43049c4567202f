"""`lockgate model sign`: for people who check models with model-signing."""

from pathlib import Path

import click

from lockgate.cli.files import write_file
from lockgate.cli.output import words
from lockgate.cli.session import Session
from lockgate.cli.signer import passphrase_file_option, signer


@click.command(
    "sign",
    epilog="""\b
Examples:
  lockgate model sign smollm2 --sign build -o smollm2.sig
  model_signing verify key FOLDER --signature smollm2.sig --public_key build.pub""",
)
@click.argument("name")
@click.option("--sign", "key", required=True, metavar="KEY", help="The key that signs.")
@passphrase_file_option
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The signature, a Sigstore bundle.",
)
@click.pass_obj
def sign(session: Session, name: str, key: str, passphrase_file: Path | None, output: Path) -> None:
    """Sign the files of the model NAME for the tool `model_signing`.

    It checks a folder that has these files, under the names that `lockgate model show` gives, and
    no others. A release needs no such signature: `lockgate release attest` says more.
    """
    from lockgate.app.model_signature import sign_model

    write_file(output, sign_model(session.models(), name, signer(session, key, passphrase_file)))
    words(f"next: lockgate key export {key} gives the public half to check it with")
