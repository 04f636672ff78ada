"""``vellum open``."""

from __future__ import annotations

import html
import webbrowser

import click

from vellum.cli import options
from vellum.errors import LaptopError
from vellum.laptop.client import Client
from vellum.laptop.state import PAGE, State, default_root, write
from vellum.model.team import Team


@click.command()
@options.team_option
@click.option("--print", "show", is_flag=True, help="Print the address with its token instead.")
def command(team: str | None, *, show: bool) -> None:
    """Open.

    The token goes through a private file. The browser's command line would show it to every user of this machine.
    """
    state = State(default_root())
    name, url = _notebook(Client(state).ask("list", kinds=options.CLAIMS), team)
    namespace, _, claim = name.rpartition("/")
    token = (state.secrets(Team(namespace, claim, "").namespace) / "notebook-token" / "token").read_text()
    address = f"{url}lab?token={token}"
    if show:
        click.echo(address)
        return
    page = state.open_runtime() / PAGE
    quoted = html.escape(address, quote=True)
    write(
        page,
        f'<meta http-equiv="refresh" content="0;url={quoted}"><a href="{quoted}">Open the notebook</a>\n',
    )
    if not webbrowser.open(page.as_uri()):
        click.echo(f"No browser was found. Open {page}, or run `vellum open --print`.", err=True)


def _notebook(claims: list[dict[str, dict[str, object]]], team: str | None) -> tuple[str, str]:
    """Return (claim, address) of the team's notebook, or of the only one."""
    found = {}
    if team is not None:
        options.one_team(
            team, [f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in claims]
        )
    for claim in claims:
        name = f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"
        endpoints = claim.get("status", {}).get("endpoints")
        if (
            isinstance(endpoints, dict)
            and "notebook" in endpoints
            and team in (None, name, name.partition("/")[2])
        ):
            found[name] = str(endpoints["notebook"])
    if len(found) != 1:
        what = f"{len(found) or 'no'} notebooks match"
        fix = (
            f"pass --team with one of: {', '.join(found)}"
            if found
            else "set `notebooks: enabled` in the claim"
        )
        raise LaptopError("VEL412", what, where="this installation", fix=fix)
    return next(iter(found.items()))
