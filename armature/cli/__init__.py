"""The command `armature`: one thin file per command, nothing heavy imported before it is needed."""

from __future__ import annotations

import importlib
import io
import os
import sys
import warnings
from typing import Any

import click

from armature.errors import ArmatureError, nearest

COMMANDS = ("demo", "run", "chat", "search", "inspect", "explain", "models", "completion")


class Failure(click.ClickException):
    """An error of Armature, shown as one message on stderr; the process ends with status 1."""

    def show(self, file: Any = None) -> None:
        """Write the message to stderr."""
        click.echo(click.style("error: ", fg="red", bold=True) + self.message, err=True)


class Commands(click.Group):
    """A group whose commands are modules of this package, imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return what it defines under the same name."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"armature.cli.{cmd_name}"), cmd_name)
        if not any(option.name == "debug" for option in command.params):
            command.params.append(_debug_option())
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or fail with the nearest known name."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            ctx.fail(f"No such command `{args[0]}`.{nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors become one message and status 1, unless --debug is given."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if ctx.meta.get("debug"):
                raise
            raise Failure(_said(error)) from error


def _said(error: Exception) -> str:
    """Return an error's message; one that nobody foresaw says what it is."""
    if isinstance(error, ArmatureError):
        return str(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    kind = type(error).__name__
    return f"{kind}: {error}\n  → unexpected; `--debug` shows where. Please report it."


def _debug_option() -> click.Option:
    def remember(ctx: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001
        ctx.meta["debug"] = ctx.meta.get("debug", False) or value

    return click.Option(
        ["--debug"], is_flag=True, expose_value=False, callback=remember,
        help="Show the full traceback of an error.",
    )  # fmt: skip


def _version(ctx: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if value:
        from importlib.metadata import version

        click.echo(f"armature {version('armature-models')}")
        ctx.exit()


@click.command(
    cls=Commands,
    params=[_debug_option()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`armature COMMAND --help` shows a command's options and examples.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
              help="Show the version and exit.")  # fmt: skip
@click.pass_context
def group(ctx: click.Context) -> None:
    """Open any model checkpoint in one line and do its task: safely, exactly, fast."""
    if os.environ.get("NO_COLOR"):
        ctx.color = False


def main() -> None:
    """Run the command line; ends the process with 0 (done), 1 (an error) or 2 (wrong usage)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # Chinese text must come out whatever the locale is
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    # torch says it where NumPy is not installed, and nothing here needs it.
    warnings.filterwarnings("ignore", "Failed to initialize NumPy")
    group(prog_name="armature")
