"""Options that name a team, and the search for its claim on this machine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from vellum.connect.installation import matching, state_root
from vellum.errors import UsageError
from vellum.host.client import Client
from vellum.host.files import read_json
from vellum.kube.objects import Obj
from vellum.laptop import folders
from vellum.model.team import CLAIM, Team
from vellum.model.training import INFERENCE_SERVICE, TRAIN_JOB

F = TypeVar("F", bound=Callable[..., Any])
MADE = (TRAIN_JOB, INFERENCE_SERVICE)
"""The kinds that a team creates itself."""
WORKLOADS = tuple(made.kind for made in MADE)


def known() -> list[str]:
    """Return the claims of this installation as ``namespace/name``."""
    return sorted(folders.teams(read_json(state_root() / "teams.json", {})))


def known_namespace(team: str | None = None) -> str:
    """Return the namespace of the given team; empty if the records on disk do not have it."""
    try:
        return Team(*one_team(team, known()).rpartition("/")[::2], "").namespace
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
        "VEL705", what, where="this installation", fix=f"name one as NAMESPACE/NAME: {', '.join(sorted(claims))}"
    )


def with_namespaces(manifests: list[Obj], team: str | None, client: Client) -> list[Obj]:
    """Return the manifests; a workload without a namespace gets the team's.

    Raises:
        UsageError: the team does not exist (VEL704), or several match (VEL705).
    """
    if all(manifest["kind"] not in WORKLOADS or "namespace" in manifest["metadata"] for manifest in manifests):
        return manifests
    namespace, _, name = one_team(team, list(by_name(client.ask("list", kinds=[CLAIM])))).rpartition("/")
    place = Team(namespace, name, "").namespace
    return [
        {**manifest, "metadata": {"namespace": place, **manifest["metadata"]}}
        if manifest["kind"] in WORKLOADS
        else manifest
        for manifest in manifests
    ]


def complete_team(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the teams whose names begin with the text; a name that two teams have comes with its namespace."""
    del ctx, param
    names = known()
    short = [claim.rpartition("/")[2] for claim in names]
    if "/" not in incomplete:
        names = [name if short.count(name) == 1 else claim for claim, name in zip(names, short, strict=True)]
    return [name for name in names if name.startswith(incomplete)]


def team_option(function: F) -> F:
    """Add ``--team``."""
    text = "NAME or NAMESPACE/NAME of the claim; not needed if only one exists."
    return click.option("--team", "-t", metavar="TEAM", shell_complete=complete_team, help=text)(function)


def team_argument(*, required: bool) -> Callable[[F], F]:
    """Add the argument TEAM."""
    return click.argument("team", required=required, shell_complete=complete_team)


def either(function: Callable[..., None]) -> Callable[..., None]:
    """Add TEAM and ``--team``, which have the same meaning. Commands with file arguments have only the option."""

    @functools.wraps(function)
    def merged(*args: Any, team: str | None, named: str | None, **more: Any) -> None:  # noqa: ANN401  # click's
        """Call the command with the one team of both forms."""
        if team and named and team != named:
            raise click.UsageError(f"TEAM is {team!r}, but --team is {named!r}.")
        function(*args, team=team or named, **more)

    text = "The same as TEAM."
    option = click.option("--team", "-t", "named", metavar="TEAM", shell_complete=complete_team, help=text)
    return team_argument(required=False)(option(merged))


def by_name(claims: Iterable[Obj]) -> dict[str, Obj]:
    """Return the claims by ``namespace/name``."""
    return {f"{claim['metadata']['namespace']}/{claim['metadata']['name']}": claim for claim in claims}


def claim_of(team: str, objects: list[Obj]) -> Obj:
    """Return the claim that has the name.

    Raises:
        UsageError: no claim has this name (VEL704), or several have it (VEL705).
    """
    claims = by_name(obj for obj in objects if obj["kind"] == CLAIM.kind)
    return claims[one_team(team, list(claims))]


def namespace_of(claim: Obj) -> str:
    """Return the team's own namespace."""
    meta = claim["metadata"]
    return Team(meta["namespace"], meta["name"], "").namespace
