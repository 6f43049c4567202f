"""`lockgate label`: a person looks at doubtful answers; what they say becomes cases."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.files import write_file
from lockgate.cli.output import data, data_json, words
from lockgate.cli.session import Session
from lockgate.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from lockgate.app.label import Queue
    from lockgate.datasets.labels import Item, Label
    from lockgate.domain.digest import Json

EXIT_PROBLEMS = 1
_SHOWN = 4_000
_ASK = "[a]ccept, [c]orrect, [r]eject, [s]kip, [q]uit: "
EPILOG = """\b
Examples:
  lockgate label review
  lockgate label triage --export todo.jsonl
  lockgate label triage --import done.jsonl --labeller bo
  lockgate label triage --agreement ana bo
  lockgate label triage --cases cases.jsonl

\b
Exit status: 0 done, 1 some labels of --import were not taken."""


@click.command("label", epilog=EPILOG)
@click.argument("task")
@click.option("--labeller", metavar="NAME", help="Who judges.  [default: the user]")
@click.option(
    "--below",
    type=click.FloatRange(0, 1),
    default=0.6,
    show_default=True,
    help="Answers with less confidence are doubtful.",
)
@click.option(
    "--export",
    "export_to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what waits as JSON Lines, and ask nothing.",
)
@click.option(
    "--import",
    "import_from",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Take judgements from JSON Lines, and ask nothing.",
)
@click.option(
    "--cases",
    "cases_to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the cases that came of it as JSON Lines, and ask nothing.",
)
@click.option(
    "--agreement",
    nargs=2,
    metavar="NAME NAME",
    help="Print Cohen's kappa of two labellers, and ask nothing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print counts as JSON, and ask nothing.")
@click.pass_obj
def label(
    session: Session,
    /,
    task: str,
    *,
    labeller: str | None,
    below: float,
    as_json: bool,
    **files: "Path | tuple[str, str] | None",
) -> int:
    """Judge the doubtful answers of TASK: little confidence, failed checks, fallbacks."""
    from lockgate.app.calls import os_user
    from lockgate.app.label import collect, status

    who = labeller or os_user().name
    found = session.run(partial(collect, session.loaded, session.environment, task, below=below))
    queue = found.queue
    if found.gone and not session.quiet:
        words(f"{found.gone} doubtful answer(s) are no longer kept: judge them sooner")
    given = {name: value for name, value in files.items() if value}
    if len(given) > 1:
        raise UsageError("give one of --export, --import, --cases and --agreement at a time")
    match next(iter(given.items()), ("", None)):
        case ("export_to", Path() as path):
            return _export(queue, path, who)
        case ("import_from", Path() as path):
            return _import(queue, path, who)
        case ("cases_to", Path() as path):
            return _cases(queue, path)
        case ("agreement", (str() as first, str() as second)):
            return _agreement(queue, first, second, as_json=as_json)
        case _ if as_json:
            data_json(status(queue))
            return 0
        case _:
            return _ask(queue, who)


def _export(queue: "Queue", path: Path, who: str) -> int:
    from lockgate.app.datasets import write_rows
    from lockgate.app.label import export_rows

    rows = export_rows(queue.pending(who))
    write_file(path, write_rows(rows))
    data(f"{path}: {len(rows)} answer(s) wait; set `judgement` and, to correct, `expect`")
    return 0


def _import(queue: "Queue", path: Path, who: str) -> int:
    from lockgate.app.label import import_labels

    taken, wrong = import_labels(queue, path, labeller=who)
    for text in wrong:
        words(f"not taken: {text}")
    data(f"{taken} label(s) taken, {len(wrong)} not")
    return EXIT_PROBLEMS if wrong else 0


def _cases(queue: "Queue", path: Path) -> int:
    from lockgate.app.datasets import write_rows
    from lockgate.datasets.labels import cases_of

    found = cases_of(queue.items, queue.labels)
    write_file(path, write_rows(found.cases))
    data(f"{path}: {len(found.cases)} case(s), {found.rejected} rejected")
    for call in found.disputed:
        words(f"disputed: {call}")
    return 0


def _agreement(queue: "Queue", first: str, second: str, *, as_json: bool) -> int:
    from lockgate.datasets.labels import agreement

    found = agreement(queue.labels, first, second)
    if as_json:
        data_json(found.document)
        return 0
    if found.kappa is None:
        data(f"both gave the same label to all {found.items} answer(s): kappa is not defined")
        return 0
    lower, upper = found.interval or (-1.0, 1.0)
    data(
        f"kappa {found.kappa:.3f} ({lower:.3f} to {upper:.3f} at 95 %) on {found.items} "
        f"answer(s); they agree on {found.observed:.1%}, by chance {found.expected:.1%}"
    )
    return 0


def _ask(queue: "Queue", who: str) -> int:
    waiting = queue.pending(who)
    stream = sys.stdin
    judged = 0
    for number, item in enumerate(waiting, 1):
        _show(item, number, len(waiting))
        said = None
        while said is None:
            click.echo(_ASK, nl=False)
            line = stream.readline()
            choice = line.strip().lower()[:1]
            if not line or choice == "q":
                data(f"{judged} judged, {len(waiting) - judged} wait")
                return 0
            if choice == "s":
                break
            said = _said(queue, item, who, choice)
        else:
            judged += 1
    data(f"{judged} judged, {len(waiting) - judged} wait")
    return 0


def _said(queue: "Queue", item: "Item", who: str, choice: str) -> "Label | None":
    """Return the label that was noted; None, and why, if it was none."""
    from lockgate.datasets.labels import Judgement, Label

    judgement = {j.value[0]: j for j in Judgement}.get(choice)
    if judgement is None:
        words(f"`{choice}` is none of these")
        return None
    try:
        expect = _corrected() if judgement is Judgement.CORRECT else None
        found = Label(call=item.call, labeller=who, judgement=judgement, expect=expect)
        queue.judge(found)
    except InvalidInput as error:
        words(error.message)
        return None
    return found


def _corrected() -> "dict[str, Json]":
    click.echo("the right output as JSON on one line, or @FILE: ", nl=False)
    text = sys.stdin.readline().strip()
    try:
        value = json.loads(Path(text[1:]).read_bytes() if text.startswith("@") else text)
    except OSError as error:
        raise InvalidInput(f"`{text[1:]}` cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"that is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput("that is JSON, but not an object")
    return value


def _show(item: "Item", number: int, total: int) -> None:
    data(f"\n{number} of {total}  {item.call}  {item.at}")
    for reason in item.reasons:
        data(f"  {_printable(reason)}")
    data(f"input:  {_printable(json.dumps(item.input, ensure_ascii=False))}")
    data(f"output: {_printable(json.dumps(item.output, ensure_ascii=False))}")


def _printable(text: str) -> str:
    """Return a stranger's text so that no terminal takes a part of it for a command."""
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[:_SHOWN])
    return shown if len(text) <= _SHOWN else f"{shown}… ({len(text)} characters)"
