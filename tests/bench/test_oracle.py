"""Whatever is in the world, one pass of the embedded control plane does what one pass of the real Crossplane would do."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from tests.bench import one_pass, oracle
from tests.bench.one_pass import Pass, Watched
from tests.bench.oracle import Oracle
from tests.compose.world import PLATFORMS, settled_platform
from tests.controlplane.world import NOW, PLATFORM, SEED, Tenants, Workloads, World, claim_key
from tests.strategies import SPECS

from vellum.api import loader
from vellum.controlplane.composite import FINALIZER
from vellum.controlplane.namespaces import NamespaceController
from vellum.kube import usage
from vellum.kube.objects import Key, make, secret_values
from vellum.model.keys import Seed
from vellum.model.team import Team

ADA = claim_key("ada")
TEAM = Team("default", "ada", "")
OTHER_SEED = Seed(b"another seed, and a long enough one to be accepted")
EACH_PROFILE = pytest.mark.parametrize("world", ["local", "light"], indirect=True)
STORE, KSERVE = "v1.seaweed.seaweedfs.com", "v1beta1.serving.kserve.io"


@pytest.fixture(scope="module")
def crossplane() -> Iterator[Oracle]:
    """Return the real reconciler, with our real function running."""
    with oracle.running() as result:
        yield result


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Return a world with a platform before its first pass, by default of a cluster."""
    with opened(tmp_path, getattr(request, "param", "light")) as result:
        yield result


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Return a world with a settled platform and no claim, of a cluster if the test does not say."""
    with opened(tmp_path, getattr(request, "param", "light"), settled=True) as result:
        result.settle()
        yield result


@pytest.fixture
def team(world: World) -> World:
    """Return a world with a claim of everything that is ready."""
    world.put("ada", notebooks="enabled")
    world.settle()
    assert world.ready("ada") == "True Available"
    return world


@contextlib.contextmanager
def opened(folder: Path, profile: str, *, settled: bool = False) -> Iterator[World]:
    """Yield a world; a settled one already has a cluster's releases, because a laptop has no Helm."""
    with contextlib.closing(Watched(folder / "store.db", lambda: NOW)) as store:
        (document,) = loader.load(PLATFORMS[profile].encode(), "platform.yaml")
        store.put(document.manifest())
        installed = settled_platform(PLATFORMS[profile], SEED)["status"] if profile != "local" and settled else None
        yield World(store, platform_status=installed)


def both(oracle: Oracle, world: World, key: Key) -> Pass:
    """Return the pass that Crossplane would make and the pass that the embedded control plane makes."""
    expected = one_pass.crossplane(oracle, world, key)
    done = one_pass.embedded(world, key)
    assert done == expected
    return done


def life(oracle: Oracle, world: World, key: Key) -> list[Pass]:
    """Run passes until nothing changes; the operators work between them."""
    passes: list[Pass] = []
    before = -1
    while before != world.store.version:
        before = world.store.version
        passes.append(both(oracle, world, key))
        for controller in (NamespaceController(), Workloads(), Tenants()):
            for obj in world.store.everything():
                if obj["kind"] in {kind.kind for kind in controller.kinds}:
                    controller.reconcile(world.store, Key.of(obj), NOW)
    return passes


def not_served(world: World, name: str) -> None:
    world.store.delete(Key("apiregistration.k8s.io/v1", "APIService", "", name))


def without_platform(world: World) -> None:
    uid = world.snapshot()[PLATFORM]["metadata"]["uid"]
    world.store.set_finalizer(PLATFORM, uid, FINALIZER, present=False)
    world.store.delete(PLATFORM)


def changed_nothing(oracle: Oracle, world: World, key: Key) -> str:
    """Run one pass of both, which may change only the status; return the reason."""
    before = world.snapshot()
    done = both(oracle, world, key)
    assert (done.applied, done.deleted) == ({}, set())
    assert {item for item, obj in world.snapshot().items() if before.get(item) != obj} <= {key}
    assert done.conditions["Synced"]["reason"] == "ReconcileError"
    return str(done.conditions["PartsReady"]["reason"])


def parts(done: Pass) -> int:
    """Count the applied objects without Usages, which a laptop does not have."""
    return sum(key.api_version != usage.API for key in done.applied)


@EACH_PROFILE
def test_every_pass_from_an_empty_claim_until_it_is_ready(crossplane: Oracle, world: World) -> None:
    """Proves: each pass of the laptop's control plane equals a pass of Crossplane's own reconciler."""
    world.put("ada", notebooks="enabled")

    first, *_, last = life(crossplane, world, ADA)

    assert set(first.of("Namespace")) == {TEAM.namespace}
    assert (parts(first), parts(last)) == (1, 28)
    assert (first.conditions["Ready"]["reason"], last.conditions["Ready"]["reason"]) == ("Waiting", "Available")


@pytest.mark.parametrize("empty", ["local"], indirect=True)
def test_every_pass_of_a_new_platform_until_it_is_ready(crossplane: Oracle, empty: World) -> None:
    first, *_, last = life(crossplane, empty, PLATFORM)

    # A laptop serves the kinds of training from the start, and no chart brings them.
    assert {key.kind for key in first.applied} == {"Namespace", "ClusterTrainingRuntime", "ClusterServingRuntime"}
    assert (first.conditions["Ready"]["reason"], last.conditions["Ready"]["reason"]) == ("Creating", "Available")


@pytest.mark.parametrize("world", ["local"], indirect=True)
@pytest.mark.parametrize("key", [ADA, PLATFORM], ids=["claim", "platform"])
def test_a_pass_over_a_settled_world_changes_nothing(crossplane: Oracle, team: World, key: Key) -> None:
    before = team.snapshot()

    done = both(crossplane, team, key)

    assert len(done.applied) == len(team.store.controlled_by(before[key]["metadata"]["uid"]))
    assert (done.deleted, done.events, team.snapshot()) == (set(), set(), before)


@pytest.mark.parametrize(
    ("switch", "gone"),
    [
        ("notebooks", {("Notebook", "notebook"), ("Secret", "notebook-token")}),
        (
            "pipelines",
            {("ConfigMap", name) for name in ("artifact-repositories", "kfp-launcher", "metadata-grpc-configmap")},
        ),
        ("inference", {("InferenceService", "search")}),
    ],
)
def test_turning_a_switch_off_deletes_its_objects_but_the_home(
    crossplane: Oracle, team: World, switch: str, gone: set[tuple[str, str]]
) -> None:
    team.put("ada", **{"notebooks": "enabled", switch: "disabled"})

    done = both(crossplane, team, ADA)

    assert {(key.kind, key.name) for key in done.deleted} == gone
    assert "notebook-workspace" in done.of("PersistentVolumeClaim")


def test_another_size_and_another_end_of_the_data_reach_their_objects(crossplane: Oracle, team: World) -> None:
    team.put("ada", notebooks="enabled", size="medium", deletionPolicy="Delete", artifacts={"quota": "20Gi"})

    done = both(crossplane, team, ADA)

    bucket, vectors = done.of("Bucket")[TEAM.bucket]["spec"], done.of("StatefulSet")[TEAM.qdrant]["spec"]
    assert done.of("ResourceQuota")["team"]["spec"]["hard"]["pods"] == "80"
    assert (bucket["reclaimPolicy"], bucket["quota"]["size"]) == ("Delete", "20Gi")
    assert vectors["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete"


def test_what_somebody_edited_or_deleted_is_applied_again(crossplane: Oracle, team: World) -> None:
    quota = Key("v1", "ResourceQuota", TEAM.namespace, "team")
    before = team.snapshot()[quota]
    team.store.put({**before, "spec": {"hard": {"pods": "9999"}}})
    team.store.delete(Key("v1", "ServiceAccount", TEAM.namespace, "default-editor"))

    done = both(crossplane, team, ADA)

    assert done.of("ResourceQuota")["team"]["spec"] == team.snapshot()[quota]["spec"] == before["spec"]
    assert "default-editor" in done.of("ServiceAccount")


def test_a_part_that_stops_answering_takes_its_keys_out_of_the_binding(crossplane: Oracle, team: World) -> None:
    (vectors,) = (obj for obj in team.store.everything() if obj["kind"] == "StatefulSet")
    team.store.patch_status(Key.of(vectors), vectors["metadata"]["uid"], {"readyReplicas": 0})

    done = both(crossplane, team, ADA)

    assert "QDRANT_API_KEY" not in secret_values(done.of("Secret")["vellum-binding"])
    assert (done.deleted, done.conditions["Ready"]["status"]) == (set(), "False")


@pytest.mark.parametrize(
    ("group", "waits", "kind"), [(STORE, "bucket", "Bucket"), (KSERVE, "search", "InferenceService")]
)
def test_a_kind_that_is_not_served_is_left_out(
    crossplane: Oracle, world: World, group: str, waits: str, kind: str
) -> None:
    """A kind that is not served is neither composed nor looked up; everything else is composed."""
    not_served(world, group)
    world.put("ada", notebooks="enabled")

    last = life(crossplane, world, ADA)[-1]

    assert kind not in {key.kind for key in last.applied} | {item.kind for item in last.asked}
    assert last.conditions["PartsReady"]["message"].startswith(f"{waits}: kind ")
    assert {"Notebook", "StatefulSet", "Role"} <= {key.kind for key in last.applied}


@pytest.mark.parametrize("group", [STORE, KSERVE])
def test_a_kind_that_is_not_served_any_more_deletes_nothing(crossplane: Oracle, team: World, group: str) -> None:
    not_served(team, group)

    done = both(crossplane, team, ADA)

    assert (done.deleted, parts(done)) == (set(), 28)


@pytest.mark.parametrize("owner", ["without a controller", "controlled by XMLOpsPlatform theirs"])
def test_a_foreign_namespace_of_the_derived_name_stops_the_claim(crossplane: Oracle, world: World, owner: str) -> None:
    theirs = {"apiVersion": "x/v1", "kind": "XMLOpsPlatform", "name": "theirs", "uid": "x", "controller": True}
    namespace = make("v1", "Namespace", TEAM.namespace)
    namespace["metadata"]["ownerReferences"] = [] if owner == "without a controller" else [theirs]
    world.store.put(namespace)
    world.put("ada", notebooks="enabled")

    assert changed_nothing(crossplane, world, ADA) == "NotOurs"
    (message,) = (
        condition["message"]
        for condition in world.live("ada")["status"]["conditions"]
        if condition["type"] == "PartsReady"
    )
    assert message.endswith(f"Namespace {TEAM.namespace} ({owner})")


def test_a_foreign_platform_namespace_stops_the_platform(crossplane: Oracle, empty: World) -> None:
    empty.store.put(make("v1", "Namespace", "kubeflow"))

    assert changed_nothing(crossplane, empty, PLATFORM) == "NotOurs"


def test_another_seed_changes_nothing_of_a_claim_or_the_platform(crossplane: Oracle, team: World) -> None:
    restored = World(team.store, OTHER_SEED)
    restored.put("eve")

    for key in (ADA, claim_key("eve"), PLATFORM):
        assert changed_nothing(crossplane, restored, key) == "WrongSeed"


@pytest.mark.parametrize("data", [{}, {"seed": "c2hvcnQ="}], ids=["none", "short"])
def test_a_secret_without_a_seed_is_refused_and_nothing_is_made(
    crossplane: Oracle, team: World, data: dict[str, str]
) -> None:
    broken = {**one_pass.secret(team.seed), "data": data}

    code, complaint, text = crossplane.render(*one_pass.inputs(team, ADA), credentials=[broken])

    assert (code, set(text)) == (oracle.REFUSED, {"composite_resource", "events", "required_resources"})
    assert "VEL803" in complaint


def test_without_the_seeds_secret_the_function_is_not_even_called(crossplane: Oracle, team: World) -> None:
    code, complaint, text = crossplane.render(*one_pass.inputs(team, ADA), credentials=[])

    assert (code, text) == (1, {})
    assert 'credential "seed" from Secret: Secret "vellum-seed" not found' in complaint


def test_without_a_platform_a_new_claim_and_a_settled_one_change_nothing(crossplane: Oracle, team: World) -> None:
    without_platform(team)
    team.put("eve")

    for key in (ADA, claim_key("eve")):
        assert changed_nothing(crossplane, team, key) == "NoPlatform"


def test_a_platform_that_was_not_composed_yet_makes_a_claim_wait(crossplane: Oracle, empty: World) -> None:
    empty.put("ada")

    assert changed_nothing(crossplane, empty, ADA) == "NoPlatform"


def test_a_stored_spec_that_is_not_valid_changes_nothing(crossplane: Oracle, team: World) -> None:
    live = team.live("ada")
    team.store.put({**live, "spec": {**live["spec"], "notebooks": "perhaps"}})

    assert changed_nothing(crossplane, team, ADA) == "Invalid"


@settings(max_examples=6, phases=[Phase.generate])
@given(first=SPECS, then=SPECS)
def test_whatever_a_claim_says_and_is_changed_to(
    crossplane: Oracle, first: dict[str, Any], then: dict[str, Any]
) -> None:
    """Proves: this also holds for random claims and their edits."""
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder), "light", settled=True) as world:
        world.settle()
        for spec in (first, then):
            # Two clocks would judge an overlap of keys: the function's own, and the store's, which is stopped.
            world.put("ada", **{**spec, "keys": first.get("keys", {})})
            assert life(crossplane, world, ADA)[-1].conditions["Ready"]["status"] == "True"
