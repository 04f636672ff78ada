"""``vellum render``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from vellum.cli import claims, options
from vellum.errors import UsageError
from vellum.kube.objects import Obj

CHANGES = 3
"""Exit code of --against when something changes."""


@click.command()
@click.argument("files", nargs=-1, type=click.Path(allow_dash=True))
@click.option(
    "--output", "-o", metavar="DIR|json", help="Write files for git to DIR, or print JSON; else YAML is printed."
)
@click.option("--images", is_flag=True, help="Print every chart and image that is pulled, and write nothing.")
@click.option(
    "--against",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Print what changes since DIR was rendered, and what that means; write nothing.",
)
@click.option("--prune", is_flag=True, help="Remove files of an earlier run that are not rendered now.")
@options.function_package
@options.image_lock
@click.option(
    "--gitops", type=click.Choice(["argocd", "flux"]), help="Add what this tool needs to apply the tree in its order."
)
@click.option("--repository", metavar="URL", default="", help="With --gitops: the git repository of the tree.")
@click.option("--branch", metavar="NAME", default="", help="With --gitops: the branch.")
@click.option("--path", metavar="FOLDER", default="", help="With --gitops: DIR from the repository's root.")
@click.option("--secret", metavar="NAME", default="", help="With --gitops flux: the Secret for the repository.")
def command(  # noqa: PLR0913  # one for each option
    files: tuple[str, ...],
    *,
    output: str | None,
    function: str,
    lock: Path | None,
    gitops: str | None,
    images: bool,
    against: Path | None,
    prune: bool,
    **git: str,
) -> None:
    """Render.

    FILES are the platform and claims. The command writes everything that Crossplane needs, in the order in which it is
    applied, without a secret. Rendering again changes only what changed. --prune removes the files of FILES that are
    not named any more. If git prunes too, this deletes that team; without the platform's file it deletes every team.
    With --gitops no removed file deletes an object of the cluster. --against ends with 3 if something changes.
    """
    from vellum.package import gitops as tools
    from vellum.package import lock as locks
    from vellum.package import tree

    _fitting(images=images, against=against, prune=prune, output=output, gitops=gitops, git=git)
    manifests, function = claims.locked(files, function, lock)
    if images:
        _images(manifests, function, output)
        return
    if against:
        _against(against, manifests, function, output)
    where = tools.source(**git) if gitops else None
    rendered = tree.tree(manifests, function)
    if gitops and where:
        rendered = tools.told(gitops, rendered, where)
    if output == "json":
        click.echo(json.dumps(rendered))
    elif output:
        with options.writing(Path(output)):
            written = tree.write(Path(output), rendered, locks.locked(manifests, function), prune=prune)
        click.echo(f"{len(rendered)} files in {output}, {len(written.changed)} changed", err=True)
        for kept in written.kept:
            click.echo(f"kept: {kept}, which is not rendered now; --prune removes it", err=True)
    else:
        for name, objects in rendered.items():
            click.echo(f"# {name}\n{tree.text(objects)}", nl=False)
    if not function:
        click.echo("The function itself is left out; name its package with --function.", err=True)


def _fitting(**given: Any) -> None:  # noqa: ANN401  # options as they came
    """Refuse combinations of options that have no effect.

    Raises:
        UsageError: two options exclude each other (VEL734).
    """
    folder = given["output"] not in (None, "json")
    of_git = any(given["git"].values())
    wrong = {
        "--images and --against": given["images"] and given["against"],
        "--prune without --output DIR": given["prune"] and not folder,
        "--repository, --branch, --path or --secret without --gitops": of_git and not given["gitops"],
        "--gitops beside --images or --against": given["gitops"] and (given["images"] or given["against"]),
    }
    for what, is_so in wrong.items():
        if is_so:
            raise UsageError(
                "VEL734", f"{what} has no effect", where="the command line", fix="see `vellum render --help`"
            )


def _against(folder: Path, manifests: list[Obj], function: str, output: str | None) -> NoReturn:
    """Print what changes, and exit: with 3 if something does.

    Raises:
        UsageError: the folder is not a rendered tree (VEL733), or --output names a folder (VEL732).
    """
    from vellum.package import changes, lock, tree, upgrade

    _printed(output)
    before = upgrade.Render(_flat(tree.read(folder)), lock.read(folder))
    after = upgrade.Render(_flat(tree.tree(manifests, function)), lock.locked(manifests, function))
    differences = upgrade.compare(before, after)
    if output == "json":
        click.echo(json.dumps({"changes": [change.as_dict() for change in differences]}))
    else:
        click.echo(changes.markdown(differences), nl=False)
    sys.exit(CHANGES if differences else 0)


def _flat(files: Mapping[str, list[Obj]]) -> tuple[Obj, ...]:
    return tuple(obj for objects in files.values() for obj in objects)


def _printed(output: str | None) -> None:
    if output not in (None, "json"):
        fix = "leave --output out, or write --output json"
        what = "this is printed, not written as files"
        raise UsageError("VEL732", what, where=f"--output {output}", fix=fix)


def _images(manifests: list[Obj], function: str, output: str | None) -> None:
    """Print what a cluster pulls.

    Raises:
        UsageError: the files do not have a platform (VEL731), or --output names a folder (VEL732).
    """
    from vellum.api import platform
    from vellum.package.images import pulled
    from vellum.reports import table

    _printed(output)
    platforms = [manifest for manifest in manifests if manifest["kind"] == platform.KIND]
    if not platforms:
        what = "the files do not have a platform, which determines the charts"
        raise UsageError("VEL731", what, where="the command line", fix=f"name the file of the {platform.KIND} too")
    needed = pulled(platform.from_live(platforms[0]), function)
    if output == "json":
        click.echo(json.dumps(needed.as_dict()))
    else:
        rows = [(chart.name, chart.version, chart.repository or "Vellum's own", chart.part) for chart in needed.charts]
        click.echo("\n".join(table.lines(("CHART", "VERSION", "REPOSITORY", "PART"), rows)))
        lines = [(image.image, image.use, image.source, image.part) for image in needed.images]
        click.echo("\n" + "\n".join(table.lines(("IMAGE", "WHY", "NAMED BY", "PART"), lines)))
    for field in needed.unnamed:
        click.echo(f"image not named yet: {field}", err=True)
