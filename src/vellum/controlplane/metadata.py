"""The metadata that a control plane adds to an object, and removes from what a user writes. Pure."""

from __future__ import annotations

from vellum.kube.objects import Obj, annotations_of, owned

RESOURCE_ANNOTATION = "crossplane.io/composition-resource-name"
"""The name of a composed object inside its composite, under the key that Crossplane uses."""

_OWN = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp")


def as_written(obj: Obj) -> Obj:
    """Return the object without its status and without the metadata that only the control plane sets."""
    meta = {name: value for name, value in obj["metadata"].items() if name not in _OWN}
    return {**{name: value for name, value in obj.items() if name != "status"}, "metadata": meta}


def composed(obj: Obj, owner: Obj, resource: str) -> Obj:
    """Return the object with ``owner`` as its controller and ``resource`` as its name inside the composite."""
    annotations = {**annotations_of(obj), RESOURCE_ANNOTATION: resource}
    return owned({**obj, "metadata": {**obj["metadata"], "annotations": annotations}}, owner)
