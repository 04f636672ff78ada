"""An external object store, pass by pass: a key is given, copied, changed, and never shown."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from tests.compose.render import CLAIM, EVERYTHING
from tests.compose.test_passes import binding, bound, not_ready_parts
from tests.compose.world import ENDPOINT, PLATFORMS, World, given, settled_platform, stored, written
from tests.strategies import CLAIMS

from vellum.api.claim import Claim
from vellum.kube.objects import Obj, make, secret_values
from vellum.kube.patch import copied
from vellum.model.state import Composed
from vellum.model.team import Team

TEAM = Team("team-a", "research", "")
SECRET = f"Secret vellum-storage/s3-{TEAM.id}"
WANTED = (
    f"{SECRET} does not exist; it gives the accesskey and secretkey of bucket {TEAM.bucket}; "
    "a third key, bucket, may name another bucket"
)
KEPT = "; the earlier key stays in use"
ODD = "not one word of printable ASCII; look for a line break at its end"


def team(*secrets: Obj, spec: str = EVERYTHING) -> World:
    return World(written(CLAIM + spec), settled_platform(PLATFORMS["external"]), foreign=[*secrets])


def settled(*, spec: str = EVERYTHING) -> World:
    world = team(given(TEAM.id), spec=spec)
    assert world.settle().ready
    return world


def said(composed: Composed, name: str = "bucket") -> dict[str, Any]:
    return next(part for part in composed.status["components"] if part["name"] == name)


def handed_out(world: World) -> tuple[dict[str, str], dict[str, str]]:
    """Return the keys of the consumer Secret, and those of the bucket in the binding."""
    bucket = (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "VELLUM_BUCKET",
    )
    result = binding(world)
    return secret_values(world.resources["bucket-secret"]), {name: result[name] for name in bucket if name in result}


def changed(world: World, data: dict[str, Any]) -> None:
    world.foreign = [{**given(TEAM.id), "data": data}]


def encoded(**values: str) -> dict[str, str]:
    return {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}


def test_a_claim_names_its_missing_secret_and_makes_the_rest() -> None:
    """A claim waits for its Secret with a sentence, and composes everything else."""
    world = team()
    composed = world.settle()
    assert not_ready_parts(composed) == {
        "bucket": WANTED,
        "pipelines": "waits for Secret mlpipeline-minio-artifact, which comes with the bucket",
    }
    assert said(composed)["actor"] == "the platform engineer"
    assert WANTED in composed.conditions[0].message
    assert "bucket-secret" not in composed.objects
    assert set(binding(world)) == bound() - bound("bucket", "pipelines")


def test_the_given_key_is_copied_and_nothing_but_a_secret_is_made_of_it() -> None:
    world = settled()
    keys, result = handed_out(world)
    assert keys == {
        "AWS_ACCESS_KEY_ID": f"GIVEN-{TEAM.id}",
        "AWS_SECRET_ACCESS_KEY": f"given/secret+{TEAM.id}==",
        "accesskey": f"GIVEN-{TEAM.id}",
        "secretkey": f"given/secret+{TEAM.id}==",
    }
    assert result == {
        "AWS_ACCESS_KEY_ID": keys["accesskey"],
        "AWS_SECRET_ACCESS_KEY": keys["secretkey"],
        "AWS_ENDPOINT_URL": ENDPOINT,
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "VELLUM_BUCKET": TEAM.bucket,
    }
    assert [name for name in world.resources if name.startswith("bucket")] == ["bucket-secret"]
    assert not [obj for obj in world.resources.values() if "seaweed" in obj["apiVersion"]]
    assert "vellum-storage" not in {obj["metadata"].get("namespace") for obj in world.resources.values()}


def test_a_ready_claim_says_that_no_quota_is_set_and_no_data_is_deleted() -> None:
    composed = settled(spec="spec: {deletionPolicy: Delete}\n").look()
    assert said(composed) == {
        "name": "bucket",
        "ready": True,
        "reason": f"bucket {TEAM.bucket} is in an external store: Vellum sets no quota there, and never deletes data",
    }


def test_a_changed_key_moves_through_in_one_pass() -> None:
    world = settled()
    changed(world, encoded(accesskey="NEW", secretkey="newer"))
    assert world.step().ready
    keys, result = handed_out(world)
    assert (keys["accesskey"], keys["secretkey"]) == ("NEW", "newer")
    assert (result["AWS_ACCESS_KEY_ID"], result["AWS_SECRET_ACCESS_KEY"]) == ("NEW", "newer")


def test_a_bucket_of_another_name_reaches_all_who_use_it() -> None:
    world = settled()
    changed(world, encoded(accesskey="A", secretkey="S", bucket="proj-4711.ml"))
    composed = world.settle()
    keys, result = handed_out(world)
    launcher = world.resources["pipelines-launcher"]["data"]["defaultPipelineRoot"]
    repository = json.loads(world.resources["pipelines-repository"]["data"]["default-namespaced"])
    assert (keys["bucket"], result["VELLUM_BUCKET"]) == ("proj-4711.ml", "proj-4711.ml")
    assert (repository["s3"]["bucket"], composed.status["endpoints"]["bucket"]) == ("proj-4711.ml", "proj-4711.ml")
    assert launcher == f"minio://proj-4711.ml/private-artifacts/{TEAM.id}/v2/artifacts"
    world.foreign = []
    before = copied(world.resources)
    assert not world.settle().ready
    assert world.resources == before, "what was given last stays, with its name"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "it has no accesskey and no secretkey"),
    "half a key": (encoded(accesskey="ACCESS"), "it has no secretkey"),
    "an empty key": (encoded(accesskey="ACCESS", secretkey=""), "it has no secretkey"),
    "a line break": (encoded(accesskey="ACCESS", secretkey="HIDDEN\n"), f"its secretkey is {ODD}"),
    "two words": (encoded(accesskey="HIDDEN TOO", secretkey="s"), f"its accesskey is {ODD}"),
    "no ASCII": (encoded(accesskey="HIDDEN\u00e9", secretkey="s"), f"its accesskey is {ODD}"),
    "a novel": (encoded(accesskey="A", secretkey="HIDDEN" * 100), f"its secretkey is {ODD}"),
    "no text": (
        {**encoded(accesskey="A"), "secretkey": base64.b64encode(b"\xff\xfeHIDDEN").decode()},
        f"its secretkey is {ODD}",
    ),
    "no base64": ({**encoded(accesskey="A"), "secretkey": "HIDDEN!"}, f"its secretkey is {ODD}"),
    "no string": ({**encoded(accesskey="A"), "secretkey": {"HIDDEN": 1}}, f"its secretkey is {ODD}"),
    "no bucket's name": (
        encoded(accesskey="A", secretkey="s", bucket="HIDDEN/../x"),
        "its bucket is not a bucket's name: 3 to 63 of a-z 0-9 - .",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_secret_that_cannot_be_used_is_said_and_changes_nothing(wrong: str) -> None:
    data, reason = WRONG[wrong]
    world = settled()
    before = copied(world.resources)
    changed(world, data)
    composed = world.settle()
    assert not_ready_parts(composed) == {"bucket": f"{SECRET} cannot be used: {reason}{KEPT}"}
    assert said(composed)["actor"] == "the platform engineer"
    assert world.resources == before, "also the binding keeps the key that still works"
    assert "HIDDEN" not in repr((composed.status, composed.conditions, composed.events))


@pytest.mark.parametrize("wrong", WRONG)
def test_a_first_secret_that_cannot_be_used_hands_out_nothing(wrong: str) -> None:
    data, reason = WRONG[wrong]
    world = team({**given(TEAM.id), "data": data})
    composed = world.settle()
    assert not_ready_parts(composed)["bucket"] == f"{SECRET} cannot be used: {reason}"
    assert ("bucket-secret" in composed.objects, "AWS_ACCESS_KEY_ID" in binding(world)) == (False, False)


def test_a_secret_that_goes_takes_nothing_that_works() -> None:
    world = settled()
    before = copied(world.resources)
    world.foreign = []
    assert not_ready_parts(world.settle()) == {"bucket": WANTED + KEPT}
    assert world.resources == before
    world.foreign = [given(TEAM.id)]
    assert (world.settle().ready, world.resources) == (True, before)


def test_a_copy_that_is_lost_too_is_missing_until_the_key_is_given_again() -> None:
    world = settled()
    world.foreign = []
    del world.resources["bucket-secret"]
    assert not_ready_parts(world.settle())["bucket"] == WANTED
    assert "AWS_ACCESS_KEY_ID" not in binding(world)


def test_the_key_of_another_team_is_never_looked_at() -> None:
    other = Team("team-b", "research", "")
    world = team(given(other.id), given("artifacts"), given("research"))
    composed = world.settle()
    secrets = [asked for asked in composed.requirements.values() if asked.kind == "Secret"]
    assert [(asked.namespace, asked.name) for asked in secrets] == [("vellum-storage", f"s3-{TEAM.id}")]
    assert "GIVEN" not in str(composed)


def test_a_given_secret_is_neither_composed_nor_owned_whoever_controls_it() -> None:
    owner = {"kind": "ExternalSecret", "name": "from-the-vault", "uid": "x", "controller": True}
    secret = given(TEAM.id)
    secret["metadata"]["ownerReferences"] = [owner]
    world = team(secret)
    assert world.settle().ready
    assert secret["metadata"]["name"] not in {obj["metadata"]["name"] for obj in world.resources.values()}


def test_every_pass_asks_for_the_same_whatever_is_given() -> None:
    world = team()
    asked = [world.step().requirements for _ in range(5)]
    for data in (encoded(accesskey="A", secretkey="s", bucket="other"), WRONG["half a key"][0], WRONG["no text"][0]):
        changed(world, data)
        asked += [world.step().requirements for _ in range(3)]
    world.foreign = []
    asked.append(world.settle().requirements)
    assert all(item == asked[0] for item in asked)


@pytest.mark.parametrize(
    ("endpoint", "ports"),
    [("https://s3.example.org", [443]), ("http://10.0.0.7", [80]), ("https://s3.example.org:9000", [9000])],
)
def test_teams_reach_only_the_port_of_an_external_endpoint(endpoint: str, ports: list[int]) -> None:
    """The policy allows the endpoint's port at every address, and no longer the store's namespace."""
    world = team(given(TEAM.id), spec="spec: {pipelines: disabled, inference: disabled}\n")
    assert world.platform
    world.platform["spec"]["objectStore"]["endpoint"] = endpoint
    assert world.settle().ready
    rules = world.resources["network-parts"]["spec"]["egress"]
    assert [rule for rule in rules if "to" not in rule] == [
        {"ports": [{"port": port, "protocol": "TCP"} for port in ports]}
    ]
    assert "vellum-storage" not in str(rules)


def test_pipelines_and_the_store_share_one_rule() -> None:
    rules = settled().resources["network-parts"]["spec"]["egress"]
    assert [[port["port"] for port in rule["ports"]] for rule in rules if "to" not in rule] == [[443, 6443]]


def test_the_platform_makes_the_place_for_secrets_and_no_store() -> None:
    world = World(written(PLATFORMS["external"]))
    composed = world.settle()
    waiting = not_ready_parts(composed)
    wanted = "Secret vellum-storage/s3-artifacts does not exist; it gives the accesskey and secretkey of bucket vellum-artifacts"
    behind = dict.fromkeys(
        ("argo-workflows", "kubeflow-pipelines", "notebook-controller"), f"waits for artifacts: {wanted}"
    )
    assert waiting == {"artifacts": wanted, **behind}
    assert said(composed, "artifacts")["actor"] == "the platform engineer"
    assert {"external-storage-namespace", "artifacts-kubeflow", "kserve-release"} <= set(world.resources)
    assert not {"artifacts-secret", "storage-store", "seaweedfs-operator-release", "argo-workflows-release"} & set(
        world.resources
    )
    world.foreign = [given("artifacts")]
    assert world.settle().ready
    assert secret_values(world.resources["artifacts-secret"])["accesskey"] == "GIVEN-artifacts"


def test_the_platform_s_bucket_is_named_by_its_field_and_by_nothing_else() -> None:
    named = given("artifacts", accesskey="A", secretkey="s", bucket="other")
    world = World(written(PLATFORMS["external"]), foreign=[named])
    assert not_ready_parts(world.settle())["artifacts"] == (
        "Secret vellum-storage/s3-artifacts cannot be used: its bucket is not vellum-artifacts, "
        "which spec.artifacts.bucket names"
    )
    world.composite["spec"]["artifacts"] = {"bucket": "other"}
    assert world.settle().ready
    assert world.resources["kubeflow-pipelines-release"]["spec"]["forProvider"]["values"]["bucket"] == "other"


def test_a_platform_whose_secret_goes_keeps_what_runs() -> None:
    world = World(written(PLATFORMS["external"]), foreign=[given("artifacts")])
    assert world.settle().ready
    before = copied(world.resources)
    world.foreign = []
    assert not_ready_parts(world.settle())["artifacts"].endswith(KEPT)
    assert world.resources == before


def test_a_new_key_of_the_platforms_bucket_rolls_pipelines_in_secret() -> None:
    """A new key rolls Pipelines, and no object or status contains it."""

    def generation() -> str:
        release = world.resources["kubeflow-pipelines-release"]
        return str(release["spec"]["forProvider"]["values"]["objectStore"]["generation"])

    world = World(written(PLATFORMS["external"]), foreign=[given("artifacts")])
    assert world.settle().ready
    first = generation()
    world.foreign = [given("artifacts", accesskey="GIVEN-artifacts", secretkey="another")]
    world.settle()
    second = generation()
    world.foreign = []
    world.resources.pop("artifacts-secret")
    world.settle()

    assert len({first, second}) == 2
    assert len(first) == len(second) == 16
    assert generation() == second, "a key that the store does not know now is not a new one"


def test_a_place_for_secrets_that_somebody_else_made_is_refused() -> None:
    world = World(written(PLATFORMS["external"]), foreign=[make("v1", "Namespace", "vellum-storage")])
    composed = world.step()
    assert (composed.objects, composed.conditions[0].reason) == ({}, "NotOurs")


CHANGES = [("light", "external"), ("external", "light")]


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_another_backend_than_the_platform_began_with_changes_nothing(before: str, after: str) -> None:
    platform = World(written(PLATFORMS[before]), foreign=[given("artifacts")])
    assert platform.settle().ready
    claim = World(written(CLAIM + "spec: {deletionPolicy: Delete}\n"), platform.composite, foreign=[given(TEAM.id)])
    assert claim.settle().ready
    changed_spec = {**platform.composite, "spec": written(PLATFORMS[after])["spec"]}
    for world in (platform, claim):
        resources = copied(world.resources)
        platform.composite = claim.platform = changed_spec
        composed = world.step()
        assert (composed.conditions[0].reason, world.resources) == ("StoreChanged", resources)
        assert composed.fatal.startswith(f"every bucket is in {'seaweedfs' if before == 'light' else 'external'}, ")
        assert composed.events[0].type == "Warning"


@settings(max_examples=15, deadline=None)
@drawn(
    CLAIMS,
    st.dictionaries(
        st.sampled_from(["accesskey", "secretkey", "bucket"]), st.text(max_size=20) | st.just("proper-name")
    ),
)
def test_whatever_is_given_no_pass_fails_and_what_is_told_holds_no_value(claim: Claim, values: dict[str, str]) -> None:
    marked = {name: f"{value}#HIDDEN#" if name != "bucket" else value for name, value in values.items()}
    secret = given(Team(claim.namespace, claim.name, "").id)
    secret["data"] = encoded(**marked)
    world = World(stored(claim), settled_platform(PLATFORMS["external"]), foreign=[secret])
    composed = world.settle()
    assert not composed.fatal
    assert "HIDDEN" not in repr((composed.status, composed.conditions, composed.events))
    assert composed.ready == ("bucket-secret" in composed.objects)
