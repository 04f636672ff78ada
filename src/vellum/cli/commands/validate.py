"""``vellum validate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from vellum.api import loader
from vellum.cli import options, teams
from vellum.errors import ClaimError
from vellum.kube.objects import Key, Obj


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@options.output
def command(files: tuple[str, ...], output: str) -> None:
    """Check.

    The command checks every file as `vellum up` would, and changes nothing. It shows all mistakes in the order of the
    lines. It ends with 1 if any file is wrong.
    """
    namespace = teams.known_namespace()
    answers = _without_repeats([_checked(path, namespace) for path in files])
    wrong = any("error" in answer for answer in answers)
    if output == "json":
        click.echo(json.dumps(answers))
    else:
        for answer in answers:
            _print(answer)
    sys.exit(1 if wrong else 0)


def _checked(path: str, namespace: str) -> Obj:
    try:
        documents = loader.read(path, namespace=namespace)
    except ClaimError as error:
        wrong = [item.as_dict() for item in error.every()]
        return {"file": path, "error": wrong[0], "errors": wrong}
    keys = [Key.of(document.manifest()) for document in documents]
    return {"file": path, "objects": [f"{key.kind} {key.name}" for key in keys], "keys": keys}


def _without_repeats(answers: list[Obj]) -> list[Obj]:
    """Return the answers; an object that two files have is a mistake of the second, as for `vellum up`."""
    first: dict[Key, str] = {}
    for answer in answers:
        keys: list[Key] = answer.pop("keys", [])
        wrong = [_repeated(key, first[key], answer["file"]) for key in keys if key in first]
        if wrong:
            del answer["objects"]
            answer |= {"error": wrong[0], "errors": wrong}
        first.update(dict.fromkeys(keys, str(answer["file"])))
    return answers


def _repeated(key: Key, first: str, second: str) -> dict[str, str]:
    name = f"{key.namespace}/{key.name}" if key.namespace else key.name
    error = ClaimError("VEL118", f"{name} is written twice", where=f"{first} and {second}", fix="delete one of the two")
    return error.as_dict()


def _print(answer: Obj) -> None:
    errors = answer.get("errors")
    if isinstance(errors, list):
        # In a folder, the place names the file.
        prefix = "" if Path(str(answer["file"])).is_dir() else f"{answer['file']}: "
        for error in errors:
            click.echo(f"{prefix}{error['code']}: {error['what']}")
            click.echo(f"  where: {error['where']}\n  next:  {error['fix']}")
    else:
        objects = answer["objects"]
        click.echo(f"{answer['file']}: valid: {', '.join(objects) if isinstance(objects, list) else ''}")
