"""`armature completion`: the script that teaches a shell to complete armature's commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(short_help="Completion for bash, zsh, fish.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash:  eval "$(armature completion bash)"       in ~/.bashrc
    zsh:   eval "$(armature completion zsh)"        in ~/.zshrc
    fish:  armature completion fish > ~/.config/fish/completions/armature.fish
    """  # noqa: D301 - \b keeps the lines as they are
    script = get_completion_class(shell)
    assert script is not None  # the choice above lists click's own shells
    command = ctx.find_root().command
    click.echo(script(command, {}, "armature", "_ARMATURE_COMPLETE").source())
