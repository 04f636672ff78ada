"""A whole installation as files for git, in the order in which they are applied. Pure except for ``write``.

    05-provider/      Crossplane's Helm provider
    07-providerconfig/  its target (the kind comes with the provider)
    10-apis/          the two XRDs
    20-rights/        ClusterRoles
    25-protection/    policies against accidental deletion
    30-function/      the function and its runtime (only with its package's name)
    40-compositions/  what a claim and the platform mean
    50-platform/      the KubeflowPlatform
    55-namespaces/    the namespaces of the claims
    60-teams/         the claims

With ``package.gitops`` also ``argocd/`` or ``flux/``: the tool's own objects, which are not part of the order.
The files hold no secret: the seed is made once, in the installation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from vellum.api.yaml_reader import MOST_BYTES, documents
from vellum.errors import ClaimError, UsageError
from vellum.kube.objects import INSTALLED, Obj, labels_of, make
from vellum.model.platform import PLATFORM
from vellum.package.apis import xrds
from vellum.package.compositions import compositions, function
from vellum.package.lock import NAME as LOCK
from vellum.package.lock import Lock
from vellum.package.protection import of_claims, of_composites, of_fields, of_the_platform
from vellum.package.provider import provider, provider_config
from vellum.package.rights import roles

MARK = ".vellum-rendered"
"""Lists the files that Vellum wrote; only those are ever removed."""


_OURS = re.compile(r"(\d\d-[a-z]+|argocd|flux)/[a-z0-9][a-z0-9.-]*\.yaml")
_NUMBERED = re.compile(r"\d\d-")


@dataclass(frozen=True, slots=True)
class Written:
    """The paths that changed, and earlier files that are not rendered now."""

    changed: list[str]
    kept: list[str] = field(default_factory=list)


def tree(manifests: Iterable[Obj], function_package: str = "") -> dict[str, list[Obj]]:
    """Return path to objects, in order; ``manifests`` are platforms and claims as they are stored."""
    platforms = [manifest for manifest in manifests if manifest["kind"] == PLATFORM.kind]
    claims = [manifest for manifest in manifests if manifest["kind"] != PLATFORM.kind]
    claim_kind, platform_kind = xrds()
    brought = {
        "05-provider/provider-helm.yaml": provider(),
        "07-providerconfig/vellum.yaml": provider_config(),
        "10-apis/kubeflowplatform.yaml": [platform_kind],
        "10-apis/mlopsplatform.yaml": [claim_kind],
        "20-rights/roles.yaml": roles(),
        "25-protection/claims.yaml": [*of_claims(), *of_fields()],
        "25-protection/composites.yaml": of_composites(),
        "25-protection/platform.yaml": of_the_platform(),
        "30-function/function.yaml": function(function_package) if function_package else [],
        "40-compositions/compositions.yaml": compositions(),
    }
    files = {path: [_marked(obj) for obj in objects] for path, objects in brought.items()}
    files["50-platform/kubeflow.yaml"] = platforms
    for namespace in sorted({claim["metadata"]["namespace"] for claim in claims} - {"default"}):
        files[f"55-namespaces/{namespace}.yaml"] = [make("v1", "Namespace", namespace)]
    for claim in claims:
        meta = claim["metadata"]
        files[f"60-teams/{meta['namespace']}.{meta['name']}.yaml"] = [claim]
    return {path: objects for path, objects in files.items() if objects}


def _marked(obj: Obj) -> Obj:
    labels = dict(sorted({**labels_of(obj), INSTALLED: "true"}.items()))
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


def read(folder: Path) -> dict[str, list[Obj]]:
    """Return the applied files of a written tree in order; they are read strictly, because they come from git.

    Raises:
        UsageError: the folder was not written by ``write`` (VEL733).
        ClaimError: a file is not as Vellum wrote it (VEL103 to VEL113).
    """
    if not (folder / MARK).exists():
        raise UsageError(
            "VEL733",
            "the folder is not a rendered tree",
            where=str(folder),
            fix="name the folder that `vellum render FILES --output DIR` wrote",
        )
    return {f"{path.parent.name}/{path.name}": list(_objects(path)) for path in in_order(folder)}


def _objects(path: Path) -> Iterator[Obj]:
    with path.open("rb") as stream:
        data = stream.read(MOST_BYTES + 1)
    for document in documents(data, str(path)):
        for mistake in document.errors():
            raise _as_of_a_tree(mistake)
        if not _is_object(document.value):
            raise UsageError(
                "VEL733",
                "a file of the tree has something other than an object",
                where=str(path),
                fix="render that tree again",
            )
        yield document.value


def _as_of_a_tree(mistake: ClaimError) -> ClaimError:
    """Return the mistake; for aliases, which an earlier Vellum wrote, with the command that expands them."""
    if mistake.code != "VEL106":
        return mistake
    fix = "expand them in a copy of that tree: yq --inplace 'explode(.)' */*.yaml"
    return ClaimError(mistake.code, mistake.what, where=mistake.where, fix=fix)


def _is_object(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        return False
    words = (value.get("apiVersion"), value.get("kind"), value["metadata"].get("name"))
    return all(isinstance(word, str) for word in words)


def in_order(folder: Path) -> list[Path]:
    """Return the applied files of a written tree, in order."""
    return sorted(path for path in folder.glob("*/*.yaml") if _NUMBERED.match(path.parent.name))


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
# Each object in git is read by itself, and strict readers do not read aliases.
_Dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign]


def text(objects: Iterable[Obj]) -> str:
    """Return objects as one YAML stream, the same bytes for the same objects."""
    return yaml.dump_all(objects, Dumper=_Dumper, sort_keys=True, width=1000, explicit_start=True)


def write(folder: Path, files: Mapping[str, list[Obj]], lock: Lock | None = None, *, prune: bool = False) -> Written:
    """Write the files; earlier files that are not rendered now stay, or are removed with ``prune``.

    If a tool prunes by git, a removed file deletes its team, and removing the platform's file deletes all teams.

    Raises:
        UsageError: the folder has files that Vellum did not write (VEL708).
    """
    mark = folder / MARK
    if not mark.exists() and folder.exists() and any(folder.iterdir()):
        raise UsageError(
            "VEL708", "the folder has other files", where=str(folder), fix="name an empty folder, or a new one"
        )
    listed = mark.read_text().splitlines() if mark.exists() else []
    # Others can edit the list in git, so it must not name anything outside the folder.
    before = {path for path in listed if _OURS.fullmatch(path)}
    # Listed before it is written: a kill in between leaves no unlisted file.
    _put(mark, "".join(f"{path}\n" for path in sorted(before | files.keys())))
    changed = [path for path, objects in files.items() if _put(folder / path, text(objects))]
    if lock:
        _put(folder / LOCK, lock.text())
    old = sorted(path for path in before - files.keys() if (folder / path).exists())
    if not prune:
        return Written(changed, kept=old)
    for path in old:
        (folder / path).unlink()
    _put(mark, "".join(f"{path}\n" for path in sorted(files)))
    return Written([*changed, *old])


def _put(path: Path, content: str) -> bool:
    if path.exists() and path.read_text() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(content)
    temporary.replace(path)
    return True
