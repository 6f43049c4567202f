"""`lockgate completion SHELL`."""

import click
from click.shell_completion import get_completion_class

from lockgate.cli.output import data

EPILOG = """\b
Examples:
  lockgate completion bash > ~/.local/share/bash-completion/completions/lockgate
  lockgate completion zsh > "${fpath[1]}/_lockgate"
  lockgate completion fish > ~/.config/fish/completions/lockgate.fish"""


@click.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for SHELL."""
    found = get_completion_class(shell)
    assert found is not None
    root = context.find_root().command
    data(found(root, {}, "lockgate", "_LOCKGATE_COMPLETE").source())
