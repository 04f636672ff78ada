"""What keeps what: every Usage names two objects that are there, and none could wait for itself."""

from __future__ import annotations

import pytest
from tests.compose.render import worlds
from tests.compose.world import World

from vellum.kube import names, usage
from vellum.kube.objects import Key, Obj
from vellum.model.platform import PLATFORM
from vellum.package.rights import roles

ON_CLUSTERS = [
    "claim-full-light",
    "claim-full-external",
    "platform-light",
    "platform-standard",
    "platform-external-light",
]
CLUSTER_SCOPED = {"Namespace", "Release", "KubeflowPlatform"}


def usages(world: World) -> list[Obj]:
    return [obj for obj in world.settle_objects().values() if obj["apiVersion"] == usage.API]


def used(obj: Obj) -> Key:
    """Return what Crossplane looks up: in the namespace of the Usage, unless it says another, be it none."""
    of, own = obj["spec"]["of"], obj["metadata"].get("namespace", "")
    reference = of["resourceRef"]
    return Key(of["apiVersion"], of["kind"], reference.get("namespace", own), reference["name"])


def using(obj: Obj) -> Key | None:
    by = obj["spec"].get("by")
    if by is None:
        return None
    where = "" if by["kind"] in CLUSTER_SCOPED else obj["metadata"].get("namespace", "")
    return Key(by["apiVersion"], by["kind"], where, by["resourceRef"]["name"])


@pytest.mark.parametrize("case", ON_CLUSTERS)
def test_a_usage_names_two_composed_objects_not_its_composite(case: str) -> None:
    world = worlds()[case]
    result = usages(world)
    there = {Key.of(obj) for obj in world.resources.values()}
    assert result
    assert {used(item) for item in result} | {using(item) for item in result} <= {*there, PLATFORM, None}
    assert Key.of(world.composite) not in {using(item) for item in result}
    # A claim is deleted in the foreground: the user of its Usage would wait for the Usage, and that for a poll.
    assert not (case.startswith("claim") and any(map(using, result)))
    assert {used(item).namespace for item in result if used(item).kind in CLUSTER_SCOPED} <= {""}


@pytest.mark.parametrize("case", ON_CLUSTERS)
def test_a_refused_platform_deletion_is_not_repeated(case: str) -> None:
    repeated = {used(item).kind for item in usages(worlds()[case]) if item["spec"].get("replayDeletion")}
    assert repeated <= {"Namespace", "Release"}


@pytest.mark.parametrize("case", [name for name in worlds() if name.endswith("-local")])
def test_on_a_laptop_there_is_none(case: str) -> None:
    assert usages(worlds()[case]) == []


@pytest.mark.parametrize("case", ON_CLUSTERS)
def test_crossplane_has_the_rights_that_usages_need(case: str) -> None:
    """Crossplane may mark and delete the used objects, and read the objects that use them."""
    rules = roles()[0]["rules"]
    may = {
        (group, resource): set(rule["verbs"])
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        if rule["verbs"] == ["*"]
    }
    # The platform is a kind of Crossplane's own: its rbac-manager gives it that.
    keys = {key for item in usages(worlds()[case]) for key in (used(item), using(item)) if key not in (None, PLATFORM)}
    assert {(key.api_version.rpartition("/")[0], names.plural(key.kind)) for key in keys if key} <= may.keys()
