"""What Argo CD and Flux need to apply the tree in its order. Pure.

Both get the same rules: one folder after the other, each once the one before is healthy. No object is deleted because
its file is removed. Argo CD reads the order from a wave on every object, Flux from a Kustomization for every folder.
Sources: the documents of argo-cd v3.5.7 (sync waves, sync options) and of kustomize-controller v1.9.6 (Kustomization),
and Crossplane's guide for Argo CD.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from vellum.api import claim, platform
from vellum.errors import UsageError
from vellum.kube.objects import Obj, annotations_of, config_map, make

NAME = "vellum"
ARGO_CD, FLUX = "argocd", "flux"
TOOLS = (ARGO_CD, FLUX)
WAVE = "argocd.argoproj.io/sync-wave"
OPTIONS = "argocd.argoproj.io/sync-options"
_ARGO_NAMESPACE, _FLUX_NAMESPACE = "argocd", "flux-system"
_TIMEOUT = "30m"
"""For the slowest folder: the platform is healthy once every chart is installed and every image is pulled."""
_KEPT = ("Prune=false", "Delete=false")
"""Removing a file, or the Application itself, deletes no object: most of them would delete data of the team."""
_BROUGHT = ("ProviderConfig", platform.KIND, claim.KIND)
"""Kinds without a CRD in the tree: the provider brings one, Crossplane makes the others."""
_HEALTHY = {
    ("apiextensions.crossplane.io/v1", "CompositeResourceDefinition"): ("Established", "Offered"),
    ("apiextensions.crossplane.io/v2", "CompositeResourceDefinition"): ("Established",),
    ("pkg.crossplane.io/v1", "Function"): ("Installed", "Healthy"),
    ("pkg.crossplane.io/v1", "Provider"): ("Installed", "Healthy"),
    (claim.API_VERSION, platform.KIND): ("Synced", "Ready"),
    (claim.API_VERSION, claim.KIND): ("Synced", "Ready"),
}
"""Conditions that must be True before the next folder; without them both tools take a new object for healthy."""
_ONLY_CLAIMS = ("Offered",)
"""Conditions that a definition has only if it has a claim's kind: Argo CD knows kinds, but not their versions."""


@dataclass(frozen=True, slots=True)
class Source:
    """The place of the tree in git."""

    repository: str
    """The repository's address for git and the tool."""
    branch: str
    path: str
    """The tree's folder from the repository's root, with ``/``; ``.`` is the root itself."""
    secret: str = ""
    """For Flux: the Secret for the repository. Argo CD finds its credentials by the repository's address."""


def source(repository: str, branch: str, path: str, secret: str = "") -> Source:
    """Return the place of the tree, with the path in its shortest form.

    Raises:
        UsageError: an option is missing, or the path leads out of the repository (VEL730).
    """
    options = {"--repository": repository, "--branch": branch, "--path": path}
    if missing := [option for option, value in options.items() if not value]:
        what = f"--gitops needs the place of the tree in git; missing: {', '.join(missing)}"
        fix = "add --repository URL --branch NAME --path FOLDER"
        raise UsageError("VEL730", what, where="the command line", fix=fix)
    folder = PurePosixPath(path)
    if folder.is_absolute() or ".." in folder.parts:
        what = "the path is not in the repository"
        raise UsageError("VEL730", what, where=f"--path {path}", fix="write it from the repository's root")
    return Source(repository, branch, str(folder), secret)


def told(tool: str, files: Mapping[str, list[Obj]], where: Source) -> dict[str, list[Obj]]:
    """Return the tree for the tool, and last the tool's own objects for it."""
    return argo_cd(files, where) if tool == ARGO_CD else flux(files, where)


def argo_cd(files: Mapping[str, list[Obj]], where: Source) -> dict[str, list[Obj]]:
    """Return the tree with waves, Argo CD's Application, and the settings that keep it from taking all for healthy."""
    waves = {path: [_in_wave(obj, _folder(path)) for obj in objects] for path, objects in files.items()}
    application = make(
        "argoproj.io/v1alpha1",
        "Application",
        NAME,
        _ARGO_NAMESPACE,
        # Otherwise a field that the API server adds, for example to a policy's rules, is a difference for ever.
        annotations={"argocd.argoproj.io/compare-options": "ServerSideDiff=true"},
        spec={
            "project": "default",
            "source": {
                "repoURL": where.repository,
                "targetRevision": where.branch,
                "path": where.path,
                "directory": {"recurse": True, "exclude": f"{{{ARGO_CD}/*,{FLUX}/*}}"},
            },
            "destination": {"server": "https://kubernetes.default.svc"},
            "syncPolicy": {
                "automated": {"prune": False, "selfHeal": True},
                "syncOptions": ["ServerSideApply=true"],
                # One API server may serve a kind a moment before the others do.
                "retry": {"limit": 10, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "3m"}},
            },
        },
    )
    kinds = sorted({(api.partition("/")[0], kind) for api, kind in _HEALTHY})
    data = {f"resource.customizations.health.{group}_{kind}": _lua(group, kind) for group, kind in kinds}
    # A claim's annotations are copied to its composite; a label there would make it Argo CD's own object.
    settings = config_map("argocd-cm", _ARGO_NAMESPACE, {"application.resourceTrackingMethod": "annotation", **data})
    return {**waves, f"{ARGO_CD}/settings.yaml": [settings], f"{ARGO_CD}/application.yaml": [application]}


def flux(files: Mapping[str, list[Obj]], where: Source) -> dict[str, list[Obj]]:
    """Return the unchanged tree, Flux's source, and a Kustomization per folder that waits for the one before."""
    spec: Obj = {"url": where.repository, "ref": {"branch": where.branch}, "interval": "1m"}
    if where.secret:
        spec["secretRef"] = {"name": where.secret}
    repository = make("source.toolkit.fluxcd.io/v1", "GitRepository", NAME, _FLUX_NAMESPACE, spec=spec)
    folders = dict.fromkeys(map(_folder, files))
    steps: list[Obj] = []
    for folder in folders:
        objects = [obj for path, group in files.items() if _folder(path) == folder for obj in group]
        steps.append(_kustomization(folder, objects, where, steps[-1:]))
    return {**files, f"{FLUX}/source.yaml": [repository], f"{FLUX}/kustomizations.yaml": steps}


def _folder(path: str) -> str:
    return path.partition("/")[0]


def _in_wave(obj: Obj, folder: str) -> Obj:
    brought = ["SkipDryRunOnMissingResource=true"] if obj["kind"] in _BROUGHT else []
    ours = {WAVE: folder.partition("-")[0], OPTIONS: ",".join([*_KEPT, *brought])}
    return {**obj, "metadata": {**obj["metadata"], "annotations": {**annotations_of(obj), **ours}}}


def _kustomization(folder: str, objects: list[Obj], where: Source, before: Iterable[Obj]) -> Obj:
    spec: Obj = {
        "sourceRef": {"kind": "GitRepository", "name": NAME},
        "path": f"./{PurePosixPath(where.path) / folder}",
        "interval": "10m",
        "retryInterval": "1m",
        "timeout": _TIMEOUT,
        "prune": False,
        "deletionPolicy": "Orphan",
        "wait": True,
    }
    if depends := [{"name": item["metadata"]["name"]} for item in before]:
        spec["dependsOn"] = depends
    kinds = dict.fromkeys((obj["apiVersion"], obj["kind"]) for obj in objects)
    if checks := [_cel(*kind) for kind in kinds if kind in _HEALTHY]:
        spec["healthCheckExprs"] = checks
    return make("kustomize.toolkit.fluxcd.io/v1", "Kustomization", f"{NAME}-{folder}", _FLUX_NAMESPACE, spec=spec)


def _cel(api_version: str, kind: str) -> Obj:
    """Return when an object is healthy; without conditions the answer is an error, and Flux asks again."""
    wanted = [
        f"status.conditions.exists(c, c.type == '{name}' && c.status == 'True')" for name in _HEALTHY[api_version, kind]
    ]
    return {"apiVersion": api_version, "kind": kind, "current": " && ".join(wanted)}


def _lua(group: str, kind: str) -> str:
    results = [names for (api, other), names in _HEALTHY.items() if (api.partition("/")[0], other) == (group, kind)]
    names = dict.fromkeys(name for item in results for name in item)
    always = ", ".join(f'"{name}"' for name in names if name not in _ONLY_CLAIMS)
    claims = "".join(
        f'if obj.spec.claimNames ~= nil then table.insert(wanted, "{name}") end\n'
        for name in names
        if name in _ONLY_CLAIMS
    )
    return _LUA.replace("WANTED", always).replace("CLAIMS\n", claims)


_LUA = """\
local wanted = {WANTED}
CLAIMS
local said = {}
for _, condition in ipairs(obj.status and obj.status.conditions or {}) do
  said[condition.type] = condition
  if condition.type == "Synced" and condition.status == "False" then
    return {status = "Degraded", message = condition.message}
  end
end
for _, name in ipairs(wanted) do
  local condition = said[name]
  if condition == nil or condition.status ~= "True" then
    local parts = said["PartsReady"] or condition
    return {status = "Progressing", message = parts and parts.message or "waits for " .. name}
  end
end
return {status = "Healthy"}
"""
