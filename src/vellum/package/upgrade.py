"""What changes between two renders, and what that means for the platform engineer. Pure.

The sentences describe how Crossplane, provider-helm and Kubernetes treat charts and objects. What a chart's new
version changes inside is in its own release notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from vellum.api.claim import Claim, claim_spec
from vellum.api.platform import Platform, platform_spec
from vellum.components import platform_components, team_components
from vellum.compose.helm.records import WORKLOADS
from vellum.compose.team import kept_by_parts
from vellum.kube.objects import Obj
from vellum.model.keys import DUMMY_SEED
from vellum.model.release import ReleaseComponent
from vellum.package.changes import BEGIN, CHARTS, COMPOSED, IMAGES, TOPICS, Change
from vellum.package.differences import differences
from vellum.package.lock import PLATFORM, Lock, LockedChart
from vellum.package.meanings import MIGRATE, opens
from vellum.package.upgrade_tree import of_tree

_PODS = {*WORKLOADS, "Notebook", "InferenceService", "Seaweed"}
"""Kinds whose controller makes pods, and replaces them on a change."""
_PRECIOUS = {*_PODS, "Namespace", "PersistentVolumeClaim", "Bucket"}


@dataclass(frozen=True, slots=True)
class Render:
    """One rendered tree: the objects in order, and their meaning, if it is known."""

    objects: tuple[Obj, ...]
    lock: Lock | None


def compare(before: Render, after: Render) -> list[Change]:
    """Return the changes, topic by topic."""
    changes = list(of_tree(before.objects, after.objects))
    if before.lock and after.lock:
        for of in (_versions, _charts, _images, _composed):
            changes += of(before.lock, after.lock)
    else:
        means = "charts, images and composed objects cannot be compared this time"
        changes.append(Change(BEGIN, "the earlier tree does not record what it was composed to", (means,)))
    return sorted(changes, key=lambda change: TOPICS.index(change.topic))


def _versions(before: Lock, after: Lock) -> Iterator[Change]:
    if before.vellum != after.vellum:
        means = (
            "read the changelog between the two",
            "the following is true once the function's package has the new version too",
        )
        yield Change(BEGIN, f"Vellum {before.vellum} → {after.vellum}", means)


def _charts(before: Lock, after: Lock) -> Iterator[Change]:
    for part in dict.fromkeys((*before.charts, *after.charts)):
        old, new = before.charts.get(part), after.charts.get(part)
        if old and new:
            yield from _chart(part, old, new)
        elif new:
            means = f"Helm installs it in namespace {new.namespace}; running parts are not affected"
            yield Change(CHARTS, f"{part}: {new.name} {new.version} is added", (means,))
        elif old:
            yield Change(CHARTS, f"{part}: {old.name} {old.version} is removed", (_goes(part),), grave=True)


def _chart(part: str, old: LockedChart, new: LockedChart) -> Iterator[Change]:
    if (old.name, old.version) != (new.name, new.version):
        yield _version(part, old, new)
    if old.repository != new.repository:
        means = "Helm pulls from there at its next upgrade; an equal archive changes nothing"
        yield Change(CHARTS, f"{part}: from {old.repository or 'Vellum'} → {new.repository or 'Vellum'}", (means,))
    if old.namespace != new.namespace:
        means = f"Helm installs it in {new.namespace}; you must remove what it made in {old.namespace}"
        yield Change(CHARTS, f"{part}: namespace {old.namespace} → {new.namespace}", (means,), grave=True)
    if values := list(differences(old.values, new.values)):
        means = "Helm upgrades the release once; each workload whose pods change rolls"
        yield Change(CHARTS, f"{part}: values {'; '.join(values)}", (means,))


def _version(part: str, old: LockedChart, new: LockedChart) -> Change:
    means = ["Helm upgrades the release once; each workload whose pods change rolls"]
    if groups := _groups(part):
        means.append(f"its kinds ({', '.join(groups)}) change with it, and their objects stay")
    if data := opens(part):
        means.append(data)
    if back := _ordered(new.version) < _ordered(old.version):
        means.append("this is a downgrade: objects lose fields that only the newer kinds have")
    means.append(f"read the release notes of {new.name} between the two")
    grave = bool(data) or bool(groups) or back
    return Change(CHARTS, f"{part}: {old.name} {old.version} → {new.name} {new.version}", tuple(means), grave=grave)


def _groups(part: str) -> list[str]:
    """Return the API groups of the kinds that the part's chart brings."""
    component = platform_components().get(part)
    kinds = component.serves if isinstance(component, ReleaseComponent) else ()
    return list(dict.fromkeys(kind.api_version.partition("/")[0] for kind in kinds))


def _goes(part: str) -> str:
    component = platform_components().get(part)
    if isinstance(component, ReleaseComponent) and component.outlives:
        return "its Release is deleted, but Helm keeps what it installed, and so all objects of its kinds"
    return "Helm uninstalls it, except for what its chart keeps"


def _ordered(version: str) -> tuple[int, ...]:
    """Return a version's numbers, which is enough to tell forward from back."""
    return tuple(map(int, re.findall(r"\d+", version)))


def _images(before: Lock, after: Lock) -> Iterator[Change]:
    for part in dict.fromkeys((*before.images, *after.images)):
        old, new = before.images.get(part, []), after.images.get(part, [])
        for was, now in _pairs([item for item in old if item not in new], [item for item in new if item not in old]):
            yield _image(part, was, now)


def _image(part: str, was: str, now: str) -> Change:
    if not was:
        return Change(IMAGES, f"{part}: {now} is added", ("it is pulled from now on",))
    if not now:
        return Change(IMAGES, f"{part}: {was} is removed", ("it is not pulled any more",))
    means = ["pods that run it are replaced"]
    if migrates := _repository(now).endswith(MIGRATE):
        means.append(opens(part))
    return Change(IMAGES, f"{part}: {was} → {now}", tuple(means), grave=migrates)


def _pairs(gone: list[str], come: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each removed image with the added one of the same repository."""
    rest = list(come)
    for was in gone:
        now = next((item for item in rest if _repository(item) == _repository(was)), "")
        if now:
            rest.remove(now)
        yield was, now
    yield from (("", now) for now in rest)


def _repository(image: str) -> str:
    path, digest, _ = image.partition("@")
    return path if digest else path.rpartition(":")[0]


def _composed(before: Lock, after: Lock) -> Iterator[Change]:
    """Yield the differences between the objects of both renders; the tree shows added and removed claims."""
    for owner in (name for name in after.composed if name in before.composed):
        old, new = before.composed[owner], after.composed[owner]
        for name in dict.fromkeys((*old, *new)):
            if old.get(name) != new.get(name):
                yield _object(owner, name, old, new)


def _object(owner: str, name: str, old: dict[str, str], new: dict[str, str]) -> Change:
    kind, where = name.partition(" ")[0], f"{name}, of {owner}"
    if name not in new:
        if owner != PLATFORM and (kind, name.rpartition("/")[2]) in _kept():
            means = "it stays while its claim exists, and its part uses it again when it is turned on"
            return Change(COMPOSED, f"{where}, is not composed any more", (means,))
        return Change(COMPOSED, f"{where}, is removed", ("it is deleted",), grave=kind in _PRECIOUS)
    if name not in old:
        return Change(COMPOSED, f"{where}, is added", ("it is created; running parts are not affected",))
    return Change(COMPOSED, f"{where}, changes", (_changes(kind),))


def _changes(kind: str) -> str:
    if kind == "PersistentVolumeClaim":
        return "it keeps the size with which it was made, and its content; labels and annotations change in place"
    rolls = "its pods are replaced if their template changes; data in volumes stays, and volumes keep their size"
    return rolls if kind in _PODS else "it is changed in place"


@cache
def _kept() -> frozenset[tuple[str, str]]:
    """Return kind and name of the objects that a claim's parts keep when they are turned off."""
    switches = {part.switch: "enabled" for part in team_components().values() if part.switch}
    claim = Claim("any", "any", claim_spec().model_validate(switches))
    place = Platform(platform_spec().model_validate({"profile": "light"}))
    return frozenset((obj["kind"], obj["metadata"]["name"]) for obj in kept_by_parts(claim, place, DUMMY_SEED))
