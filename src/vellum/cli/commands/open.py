"""``vellum open``."""

from __future__ import annotations

import html
import webbrowser
from typing import TYPE_CHECKING

import click

from vellum.cli import teams
from vellum.connect.installation import state_root
from vellum.errors import LaptopError
from vellum.host.client import Client
from vellum.host.files import write
from vellum.host.state import State
from vellum.kube.objects import Obj, status_of
from vellum.laptop.folders import PAGE
from vellum.model.team import CLAIM, Team

if TYPE_CHECKING:
    from vellum.model.component import Page


@click.command()
@click.argument("part", required=False)
@teams.team_option
@click.option("--print", "show", is_flag=True, help="Print the address with its token instead.")
def command(part: str | None, team: str | None, *, show: bool) -> None:
    """Open.

    PART is the part whose page to open; it is optional if only one part has a page.

    The token goes through a private file, because every user of this machine can read the browser's command line.
    """
    state = State(state_root())
    known = _pages(part)
    name, opened, url = _page(Client(state).ask("list", kinds=[CLAIM]), team, known)
    shown = known[opened]
    namespace, _, claim = name.rpartition("/")
    token = (state.secrets(Team(namespace, claim, "").namespace) / shown.secret / shown.key).read_text()
    address = url + shown.path.format(token=token)
    if show:
        click.echo(address)
        return
    page = state.open_runtime() / PAGE
    quoted = html.escape(address, quote=True)
    write(page, f'<meta http-equiv="refresh" content="0;url={quoted}"><a href="{quoted}">Open {opened}</a>\n')
    if not webbrowser.open(page.as_uri()):
        click.echo(f"No browser was found. Open {page}, or run `vellum open --print`.", err=True)


def _pages(part: str | None) -> dict[str, Page]:
    """Return the pages by part."""
    from vellum.components import team_components

    known = {name: result.page for name, result in team_components().items() if result.page}
    if part is not None and part not in known:
        raise click.BadParameter(f"it has no page; name one of: {', '.join(known)}", param_hint="PART")
    return {part: known[part]} if part else known


def _page(claims: list[Obj], team: str | None, known: dict[str, Page]) -> tuple[str, str, str]:
    """Return (claim, part, address) of the only page of the team, or of the only one of all teams."""
    names = teams.by_name(claims)
    chosen = list(names) if team is None else [teams.one_team(team, list(names))]
    pages = [
        (name, part, str(endpoints[page.endpoint]))
        for name in chosen
        for endpoints in [status_of(names[name]).get("endpoints") or {}]
        for part, page in known.items()
        if page.endpoint in endpoints
    ]
    if len(pages) == 1:
        return pages[0]
    if not pages:
        fields = " or ".join(f"`{switch}: enabled`" for switch in _switches(known))
        raise LaptopError("VEL412", "no page matches", where="this installation", fix=f"set {fields} in the claim")
    either = ", ".join(f"`vellum open {part} --team {name}`" for name, part, _ in pages)
    raise LaptopError("VEL412", f"{len(pages)} pages match", where="this installation", fix=f"run one of: {either}")


def _switches(known: dict[str, Page]) -> list[str]:
    from vellum.components import team_components

    return [team_components()[part].switch for part in known]
