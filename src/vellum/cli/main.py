"""``vellum``: the group of commands. Imports only click; a command's module is imported when the command runs.

Exit codes: 0 done; 1 an error with a VEL code; 2 the command line itself is wrong; 3 not ready; 130 interrupted.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

import click

from vellum import __version__
from vellum.errors import UsageError, VellumError

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "up": "Start the platform and the teams of some claims, and wait until they are ready.",
        "down": "Stop everything; data stays unless its deletion is asked for.",
        "status": "Show what is ready, what is not, and why.",
        "logs": "Show what a part says.",
        "ingest": "Put a folder of PDFs into a team's bucket and vectors, by a Kubeflow pipeline.",
        "search": "Ask a question; answers cite document and page.",
        "open": "Open a team's notebook in the browser.",
        "connect": "Show how to reach a team's bucket, vectors and models.",
        "explain": "Explain the fields of a claim or of the platform, or the platform as it is.",
        "validate": "Check claims without changing anything.",
        "apply": "Store claims in the running platform and return immediately.",
        "delete": "Delete a team's claim; its data stays if the claim says Retain.",
        "render": "Write everything that Crossplane needs, as files for git.",
        "install": "Install the platform on a cluster on which Crossplane runs.",
        "uninstall": "Take the platform off a cluster; data stays unless its deletion is asked for.",
        "package": "Write what a cluster pulls from your registry, as files to push there.",
        "rotate": "Replace the keys of a team, or the platform's own, by new ones.",
        "verify": "Break parts on purpose, and show how soon they are restored.",
        "bench": "Run the real Crossplane on this machine, to look around.",
        "function": "Serve the composition function that Crossplane calls.",
        "completion": "Print the completion script of a shell.",
    }
)
"""Name and summary of every command, so that help does not import all their modules."""
OUTSIDE = frozenset({"up", "down", "bench", "install", "uninstall", "rotate", "verify"})
"""Commands that a notebook or a job must not run: they start or stop parts of the platform in which it runs."""
INTERRUPTED = 130
REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
"""Errors that a user can fix. Any other unexpected system error is a bug of ours, and keeps its traceback."""


class Commands(click.Group):
    """A group that knows all commands by name and imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a user needs them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, importing its module."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        if cmd_name in OUTSIDE and "--help" not in sys.argv and "-h" not in sys.argv:
            from vellum.host.inside import refuse

            refuse(cmd_name)
        module = importlib.import_module(f"vellum.cli.commands.{cmd_name}")
        command: click.Command = module.command
        command.help = f"{COMMANDS[cmd_name]}\n\n{(command.callback.__doc__ or '').partition(chr(10))[2]}"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summaries without importing the commands."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command when the name is misspelt."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"Command {args[0]!r} does not exist.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, message="vellum %(version)s")
def cli() -> None:
    """The ML platform you can run, break and prove on your laptop before you own a cluster."""


def main() -> NoReturn:
    """Run the command line. An error that the user can fix is printed in a few lines, without a traceback."""
    os.umask(0o077)  # our files are private
    try:
        sys.exit(cli.main(standalone_mode=False, color=_color()))
    except VellumError as error:
        report(error)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has closed it, as `head` does; Python would report that again at exit.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        report(_refused(error))
        sys.stdout = None  # its buffer cannot be written at exit either
        sys.exit(1)


def _color() -> bool | None:
    """Return False if the user sets NO_COLOR, else None: click then colours terminals only."""
    return False if os.environ.get("NO_COLOR") else None


def _refused(error: OSError) -> VellumError:
    """Return an error for what the system refuses and no command handles: a full disk, a read-only folder."""
    return UsageError(
        "VEL735",
        f"the system refuses: {error.strerror or error}",
        where=str(error.filename or "the output"),
        fix="make room or grant the permission, then run the command again: it continues where it stopped",
    )


def report(error: VellumError) -> None:
    """Print an error as text, or as JSON if the user asked for JSON."""
    if _wants_json(sys.argv):
        errors = [item.as_dict() for item in error.every()]
        more = {"errors": errors} if len(errors) > 1 else {}
        click.echo(json.dumps({"error": error.as_dict(), **more}), err=True)
        return
    for item in error.every():
        head = f"{click.style('error', fg='red', bold=True)} {item.code}: {item.what}"
        click.echo(head, err=True, color=_color())
        click.echo(f"  where: {item.where}", err=True)
        click.echo(f"  next:  {item.fix}", err=True)


def _wants_json(argv: list[str]) -> bool:
    pairs: list[tuple[str, Any]] = list(zip(argv, [*argv[1:], ""], strict=True))
    return any(word == "--output=json" or (word in ("--output", "-o") and value == "json") for word, value in pairs)
