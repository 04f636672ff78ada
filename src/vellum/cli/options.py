"""Options that several commands share, and the functions that read their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from vellum.connect.installation import state_root
from vellum.errors import UsageError
from vellum.host.state import State
from vellum.laptop.folders import LAYOUT

F = TypeVar("F", bound=Callable[..., Any])


def printable(text: str) -> str:
    """Return foreign text as one line that is safe for a terminal: no escapes, no line breaks."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failure to write to a folder into a UsageError.

    Raises:
        UsageError: the folder is not writable (VEL720).
    """
    try:
        yield
    except OSError as error:
        what = f"cannot write to the folder: {error.strerror}"
        raise UsageError("VEL720", what, where=str(folder), fix="name another folder") from error


def _complete_log(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    del ctx, param
    return [name for name in log_names(State(state_root())) if name.startswith(incomplete)]


def log_names(state: State) -> list[str]:
    """Return the processes that have a log."""
    return sorted(path.stem for path in (state.root / "logs").glob("*.log"))


def output(function: F) -> F:
    """Add ``--output text|json``."""
    choice = click.Choice(["text", "json"])
    return click.option("-o", "--output", type=choice, default="text", help="How data is printed.")(function)


def log_argument(function: F) -> F:
    """Add the argument NAME of a log."""
    return click.argument("name", required=False, shell_complete=_complete_log)(function)


class _Seconds(click.ParamType[float]):
    name = "seconds"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number of seconds, limited to what a clock can wait for."""
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = -1
        if not 0 <= seconds <= LONGEST:
            self.fail(f"{value!r} is not a number of seconds from 0 to {LONGEST}", param, ctx)
        return seconds


LONGEST = 7 * 24 * 3600


def timeout(default: float, text: str = "How long to wait.") -> Callable[[F], F]:
    """Add ``--timeout``."""
    return click.option("--timeout", type=_Seconds(), default=default, show_default=True, metavar="SECONDS", help=text)


_PACKAGE = re.compile(r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9._-]+)?(@sha256:[0-9a-f]{64})?")


def function_package(function: F) -> F:
    """Add ``--function``, as strict as Crossplane: an image with its registry, and a tag or digest."""

    def checked(ctx: click.Context, param: click.Parameter, value: str) -> str:
        """Return the option's value if it is empty or a full image name."""
        parts = _PACKAGE.fullmatch(value)
        if value and not (parts and (parts[3] or parts[4])):
            wrong = f"{value[:80]!r} is not an image with registry and tag or digest, such as ghcr.io/you/function:v1"
            raise click.BadParameter(wrong, ctx, param)
        return value

    return click.option(
        "--function",
        metavar="IMAGE",
        default="",
        callback=checked,
        help="The function's package, with registry and digest.",
    )(function)


def image_lock(function: F) -> F:
    """Add ``--lock``."""
    return click.option(
        "--lock",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The lock of `vellum package push`, which names images, charts and the function. "
        "Default: vellum-images.lock, if it exists.",
    )(function)


def state() -> State:
    """Return the installation's state, checked; its directory is created if there is none.

    Raises:
        LaptopError: the directory does not belong to us (VEL401).
    """
    return State.open(state_root(), LAYOUT)
