"""`lockgate index …`."""

from datetime import UTC, datetime
from pathlib import Path

import click

from lockgate.cli.output import data, words
from lockgate.cli.session import Session
from lockgate.cli.signer import passphrase_file_option, signer


@click.group(
    epilog="""\b
Examples:
  lockgate index build docs --name handbook"""
)
def index() -> None:
    """Build search indexes that name the model of their vectors."""


@index.command(
    epilog="""\b
Examples:
  lockgate index build docs --name handbook
  lockgate index build docs --name handbook --words-only
  lockgate index build docs --name handbook --access access.toml
  lockgate index build docs --name handbook --sign build"""
)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--name", required=True, metavar="N", help="The index becomes `index/N`.")
@click.option("--embedder", default="minilm", show_default=True, help="The model of its vectors.")
@click.option("--words-only", is_flag=True, help="No vectors: searched by words.")
@click.option(
    "--access",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Who may read which text: `[[documents]]` with `path`, `readers`, `classification`.",
)
@click.option("--sign", "key", metavar="KEY", help="Sign the provenance: what it was made of.")
@passphrase_file_option
@click.pass_obj
def build(session: Session, /, folder: Path, **options: str | bool | Path | None) -> None:
    """Cut the texts in FOLDER into pieces, embed these, and store all as one artifact.

    Texts are files that end in .md, .rst or .txt. Prints the index's digest. A task searches it
    with `[retrieval]` in its task.toml, and its callers see what they may read.
    """
    from lockgate.app.access import EVERYBODY, read_access
    from lockgate.app.converting import attest
    from lockgate.app.index_build import Wanted, build_index

    name, embedder = str(options["name"]), str(options["embedder"])
    rules = options["access"]
    access = read_access(rules) if isinstance(rules, Path) else EVERYBODY
    made = session.run(
        lambda: build_index(
            session.loaded,
            session.environment,
            folder,
            Wanted(
                name=name,
                embedder=None if options["words_only"] else embedder,
                access=access,
            ),
            session.progress(),
        )
    )
    data(str(made.digest))
    if not session.quiet:
        words(f"{made.documents} texts, {made.chunks} pieces")
    key, file = options["key"], options["passphrase_file"]
    if key is not None:
        assert file is None or isinstance(file, Path), "click makes it one"
        opened = signer(session, str(key), file)
        bundle = attest(session.environment, name, made.digest, opened, datetime.now(UTC))
        words(f"provenance: {bundle}")
