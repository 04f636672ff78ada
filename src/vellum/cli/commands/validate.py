"""``vellum validate``."""

from __future__ import annotations

import json
import sys

import click

from vellum.api import loader
from vellum.cli import options, teams
from vellum.errors import ClaimError


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@options.output
def command(files: tuple[str, ...], output: str) -> None:
    """Check.

    The command checks every file as `vellum up` would, and changes nothing. It shows all mistakes in the order of the
    lines. It ends with 1 if any file is wrong.
    """
    namespace = teams.known_namespace()
    answers = [_checked(path, namespace) for path in files]
    wrong = any("error" in answer for answer in answers)
    if output == "json":
        click.echo(json.dumps(answers))
    else:
        for answer in answers:
            _print(answer)
    sys.exit(1 if wrong else 0)


def _checked(path: str, namespace: str) -> dict[str, object]:
    try:
        documents = loader.read(path, namespace=namespace)
    except ClaimError as error:
        wrong = [one.as_dict() for one in error.every()]
        return {"file": path, "error": wrong[0], "errors": wrong}
    found = [document.manifest() for document in documents]
    return {"file": path, "objects": [f"{obj['kind']} {obj['metadata']['name']}" for obj in found]}


def _print(answer: dict[str, object]) -> None:
    errors = answer.get("errors")
    if isinstance(errors, list):
        for error in errors:
            click.echo(f"{answer['file']}: {error['code']}: {error['what']}")
            click.echo(f"  where: {error['where']}\n  next:  {error['fix']}")
    else:
        objects = answer["objects"]
        click.echo(f"{answer['file']}: valid: {', '.join(objects) if isinstance(objects, list) else ''}")
