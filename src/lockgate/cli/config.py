"""`lockgate config …`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.output import data, data_json, table, words
from lockgate.cli.session import Session
from lockgate.domain.digest import Json

if TYPE_CHECKING:
    from lockgate.config.describe import Setting


@click.group(
    epilog="""\b
Examples:
  lockgate config check
  lockgate config show
  lockgate config schema > lockgate.schema.json"""
)
def config() -> None:
    """Check and show the configuration."""


@config.command(
    epilog="""\b
Examples:
  lockgate config check
  lockgate config check deploy/lockgate.toml --json

\b
Exit status: 0 no problem, 1 problems."""
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(context: click.Context, file: Path | None, *, as_json: bool) -> None:
    """List every problem of FILE.

    Without FILE: of the configuration file that the other commands would use.
    """
    from lockgate.config.load import check as check_text
    from lockgate.config.load import find, read
    from lockgate.config.settings import Config

    session: Session = context.obj
    named = file or session.config_file or session.environment.config_file
    path = named or find(Path.cwd())
    if path is None:
        if as_json:
            data_json({"file": None, "problems": []})
        _tell(session, "there is no configuration file: the defaults apply")
        return
    checked = check_text(read(path))
    problems = [] if isinstance(checked, Config) else checked
    if as_json:
        listed: list[Json] = [{"line": p.line, "message": p.message} for p in problems]
        data_json({"file": str(path), "problems": listed})
    else:
        for problem in problems:
            data(f"{path}:{problem.line}: {problem.message}")
    count = f"{len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}"
    _tell(session, f"{path}: {count}")
    if problems:
        context.exit(1)


@config.command(
    epilog="""\b
Examples:
  lockgate config show
  lockgate config show --json | jq '.settings[] | select(.from != "default")'"""
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(session: Session, *, as_json: bool) -> None:
    """Print every setting in effect and where it comes from. Never prints a secret."""
    from lockgate.config.describe import environment_in_effect, settings_in_effect

    loaded = session.loaded
    settings = settings_in_effect(loaded, session.environment)
    surroundings = environment_in_effect(session.environment)
    if as_json:
        data_json(
            {
                "file": None if loaded.path is None else str(loaded.path),
                "settings": _as_json(settings),
                "environment": _as_json(surroundings),
            }
        )
        return
    rows = [
        (setting.key, json.dumps(setting.value, ensure_ascii=False), setting.origin)
        for setting in (*settings, *surroundings)
    ]
    table(("SETTING", "VALUE", "FROM"), rows)


@config.command(
    epilog="""\b
Examples:
  lockgate config schema > lockgate.schema.json"""
)
def schema() -> None:
    """Print the JSON Schema of lockgate.toml, for editors and other checkers."""
    from lockgate.config.schema import json_schema

    data(json.dumps(json_schema(), ensure_ascii=False, indent=2))


def _tell(session: Session, text: str) -> None:
    if not session.quiet:
        words(text)


def _as_json(settings: Sequence["Setting"]) -> list[Json]:
    return [{"key": s.key, "value": s.value, "from": s.origin} for s in settings]
