"""Read claims as people name them: files, folders, or ``-`` for standard input."""

from __future__ import annotations

from vellum.api.loader import read
from vellum.kube.objects import Obj


def manifests(paths: tuple[str, ...]) -> list[Obj]:
    """Return the manifests of all files; platforms come first, so that claims find their platform.

    Raises:
        ClaimError: the first thing that is wrong in any of them.
    """
    found = [document.manifest() for path in paths for document in read(path)]
    return sorted(found, key=lambda manifest: manifest["kind"] != "KubeflowPlatform")
