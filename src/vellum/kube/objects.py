"""Kubernetes objects as plain dicts: builders, and the key that names an object."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

Json: TypeAlias = Any
"""Any JSON: text, number, boolean, null, list or mapping. A union would need a cast at each index."""
Obj: TypeAlias = dict[str, Any]
"""A Kubernetes object: JSON types only, always with ``apiVersion``, ``kind`` and ``metadata.name``."""

DOMAIN = "platform.vellum.dev"
"""The API group, and the domain of our labels and annotations. Do not change it: live objects carry it."""
KEPT = f"{DOMAIN}/kept"
"""Annotation of a namespace that outlived its platform; the next platform adopts it."""
KEEP_FOLDER = f"{DOMAIN}/keep-folder"
"""Annotation of a team's volume claim on a laptop: ``no`` removes its folder with it, any other value keeps it."""
INSTALLED = f"{DOMAIN}/installed"
"""Label of the objects that an installation adds beside the platform and the claims; only these are removed."""
COMPONENT = "app.kubernetes.io/component"
"""The label that names the owner of an object."""


class Kind(NamedTuple):
    """A kind in one version of its group; ``api_version`` is ``v1`` for the core group."""

    api_version: str
    kind: str


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The identity of one object in a control plane; ``namespace`` is empty for cluster-scoped kinds."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Key:
        """Return the key of an object."""
        meta = obj["metadata"]
        return cls(obj["apiVersion"], obj["kind"], meta.get("namespace", ""), meta["name"])

    @classmethod
    def read(cls, reference: Mapping[str, str]) -> Key:
        """Return the key of a reference, as ``as_dict`` writes it."""
        return cls(reference["apiVersion"], reference["kind"], reference.get("namespace", ""), reference["name"])

    def as_dict(self) -> dict[str, str]:
        """Return the key as a reference."""
        place = {"namespace": self.namespace} if self.namespace else {}
        return {"apiVersion": self.api_version, "kind": self.kind, **place, "name": self.name}

    @property
    def gvk(self) -> Kind:
        """The kind, with the version of its group."""
        return Kind(self.api_version, self.kind)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def make(  # noqa: PLR0913  # metadata has this many independent words
    api_version: str,
    kind: str,
    name: str,
    namespace: str = "",
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **body: Json,
) -> Obj:
    """Return an object; empty metadata parts are left out, so that equal input gives equal bytes."""
    metadata: Obj = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = dict(sorted(labels.items()))
    if annotations:
        metadata["annotations"] = dict(sorted(annotations.items()))
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}


def secret(name: str, namespace: str, values: Mapping[str, str], **meta: Json) -> Obj:
    """Return an Opaque Secret; values are text, stored in base64 as the API server stores them."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in sorted(values.items())}
    return make("v1", "Secret", name, namespace, **meta, type="Opaque", data=data)


def secret_values(obj: Mapping[str, Any]) -> dict[str, str]:
    """Return the decoded values of a Secret."""
    return {key: base64.b64decode(value).decode() for key, value in (obj.get("data") or {}).items()}


def config_map(name: str, namespace: str, values: Mapping[str, str], **meta: Json) -> Obj:
    """Return a ConfigMap of text values."""
    return make("v1", "ConfigMap", name, namespace, **meta, data=dict(sorted(values.items())))


def secret_env(name: str, secret_name: str, key: str, *, optional: bool = False) -> Obj:
    """Return an environment variable that the kubelet fills from a Secret; a missing Secret blocks the pod."""
    reference: Obj = {"name": secret_name, "key": key}
    if optional:
        reference["optional"] = True
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}


def secret_env_all(secret_name: str, *, optional: bool = False) -> Obj:
    """Return the entry of ``envFrom`` that makes every key of a Secret a variable when the pod starts."""
    return {"secretRef": {"name": secret_name, "optional": True} if optional else {"name": secret_name}}


RESTRICTED_POD: Obj = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
"""Pod-level securityContext that passes Pod Security ``restricted``."""

RESTRICTED_CONTAINER: Obj = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
"""Container securityContext that passes Pod Security ``restricted``."""


def spec_of(obj: Obj) -> Obj:
    """Return everything whose change makes a new generation: the object without metadata and status."""
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}


def status_of(obj: Mapping[str, Any] | None) -> Obj:
    """Return the status of an object, empty when it has none or does not exist."""
    status: Obj = (obj or {}).get("status") or {}
    return status


def labels_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the labels of an object, empty when it has none."""
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the annotations of an object, empty when it has none."""
    return obj["metadata"].get("annotations") or {}


def owned(obj: Obj, owner: Obj) -> Obj:
    """Return the object with ``owner`` as its controller."""
    meta = owner["metadata"]
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [reference]}}


def controller_uid(obj: Mapping[str, Any]) -> str | None:
    """Return the uid of the owner that controls the object, or None."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return None


def not_ours(objects: Iterable[Obj]) -> str:
    """Return the sentence about existing objects that another owner or none controls."""
    return f"foreign, so not changed: {', '.join(map(_with_controller, objects))}"


def _with_controller(obj: Obj) -> str:
    owners = obj["metadata"].get("ownerReferences") or ()
    owner = next((f"controlled by {o['kind']} {o['name']}" for o in owners if o.get("controller")), "")
    return f"{Key.of(obj)} ({owner or 'without a controller'})"


def condition(obj: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """Return the condition of the given type, or None."""
    conditions: Iterable[Mapping[str, Any]] = status_of(obj).get("conditions") or ()
    return next((entry for entry in conditions if entry.get("type") == kind), None)


def current(obj: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """Return the condition of the given type if it is of the object's current generation, else None.

    Crossplane writes the generation into its own conditions and into those of a function. Other
    controllers write it once for the whole status. A foreign kind without a generation is trusted. Our
    kinds always name one.
    """
    entry = condition(obj, kind)
    if entry is None:
        return None
    synced, status = condition(obj, "Synced") or {}, status_of(obj)
    generations = (place.get("observedGeneration") for place in (entry, synced, status))
    generation = next((number for number in generations if number is not None), None)
    if generation is None:
        return None if obj["apiVersion"].startswith(DOMAIN) else entry
    return entry if generation == obj["metadata"].get("generation", generation) else None


def stamp(moment: datetime) -> str:
    """Return a time as Kubernetes writes it: RFC 3339 in UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
