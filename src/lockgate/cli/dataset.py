"""`lockgate dataset`: bring rows in, check them, mask them, make them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.files import write_file
from lockgate.cli.options import examples
from lockgate.cli.output import data, data_json, table, words
from lockgate.cli.session import Session
from lockgate.errors import UsageError

if TYPE_CHECKING:
    from lockgate.app.datasets import Checked
    from lockgate.domain.digest import JsonObject

EXIT_PROBLEMS = 1
_SHOWN = 20


@click.group()
def dataset() -> None:
    """Import, check, mask and make datasets of cases."""


_SPLITS = click.argument("files", nargs=-1, required=True, metavar="[SPLIT=]FILE...")
_OUTPUT = click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write JSON Lines here.",
)


@dataset.command(
    "import",
    epilog=examples(
        "lockgate dataset import triage train=train.jsonl test=test.jsonl --licence CC0-1.0",
        "lockgate dataset import triage cases.csv --licence LicenseRef-internal --leave-out",
    ),
)
@click.argument("name")
@_SPLITS
@click.option("--licence", required=True, help="SPDX expression: who may use the rows, and how.")
@click.option("--task", default="", help="The task that they are for.  [default: NAME]")
@click.option(
    "--schema",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON Schema of a row.  [default: as seen]",
)
@click.option("--origin", default="", help="Where the files are from: kept as lineage.")
@click.option("--leave-out", is_flag=True, help="Leave out lines that do not fit, and count them.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def import_(session: Session, /, files: Sequence[str], *, as_json: bool, **chosen: object) -> None:
    """Store the rows of FILEs (JSON Lines, JSON, CSV) as the dataset NAME.

    A split has the name before `=`, else that of its file.
    """
    from lockgate.app.datasets import ImportOptions, import_dataset

    options = ImportOptions(files=_by_split(files), **chosen)  # type: ignore[arg-type]
    done = import_dataset(session.environment, options)
    if not session.quiet:
        for flaw in done.left_out[:_SHOWN]:
            words(f"left out: {flaw.path}, line {flaw.line}: {flaw.problem}")
    if as_json:
        left_out = len(done.left_out)
        data_json({"digest": str(done.digest), "left_out": left_out, **done.card.about})
        return
    counted = ", ".join(f"{rows} {split}" for split, rows in sorted(done.card.splits.items()))
    data(f"{done.card.name}: {counted} row(s), {done.card.licence}, {done.digest}")


@dataset.command(
    "check",
    epilog=examples(
        "lockgate dataset check triage",
        "lockgate dataset check train=train.jsonl test=test.jsonl --text input.text --label kind",
    )
    + "\n\n\b\nExit status: 0 nothing is wrong, 1 something is.",
)
@click.argument("files", nargs=-1, required=True, metavar="NAME|[SPLIT=]FILE...")
@click.option(
    "--text", default="input", show_default=True, help="Member that must not occur twice: a path."
)
@click.option(
    "--label", default="expect", show_default=True, help="Member that is the label: a path."
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.8,
    show_default=True,
    help="Share of three-word sequences in common that makes two rows alike.",
)
@click.option(
    "--schema", type=click.Path(path_type=Path, dir_okay=False), help="JSON Schema of a row."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def check(
    session: Session,
    /,
    files: Sequence[str],
    *,
    schema: Path | None,
    as_json: bool,
    **chosen: object,
) -> int:
    """Look for broken rows, duplicates, leakage between splits and contradicting labels."""
    from lockgate.app.datasets import check_dataset
    from lockgate.datasets.quality import Looking

    alone = len(files) == 1 and "=" not in files[0] and not Path(files[0]).is_file()
    targets = files[0] if alone else _by_split(files)
    looking = Looking(**chosen)  # type: ignore[arg-type]
    found = check_dataset(session.environment, targets, looking, schema)
    if as_json:
        data_json(found.document)
    else:
        _show(found)
    return 0 if found.whole else EXIT_PROBLEMS


@dataset.command(
    "show", epilog=examples("lockgate dataset show", "lockgate dataset show triage --rows 3")
)
@click.argument("name", required=False)
@click.option("--rows", type=click.IntRange(0), default=0, help="Print so many rows of each split.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(session: Session, name: str | None, rows: int, *, as_json: bool) -> None:
    """Show the dataset NAME: its splits, licence, lineage; without NAME list all."""
    from lockgate.app.datasets import dataset_names, find_dataset, rows_of, write_rows

    if name is None:
        names = dataset_names(session.environment)
        found = [find_dataset(session.environment, each) for each in names]
        if as_json:
            data_json([{"name": f.card.name, "digest": str(f.digest)} for f in found])
            return
        listed = [
            (f.card.name, f.card.task, f.card.licence, str(sum(f.card.splits.values())))
            for f in found
        ]
        table(("NAME", "TASK", "LICENCE", "ROWS"), listed)
        return
    one = find_dataset(session.environment, name)
    if as_json:
        splits = dict(one.card.splits)
        data_json({"digest": str(one.digest), "splits": splits, **one.card.about})
        return
    data(f"name      {one.card.name}")
    data(f"task      {one.card.task}")
    data(f"licence   {one.card.licence}")
    data(f"digest    {one.digest}")
    for source in one.card.lineage:
        left_out = f", {source.left_out} left out" if source.left_out else ""
        origin = f", from {source.origin}" if source.origin else ""
        data(f"{source.split:<9} {source.rows} row(s) of {source.file}{left_out}{origin}")
    if rows:
        for own in rows_of(session.environment, one).values():
            text = write_rows([row.value for row in own[:rows]]).decode()
            click.echo(text, nl=False)


@dataset.command(
    "anonymise",
    epilog=examples(
        "lockgate dataset anonymise cases.jsonl --key key -o masked.jsonl",
        "lockgate dataset anonymise cases.jsonl --key key --name input.author -o masked.jsonl",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with 16 bytes or more that decide the pseudonyms. Keep it, or throw it away.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="PATH",
    help="Member with a person's name, such as `input.author`. Repeat it for more.",
)
@_OUTPUT
def anonymise(file: Path, key: Path, names: Sequence[str], output: Path) -> None:
    """Replace personal data in FILE by pseudonyms, the same for the same person, and secrets."""
    from lockgate.app.datasets import masking_key, write_rows
    from lockgate.datasets.mask import Masking
    from lockgate.datasets.rows import read_table
    from lockgate.guards.secrets import SecretGuard

    read = read_table(file)
    if read.broken:
        first = read.broken[0]
        raise UsageError(
            f"`{file}`, line {first.line}: {first.problem}",
            hint="what is no row cannot be masked: mend it",
        )
    masking, guard = Masking(key=masking_key(key), names=tuple(names)), SecretGuard()
    masked: list[JsonObject] = []
    secrets = 0
    for row in read.rows:
        clean = guard.sanitise(masking.row(row.value))
        assert isinstance(clean.value, dict)
        masked.append(clean.value)
        secrets += len(clean.redactions)
    write_file(output, write_rows(masked))
    counted = [f"{count} {kind}" for kind, count in sorted(masking.counts.items()) if count]
    counted += [f"{secrets} secret"] if secrets else []
    data(f"{output}: {len(masked)} row(s), replaced: {', '.join(counted) or 'nothing'}")
    words("what no pattern knows is still there: read some rows before you give them away")


@dataset.command(
    "synth",
    epilog=examples(
        "lockgate dataset synth --schema input.schema.json --rows 100 -o made.jsonl",
        "lockgate dataset synth --like cases.jsonl --rows 100 --seed 3 -o made.jsonl",
    ),
)
@click.option(
    "--schema", type=click.Path(path_type=Path, dir_okay=False), help="JSON Schema of a row."
)
@click.option(
    "--like",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Rows whose shapes are taken: types, ranges, categories, never a text.",
)
@click.option("--rows", type=click.IntRange(1, 1_000_000), default=100, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True)
@_OUTPUT
def synth(schema: Path | None, like: Path | None, *, rows: int, seed: int, output: Path) -> None:
    """Make rows of a schema, or of the shapes of observed rows. The same seed, the same rows."""
    from lockgate.app.datasets import synthetic, write_rows

    made = synthetic(schema, like, rows, seed)
    write_file(output, write_rows(made))
    data(f"{output}: {len(made)} row(s)")


def _by_split(files: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for text in files:
        split, equals, name = text.partition("=")
        path = Path(name if equals else text)
        split = split if equals else path.stem.lower()
        if split in found:
            raise UsageError(
                f"the split `{split}` is given twice", hint="name the splits: `train=a.jsonl`"
            )
        found[split] = path
    return found


def _show(found: "Checked") -> None:
    quality = found.quality
    for flaw in found.flaws[:_SHOWN]:
        data(f"broken: {flaw.path}:{flaw.line}: {flaw.problem}")
    for problem in quality.problems[:_SHOWN]:
        places = ", ".join(str(place) for place in problem.places[:4])
        more = f" and {len(problem.places) - 4} more" if len(problem.places) > 4 else ""  # noqa: PLR2004
        data(f"{problem.kind}: {problem.text} ({places}{more})")
    told = len(quality.problems[:_SHOWN])
    if quality.counts.total() > told:
        data(f"and {quality.counts.total() - told} more")
    for split, labels in sorted(quality.labels.items()):
        balance = "" if labels.balance is None else f", balance {labels.balance:.2f}"
        rare = f", rare: {', '.join(labels.rare[:5])}" if labels.rare else ""
        data(
            f"{split}: {quality.rows[split]} row(s), {len(labels.counts)} label(s), "
            f"{labels.missing} without{balance}{rare}"
        )
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(quality.counts.items()))
    broken = [f"{len(found.flaws)} broken"] if found.flaws else []
    data("nothing is wrong" if found.whole else ", ".join([*broken, *([counts] if counts else [])]))
