"""The kustomize patches to which Releases refer, in one ConfigMap. Pure.

A change of a Release's ``patchesFrom`` makes provider-helm upgrade once, so two patches without effect alternate. A
third patch writes edited values into Helm's record, so that the next upgrade restores them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from vellum.compose.helm import diff, guard
from vellum.compose.helm.diff import Difference
from vellum.compose.helm.observe import Release
from vellum.compose.helm.records import Rendered
from vellum.kube.objects import Obj, config_map
from vellum.kube.patch import plain
from vellum.model.release import PROVIDER, SYSTEM, Charts
from vellum.model.repair import GuardMemory
from vellum.model.state import Observed

PATCHES = "vellum-releases"
"""The ConfigMap of kustomize patches: two without effect, the platform engineer's, and the written-through
values."""
_FLIPS = ("a", "b")
NOTHING = "nothing.yaml"
"""The key of the patch that removes everything that a chart renders."""
_ALL_GONE = """patches:
- target: {name: ".*"}
  patch: |
    $patch: delete
    apiVersion: v1
    kind: Any
    metadata: {name: any}
"""


def references(release: Release, memory: GuardMemory, charts: Charts) -> list[Obj]:
    """Return the entries of the Release's ``patchesFrom``."""
    keys = [f"{release.name}.yaml"] if release.name in charts.patches else []
    if memory.step in (guard.RECORD, guard.HELD):
        keys.append(memory.patch)
    elif memory.nonce:
        keys.append(f"{_FLIPS[memory.nonce % 2]}.yaml")
    return [reference(key) for key in keys]


def reference(key: str) -> Obj:
    """Return one entry."""
    return {"configMapKeyRef": {"name": PATCHES, "namespace": SYSTEM, "key": key}}


def config(
    charts: Charts, releases: Iterable[tuple[Release, GuardMemory]], observed: Observed, labels: Mapping[str, str]
) -> Obj:
    """Return the ConfigMap of all patches; patches that Helm reads are never changed, only added and removed."""
    data = {f"{flip}.yaml": _nothing(flip) for flip in _FLIPS} | {NOTHING: _ALL_GONE}
    data |= {f"{name}.yaml": f"patches:\n{text}" for name, text in charts.patches.items()}
    kept = stored(observed)
    for release, memory in releases:
        if key := memory.patch:
            data[key] = kept.get(key) or write_through(release) or _nothing("gone")
    return config_map(PATCHES, SYSTEM, data, labels=labels)


def write_through(release: Release) -> str:
    """Return the kustomize patch that writes into Helm's record what an upgrade alone would not restore; else empty."""
    edited = [
        {
            "target": {"kind": item.kind.kind, "name": item.name},
            "patch": json.dumps([_operation(difference) for difference in missed]),
        }
        for item, differences in release.differences.items()
        if (missed := _beyond_an_upgrade(release, item, differences or ()))
    ]
    return json.dumps({"patches": edited}, sort_keys=True) if edited else ""


def _beyond_an_upgrade(release: Release, item: Rendered, differences: tuple[Difference, ...]) -> list[Difference]:
    """Return the differences that an upgrade misses.

    For custom resources Helm compares only manifests, and it never sees a field that the manifest lacks.
    """
    custom = f"{item.kind.api_version}/{item.kind.kind}" in release.component.looks_at()
    return [difference for difference in differences if custom or not difference.rendered]


def patch_key(release: Release) -> str:
    """Return the key of that patch in the ConfigMap; empty without one."""
    text = write_through(release)
    return f"w-{release.name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}.yaml" if text else ""


def _operation(difference: Difference) -> Obj:
    """Return the operation: write the live value, so that the next manifest differs, or the API server's default."""
    path = diff.pointer(difference.path)
    if not difference.rendered:
        return {"op": "add", "path": path, "value": 1}
    if difference.live is None:
        return {"op": "remove", "path": path}
    return {"op": "replace", "path": path, "value": plain(difference.live)}


def stored(observed: Observed) -> Mapping[str, str]:
    """Return the patches that Releases can refer to now, by key."""
    return (observed.resources.get(f"{PROVIDER}-patches") or {}).get("data") or {}


def _nothing(flip: str) -> str:
    target = f"patches:\n- target: {{kind: VellumGuard, name: {flip}}}\n"
    return f"{target}  patch: |\n    - {{op: test, path: /kind, value: {flip}}}\n"
