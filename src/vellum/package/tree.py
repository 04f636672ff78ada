"""The whole of an installation as files for git, in the order in which they are applied. Pure but for ``written``.

    10-apis/          the two XRDs
    20-rights/        ClusterRoles
    30-function/      the function and how it runs (only with its package's name)
    40-compositions/  what a claim and the platform mean
    50-platform/      the KubeflowPlatform
    60-teams/         namespaces of claims, and the claims

No secret is among them: the seed is made once, where the installation is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from vellum.errors import UsageError
from vellum.kube.objects import Obj, make
from vellum.package.apis import xrds
from vellum.package.compositions import compositions, function
from vellum.package.rights import roles

MARK = ".vellum-rendered"
"""Lists the files that were written here; only those are ever removed."""


def tree(manifests: Iterable[Obj], function_package: str = "") -> dict[str, list[Obj]]:
    """Return path to objects, in order; ``manifests`` are platforms and claims as they are stored."""
    platforms = [one for one in manifests if one["kind"] == "KubeflowPlatform"]
    claims = [one for one in manifests if one["kind"] != "KubeflowPlatform"]
    claim_kind, platform_kind = xrds()
    files = {
        "10-apis/kubeflowplatform.yaml": [platform_kind],
        "10-apis/mlopsplatform.yaml": [claim_kind],
        "20-rights/roles.yaml": roles(),
        "30-function/function.yaml": function(function_package) if function_package else [],
        "40-compositions/compositions.yaml": compositions(),
        "50-platform/kubeflow.yaml": platforms,
    }
    for namespace in sorted({one["metadata"]["namespace"] for one in claims} - {"default"}):
        files[f"60-teams/{namespace}.namespace.yaml"] = [make("v1", "Namespace", namespace)]
    for one in claims:
        meta = one["metadata"]
        files[f"60-teams/{meta['namespace']}.{meta['name']}.yaml"] = [one]
    return {path: objects for path, objects in files.items() if objects}


def text(objects: Iterable[Obj]) -> str:
    """Return objects as one YAML stream, the same bytes for the same objects."""
    return yaml.safe_dump_all(objects, sort_keys=True, width=1000, explicit_start=True)


def write(folder: Path, files: Mapping[str, list[Obj]]) -> list[str]:
    """Write the files, remove those of an earlier time that are no more, and return what changed.

    Raises:
        UsageError: the folder holds files but none of ours (VEL708).
    """
    mark = folder / MARK
    if not mark.exists() and folder.exists() and any(folder.iterdir()):
        raise UsageError(
            "VEL708", "the folder holds other things", where=str(folder), fix="name an empty folder, or a new one",
        )  # fmt: skip
    before = set(mark.read_text().splitlines()) if mark.exists() else set()
    changed = []
    # Said before it is written: a kill in between leaves no file that nobody knows.
    _put(mark, "".join(f"{path}\n" for path in sorted(before | files.keys())))
    for path, objects in files.items():
        if _put(folder / path, text(objects)):
            changed.append(path)
    for path in sorted(before - files.keys()):
        (folder / path).unlink(missing_ok=True)
        changed.append(path)
    _put(mark, "".join(f"{path}\n" for path in sorted(files)))
    return changed


def _put(path: Path, content: str) -> bool:
    if path.exists() and path.read_text() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(content)
    temporary.replace(path)
    return True
