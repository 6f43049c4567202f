"""What commands print: data to stdout, words to stderr."""

import json
import sys
from collections.abc import Sequence

import click

from lockgate.domain.digest import Json
from lockgate.errors import LockgateError


def data(text: str) -> None:
    """Print to stdout what the command was asked for."""
    click.echo(text)


def data_json(value: Json) -> None:
    """Print a value to stdout as indented JSON, keys in the order given."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def words(text: str) -> None:
    """Tell a person something, on stderr."""
    click.echo(text, err=True)


def show_error(error: LockgateError) -> None:
    """Print `error[code]: message` and the hint on stderr."""
    label = click.style(f"error[{error.code}]:", fg="red", bold=True)
    click.echo(f"{label} {error.message}", err=True)
    if error.hint:
        click.echo(f"{click.style('hint:', fg='cyan')} {error.hint}", err=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns to stdout; nothing but the headings if there are no rows."""
    widths = [max(len(r[i]) for r in [headings, *rows]) for i in range(len(headings))]
    for row in [headings, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


class Bar:
    """Draws progress on stderr; implements `ports.Progress`."""

    def __init__(self) -> None:
        self._label = ""
        self._total = 0
        self._done = 0
        self._drawn = -1

    def start(self, label: str, total: int) -> None:
        self._label, self._total, self._done, self._drawn = label, total, 0, -1
        self._draw()

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        self._draw()

    def finish(self) -> None:
        if self._drawn >= 0:
            sys.stderr.write("\n")
            sys.stderr.flush()
        self._drawn = -1

    def _draw(self) -> None:
        percent = min(100, 100 * self._done // self._total) if self._total else 0
        if percent == self._drawn:  # at most 101 writes, however many steps there are
            return
        self._drawn = percent
        filled = percent * 30 // 100
        bar = "#" * filled + "-" * (30 - filled)
        sys.stderr.write(f"\r{self._label}  [{bar}] {percent:3d}%")
        sys.stderr.flush()


class Silence:
    """Draws nothing; implements `ports.Progress`."""

    def start(self, label: str, total: int) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def finish(self) -> None: ...
