"""Options and texts that several commands share."""

from collections.abc import Callable
from typing import Any

import click


def examples(*lines: str) -> str:
    """Return the end of a command's help: how it is typed."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def sign_results_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--sign`, for what evaluators sign."""
    return click.option(
        "--sign",
        "key",
        metavar="KEY",
        help="Sign the results of the release with an evaluator's key.",
    )(command)
