"""Options that several commands share, and completion of names on this machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from vellum.connect.installation import matching, state_root
from vellum.errors import UsageError
from vellum.host import records
from vellum.host.client import Client
from vellum.host.state import State, read_json
from vellum.kube.objects import Obj
from vellum.model.team import API_VERSION, CLAIM_KIND, Team

F = TypeVar("F", bound=Callable[..., Any])
WORKLOADS = ("TrainJob", "InferenceService")
"""The kinds that a team creates itself."""
MADE = [["trainer.kubeflow.org/v1alpha1", "TrainJob"], ["serving.kserve.io/v1beta1", "InferenceService"]]
"""The same kinds, as a query to the supervisor."""
CLAIMS = [[API_VERSION, CLAIM_KIND]]
"""The query to the supervisor for claims alone."""


def printable(text: str) -> str:
    """Return foreign text as one line that is safe for a terminal: no escapes, no line breaks."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


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


def teams() -> list[str]:
    """Return the claims of this installation as ``namespace/name``."""
    return sorted(records.teams(read_json(state_root() / "teams.json", {})))


def known_namespace(team: str | None = None) -> str:
    """Return the namespace of the given team; empty if the records on disk do not have it."""
    try:
        return Team(*one_team(team, teams()).rpartition("/")[::2], "").namespace
    except UsageError:
        return ""


def one_team(team: str | None, known: list[str]) -> str:
    """Return the claim, as ``namespace/name``, of a full name, a name, or the only claim.

    Raises:
        UsageError: the claim does not exist (VEL704), or several claims match (VEL705).
    """
    claims = matching(team, known)
    if len(claims) == 1:
        return claims[0]
    if not claims:
        what = f"claim {team!r} does not exist" if team else "this installation does not have a claim yet"
        names = ", ".join(sorted(known)) or "none; `vellum up CLAIM` makes one"
        raise UsageError("VEL704", what, where="this installation", fix=f"known: {names}")
    what = f"{team!r} names {len(claims)} claims" if team else f"{len(claims)} claims exist"
    raise UsageError(
        "VEL705",
        what,
        where="this installation",
        fix=f"name one as NAMESPACE/NAME: {', '.join(sorted(claims))}",
    )


def with_namespaces(manifests: list[Obj], team: str | None, client: Client) -> list[Obj]:
    """Return the manifests; a workload without a namespace gets the team's.

    Raises:
        UsageError: the team does not exist (VEL704), or several match (VEL705).
    """
    if all(
        manifest["kind"] not in WORKLOADS or "namespace" in manifest["metadata"] for manifest in manifests
    ):
        return manifests
    found = (obj["metadata"] for obj in client.ask("list", kinds=CLAIMS))
    namespace, _, name = one_team(team, [f"{meta['namespace']}/{meta['name']}" for meta in found]).rpartition(
        "/"
    )
    place = Team(namespace, name, "").namespace
    return [
        {**manifest, "metadata": {"namespace": place, **manifest["metadata"]}}
        if manifest["kind"] in WORKLOADS else manifest
        for manifest in manifests
    ]  # fmt: skip


def complete_team(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the teams whose names begin with the text; a name that two teams have comes with its namespace."""
    del ctx, param
    known = teams()
    short = [claim.rpartition("/")[2] for claim in known]
    if "/" not in incomplete:
        known = [name if short.count(name) == 1 else claim for claim, name in zip(known, short, strict=True)]
    return [name for name in known if name.startswith(incomplete)]


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


def team_option(function: F) -> F:
    """Add ``--team``."""
    text = "NAME or NAMESPACE/NAME of the claim; not needed if only one exists."
    return click.option("--team", "-t", metavar="TEAM", shell_complete=complete_team, help=text)(function)


def team_argument(*, required: bool) -> Callable[[F], F]:
    """Add the argument TEAM."""
    return click.argument("team", required=required, shell_complete=complete_team)


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
    return click.option(
        "--timeout", type=_Seconds(), default=default, show_default=True, metavar="SECONDS", help=text
    )


_PACKAGE = re.compile(r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9._-]+)?(@sha256:[0-9a-f]{64})?")


def function_package(function: F) -> F:
    """Add ``--function``, as strict as Crossplane: an image with its registry, and a tag or digest."""

    def checked(ctx: click.Context, param: click.Parameter, value: str) -> str:
        """Return the option's value if it is empty or a full image name."""
        found = _PACKAGE.fullmatch(value)
        if value and not (found and (found[3] or found[4])):
            said = f"{value[:80]!r} is not an image with registry and tag or digest, such as ghcr.io/you/function:v1"
            raise click.BadParameter(said, ctx, param)
        return value

    return click.option("--function", metavar="IMAGE", default="", callback=checked,
                        help="The function's package, with registry and digest.")(function)  # fmt: skip


def state() -> State:
    """Return the installation's state, checked; its directory is created if there is none.

    Raises:
        LaptopError: the directory does not belong to us (VEL401).
    """
    return State.open(state_root())
