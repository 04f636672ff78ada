"""``vellum down``."""

from __future__ import annotations

import click

from vellum.cli import asking
from vellum.connect.installation import MARK, state_root
from vellum.host import start
from vellum.host.state import State
from vellum.laptop.folders import LAYOUT


@click.command()
@click.option("--delete-data", is_flag=True, help="Also delete all buckets, vectors, notebooks and keys.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def command(*, delete_data: bool, yes: bool) -> None:
    """Stop.

    The data of all teams stays in the state directory, and the next `vellum up` uses it again.
    """
    root = state_root()
    if not (root / MARK).exists():
        click.echo(f"Nothing to stop: {root} does not have an installation.", err=True)
        return
    state = State.open(root, LAYOUT)
    if delete_data:
        asking.tell(asking.of_everything(state))
        question = f"Delete every bucket, vector, notebook and key in {root}?"
        asking.agree(question, "everything would be deleted", yes=yes, where=str(root))
    stopped = start.stop(state, lambda text: click.echo(text, err=True))
    if delete_data:
        state.delete()
        click.echo(f"Stopped; {root} is deleted.", err=True)
        return
    click.echo(f"{'Stopped' if stopped else 'Nothing was running'}; data stays in {root}.", err=True)
