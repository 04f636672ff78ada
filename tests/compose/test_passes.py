"""The answers of compose, pass by pass: it names what it waits for, loses nothing, and changes no foreign object."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compose.render import CLAIM, EVERYTHING
from tests.compose.world import HEAD, NOW, PLATFORMS, UID, World, settled_platform, stored, written
from tests.compose.world import given as given_key
from tests.strategies import CLAIMS

from vellum.api.claim import Claim
from vellum.components import team_components
from vellum.compose import entry
from vellum.kube.objects import Obj, make
from vellum.kube.patch import copied
from vellum.model.keys import DUMMY_SEED, Seed
from vellum.model.state import Composed, Observed, not_ready

STORE = "v1.seaweed.seaweedfs.com"
KSERVE = "v1beta1.serving.kserve.io"


def team(spec: str = EVERYTHING, place: str = "local", **more: Any) -> World:
    return World(written(CLAIM + spec), settled_platform(PLATFORMS[place]), **more)


def settled(spec: str = EVERYTHING, place: str = "local") -> World:
    world = team(spec, place)
    assert world.settle().ready
    return world


def not_ready_parts(composed: Composed) -> dict[str, str]:
    return {part["name"]: part["reason"] for part in composed.status["components"] if not part["ready"]}


def binding(world: World) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in world.resources["binding"]["data"].items()}


def test_without_a_platform_the_claim_waits_and_nothing_changes() -> None:
    composed = World(written(CLAIM + "spec: {}\n")).look()
    message = "no KubeflowPlatform named kubeflow exists; a platform engineer creates it"
    assert composed.conditions == (not_ready("NoPlatform", message),)
    assert (composed.fatal, composed.objects) == (message, {})


def test_a_platform_that_disappears_takes_nothing_with_it() -> None:
    world = settled()
    world.platform = None
    assert world.step().fatal
    assert "qdrant-set" in world.resources


def test_the_namespace_comes_first_and_the_rest_when_it_is_active() -> None:
    world = team()
    first = world.step()
    assert set(first.objects) == {"namespace"}
    assert not first.ready
    assert {"qdrant-set", "notebook", "access-role", "binding"} <= set(world.step().objects)


def test_the_secret_of_the_bucket_comes_once_its_key_works() -> None:
    world = team()
    world.step()
    second = world.step()
    assert "bucket-key" in second.objects
    assert "bucket-secret" not in second.objects
    assert "bucket-secret" in world.step().objects


def test_a_store_that_hesitates_does_not_take_the_secret_back() -> None:
    world = settled()
    world.resources["bucket-credentials"]["status"] = {"phase": "Pending", "observedGeneration": 1}
    composed = world.look()
    assert "bucket-secret" in composed.objects
    assert not composed.ready


def test_a_bucket_whose_quota_changes_keeps_its_keys_in_the_binding() -> None:
    world = settled()
    before = binding(world)
    world.resources["bucket-bucket"]["metadata"]["generation"] = 2
    composed = world.step()
    assert not composed.ready
    assert binding(world) == before


def test_pipelines_keep_their_secret_while_the_store_is_not_ready() -> None:
    """A platform's store that turns not ready does not remove the Secret of Pipelines."""
    world = World(written(PLATFORMS["local"]))
    assert world.settle().ready
    world.resources["artifacts-credentials"]["status"] = {"phase": "Pending", "observedGeneration": 1}
    assert "artifacts-secret" in world.look().objects


def bound(*names: str) -> set[str]:
    """Return the keys of the binding that these parts declare, by default all parts."""
    parts = team_components()
    return {key.name for name in names or parts for key in parts[name].binds}


def test_the_binding_has_keys_only_of_parts_that_are_ready() -> None:
    world = settled()
    # A laptop has no server of Pipelines.
    everything = bound() - bound("pipelines")
    assert set(binding(world)) == everything
    world.resources["qdrant-set"]["status"] = {"readyReplicas": 0}
    world.step()
    assert everything - set(binding(world)) == bound("qdrant") == {"QDRANT_API_KEY", "QDRANT_URL"}


def test_the_binding_starts_empty() -> None:
    world = team()
    world.step()
    world.step()
    assert binding(world) == {}


def test_a_kind_that_is_not_served_makes_only_its_part_wait() -> None:
    world = team(not_served={KSERVE})
    composed = world.settle()
    assert not_ready_parts(composed) == {
        "search": "kind InferenceService (serving.kserve.io/v1beta1) is not served yet"
    }
    assert "search" not in composed.objects
    assert {"notebook", "qdrant-set", "bucket-secret"} <= set(composed.objects)
    assert not composed.ready


@pytest.mark.parametrize("group", [STORE, KSERVE, "v1.kubeflow.org"])
def test_a_kind_that_is_not_served_any_more_takes_nothing_that_exists(group: str) -> None:
    world = settled()
    before = set(world.resources)
    world.not_served = {group}
    composed = world.settle()
    assert set(composed.objects) == before
    assert not composed.ready


@pytest.mark.parametrize(
    ("part", "waits", "stays_away"), [("storage", "bucket", "bucket-key"), ("vector-storage", "qdrant", "qdrant-set")]
)
def test_a_team_waits_for_a_failed_platform_part_and_loses_nothing(part: str, waits: str, stays_away: str) -> None:
    """Parts that use a part of the platform wait for it, and keep their objects when it fails."""
    world = team()
    assert world.platform
    status = copied(world.platform["status"])
    broken = [
        {**component, "ready": False, "reason": "the disk is full"} if component["name"] == part else component
        for component in status["components"]
    ]
    world.platform["status"]["components"] = broken
    composed = world.settle()
    assert not_ready_parts(composed)[waits] == f"waits for the platform's {part}: the disk is full"
    assert stays_away not in composed.objects
    world.platform["status"] = status
    assert world.settle().ready
    before = set(world.resources)
    world.platform["status"] = {**status, "components": broken}
    composed = world.settle()
    assert (composed.ready, set(composed.objects)) == (False, before)


def test_the_platform_makes_its_namespaces_before_what_is_in_them() -> None:
    world = World(written(PLATFORMS["light"]))
    assert {desired.obj["kind"] for desired in world.step().objects.values()} == {"ConfigMap", "Namespace"}
    world.settle()
    assert {"storage-store", "artifacts-bucket"} <= set(world.resources)


def test_the_platform_waits_for_kinds_and_makes_the_rest() -> None:
    """Objects of an operator wait for its kinds; all others are composed."""
    world = World(written(PLATFORMS["light"]), not_served={STORE})
    composed = world.settle()
    reason = "kind {} (seaweed.seaweedfs.com/v1) is not served yet"
    waiting = not_ready_parts(composed)
    assert waiting.pop("seaweedfs-operator") == reason.format("Seaweed")
    assert (waiting.pop("storage"), waiting.pop("artifacts")) == (reason.format("Seaweed"), reason.format("Bucket"))
    behind = f"waits for artifacts: {reason.format('Bucket')}"
    assert waiting == {"argo-workflows": behind, "notebook-controller": behind, "kubeflow-pipelines": behind}
    groups = {desired.obj["apiVersion"].partition("/")[0] for desired in composed.objects.values()}
    assert groups == {
        "v1",
        "apps",
        "networking.k8s.io",
        "helm.crossplane.io",
        "protection.crossplane.io",
        "trainer.kubeflow.org",
        "serving.kserve.io",
    }
    world.not_served = set()
    assert world.settle().ready
    before = set(world.resources)
    world.not_served = {STORE}
    assert set(world.settle().objects) == before


def test_a_namespace_of_the_platform_that_somebody_else_made_is_refused() -> None:
    world = World(written(PLATFORMS["light"]), foreign=[make("v1", "Namespace", "kubeflow")])
    composed = world.step()
    assert (composed.objects, composed.conditions[0].reason) == ({}, "NotOurs")
    assert composed.fatal.endswith("Namespace kubeflow (without a controller)")


def test_a_claim_with_another_seed_than_the_platform_changes_nothing() -> None:
    world = settled()
    before = copied(world.resources)
    world.seed = Seed(b"another seed, and a long enough one to be accepted")
    composed = world.step()
    assert (composed.conditions[0].reason, world.resources) == ("WrongSeed", before)


def test_an_image_that_is_not_named_makes_only_its_part_wait() -> None:
    world = team(place="light")
    world.platform = _without("notebook")
    composed = world.settle()
    assert not_ready_parts(composed) == {
        "notebook": "ImageMissing: KubeflowPlatform kubeflow does not name the image; set spec.images.notebook"
    }
    assert "notebook" not in composed.objects


def test_without_the_image_the_running_workload_stays() -> None:
    """An image that is no longer named deletes nothing: the old workload keeps running."""
    world = settled(place="light")
    before = copied({name: world.resources[name] for name in ("qdrant-set", "search", "notebook")})
    world.platform = _without("workloads", "notebook", "qdrant")
    composed = world.settle()
    assert set(not_ready_parts(composed)) == {"notebook", "qdrant", "search"}
    assert {name: world.resources[name] for name in before} == before
    assert "invalid" not in str(composed.objects)


def _without(*images: str) -> Obj:
    platform = settled_platform(PLATFORMS["light"])
    for image in images:
        del platform["spec"]["images"][image]
    return platform


@pytest.mark.parametrize(
    ("kind", "name"), [("Namespace", "namespace"), ("StatefulSet", "qdrant-set"), ("Bucket", "bucket-bucket")]
)
def test_what_somebody_else_made_is_refused_and_nothing_changes(kind: str, name: str) -> None:
    made = settled().resources[name]
    meta = {
        **made["metadata"],
        "ownerReferences": [{"kind": "XMLOpsPlatform", "name": "theirs", "uid": "x", "controller": True}],
    }
    world = team(foreign=[{**made, "metadata": meta}])
    composed = world.step()
    assert composed.objects == {}
    assert world.resources == {}
    (condition,) = composed.conditions
    assert (condition.reason, kind in condition.message) == ("NotOurs", True)
    assert condition.message.endswith("(controlled by XMLOpsPlatform theirs)")


def test_what_nobody_controls_is_refused_too() -> None:
    name = settled().resources["namespace"]["metadata"]["name"]
    composed = team(foreign=[make("v1", "Namespace", name)]).look()
    assert composed.fatal == f"foreign, so not changed: Namespace {name} (without a controller)"


def test_nothing_is_composed_before_everything_was_looked_for() -> None:
    world = settled()
    observed = Observed(world.resources, {"platform": world.platform})
    composed = entry.team(world.composite, observed, DUMMY_SEED, NOW)
    assert composed.fatal == "looking for objects of the same names"
    assert {"ours/namespace", "ours/qdrant", f"api/{STORE}"} <= set(composed.requirements)


def test_a_claim_that_is_being_deleted_changes_nothing() -> None:
    world = settled()
    world.composite["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    before = copied(world.resources)
    assert world.step().fatal == "the claim is being deleted"
    assert world.resources == before


@pytest.mark.parametrize(
    ("switch", "gone"),
    [
        ("notebooks", {"notebook", "notebook-token"}),
        ("pipelines", {"pipelines-launcher", "pipelines-metadata", "pipelines-repository"}),
        ("inference", {"search"}),
    ],
)
def test_a_switch_that_is_turned_off_removes_its_objects_and_no_others(switch: str, gone: set[str]) -> None:
    world = settled()
    before = set(world.resources)
    world.composite["spec"][switch] = "disabled"
    assert world.settle().ready
    assert before - set(world.resources) == gone
    assert "VELLUM_SEARCH_URL" not in binding(world) or switch != "inference"


def test_the_deletion_policy_reaches_bucket_and_vectors() -> None:
    def said(policy: str) -> tuple[str, str]:
        resources = settled(f"spec: {{deletionPolicy: {policy}}}").resources
        retention = resources["qdrant-set"]["spec"]["persistentVolumeClaimRetentionPolicy"]
        return resources["bucket-bucket"]["spec"]["reclaimPolicy"], retention["whenDeleted"]

    assert (said("Retain"), said("Delete")) == (("Retain", "Retain"), ("Delete", "Delete"))


def test_a_stored_spec_that_is_not_valid_changes_nothing() -> None:
    """The condition explains what is not valid, and no object changes."""
    world = settled()
    before = copied(world.resources)
    world.composite["spec"]["notebooks"] = "perhaps"
    composed = world.step()
    assert composed.conditions[0].reason == "Invalid"
    assert composed.fatal == (
        "spec.notebooks: 'perhaps' is not allowed: enabled | disabled; "
        "write notebooks: enabled (allowed: enabled, disabled)"
    )
    assert world.resources == before


def test_a_claim_cannot_speak_for_another_team() -> None:
    world = team()
    world.composite["spec"]["claimRef"] = {"namespace": "team-b", "name": "rich"}
    assert world.settle().status["team"] == settled().composite["status"]["team"]


def test_a_composite_speaks_for_the_claim_that_it_refers_to() -> None:
    world = team()
    world.composite["kind"] = "XMLOpsPlatform"
    world.composite["metadata"] = {"name": "research-x7k2p", "uid": UID, "generation": 1}
    world.composite["spec"]["claimRef"] = {"namespace": "team-a", "name": "research"}
    composed = entry.team(world.composite, Observed({}, {"platform": world.platform}), DUMMY_SEED, NOW)
    assert composed.requirements["ours/namespace"].name == settled().composite["status"]["team"]


def test_another_seed_changes_nothing() -> None:
    world = World(written(PLATFORMS["local"]))
    world.settle()
    world.seed = Seed(b"another seed, and a long enough one to be accepted")
    composed = world.step()
    assert composed.conditions[0].reason == "WrongSeed"
    assert "artifacts-secret" in world.resources


def test_a_laptop_knows_its_gateway_from_the_first_pass() -> None:
    text = HEAD + "kind: KubeflowPlatform\nmetadata: {name: kubeflow}\nspec: {gateway: {port: 28123}}\n"
    world = World(written(CLAIM + "spec: {}\n"), settled_platform(text))
    assert world.settle().status["endpoints"]["s3"] == "http://127.0.0.1:28123"
    assert binding(world)["AWS_ENDPOINT_URL"] == "http://127.0.0.1:28123"


@settings(max_examples=25, deadline=None)
@given(CLAIMS, st.randoms(use_true_random=False), st.sampled_from(["local", "light", "external"]))
def test_no_valid_claim_is_fatal_whatever_exists_already(claim: Claim, chance: Any, place: str) -> None:
    world = World(stored(claim), settled_platform(PLATFORMS[place]), foreign=[given_key(claim.team.id)])
    ready = world.settle()
    assert ready.ready
    assert not ready.fatal
    for name in list(world.resources):
        fate = chance.choice(["kept", "lost", "forgotten", "deleted"])
        if fate == "lost":
            del world.resources[name]
        elif fate == "forgotten":
            world.resources[name].pop("status", None)
        elif fate == "deleted":
            world.resources[name]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    existing = set(world.resources)
    before = copied([world.composite, world.platform, world.resources])
    composed = world.look()
    assert not composed.fatal
    assert existing <= set(composed.objects), "what exists stays desired"
    assert [world.composite, world.platform, world.resources] == before, "compose never mutates its arguments"


def test_a_platform_that_was_never_composed_decides_nothing_for_a_claim() -> None:
    world = World(written(CLAIM + "spec: {}\n"), written(PLATFORMS["local"]))
    assert (world.step().fatal, world.resources) == ("the platform is not composed yet", {})


def test_a_claim_remembers_its_seed_also_when_the_platform_was_made_anew() -> None:
    world = settled()
    world.seed = Seed(b"another seed, and a long enough one to be accepted")
    platform = World(written(PLATFORMS["local"]), seed=world.seed)
    assert platform.settle().ready
    world.platform = platform.composite
    before = copied(world.resources)
    assert (world.step().conditions[0].reason, world.resources) == ("WrongSeed", before)


def test_the_store_waits_for_its_image_and_keeps_the_one_that_runs() -> None:
    text = PLATFORMS["light"]
    world = World(written(text))
    del world.composite["spec"]["images"]["seaweedfs"]
    composed = world.settle()
    message = "ImageMissing: KubeflowPlatform kubeflow does not name the image; set spec.images.seaweedfs"
    assert (not_ready_parts(composed)["storage"], "storage-store" in composed.objects) == (message, False)
    whole = World(written(text))
    whole.settle()
    image = whole.resources["storage-store"]["spec"]["image"]
    del whole.composite["spec"]["images"]["seaweedfs"]
    composed = whole.settle()
    assert (composed.ready, composed.objects["storage-store"].obj["spec"]["image"]) == (False, image)


def test_a_volume_keeps_its_size_and_the_claim_says_so() -> None:
    """A volume keeps the size with which it was created."""
    world = settled("spec: {vectors: {storage: 10Gi}}")
    world.composite["spec"]["vectors"] = {"storage": "40Gi"}
    composed = world.settle()
    template = composed.objects["qdrant-set"].obj["spec"]["volumeClaimTemplates"][0]
    part = next(component for component in composed.status["components"] if component["name"] == "qdrant")
    assert (composed.ready, template["spec"]["resources"]["requests"]["storage"]) == (True, "10Gi")
    assert part == {
        "name": "qdrant",
        "ready": True,
        "reason": "the volume keeps its 10Gi: a StatefulSet's volumes cannot be resized",
    }


def test_a_notebooks_home_keeps_its_size_and_the_claim_says_so() -> None:
    """A home keeps the size with which it was created."""
    world = settled("spec: {notebooks: enabled, notebook: {storage: 5Gi}}")
    world.composite["spec"]["notebook"] = {"storage": "20Gi"}
    composed = world.settle()
    home = composed.objects["notebook-home"].obj["spec"]["resources"]["requests"]["storage"]
    part = next(component for component in composed.status["components"] if component["name"] == "notebook")
    assert (composed.ready, home) == (True, "5Gi")
    assert part == {"name": "notebook", "ready": True, "reason": "the home keeps its 5Gi: its size cannot change later"}


def test_sizes_that_are_kept_are_a_condition_until_they_are_written() -> None:
    written = "spec: {notebooks: enabled, notebook: {storage: 5Gi}, vectors: {storage: 10Gi}}"
    world = settled(written)
    assert sizes(world.settle()) == []
    world.composite["spec"] |= {"notebook": {"storage": "1Gi"}, "vectors": {"storage": "20Gi"}}
    composed = world.settle()
    assert composed.ready
    ((status, reason, message),) = sizes(composed)
    assert (status, reason) == ("False", "SizeKept")
    for text in ("qdrant: the volume keeps its 10Gi", "write vectors.storage: 10Gi", "write notebook.storage: 5Gi"):
        assert text in message

    world.composite["spec"] |= {"notebook": {"storage": "5Gi"}, "vectors": {"storage": "10Gi"}}
    # Crossplane keeps a condition until it is set again.
    assert sizes(world.step()) == [("True", "AsWritten", "")]


def sizes(composed: Composed) -> list[tuple[str, str, str]]:
    return [
        (condition.status, condition.reason, condition.message)
        for condition in composed.conditions
        if condition.type == "SizesAsWritten"
    ]


def test_the_home_of_a_disabled_notebook_is_kept() -> None:
    """A notebook that is turned on again finds its home."""
    world = settled("spec: {notebooks: enabled}")
    home = copied(world.resources["notebook-home"])
    world.composite["spec"]["notebooks"] = "disabled"
    assert (world.settle().ready, world.resources["notebook-home"]) == (True, home)
    world.composite["spec"]["notebooks"] = "enabled"
    assert (world.settle().ready, world.resources["notebook-home"]) == (True, home)


def test_a_team_that_never_had_a_notebook_has_no_home() -> None:
    assert "notebook-home" not in settled("spec: {notebooks: disabled}").resources


@pytest.mark.parametrize(("pipelines", "reaches"), [("enabled", True), ("disabled", False)])
def test_pods_reach_the_api_server_only_where_pipelines_need_it(pipelines: str, *, reaches: bool) -> None:
    rules = settled(f"spec: {{pipelines: {pipelines}}}").resources["network-parts"]["spec"]["egress"]
    open_to_all = [rule["ports"] for rule in rules if "to" not in rule]
    ports = [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]
    assert open_to_all == ([ports] if reaches else [])


@pytest.mark.parametrize("kind", ["claim", "platform"])
def test_an_open_circuit_breaker_is_a_condition_until_it_closes(kind: str) -> None:
    """Crossplane's own condition names the object whose events were too many, and does not reach the claim."""
    world = team() if kind == "claim" else World(written(PLATFORMS["light"]))
    world.settle()

    def said(status: str, message: str = "") -> list[tuple[str, str, str]]:
        world.composite = copied(world.composite)
        kept = [condition for condition in world.composite["status"]["conditions"] if condition["type"] != "Responsive"]
        responsive = {"type": "Responsive", "status": status, "reason": "WatchCircuitOpen", "message": message}
        world.composite["status"]["conditions"] = [*kept, responsive]
        results = [condition for condition in world.step().conditions if condition.type == "Watched"]
        return [(item.status, item.reason, item.message) for item in results]

    assert said("True") == []
    told = "Too many watch events from Release/kserve. Allowing events periodically."
    means = (
        "Until they stop, changes are seen every 30 seconds at best. A part that retries or two controllers that undo "
        "each other's work cause this."
    )
    assert said("False", told) == [("False", "WatchCircuitOpen", f"{told} {means}")]
    assert said("True") == [("True", "EveryEvent", "")]
