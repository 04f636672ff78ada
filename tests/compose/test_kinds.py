"""A deleted CRD of a chart comes back. Meanwhile claims that need it say so, and compose no object of it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.compose.test_refused import claim
from tests.compose.test_releases import later, part, revision
from tests.compose.world import CHARTS, PLATFORMS, World, written

from vellum.components import platform_components, team_components
from vellum.kube.objects import Kind
from vellum.model.release import ReleaseComponent

BROUGHT = [
    (name, kind)
    for name, component in platform_components().items()
    if isinstance(component, ReleaseComponent)
    for kind in component.serves
    if kind not in component.crds
]
JOB_SET = Kind("jobset.x-k8s.io/v1alpha2", "JobSet")


def settled() -> World:
    world = World(written(PLATFORMS["standard"]), discovers=True)
    assert world.settle().ready
    return world


def gone(world: World, kind: Kind) -> None:
    group = kind.api_version.split("/")[0]
    world.helm.gone.add(f"{group}/{kind.kind}")
    world.helm.deleted[group] += 1


@pytest.mark.parametrize(("name", "kind"), [pytest.param(*item, id=item[1].kind) for item in BROUGHT])
def test_a_deleted_crd_comes_back_by_one_upgrade(name: str, kind: Kind) -> None:
    """Also if other kinds of its group stay, so that the group's APIService does not show it."""
    world = settled()
    was = revision(world, name)
    gone(world, kind)
    composed = world.step()
    text = next(component for component in composed.status["components"] if component["name"] == name)
    assert not text["ready"]
    assert kind.kind in text["reason"] or "CustomResourceDefinition" in text["reason"]
    told = later(world, 15)
    assert world.helm.gone == set()
    assert revision(world, name) == was + 1
    assert [event.reason for event in told] == ["Repairing", "Repaired"]
    later(world, 30)
    assert world.look().ready


def test_a_crd_that_no_upgrade_makes_comes_back_by_a_second_release_of_its_chart() -> None:
    """JobSet's CRD is in the crds/ folder of a subchart of Kubeflow Trainer: Helm makes it only when it installs."""
    world = settled()
    was = revision(world, "kubeflow-trainer")
    gone(world, JOB_SET)
    composed = world.step()
    text = next(component for component in composed.status["components"] if component["name"] == "kubeflow-trainer")
    assert (text["ready"], text["actor"]) == (False, "provider-helm")
    assert text["reason"] == (
        "CustomResourceDefinition jobsets.jobset.x-k8s.io is missing, and Helm makes it only when it installs: "
        "Release kubeflow-trainer-crds installs it"
    )
    second = composed.objects["kubeflow-trainer-crds"].obj["spec"]
    assert second["managementPolicies"] == ["Create", "Delete", "LateInitialize", "Observe"]
    assert second["forProvider"]["patchesFrom"][0]["configMapKeyRef"]["key"] == "nothing.yaml"
    later(world, 10)
    assert world.helm.gone == set()
    assert "kubeflow-trainer-crds" not in world.resources
    assert revision(world, "kubeflow-trainer") == was
    assert world.look().ready


def test_a_crd_that_is_deleted_again_at_once_is_restored_again() -> None:
    """The second Release is still installed, so Helm installs nothing again until Crossplane has deleted it."""
    world = settled()
    gone(world, JOB_SET)
    world.step()
    gone(world, JOB_SET)
    world.step()
    assert "kubeflow-trainer-crds" not in world.resources
    later(world, 10)
    assert world.helm.gone == set()
    assert "kubeflow-trainer-crds" not in world.resources
    assert world.look().ready


def test_a_held_release_gets_the_lost_crd_of_the_chart_that_runs() -> None:
    """The newest chart's CRD would not fit the running operator, which stays until its part may change."""
    world = settled()
    world.composite["spec"]["charts"] = {"repository": "oci://registry.example.org/newer"}
    gone(world, JOB_SET)
    world.step()
    charts = [
        world.resources[name]["spec"]["forProvider"]["chart"]
        for name in ("kubeflow-trainer-release", "kubeflow-trainer-crds")
    ]
    assert charts[0]["repository"] == CHARTS
    assert charts[1] == charts[0]


def test_a_crd_that_cannot_be_brought_back_is_said_with_the_way_out() -> None:
    world = settled()
    gone(world, JOB_SET)
    world.helm.bare = "cannot pull the chart"
    later(world, 10)
    text = part(world, "kubeflow-trainer")
    assert (text["ready"], text["actor"]) == (False, "the platform engineer")
    assert text["reason"] == (
        "CustomResourceDefinition jobsets.jobset.x-k8s.io is missing, and Helm makes it only when it installs: "
        "cannot pull the chart; kubectl delete secret -n kubeflow-system -l owner=helm,name=kubeflow-trainer"
    )


def test_with_the_guard_off_no_crd_is_brought_back() -> None:
    world = settled()
    world.composite["spec"]["repair"] = "disabled"
    world.step()
    gone(world, JOB_SET)
    later(world, 10)
    assert "kubeflow-trainer-crds" not in world.resources
    assert "jobset.x-k8s.io/JobSet" in world.helm.gone


@pytest.mark.parametrize("before", [False, True])
def test_the_status_remembers_which_crd_without_a_mark_came_with_the_chart(*, before: bool) -> None:
    """Helm marks nothing of a crds/ folder, so only this tells an uninstallation whose kind it is."""
    world = World(written(PLATFORMS["light"]), discovers=True)
    if not before:
        gone(world, JOB_SET)
    assert world.settle().ready
    later(world, 10)
    assert brought(world) == (None if before else {"jobsets.jobset.x-k8s.io": "v1alpha2.jobset.x-k8s.io, number 1"})


def test_the_list_that_an_earlier_version_wrote_gets_its_uids() -> None:
    world = World(written(PLATFORMS["light"]), discovers=True)
    gone(world, JOB_SET)
    assert world.settle().ready
    later(world, 10)
    memory = world.composite["status"]["guard"]["kubeflow-trainer"]
    services = memory.pop("services")
    assert memory["brought"] == ["jobsets.jobset.x-k8s.io"]
    later(world, 10)
    assert (brought(world), brought(world) is not None) == (services, True)


def brought(world: World) -> Any:
    return world.composite["status"]["guard"]["kubeflow-trainer"].get("services")


@pytest.mark.parametrize("repair", ["enabled", "disabled"])
def test_a_restored_crd_is_the_charts_and_a_later_one_of_a_user_is_not(repair: str) -> None:
    """Without the guard only a user makes a deleted CRD again, so the status keeps the uid of the deleted one."""
    world = World(written(PLATFORMS["light"]), discovers=True)
    gone(world, JOB_SET)
    assert world.settle().ready
    world.composite["spec"]["repair"] = repair
    world.step()
    gone(world, JOB_SET)
    later(world, 10)
    if repair == "disabled":
        world.helm.gone.clear()
        later(world, 10)
    number = {"enabled": 2, "disabled": 1}[repair]
    assert brought(world) == {"jobsets.jobset.x-k8s.io": f"v1alpha2.jobset.x-k8s.io, number {number}"}


TEAM = [
    (name, kind)
    for name, item in team_components().items()
    for kind in item.kinds
    if "crossplane" not in kind.api_version
]


@pytest.mark.parametrize(("name", "kind"), [pytest.param(*item, id="-".join((item[0], item[1].kind))) for item in TEAM])
@pytest.mark.parametrize("terminating", [False, True])
def test_a_claim_says_that_a_kind_is_gone_and_composes_nothing_of_it(
    name: str, kind: Kind, *, terminating: bool
) -> None:
    """A CRD that is being deleted deletes its objects first. Creating them again gives a server error."""
    world = claim()
    if name not in {component["name"] for component in world.composite["status"]["components"]}:
        pytest.skip("the claim does not ask for it")
    world.discovers = True
    if terminating:
        world.terminating.add(kind.kind)
    else:
        gone(world, kind)
    for key in [key for key in world.objects if key.kind == kind.kind]:
        del world.objects[key]
    world.refused = {kind.kind: "the server could not find the requested resource"}
    composed = world.step()
    assert world.composed()
    assert not composed.ready
    assert kind.kind not in {obj.obj["kind"] for obj in composed.objects.values()}
    text = part(world, name)
    assert (text["ready"], text["reason"]) == (False, f"kind {kind.kind} ({kind.api_version}) is not served yet")
    assert {key.kind for key in world.deleted} <= {kind.kind}


def test_a_moment_in_which_discovery_knows_no_kind_deletes_nothing() -> None:
    """Existing objects stay desired: an API server that just started may not know its CRDs yet."""
    world = claim()
    world.discovers = True
    for component in team_components().values():
        for kind in component.kinds:
            gone(world, kind)
    before = set(world.objects)
    world.step()
    assert before <= set(world.objects)
    assert world.deleted == []
