"""Images and charts that a platform's file does not name: ours from a lock, and those of other projects. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from vellum.api.platform import KIND
from vellum.kube.objects import Obj
from vellum.package.compositions import FUNCTION
from vellum.package.pushed import ImageLock
from vellum.package.recipes import CHARTS

UPSTREAM = {
    # The version of Qdrant's chart 1.19.0; this image runs without root.
    "qdrant": "docker.io/qdrant/qdrant:v1.19.0-unprivileged",
    # The version whose program a laptop runs (lock/laptop.txt).
    "seaweedfs": "docker.io/chrislusf/seaweedfs:4.48",
}
"""Images of other projects. Kubeflow's own notebook server is ghcr.io/kubeflow/kubeflow/notebook-servers."""
OURS = ("notebook", "workloads")


def filled(manifests: Iterable[Obj], lock: ImageLock) -> list[Obj]:
    """Return the manifests; each platform names every image, and the registry of Vellum's charts.

    What a file names itself stays as it is.
    """
    return [_platform(manifest, lock) if manifest["kind"] == KIND else manifest for manifest in manifests]


def _platform(manifest: Obj, lock: ImageLock) -> Obj:
    spec = manifest["spec"]
    known = {**UPSTREAM, **{name: lock.images[name] for name in OURS if name in lock.images}}
    charts = dict(spec.get("charts") or {})
    if not charts.get("own") and not charts.get("repository"):
        charts["own"] = f"oci://{lock.registry}/{CHARTS}"
    return {**manifest, "spec": {**spec, "images": {**known, **(spec.get("images") or {})}, "charts": charts}}


def function(lock: ImageLock) -> str:
    """Return the function's package."""
    return lock.packages[FUNCTION]
