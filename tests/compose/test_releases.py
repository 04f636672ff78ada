"""The release guard pass by pass: each fault is repaired by one upgrade, and an unchanged platform writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.compose.helm import UNSCALED
from tests.compose.world import NOW, PLATFORMS, World, written

from vellum.compose.helm.guard import RULES, Look, plan
from vellum.kube.objects import Key, Obj
from vellum.kube.patch import copied
from vellum.model.repair import GuardMemory
from vellum.model.state import Composed, Event

KSERVE = Key("apps/v1", "Deployment", "kserve", "kserve")
STORAGE_CONTAINER = Key("serving.kserve.io/v1alpha1", "ClusterStorageContainer", "", "kserve")


def settled(place: str = "light") -> World:
    world = World(written(PLATFORMS[place]))
    assert world.settle().ready
    return world


def off(world: World) -> World:
    """Turn the guard off, as a platform engineer does."""
    world.composite["spec"]["repair"] = "disabled"
    world.step()
    return world


def later(world: World, seconds: float) -> list[Event]:
    """Let time pass, a second at a time, as Crossplane does with the guard's ttl; return what was told."""
    told: list[Event] = []
    until = world.now + timedelta(seconds=seconds)
    look = world.now
    while world.now < until:
        world.now += timedelta(seconds=1)
        if world.now >= look:
            # Its own writes wake Crossplane: the pass after a change follows immediately.
            for _ in range(3):
                before = world.resources
                composed = world.step()
                told += [event for event in composed.events if event.reason in ("Repairing", "Repaired", "Contended")]
                if world.resources == before:
                    break
            look = world.now + timedelta(seconds=composed.ttl_seconds)
    return told


def part(world: World, name: str = "kserve") -> Obj:
    result: Obj = next(component for component in world.composite["status"]["components"] if component["name"] == name)
    return result


def revision(world: World, name: str = "kserve") -> int:
    return world.helm.records[name][0]


def test_a_release_is_made_with_what_keeps_it_safe() -> None:
    release = settled().resources["kserve-release"]
    assert release["metadata"]["annotations"] == {
        "crossplane.io/external-name": "kserve",
        "platform.vellum.dev/seen": "1",
    }
    spec = copied(release["spec"])
    assert spec["forProvider"].pop("values")["kserve"]["controller"]["deploymentMode"] == "Standard"
    assert spec == {
        "providerConfigRef": {"name": "vellum"},
        "rollbackLimit": 3,
        "forProvider": {
            "chart": {
                "repository": "oci://registry.example.org/charts",
                "name": "kserve-resources",
                "version": "v0.20.0",
            },
            "namespace": "kserve",
            "skipCreateNamespace": True,
            "wait": True,
            "waitTimeout": "5m0s",
            "maxHistory": 5,
        },
    }


def test_istio_comes_first_and_everything_else_waits_for_its_control_plane() -> None:
    world = World(written(PLATFORMS["standard"]))
    order: list[str] = []
    for _ in range(20):
        world.step()
        order += sorted(name for name, obj in world.resources.items() if obj["kind"] == "Release" and name not in order)
    assert order[:2] == ["istio-base-release", "istiod-release"]
    assert order.index("kserve-crd-release") < order.index("kserve-release") < order.index("kserve-runtimes-release")
    assert order.index("argo-workflows-release") < order.index("kubeflow-pipelines-release")


def test_pipelines_are_not_installed_before_their_secret_is_there() -> None:
    world = World(written(PLATFORMS["light"]))
    for _ in range(20):
        before = set(world.resources)
        world.step()
        if "kubeflow-pipelines-release" in world.resources:
            assert "artifacts-secret" in before
            return
    raise AssertionError("Pipelines were never installed")


FAULTS: dict[str, tuple[Callable[[World], Any], str]] = {
    "a deleted Deployment": (lambda world: world.helm.live.pop(KSERVE), "missing"),
    "a Deployment scaled to zero": (
        lambda world: world.helm.edit(KSERVE, "spec", "replicas", value=0),
        "edited at .spec.replicas",
    ),
    "another image": (
        lambda world: world.helm.edit(KSERVE, "spec", "template", "spec", "containers", 0, "image", value="evil:1"),
        "edited at .spec.template.spec.containers[0].image",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_repaired_by_exactly_one_upgrade_with_a_receipt(name: str) -> None:
    """Proves: a deleted, scaled or edited workload of a chart is back by exactly one Helm upgrade, with a receipt."""
    world = settled()
    breaks, fault = FAULTS[name]
    breaks(world)
    told = later(world, 15)
    assert KSERVE in world.helm.live
    assert revision(world) == 2
    assert part(world) | {"lastRepair": "", "since": ""} == {
        "name": "kserve",
        "ready": True,
        "version": "v0.20.0",
        "revision": 2,
        "repairs": 1,
        "watched": 6,
        "lastRepair": "",
        "since": "",
    }
    (receipt,) = world.composite["status"]["receipts"]
    assert {key: receipt[key] for key in ("component", "object", "wrong", "revision")} == {
        "component": "kserve",
        "object": "Deployment kserve/kserve",
        "wrong": fault,
        "revision": 2,
    }
    assert [(event.type, event.reason) for event in told] == [("Warning", "Repairing"), ("Normal", "Repaired")]
    later(world, 60)
    assert revision(world) == 2, "a second upgrade would be for nothing"


def test_without_the_guard_a_release_is_ready_without_its_deployment() -> None:
    """Proves: control: without the guard, a deleted Deployment stays gone and its Release says Ready."""
    world = off(settled())
    del world.helm.live[KSERVE]
    later(world, 120)
    assert KSERVE not in world.helm.live
    assert part(world) | {"since": ""} == {
        "name": "kserve",
        "ready": True,
        "version": "v0.20.0",
        "revision": 1,
        "since": "",
    }


def test_two_objects_deleted_together_come_back_by_one_upgrade() -> None:
    """Proves: a Service and a ConfigMap deleted together are back by one upgrade."""
    world = settled()
    for kind in ("Service", "ConfigMap"):
        del world.helm.live[Key("v1", kind, "kserve", "kserve")]
    later(world, 15)
    assert revision(world) == 2
    assert len(world.composite["status"]["receipts"]) == 2


def test_an_edited_custom_resource_comes_back_by_two_upgrades() -> None:
    world = settled()
    world.helm.edit(STORAGE_CONTAINER, "spec", "host", value="evil")
    world.helm.edit(STORAGE_CONTAINER, "spec", "list", value=[3])
    later(world, 25)
    assert world.helm.live[STORAGE_CONTAINER]["spec"] == {"host": "kserve", "list": [1, 2]}
    assert revision(world) == 3
    assert part(world)["ready"]
    assert [receipt["wrong"] for receipt in world.composite["status"]["receipts"]] == ["edited at .spec.host"]
    later(world, 20)
    assert set(world.resources["provider-helm-patches"]["data"]) == {"a.yaml", "b.yaml", "nothing.yaml"}


def test_a_workload_without_replicas_scaled_to_zero_needs_two_upgrades() -> None:
    """Proves: a workload scaled to 0 whose chart sets no replicas, as KServe's, is back by two upgrades."""
    world = settled()
    key = Key("apps/v1", "Deployment", UNSCALED, UNSCALED)
    world.helm.edit(key, "spec", "replicas", value=3)
    later(world, 60)
    assert (revision(world, UNSCALED), world.helm.live[key]["spec"]["replicas"]) == (1, 3), (
        "the chart does not exclude 3"
    )
    world.helm.edit(key, "spec", "replicas", value=0)
    later(world, 25)
    assert (revision(world, UNSCALED), world.helm.live[key]["spec"]["replicas"]) == (3, 1)
    assert [receipt["wrong"] for receipt in world.composite["status"]["receipts"]] == ["scaled to 0"]
    later(world, 60)
    assert revision(world, UNSCALED) == 3


def test_a_custom_resource_that_rejects_patches_becomes_contended() -> None:
    """The repair ends as Contended and not in a loop."""
    world = settled()
    world.helm.edit(STORAGE_CONTAINER, "spec", "host", value="evil")
    world.helm.refuses = True
    later(world, 400)
    assert "Contended" in part(world)["reason"]
    assert part(world)["repairs"] == RULES.tries


def test_replicas_that_an_autoscaler_owns_are_no_fault() -> None:
    """Proves: an autoscaler's replicas do not count as a fault."""
    world = settled()
    world.helm.scalers = [
        {"metadata": {"name": "x"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "kserve"}}}
    ]
    world.helm.edit(KSERVE, "spec", "replicas", value=4)
    later(world, 60)
    assert revision(world) == 1


def test_what_only_the_live_side_has_is_no_fault() -> None:
    """Proves: an injected container does not count as a fault."""
    world = settled()
    sidecar = {"name": "istio-proxy", "image": "auto"}
    containers = world.helm.live[KSERVE]["spec"]["template"]["spec"]["containers"]
    world.helm.edit(KSERVE, "spec", "template", "spec", "containers", value=[sidecar, *containers])
    later(world, 60)
    assert (revision(world), part(world)["ready"]) == (1, True)


def test_a_lost_record_wakes_the_provider_and_uninstalls_nothing() -> None:
    """Proves: a lost Helm record is written again over the live objects."""
    world = settled()
    del world.helm.records["kserve"]
    world.step()
    release = world.resources["kserve-release"]
    assert release["metadata"]["annotations"]["platform.vellum.dev/seen"] == "1.gone"
    assert "rollbackLimit" not in release["spec"], "with it a stuck first revision would be uninstalled"
    later(world, 20)
    assert (revision(world), part(world)["ready"]) == (1, True)


def test_while_helm_is_at_work_nothing_is_touched() -> None:
    world = settled()
    world.helm.records["kserve"] = (2, "pending-upgrade", world.helm.records["kserve"][2])
    world.helm.unreported["kserve"] = (1, "superseded")
    del world.helm.live[KSERVE]
    before = copied(world.resources["kserve-release"]["spec"])
    later(world, 60)
    assert world.resources["kserve-release"]["spec"] == before
    assert part(world)["reason"] == "Helm is at work: pending-upgrade"


def test_a_repair_continues_after_the_provider_was_killed_in_an_upgrade() -> None:
    """A provider that freed the interrupted upgrade is woken, and the repair continues."""
    world = settled()
    del world.helm.live[KSERVE]
    world.helm.records["kserve"] = (3, "deployed", world.helm.records["kserve"][2])
    world.helm.unreported["kserve"] = (2, "pending-upgrade")
    later(world, 30)
    assert (revision(world), part(world)["ready"], KSERVE in world.helm.live) == (4, True, True)


@pytest.mark.parametrize(
    ("record", "way_out"),
    [
        ((2, "pending-rollback"), "helm rollback kserve -n kserve"),
        ((1, "pending-install"), "kubectl delete secret sh.helm.release.v1.kserve.v1 -n kserve"),
    ],
)
def test_what_nobody_frees_but_a_person_says_how(record: tuple[int, str], way_out: str) -> None:
    world = settled()
    world.helm.records["kserve"] = (*record, world.helm.records["kserve"][2])
    later(world, 30)
    assert part(world)["reason"] == f"Helm is at work: {record[1]}; if it stays so: {way_out}"


def test_a_failed_upgrade_is_tried_again_slowly_and_then_left_to_a_person() -> None:
    world = settled()
    world.helm.records["kserve"] = (2, "failed", world.helm.records["kserve"][2])
    world.helm.refuses = True
    told = later(world, 50)
    assert (part(world)["reason"], told) == ("revision 2 failed, 0 of 3 retries made: Helm does not report why", [])
    later(world, 600)
    assert part(world)["reason"] == "revision 2 failed, 3 of 3 retries made: Helm does not report why"
    assert part(world)["actor"] == "the platform engineer"


def test_somebody_who_undoes_every_repair_is_named_and_not_fought_for_ever() -> None:
    world = settled()
    told: list[Event] = []
    for _ in range(60):
        if world.helm.live.get(KSERVE, {}).get("spec", {}).get("replicas") == 1:
            world.helm.edit(KSERVE, "spec", "replicas", value=0)
        told += later(world, 5)
    assert revision(world) == 1 + RULES.tries
    assert part(world)["reason"] == (
        "Contended: Deployment kserve/kserve is edited at .spec.replicas; 3 repairs did not last: another actor undoes them"
    )
    assert [event.reason for event in told].count("Contended") == 1


def test_another_fault_arms_the_guard_again() -> None:
    world = settled()
    for _ in range(60):
        world.helm.edit(KSERVE, "spec", "replicas", value=0)
        later(world, 5)
    del world.helm.live[KSERVE]
    later(world, 30)
    assert world.helm.live[KSERVE]["spec"]["replicas"] == 1


def test_a_quiet_platform_writes_nothing() -> None:
    world = settled("standard")
    later(world, 10)
    before = copied((world.resources, world.composite))
    later(world, 600)
    assert (world.resources, world.composite) == before


def test_a_restart_of_the_function_causes_no_repair() -> None:
    """Proves: a restart of the function causes no repair."""
    world = settled()
    FAULTS["a deleted Deployment"][0](world)
    later(world, 30)
    restarted = World(copied(world.composite), resources=copied(world.resources), helm=world.helm, now=world.now)
    later(restarted, 60)
    assert revision(restarted) == 2


def test_a_chart_that_no_registry_is_known_for_blocks_only_its_part() -> None:
    world = World(written(PLATFORMS["light"]))
    world.composite["spec"]["charts"] = {}
    composed: Composed = world.settle()
    waiting = {
        component["name"]: component["reason"] for component in composed.status["components"] if not component["ready"]
    }
    missing = "ChartMissing: no registry is known for the chart {}; set spec.charts.own"
    assert waiting == {name: missing.format(name) for name in ("kubeflow-pipelines", "notebook-controller")}


def test_a_registry_of_our_own_charts_holds_no_others() -> None:
    world = World(written(PLATFORMS["light"]))
    world.composite["spec"]["charts"] = {"own": "oci://registry.example.org/vellum"}
    world.settle()
    charts = {
        name: world.resources[f"{name}-release"]["spec"]["forProvider"]["chart"]["repository"]
        for name in ("kubeflow-pipelines", "notebook-controller", "kserve")
    }
    assert charts == {
        "kubeflow-pipelines": "oci://registry.example.org/vellum",
        "notebook-controller": "oci://registry.example.org/vellum",
        "kserve": "oci://ghcr.io/kserve/charts",
    }


def test_a_failed_repair_is_reverted_so_that_helm_stops_repeating_it() -> None:
    """A failed upgrade of the guard is reverted; otherwise the provider would repeat it forever."""
    world = settled()
    world.helm.breaks = True
    del world.helm.live[KSERVE]
    later(world, 60)
    assert KSERVE in world.helm.live, "the rollback put it back"
    was = revision(world)
    later(world, 600)
    assert (revision(world), part(world)["ready"]) == (was, True)
    assert world.composite["status"]["receipts"][0]["object"] == "Deployment kserve/kserve"


def test_an_unreported_failure_is_reverted_immediately() -> None:
    """A failure is reverted before the provider reports it."""
    world = settled()
    world.helm.breaks = True
    del world.helm.live[KSERVE]
    while revision(world) == 1:
        world.now += timedelta(seconds=1)
        world.step()
    # Seen on the bench: it reports a failed revision only when it has begun the next one.
    world.helm.unreported["kserve"] = (1, "superseded")
    world.step()
    assert "patchesFrom" not in world.resources["kserve-release"]["spec"]["forProvider"]


def test_a_failed_write_through_is_reverted_and_retried_slowly() -> None:
    """The second half of a write-through fails: it is reverted and tried again with pauses."""
    world = settled()
    world.helm.edit(STORAGE_CONTAINER, "spec", "host", value="evil")
    world.helm.breaks_without = "evil"
    told = later(world, 40)
    was = revision(world)
    assert part(world)["reason"] == "ClusterStorageContainer kserve is edited at .spec.host"
    assert later(world, 15) == []
    assert revision(world) == was, "Helm has nothing to do meanwhile"
    told += later(world, 600)
    assert [event.reason for event in told] == ["Repairing", "Repairing", "Repairing", "Contended"]
    assert part(world)["reason"] == (
        "Contended: ClusterStorageContainer kserve is edited at .spec.host; Helm failed to write it back 3 times"
    )
    was = revision(world)
    later(world, 600)
    assert revision(world) == was

    # Any news arms the guard again.
    world.helm.breaks_without = ""
    del world.helm.live[KSERVE]
    later(world, 60)
    assert (part(world)["ready"], world.helm.live[STORAGE_CONTAINER]["spec"]["host"]) == (True, "kserve")
    assert KSERVE in world.helm.live
    later(world, 20)
    assert set(world.resources["provider-helm-patches"]["data"]) == {"a.yaml", "b.yaml", "nothing.yaml"}


def test_repair_turned_off_during_a_write_through_leaves_no_wrong_value() -> None:
    """The guard is turned off between the halves of a write-through."""
    world = settled()
    world.helm.edit(STORAGE_CONTAINER, "spec", "host", value="evil")
    while world.composite["status"]["guard"]["kserve"].get("step") != "record":
        world.now += timedelta(seconds=1)
        world.step()
    off(world)
    world.settle()
    assert world.helm.live[STORAGE_CONTAINER]["spec"]["host"] == "kserve"
    assert set(world.resources["provider-helm-patches"]["data"]) == {"a.yaml", "b.yaml", "nothing.yaml"}


def test_zero_replicas_under_an_autoscaler_are_repaired() -> None:
    """Zero replicas turn an autoscaler off; the guard turns it on again."""
    world = settled()
    world.helm.scalers = [
        {"metadata": {"name": "x"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "kserve"}}}
    ]
    world.helm.edit(KSERVE, "spec", "replicas", value=0)
    later(world, 30)
    assert world.helm.live[KSERVE]["spec"]["replicas"] == 1


def test_a_first_revision_that_outlived_a_platform_stays() -> None:
    """The first revision of a release that outlived a platform is never uninstalled."""
    world = World(written(PLATFORMS["light"]))
    while "kserve-crd-release" not in world.resources:
        world.step()
    spec = world.resources["kserve-crd-release"]["spec"]
    assert (spec.get("rollbackLimit"), spec["deletionPolicy"]) == (None, "Orphan")
    world.settle()
    assert world.resources["kserve-crd-release"]["spec"]["rollbackLimit"] == 3


def test_a_record_that_cannot_be_read_stops_the_guard_of_its_release_alone() -> None:
    world = settled()
    revision_, _, manifest = world.helm.records["kserve"]
    world.helm.records["kserve"] = (revision_, "deployed", [*manifest, {"kind": "Service"}])
    later(world, 30)
    assert part(world)["reason"] == "Helm's record of kserve cannot be read"
    del world.helm.live[Key("apps/v1", "Deployment", "cert-manager", "cert-manager")]
    later(world, 30)
    assert revision(world, "cert-manager") == 2


def test_what_helm_could_not_begin_is_not_called_somebodys_doing() -> None:
    world = settled()
    world.helm.unreachable = "failed to pull chart: i/o timeout"
    del world.helm.live[KSERVE]
    later(world, 300)
    assert part(world)["reason"] == "Release kserve: failed to pull chart: i/o timeout"
    world.helm.unreachable = ""
    later(world, 30)
    assert (part(world)["ready"], KSERVE in world.helm.live) == (True, True)


def test_a_foreign_release_with_our_name_stops_the_platform() -> None:
    theirs = {"apiVersion": "helm.crossplane.io/v1beta1", "kind": "Release", "metadata": {"name": "argo-workflows"}}
    world = World(written(PLATFORMS["light"]), foreign=[theirs])
    composed = world.step()
    assert composed.fatal == ("foreign, so not changed: Release argo-workflows (without a controller)")
    assert world.resources == {}


def test_with_the_guard_off_what_keeps_a_release_safe_stays() -> None:
    world = settled()
    before = copied(world.resources["kserve-release"])
    off(world)
    world.settle()
    assert world.resources["kserve-release"] == before
    assert "record/kserve" in world.answered
    assert not any("live/" in name for name in world.listed)


@pytest.mark.parametrize(("began", "now"), [("standard", "local"), ("light", "local"), ("standard", "light")])
def test_a_profile_that_would_uninstall_what_is_in_use_changes_nothing(began: str, now: str) -> None:
    world = settled(began)
    before = copied(world.resources)
    world.composite["spec"]["profile"] = now
    composed = world.step()
    assert (composed.conditions[0].reason, world.resources) == ("ProfileChanged", before)


def test_a_profile_of_which_nothing_was_installed_can_be_taken_back() -> None:
    """A foreign CRD stopped the installation of istio-base."""
    world = settled("light")
    world.helm.foreign = "istio-base"
    world.composite["spec"]["profile"] = "standard"
    waiting = world.settle()
    assert "cannot be imported" in waiting.conditions[0].message
    assert waiting.status["profile"] == "standard"

    world.composite["spec"]["profile"] = "light"
    composed = world.settle()

    assert (composed.ready, composed.status["profile"]) == (True, "light")
    assert not any("istio" in name for name in world.resources)


def test_another_bucket_for_artifacts_is_refused() -> None:
    """Another bucket changes nothing, because the stored artifacts would no longer be visible."""
    world = settled()
    before = copied(world.resources)
    world.composite["spec"]["artifacts"] = {"bucket": "artifacts-eu"}
    composed = world.step()
    assert (composed.conditions[0].reason, world.resources) == ("BucketChanged", before)


def test_a_light_platform_may_grow_to_a_standard_one() -> None:
    world = settled()
    world.composite["spec"]["profile"] = "standard"
    assert world.settle().ready
    assert "istiod-release" in world.resources


def test_a_status_of_before_there_was_a_choice_of_stores_means_seaweedfs() -> None:
    world = settled()
    del world.composite["status"]["objectStore"]
    before = copied(world.resources)
    world.composite["spec"]["objectStore"] = {"backend": "external", "endpoint": "https://s3.example.org"}
    assert (world.step().conditions[0].reason, world.resources) == ("StoreChanged", before)


def test_helm_at_work_two_revisions_ahead_is_left_alone() -> None:
    world = settled()
    manifest = world.helm.records["kserve"][2]
    world.helm.records["kserve"] = (3, "pending-upgrade", manifest)
    world.helm.unreported["kserve"] = (1, "failed")
    before = copied(world.resources["kserve-release"]["spec"])
    later(world, 120)
    assert world.resources["kserve-release"]["spec"] == before
    assert part(world)["reason"] == "Helm is at work: pending-upgrade"


def test_a_fault_that_a_repair_ended_has_its_receipt_though_another_stayed() -> None:
    memory = plan("a", GuardMemory(), Look("deployed", 1, {"A": "missing", "B": "missing"}), NOW).memory
    for second in range(3, 90):
        at = NOW + timedelta(seconds=second)
        faults = {"A": "missing", "B": "missing"} if memory.nonce == 0 else {"B": "missing"}
        done = plan("a", memory, Look("deployed", 1 + memory.nonce, faults), at)
        memory = done.memory
        if done.receipts:
            assert [(receipt.object, receipt.wrong) for receipt in done.receipts] == [("A", "missing")]
            return
    raise AssertionError("the status has no receipt")
