"""Faults made on purpose in the releases of a platform, each timed until it is gone: the proof that repairs work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from vellum.cluster.api import Api
from vellum.components import platform_components
from vellum.compose.inventory import OWNED, RELEASE_NAME
from vellum.kube.objects import Key, Obj, annotations_of, condition
from vellum.model.component import Kind
from vellum.model.release import RELEASE, ReleaseComponent

POLL_SECONDS = 0.1
DEPLOYMENT = Kind("apps/v1", "Deployment")


@dataclass(frozen=True, slots=True)
class Drill:
    """One fault: on which object of which release, what is done, and how one sees that it is undone."""

    release: str
    key: Key
    what: str
    harm: Callable[[Api, Obj], object] = field(repr=False)
    whole: Callable[[Obj, Obj], bool] = field(repr=False)
    """From the object before and now to whether it is as before."""


@dataclass(frozen=True, slots=True)
class Done:
    """One drill that was made."""

    release: str
    object: str
    what: str
    seconds: float | None
    """Until the object was as before; None if it was not in time."""
    revisions: int
    """Helm revisions that it took."""

    def as_dict(self) -> Obj:
        """Return plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


def drills(api: Api, releases: list[str]) -> list[Drill]:
    """Return what can be broken in these releases: their first Deployment, Service, ConfigMap and custom resource."""
    return [drill for release in releases for drill in _of(api, release)]


def _of(api: Api, release: str) -> Iterator[Drill]:
    component = platform_components()[release]
    assert isinstance(component, ReleaseComponent)
    if found := _first(api, DEPLOYMENT, component):
        yield Drill(release, found, "deleted", _delete, _is_new)
        yield Drill(release, found, "scaled to 0", _scale, _same_spec)
        yield Drill(release, found, "another image", _image, _same_spec)
    for kind in (Kind("v1", "Service"), Kind("v1", "ConfigMap"), *component.custom):
        if found := _first(api, kind, component):
            yield Drill(release, found, "deleted", _delete, _is_new)


def edited(api: Api, release: str, kind: Kind, patch: Obj) -> Drill | None:
    """Return the drill that edits the first object of a kind of an operator; None where there is none."""
    component = platform_components()[release]
    assert isinstance(component, ReleaseComponent)
    found = _first(api, kind, component)
    if found is None:
        return None
    return Drill(release, found, "edited", lambda api, obj: api.merge(Key.of(obj), patch), _same_spec)


def _first(api: Api, kind: Kind, component: ReleaseComponent[Any]) -> Key | None:
    found, _ = api.list(kind, labels=dict(OWNED))
    ours = [Key.of(obj) for obj in found if annotations_of(obj).get(RELEASE_NAME) == component.name]
    return min(ours, default=None)


def run(api: Api, drill: Drill, timeout: float) -> Done:
    """Break it, and wait until it is as before and its release is whole again."""
    before = api.get(drill.key)
    if before is None:
        return Done(drill.release, str(drill.key), drill.what, None, 0)
    revision = _revision(api, drill.release)
    drill.harm(api, before)
    began = time.monotonic()
    seconds = _until(lambda: _is_whole(api, drill, before), began, timeout)
    # A release that is still being repaired would make the next drill wait for this one.
    _until(lambda: _at_rest(api, drill.release), began, timeout)
    return Done(drill.release, str(drill.key), drill.what, seconds, _revision(api, drill.release) - revision)


def _until(met: Callable[[], bool], began: float, timeout: float) -> float | None:
    while not met():
        if time.monotonic() - began > timeout:
            return None
        time.sleep(POLL_SECONDS)
    return round(time.monotonic() - began, 1)


def _is_whole(api: Api, drill: Drill, before: Obj) -> bool:
    now = api.get(drill.key)
    return now is not None and "deletionTimestamp" not in now["metadata"] and drill.whole(before, now)


def _at_rest(api: Api, release: str) -> bool:
    found = api.get(Key("platform.vellum.dev/v1alpha1", "KubeflowPlatform", "", "kubeflow")) or {}
    status = found.get("status") or {}
    part: Obj = next((one for one in status.get("components") or () if one["name"] == release), {})
    last = ((status.get("guard") or {}).get(release) or {}).get("last") or {}
    return bool(part.get("ready")) and not last.get("open")


def _revision(api: Api, release: str) -> int:
    found = api.get(Key(RELEASE.api_version, RELEASE.kind, "", release)) or {}
    return int(((found.get("status") or {}).get("atProvider") or {}).get("revision") or 0)


def _delete(api: Api, obj: Obj) -> None:
    api.delete(Key.of(obj), uid=obj["metadata"]["uid"])


def _scale(api: Api, obj: Obj) -> None:
    api.merge(Key.of(obj), {"spec": {"replicas": 0}})


def _image(api: Api, obj: Obj) -> None:
    path = "/spec/template/spec/containers/0/image"
    api.change(Key.of(obj), {"op": "replace", "path": path, "value": "registry.invalid/not-ours:v0"})


def _is_new(before: Obj, now: Obj) -> bool:
    return bool(now["metadata"]["uid"] != before["metadata"]["uid"])


def _same_spec(before: Obj, now: Obj) -> bool:
    return bool(now.get("spec") == before.get("spec"))


def ready(obj: Obj) -> bool:
    """Tell whether a platform is Ready."""
    return (condition(obj, "Ready") or {}).get("status") == "True"
