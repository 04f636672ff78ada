"""``vellum completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print.

    For bash: vellum completion bash > ~/.local/share/bash-completion/completions/vellum
    """
    from vellum.cli.main import cli

    result = get_completion_class(shell)
    if result is not None:
        click.echo(result(cli, {}, "vellum", "_VELLUM_COMPLETE").source())
