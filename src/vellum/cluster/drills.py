"""Faults made on purpose in a platform's Helm releases, to prove that the release guard repairs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from vellum.cluster.api import Api
from vellum.components import platform_components
from vellum.compose.helm.records import OWNED, owner
from vellum.kube.objects import Key, Kind, Obj, status_of
from vellum.model.drill import Drill, is_back
from vellum.model.platform import PLATFORM
from vellum.model.release import ReleaseComponent

Harm = Callable[[Api, Obj], object]


def drills(api: Api, releases: tuple[str, ...]) -> Iterator[Drill]:
    """Yield faults in these releases: in their first Deployment, Service, ConfigMap and custom resource."""
    for release in releases:
        component = platform_components()[release]
        assert isinstance(component, ReleaseComponent)
        for kind, what, harm in _faults(component):
            if before := _first(api, kind, component):
                yield _drill(api, release, before, what, harm)


def _faults(component: ReleaseComponent[Any]) -> Iterator[tuple[Kind, str, Harm]]:
    deployment = Kind("apps/v1", "Deployment")
    yield deployment, "deleted", _delete
    yield deployment, "scaled to 0", _scale
    yield deployment, "given another image", _image
    for kind in (Kind("v1", "Service"), Kind("v1", "ConfigMap"), *component.custom):
        yield kind, "deleted", _delete


def _first(api: Api, kind: Kind, component: ReleaseComponent[Any]) -> Obj | None:
    result, _ = api.list(kind, labels=dict(OWNED))
    mark = component.name, component.namespace
    ours = [obj for obj in result if owner(obj) == mark]
    return min(ours, key=Key.of, default=None)


def _drill(api: Api, release: str, before: Obj, what: str, harm: Harm) -> Drill:
    key = Key.of(before)
    return Drill(
        str(key),
        what,
        harm=partial(harm, api, before),
        whole=lambda: is_back(before, api.get(key)),
        at_rest=lambda: _at_rest(api, release),
    )


def _at_rest(api: Api, release: str) -> bool:
    status = status_of(api.get(PLATFORM))
    part: Obj = next((component for component in status.get("components") or () if component["name"] == release), {})
    last = ((status.get("guard") or {}).get(release) or {}).get("last") or {}
    return bool(part.get("ready")) and not last.get("open")


def _delete(api: Api, obj: Obj) -> None:
    api.delete(Key.of(obj), uid=obj["metadata"]["uid"])


def _scale(api: Api, obj: Obj) -> None:
    api.merge(Key.of(obj), {"spec": {"replicas": 0}})


def _image(api: Api, obj: Obj) -> None:
    path = "/spec/template/spec/containers/0/image"
    api.change(Key.of(obj), {"op": "replace", "path": path, "value": "registry.invalid/not-ours:v0"})
