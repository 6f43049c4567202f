"""`lockgate model quantise`."""

from datetime import UTC, datetime
from pathlib import Path

import click

from lockgate.cli.output import data, words
from lockgate.cli.session import Session
from lockgate.cli.signer import passphrase_file_option, signer


@click.command(
    "quantise",
    epilog="""\b
Examples:
  lockgate model quantise mine --name mine-q8
  lockgate model quantise mine --to q4_0 --name mine-q4 --sign build""",
)
@click.argument("name")
@click.option(
    "--to",
    type=click.Choice(["q8_0", "q4_0"]),
    default="q8_0",
    show_default=True,
    help="8 bits a weight lose next to nothing; 4 bits halve it again.",
)
@click.option("--name", "new", required=True, metavar="N", help="Name for the new model.")
@click.option("--sign", "key", metavar="KEY", help="Sign the provenance: what it was made of.")
@passphrase_file_option
@click.pass_obj
def quantise(
    session: Session,
    name: str,
    *,
    to: str,
    new: str,
    key: str | None,
    passphrase_file: Path | None,
) -> None:
    """Make a smaller model of NAME, whose weights are GGUF in F32, F16 or BF16.

    Its manifest names the model that it was made of, and so do its bill of materials and its
    provenance. The same model gives the same bytes on every machine.
    """
    from lockgate.app.converting import attest
    from lockgate.app.converting import quantise as make

    made = make(session.loaded, session.environment, name, new=new, to=to)
    bundle = None
    if key is not None:
        opened = signer(session, key, passphrase_file)
        bundle = attest(session.environment, new, made.digest, opened, datetime.now(UTC))
    data(str(made.digest))
    if not session.quiet:
        words(f"{new}: {made.size:,} bytes")
        if bundle is not None:
            words(f"provenance: {bundle}")
