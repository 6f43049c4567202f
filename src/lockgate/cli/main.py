"""The program: `lockgate COMMAND`. Commands are imported when they are used, so help is quick."""

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn

import click

from lockgate import __version__
from lockgate.cli.output import show_error, words
from lockgate.errors import LockgateError, UsageError

EXIT_FAILED = 4
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class _Entry(NamedTuple):
    where: str
    summary: str


COMMANDS: Mapping[str, _Entry] = {
    "run": _Entry("lockgate.cli.run:run", "Run a task"),
    "serve": _Entry("lockgate.cli.serve:serve", "Serve tasks and models over HTTP"),
    "task": _Entry("lockgate.cli.task:task", "List, show, check and create tasks"),
    "eval": _Entry("lockgate.cli.eval:eval_", "Run an evaluation suite and report it"),
    "redteam": _Entry("lockgate.cli.redteam:redteam", "Attack a task and report what came through"),
    "drift": _Entry("lockgate.cli.drift:drift", "Say whether a task's calls have drifted"),
    "dataset": _Entry("lockgate.cli.dataset:dataset", "Import, check, mask and make datasets"),
    "label": _Entry("lockgate.cli.label:label", "Judge doubtful answers, to make cases of them"),
    "model": _Entry("lockgate.cli.model:model", "Pull and look after local models"),
    "index": _Entry("lockgate.cli.index:index", "Build search indexes"),
    "release": _Entry("lockgate.cli.release:release", "Build, compare and move releases"),
    "promote": _Entry("lockgate.cli.promote:promote", "Let a release run in an environment"),
    "rollback": _Entry("lockgate.cli.promote:rollback", "Let an earlier release run again"),
    "store": _Entry("lockgate.cli.store:store", "Check, measure and clean the local store"),
    "audit": _Entry("lockgate.cli.audit:audit", "Read, verify and export the audit log"),
    "replay": _Entry("lockgate.cli.replay:replay", "Run a past call again and compare the bytes"),
    "token": _Entry("lockgate.cli.token:token", "Make and revoke keys for the gateway's callers"),
    "budget": _Entry("lockgate.cli.budget:budget", "Say how much may be spent"),
    "usage": _Entry("lockgate.cli.usage:usage", "Sum what calls of the gateway did cost"),
    "key": _Entry("lockgate.cli.key:key", "Make and look after signing keys"),
    "trust": _Entry("lockgate.cli.trust:trust", "Say whose keys count, and in which roles"),
    "policy": _Entry("lockgate.cli.policy:policy", "Write, check, explain and test policies"),
    "config": _Entry("lockgate.cli.config:config", "Check and show the configuration"),
    "kill": _Entry("lockgate.cli.kill:kill", "Turn a task, a model or everything off"),
    "metrics": _Entry("lockgate.cli.metrics:metrics", "Print metrics, alert rules and a dashboard"),
    "doctor": _Entry("lockgate.cli.doctor:doctor", "Say what is missing and how to get it"),
    "completion": _Entry("lockgate.cli.completion:completion", "Print a shell completion script"),
}


class _Lazy(click.Group):
    """Lists its commands from the table above and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.where.partition(":")
        found = getattr(import_module(module), name)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


EPILOG = """\b
Examples:
  lockgate run release-notes --repo . --range v1.0..v1.1
  git diff main... | lockgate run review --format markdown
  lockgate model pull smollm2 minilm
  lockgate audit verify

\b
Exit status: 0 done, 1 a gate failed, 2 usage, 3 degraded (with --strict),
4 it could not be done, 130 interrupted."""


@click.group(cls=_Lazy, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lockgate", message="%(prog)s %(version)s")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file.  [default: lockgate.toml, found upward from here]",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress, no remarks; errors only.")
@click.pass_context
def program(context: click.Context, config_file: Path | None, *, quiet: bool) -> None:
    """Small, local AI in software delivery, released like code."""
    from lockgate.cli.session import Session
    from lockgate.config.environment import Environment

    environment = Environment.read(os.environ)  # noqa: TID251  the edge hands it to `config`
    if environment.no_color:
        context.color = False
    context.obj = Session(environment=environment, config_file=config_file, quiet=quiet)


def execute(arguments: Sequence[str]) -> int:
    """Run one command line and return the exit status."""
    try:
        status = program.main(args=list(arguments), prog_name="lockgate", standalone_mode=False)
    except LockgateError as error:
        show_error(error)
        return click.UsageError.exit_code if isinstance(error, UsageError) else EXIT_FAILED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        show_error(_usage(error))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        words("interrupted")
        return EXIT_INTERRUPTED
    except SystemExit:
        # click leaves this way, with 1, when the reader went away (`| head`): that is no failed
        # gate, so say what a shell says of a process that SIGPIPE ended.
        return EXIT_BROKEN_PIPE
    return status if isinstance(status, int) else 0


def _usage(error: click.ClickException) -> UsageError:
    """Say what click found in our own form."""
    message = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"see `{context.command_path} --help`" if context else None
    return UsageError(message[:1].lower() + message[1:], hint=hint)


def main() -> NoReturn:
    """Entry point of the `lockgate` script."""
    # A command is short: collecting garbage while modules load and commits are read only costs.
    gc.set_threshold(100_000)
    sys.exit(execute(sys.argv[1:]))
