"""Find Vellum's objects on a cluster: list every served kind, and select objects by their marks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from vellum.cluster.api import Api
from vellum.cluster.install import SEED
from vellum.components import platform_components
from vellum.compose.helm.records import owner
from vellum.kube.objects import DOMAIN, KEPT, Key, Obj, annotations_of, labels_of
from vellum.model.release import ReleaseComponent


@dataclass(frozen=True, slots=True)
class Left:
    """What exists after a removal."""

    kinds: int
    """How many kinds were listed: all served ones."""
    silent: tuple[str, ...]
    """Groups of kinds whose server does not answer."""
    ours: tuple[Key, ...]
    kept: tuple[Key, ...]
    """What stays on purpose: data with its namespaces, the seed, kinds that still have objects."""

    def as_dict(self) -> Obj:
        """Return it as JSON."""
        return {
            "kinds": self.kinds,
            "silent": list(self.silent),
            "left": [as_dict(key) for key in self.ours],
            "kept": [as_dict(key) for key in self.kept],
        }


def as_dict(key: Key) -> Obj:
    """Return a key as JSON."""
    return {"namespace": "", **key.as_dict()}


def find(api: Api) -> Left:
    """List every kind and return what is left.

    Raises:
        StoreError: the API server does not answer (VEL307).
    """
    paths, silent = api.resources()
    results: list[Obj] = []
    records: set[tuple[str, str]] = set()
    for path in paths:
        for obj in api.listed(path):
            if obj.get("type") == "helm.sh/release.v1":
                records.add((labels_of(obj).get("name", ""), obj["metadata"]["namespace"]))
            if is_ours(obj):
                results.append(obj)
    namespaces = {
        obj["metadata"]["name"] for obj in results if obj["kind"] == "Namespace" and KEPT in annotations_of(obj)
    }
    kept = {Key.of(obj) for obj in results if _stays(obj, namespaces, records)}
    ours = {Key.of(obj) for obj in results if not _is_installed(obj, records)} - kept
    return Left(len(paths), silent, tuple(sorted(ours)), tuple(sorted(kept)))


def everything(api: Api, lost: Collection[str]) -> list[Obj]:
    """Return Vellum's objects, Helm's records of its releases, and the volume claims of namespaces to be deleted.

    Raises:
        StoreError: the API server does not answer (VEL307).
    """
    paths, _ = api.resources()
    return [
        obj for path in paths for obj in api.listed(path) if is_ours(obj) or _is_a_record(obj) or _is_lost(obj, lost)
    ]


def release_of(obj: Obj) -> str:
    """Return the Helm release that made the object, or of which it is a record; empty if none did."""
    if obj.get("type") == "helm.sh/release.v1":
        return str(labels_of(obj).get("name", ""))
    return owner(obj)[0]


def _is_a_record(obj: Obj) -> bool:
    return obj.get("type") == "helm.sh/release.v1" and _is_release(
        labels_of(obj).get("name", ""), obj["metadata"]["namespace"]
    )


def _is_lost(obj: Obj, namespaces: Collection[str]) -> bool:
    return obj["kind"] == "PersistentVolumeClaim" and obj["metadata"]["namespace"] in namespaces


def is_ours(obj: Obj) -> bool:
    """Tell whether an object has one of our kinds or marks, or Helm made it for a release with one of our names."""
    return _is_marked(obj) or is_of_a_chart(obj) or Key.of(obj) == SEED


def _is_marked(obj: Obj) -> bool:
    meta = obj["metadata"]
    marks = (*labels_of(obj), *annotations_of(obj), *(meta.get("finalizers") or ()))
    versions = (obj["apiVersion"], *(reference["apiVersion"] for reference in meta.get("ownerReferences") or ()))
    return (
        labels_of(obj).get("app.kubernetes.io/managed-by") == "vellum"
        or any(mark.startswith(f"{DOMAIN}/") for mark in marks)
        or any(version.startswith(f"{DOMAIN}/") for version in versions)
    )


def is_of_a_chart(obj: Obj) -> bool:
    """Tell whether Helm made the object for a release with the name and namespace of one of ours.

    Upstream proposes these names, so the release may be foreign: then Helm's record of that release exists.
    """
    return _is_release(*owner(obj))


def _is_installed(obj: Obj, records: set[tuple[str, str]]) -> bool:
    """Tell whether it belongs to an installed release: a foreign one, because our Releases carry our marks."""
    return not _is_marked(obj) and owner(obj) in records


def _is_release(name: str, namespace: str) -> bool:
    part = platform_components().get(name)
    return isinstance(part, ReleaseComponent) and part.namespace == namespace


def _stays(obj: Obj, namespaces: set[str], records: set[tuple[str, str]]) -> bool:
    key = Key.of(obj)
    if key.kind == "Namespace":
        return key.name in namespaces
    if owner(obj) in records:
        return owner(obj)[1] in namespaces
    return key.namespace in namespaces or key == SEED or (key.kind == "CustomResourceDefinition" and is_of_a_chart(obj))
