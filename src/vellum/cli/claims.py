"""Read claims from the paths that users give: files, folders, or ``-`` for standard input."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vellum._version import __version__
from vellum.api.loader import named, read
from vellum.api.platform import KIND
from vellum.api.workloads import KINDS as WORKLOADS
from vellum.errors import UsageError
from vellum.kube.objects import Obj
from vellum.model.platform import LAPTOP


def manifests(paths: tuple[str, ...], namespace: str = "") -> list[Obj]:
    """Return the manifests of all files. Platforms come first, so that each claim finds its platform.

    ``namespace`` is the team's, for workloads without one; empty if the team is not known.

    Raises:
        ClaimError: the files have mistakes; the error lists all of them.
    """
    results = [document.manifest() for document in read(*paths, namespace=namespace)]
    return sorted(results, key=lambda manifest: manifest["kind"] != KIND)


def locked(paths: tuple[str, ...], function: str, lock: Path | None) -> tuple[list[Obj], str]:
    """Return the manifests for a cluster and the function's package, with what the lock of images adds.

    Raises:
        ClaimError: the files have mistakes; the error lists all of them.
        UsageError: the lock is not valid, or of another version of Vellum (VEL755).
    """
    from vellum.package import filled, pushed

    result = on_a_cluster(paths)
    if lock is None and not Path(pushed.LOCK).exists():
        return result, function
    path = lock or Path(pushed.LOCK)
    known = pushed.read(path)
    if known.vellum != __version__:
        what = f"the lock names images of Vellum {known.vellum}, and this is {__version__}"
        fix = "run `vellum package build` and `vellum package push REGISTRY` with this version"
        raise UsageError("VEL755", what, where=str(path), fix=fix)
    return filled.filled(result, known), function or filled.function(known)


def on_a_laptop(paths: tuple[str, ...]) -> list[Obj]:
    """Return the manifests of all files, if this machine supports them.

    Raises:
        ClaimError: the files have mistakes; the error lists all of them.
        UsageError: a platform is for a cluster (VEL714), or an object is neither a platform nor a claim (VEL721).
    """
    result = manifests(paths)
    _no_workloads(result, "start the platform first, then: vellum apply FILE")
    return _of_a_laptop(result)


def to_apply(paths: tuple[str, ...], namespace: str = "") -> list[Obj]:
    """Return the manifests of all files, those of Kubeflow's kinds last, if this machine supports them.

    ``namespace`` is that of ``manifests``.

    Raises:
        ClaimError: the files have mistakes; the error lists all of them.
        UsageError: a platform is for a cluster (VEL714).
    """
    return sorted(_of_a_laptop(manifests(paths, namespace)), key=lambda manifest: manifest["kind"] in WORKLOADS)


def only_workloads(paths: tuple[str, ...]) -> list[Obj]:
    """Return kind, name and namespace of the workloads in all files; other fields are not checked.

    Raises:
        ClaimError: the files have mistakes; the error lists all of them.
        UsageError: one is a claim or the platform (VEL722).
    """
    result = named(*paths)
    for manifest in result:
        if manifest["kind"] not in WORKLOADS:
            raise UsageError(
                "VEL722",
                f"`--file` cannot delete a {manifest['kind']}",
                where=str(manifest["metadata"]["name"]),
                fix="run `vellum delete TEAM`, or `vellum down --delete-data` for everything",
            )
    return result


def _no_workloads(items: list[Obj], fix: str) -> None:
    for manifest in items:
        if manifest["kind"] in WORKLOADS:
            what = f"a {manifest['kind']} needs a team that is ready"
            raise UsageError("VEL721", what, where=f"{manifest['kind']} {manifest['metadata']['name']}", fix=fix)


def _of_a_laptop(items: list[Obj]) -> list[Obj]:
    for where, profile in _profiles(items):
        if profile != LAPTOP:
            what = f"Crossplane installs a platform of profile {profile}, on a cluster"
            raise UsageError(
                "VEL714",
                what,
                where=where,
                fix="write profile: local; or look at Crossplane doing it: vellum bench up FILE",
            )
    return items


def on_a_cluster(paths: tuple[str, ...]) -> list[Obj]:
    """Return the manifests of all files, if Crossplane can create what they describe.

    Raises:
        ClaimError: the files have mistakes; the error lists all of them.
        UsageError: a platform is for a laptop (VEL716), or an object is neither a platform nor a claim (VEL721).
    """
    result = manifests(paths)
    _no_workloads(result, "apply it once the claim is ready: kubectl apply -f FILE")
    for where, profile in _profiles(result):
        if profile == LAPTOP:
            raise UsageError(
                "VEL716",
                f"a platform of profile {LAPTOP} runs only on a laptop",
                where=where,
                fix="write profile: light, or profile: standard, which brings Istio",
            )
    return result


def _profiles(items: list[Obj]) -> Iterator[tuple[str, str]]:
    """Yield the name of each platform for messages, and its profile."""
    for manifest in items:
        if manifest["kind"] == KIND:
            yield f"{KIND} {manifest['metadata']['name']}", manifest["spec"].get("profile", LAPTOP)
