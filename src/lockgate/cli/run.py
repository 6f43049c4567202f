"""`lockgate run TASK`: collect the input, make one call, print the answer."""

import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.output import data, words
from lockgate.cli.session import Session
from lockgate.domain.call import Answer, EngineKind
from lockgate.domain.task import Option, TaskSpec
from lockgate.domain.verdict import Outcome
from lockgate.errors import StorageFailed, UsageError

if TYPE_CHECKING:
    from lockgate.ports import Task

EXIT_GATE = 1
EXIT_DEGRADED = 3
_COMMON = ("formats", "engine", "strict", "record", "playback")


class _Tasks(click.Group):
    """One command a task, made from its spec."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from lockgate.app.tasks import task_names

        return task_names(_session(ctx).loaded)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from lockgate.app.tasks import find_task

        found = find_task(_session(ctx).loaded, cmd_name)
        return None if found is None else _command(found, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            raise UsageError(
                f"there is no task `{args[0]}`",
                hint=f"did you mean `{near[0]}`?"
                if near
                else "list the tasks with `lockgate task list`",
            )
        return super().resolve_command(ctx, args)


def _session(context: click.Context) -> Session:
    session = context.find_object(Session)
    assert session is not None, "the program makes a session first"
    return session


EPILOG = """\b
Examples:
  lockgate run release-notes --repo . --range v1.0..v1.1
  git diff main... | lockgate run review --fail-on high
  lockgate run review diff.patch --format json=review.json --format markdown"""


@click.group(cls=_Tasks, epilog=EPILOG)
def run() -> None:
    """Run a task: `lockgate run TASK --help` shows its options."""


def _command(task: "Task", name: str) -> click.Command:
    spec = task.spec
    common = _common(spec)
    taken = {flag for parameter in common for flag in parameter.opts}
    # A member of an input that is called like one of our options comes through --input.
    options = [_parameter(o) for o in spec.options if o.positional or _flag(o) not in taken]
    examples = "\n".join(f"  {line}" for line in spec.examples)
    return click.Command(
        name,
        params=[*options, *common],
        callback=click.pass_obj(partial(_run, task)),
        help=f"{spec.title}.",
        epilog=f"\b\nExamples:\n{examples}" if examples else None,
    )


def _parameter(option: Option) -> click.Parameter:
    kinds: dict[str, Any] = {
        "text": str,
        "path": click.Path(path_type=str, allow_dash=True),
        "integer": int,
        "flag": bool,
        "choice": click.Choice(option.choices),
    }
    if option.positional:
        shown = option.metavar or option.name.upper()
        return click.Argument(
            [_variable(option)], required=False, type=kinds[option.kind], metavar=f"[{shown}]"
        )
    return click.Option(
        [_flag(option), _variable(option)],
        type=kinds[option.kind],
        is_flag=option.kind == "flag",
        multiple=option.multiple,
        default=option.default,
        show_default=option.default not in {None, False, ""},
        metavar=option.metavar,
        help=option.help,
    )


def _flag(option: Option) -> str:
    return f"--{option.name.replace('_', '-')}"


def _variable(option: Option) -> str:
    """Return a name that none of our own options has."""
    return f"task_{option.name.replace('-', '_')}"


def _common(spec: TaskSpec) -> list[click.Parameter]:
    forms = ", ".join(spec.formats)
    return [
        click.Option(
            ["--format", "formats"],
            multiple=True,
            metavar="NAME[=FILE]",
            help=f"How to print the answer: {forms}. Repeat it to write several files."
            f"  [default: {spec.formats[0]}]",
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="The same as --format json."),
        click.Option(
            ["--engine"],
            type=click.Choice([str(kind) for kind in EngineKind]),
            help=f"`rules` uses no model.  [default: {spec.engine}, or the configuration's]",
        ),
        click.Option(["--strict"], is_flag=True, help="Exit with 3 if the answer is degraded."),
        click.Option(
            ["--record"],
            type=click.Path(path_type=Path, file_okay=False),
            help="Keep each inference's result in this folder.",
        ),
        click.Option(
            ["--playback"],
            type=click.Path(path_type=Path, file_okay=False, exists=True),
            help="Take each inference's result from this folder; no model is needed.",
        ),
    ]


def _run(task: "Task", session: Session, **values: Any) -> int:
    common = {name: values[name] for name in _COMMON}
    chosen = {o.name: values.get(_variable(o)) for o in task.spec.options}
    forms = [*common["formats"], *(["json"] if values["as_json"] else [])]
    targets = _targets(task.spec, forms)
    given = task.collect(chosen)
    answer = session.run(partial(_answer, session, task, given, common))
    for form, path in targets:
        text = task.render(answer, form)
        data(text) if path is None else _write(path, text + "\n")
    return _judge(task, session, answer, chosen, strict=common["strict"])


async def _answer(session: Session, task: "Task", given: Any, common: dict[str, Any]) -> Answer:
    import asyncio

    from lockgate.app.backends import Cassettes
    from lockgate.app.calls import new_call
    from lockgate.app.engine import open_engine

    cassettes = Cassettes(record=common["record"], playback=common["playback"])
    async with open_engine(session.loaded, session.environment, cassettes=cassettes) as engine:
        call = new_call(session.loaded, task.spec, given, engine=common["engine"])
        loop = asyncio.get_running_loop()
        current = asyncio.current_task()
        assert current is not None
        # A CI job is stopped with SIGTERM: end like Ctrl-C, with the event written.
        loop.add_signal_handler(signal.SIGTERM, current.cancel)
        try:
            return await engine.answering.answer(call, session.progress())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            loop.remove_signal_handler(signal.SIGTERM)


def _targets(spec: TaskSpec, forms: Sequence[str]) -> list[tuple[str, Path | None]]:
    targets: list[tuple[str, Path | None]] = []
    for form in forms or (spec.formats[0],):
        name, _, path = form.partition("=")
        if name not in spec.formats:
            raise UsageError(
                f"`{spec.name}` has no format `{name}`", hint=f"it has: {', '.join(spec.formats)}"
            )
        targets.append((name, Path(path) if path else None))
    if sum(path is None for _, path in targets) > 1:
        raise UsageError(
            "only one format can go to standard output", hint="give the others a file: NAME=FILE"
        )
    return targets


def _write(path: Path, text: str) -> None:
    """Replace the file as a whole, so that a reader never sees half of it."""
    partial_path = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if path.exists() and not path.is_file():  # /dev/stdout, a pipe: nothing to replace
            with path.open("w", encoding="utf-8") as stream:
                stream.write(text)
            return
        partial_path.write_text(text, encoding="utf-8")
        partial_path.replace(path)
    except OSError as error:
        partial_path.unlink(missing_ok=True)
        raise StorageFailed(
            f"`{path}` cannot be written: {error.strerror}",
            hint="choose another file with --format NAME=FILE",
        ) from error


def _judge(
    task: "Task", session: Session, answer: Answer, values: dict[str, Any], *, strict: bool
) -> int:
    for reason in () if session.quiet else answer.degraded:
        words(f"degraded: {reason}")
    verdict = task.gate(answer, values)
    if verdict is not None and verdict.outcome is not Outcome.PASS:
        words(f"gate {verdict.check}: {verdict.reason}")
        return EXIT_GATE
    if strict and answer.degraded:
        words("the answer is degraded, and --strict was given")
        return EXIT_DEGRADED
    return 0
