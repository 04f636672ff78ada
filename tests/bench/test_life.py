"""A claim's life on the real Crossplane: made, changed, deleted, made again; the object store is a real one."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.bench.real import ROOT, Bench, claim, condition, until

from vellum.kube.objects import Obj, secret_values
from vellum.model.team import Team

VECTORS, STORAGE = "vellum-vectors", "vellum-storage"


def s3(bench: Bench, team: Team, secret: str = "mlpipeline-minio-artifact") -> Any:
    """Return a client with the keys of a Secret that Crossplane composed; the address is this machine's."""
    values = secret_of(bench, secret, team.namespace)
    names = ("accesskey", "secretkey") if "accesskey" in values else ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    return boto3.client(
        "s3",
        endpoint_url=bench.s3,
        region_name="us-east-1",
        aws_access_key_id=values[names[0]],
        aws_secret_access_key=values[names[1]],
        config=Config(retries={"max_attempts": 1}),
    )


def secret_of(bench: Bench, name: str, namespace: str) -> dict[str, str]:
    result = bench.get("secret", name, namespace)
    assert result is not None
    return secret_values(result)


def composed(bench: Bench, team: Team) -> set[str]:
    """Return the objects that the composite references, as kind and name without the team's own names."""
    (composite,) = (item for item in bench.list("xmlopsplatform") if item["metadata"]["uid"] == team.claim_uid)
    refs = composite["spec"]["resourceRefs"]
    return {f"{ref['kind']}/{ref['name']}".replace(team.id, "TEAM") for ref in refs}


EVERYTHING = {
    "Bucket/vellum-TEAM",
    "ClusterUsage/claim-TEAM",
    "ConfigMap/artifact-repositories",
    "ConfigMap/kfp-launcher",
    "ConfigMap/metadata-grpc-configmap",
    "InferenceService/search",
    "LimitRange/team",
    "Namespace/TEAM",
    "NetworkPolicy/default-deny",
    "NetworkPolicy/inside",
    "NetworkPolicy/parts",
    "NetworkPolicy/qdrant-TEAM",
    "Notebook/notebook",
    "PersistentVolumeClaim/notebook-workspace",
    "ResourceQuota/team",
    "Role/default-editor",
    "RoleBinding/default-editor",
    "S3Credentials/TEAM-g1",
    "S3Identity/TEAM",
    "S3Policy/TEAM-rw",
    "S3PolicyBinding/TEAM-rw",
    "Secret/mlpipeline-minio-artifact",
    "Secret/notebook-token",
    "Secret/qdrant-TEAM",
    "Secret/s3-TEAM-g1",
    "Secret/vellum-binding",
    "Service/qdrant-TEAM",
    "ServiceAccount/default-editor",
    "StatefulSet/qdrant-TEAM",
}


def test_the_first_example_becomes_ready_with_all_parts(bench: Bench) -> None:
    """Proves: the first example's claim becomes Ready with all that a team gets."""
    bench.kubectl("apply", "-f", str(ROOT / "examples/01-team/claim.yaml"))
    result = bench.ready("team-a")
    team = bench.team("team-a")
    assert composed(bench, team) == EVERYTHING
    assert {part["name"]: part["ready"] for part in result["status"]["components"]} == dict.fromkeys(
        ["namespace", "access", "bucket", "network", "qdrant", "notebook", "pipelines", "search"], True
    )
    bench.delete("team-a")


@pytest.fixture(scope="module")
def ada(bench: Bench) -> Team:
    """Return a team that the tests of this module share and leave as it is."""
    return bench.claim("ada", notebooks="enabled")


@pytest.mark.parametrize("secret", ["mlpipeline-minio-artifact", "vellum-binding"])
def test_the_keys_in_the_composed_secrets_write_to_the_teams_own_bucket(bench: Bench, ada: Team, secret: str) -> None:
    """Proves: the keys in the composed Secrets open the team's own bucket."""
    client = s3(bench, ada, secret)
    client.put_object(Bucket=ada.bucket, Key="hello.txt", Body=b"hello")
    assert client.get_object(Bucket=ada.bucket, Key="hello.txt")["Body"].read() == b"hello"


def test_the_keys_are_refused_at_other_buckets(bench: Bench, ada: Team) -> None:
    """Proves: these keys open no other bucket."""
    other = bench.claim("other")
    for bucket in (other.bucket, "vellum-artifacts"):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3(bench, ada).put_object(Bucket=bucket, Key="x", Body=b"x")
        with pytest.raises(ClientError, match="AccessDenied"):
            s3(bench, ada).list_objects_v2(Bucket=bucket)
    bench.delete("other")


def test_the_pods_of_a_team_pass_pod_security_the_quota_and_the_scheduler(bench: Bench, ada: Team) -> None:
    """Proves: a team's pods pass Pod Security, its quota and the scheduler."""
    pods = [*bench.list("pods", "-n", ada.namespace), bench.get("pod", f"{ada.qdrant}-0", VECTORS) or {}]
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}
    assert {pod["spec"]["nodeName"].partition("-")[0] for pod in pods} == {"stand"}
    # The quota is counted a moment after the pods.
    for what, number in (("hard", "30"), ("used", "2")):
        path = ("status", what, "pods")
        until(lambda: field(bench, "resourcequota", "team", ada.namespace, *path) == number, 60)  # noqa: B023  # asked now


def test_a_pod_that_asks_for_root_is_refused_in_the_teams_namespace(bench: Bench, ada: Team) -> None:
    """Proves: a team's namespace refuses a pod that runs as root."""
    container = {"name": "x", "image": "x", "securityContext": {"runAsUser": 0}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root", "namespace": ada.namespace},
        "spec": {"containers": [container]},
    }
    assert 'violates PodSecurity "restricted:' in bench.apply(pod, check=False)


def field(bench: Bench, kind: str, name: str, namespace: str, *path: Any) -> Any:
    result: Any = bench.get(kind, name, namespace)
    for step in path:
        result = result[step] if result is not None else None
    return result


def test_every_field_of_a_claim_can_be_changed_and_reaches_its_object(bench: Bench) -> None:
    """Proves: a changed field of the claim reaches its object."""
    team = bench.claim("changes")
    name = team.namespace

    def said() -> dict[str, Any]:
        namespace = bench.get("namespace", name) or {}
        meta = namespace["metadata"]
        bucket = bench.get("bucket", team.bucket, STORAGE) or {}
        search = bench.get("inferenceservice", "search", name)
        replicas = search and search["spec"]["predictor"]["minReplicas"]
        vectors = bench.get("statefulset", team.qdrant, VECTORS) or {}
        return {
            "owner": meta["annotations"].get("platform.vellum.dev/owner", ""),
            "cost center": meta["labels"].get("platform.vellum.dev/cost-center", ""),
            "pods": field(bench, "resourcequota", "team", name, "spec", "hard", "pods"),
            "bucket": bucket["spec"]["quota"]["size"],
            "kept": (
                bucket["spec"]["reclaimPolicy"],
                vectors["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"],
            ),
            "search": replicas,
            "notebook": field(bench, "notebook", "notebook", name, "metadata", "name"),
            "pipelines": field(bench, "configmap", "kfp-launcher", name, "metadata", "name"),
        }

    first = said()
    steps: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"owner": "ada@example.org"}, {"owner": "ada@example.org"}),
        ({"costCenter": "4711"}, {"cost center": "4711"}),
        ({"size": "medium"}, {"pods": "80"}),
        ({"artifacts": {"quota": "20Gi"}}, {"bucket": "20Gi"}),
        ({"deletionPolicy": "Delete"}, {"kept": ("Delete", "Delete")}),
        ({"search": {"replicas": 3}}, {"search": 3}),
        ({"notebooks": "enabled"}, {"notebook": "notebook"}),
        ({"pipelines": "disabled"}, {"pipelines": None}),
        ({"inference": "disabled"}, {"search": None}),
    ]
    spec: dict[str, Any] = {}
    expected = dict(first)
    for written, changed in steps:
        spec |= written
        expected |= changed
        bench.claim("changes", **spec)
        until(lambda: said() == expected, 20, lambda: f"{said()}\n{expected}")  # noqa: B023  # asked now
    bench.claim("changes")
    until(lambda: said() == first, 20, lambda: f"{said()}\n{first}")
    bench.delete("changes")


def test_a_volume_keeps_its_size_and_the_claim_says_so_and_stays_ready(bench: Bench) -> None:
    """Proves: a volume keeps its size; the claim reports that and stays Ready."""
    bench.claim("volumes", notebooks="enabled")
    bench.claim("volumes", notebooks="enabled", notebook={"storage": "50Gi"}, vectors={"storage": "50Gi"})

    def said() -> dict[str, str]:
        parts = (bench.get("mlopsplatform", "volumes", "default") or {})["status"]["components"]
        return {part["name"]: part["reason"] for part in parts if part.get("reason")}

    expected = {
        "notebook": "the home keeps its 5Gi: its size cannot change later",
        "qdrant": "the volume keeps its 10Gi: a StatefulSet's volumes cannot be resized",
    }
    until(lambda: said() == expected, 20, lambda: str(said()))
    kept = condition(bench.get("mlopsplatform", "volumes", "default"), "SizesAsWritten")
    assert (kept["status"], kept["reason"]) == ("False", "SizeKept")
    bench.delete("volumes")


def test_turning_notebooks_off_keeps_the_home_volume(bench: Bench) -> None:
    """Proves: a disabled notebook leaves its home directory for the next one."""
    team = bench.claim("flips", notebooks="enabled")
    home = bench.get("pvc", "notebook-workspace", team.namespace) or {}
    before = composed(bench, team)

    bench.claim("flips", notebooks="disabled")

    until(lambda: bench.list("pods", "-n", team.namespace, "-l", "notebook-name") == [], 30)
    assert before - composed(bench, team) == {"Notebook/notebook", "Secret/notebook-token"}
    assert (bench.get("pvc", "notebook-workspace", team.namespace) or {})["metadata"]["uid"] == home["metadata"]["uid"]

    bench.claim("flips", notebooks="enabled")

    until(lambda: composed(bench, team) == before, 30, lambda: str(before ^ composed(bench, team)))
    assert (bench.get("pvc", "notebook-workspace", team.namespace) or {})["metadata"]["uid"] == home["metadata"]["uid"]
    bench.delete("flips")


def volume(bench: Bench, team: Team) -> Obj | None:
    return bench.get("pvc", f"data-{team.qdrant}-0", VECTORS)


def left_over(bench: Bench, team: Team) -> set[str]:
    """Return every object, of any kind, that still names the team."""
    kinds = "namespace,xmlopsplatform,secret,configmap,statefulset,service,networkpolicy,pod,pvc,pv,bucket,s3identity"
    kinds += ",s3policy,s3policybinding,s3credentials,notebook,inferenceservice,deployment,role,rolebinding"
    result = bench.list(kinds, "-A")
    return {
        f"{obj['kind']}/{obj['metadata']['name']}".replace(team.id, "TEAM")
        for obj in result
        if team.id in json.dumps([obj["metadata"], obj.get("spec", {})])
    }


def test_a_claim_deleted_with_retain_keeps_only_its_data(bench: Bench) -> None:
    """Proves: a claim deleted with Retain leaves its data and nothing else; a new claim finds the data."""
    team = bench.claim("keeps", notebooks="enabled")
    s3(bench, team).put_object(Bucket=team.bucket, Key="kept.txt", Body=b"kept")
    old, key = s3(bench, team), secret_of(bench, "vellum-binding", team.namespace)["AWS_ACCESS_KEY_ID"]
    before = volume(bench, team)

    bench.delete("keeps")

    until(lambda: len(left_over(bench, team)) == 2, 30, lambda: str(left_over(bench, team)))
    assert left_over(bench, team) == {
        "PersistentVolumeClaim/data-qdrant-TEAM-0",
        f"PersistentVolume/pvc-{(before or {})['metadata']['uid']}",
    }
    with pytest.raises(ClientError, match=r"AccessDenied|InvalidAccessKeyId"):
        old.list_objects_v2(Bucket=team.bucket)

    again = bench.claim("keeps")

    assert s3(bench, again).get_object(Bucket=team.bucket, Key="kept.txt")["Body"].read() == b"kept"
    assert secret_of(bench, "vellum-binding", team.namespace)["AWS_ACCESS_KEY_ID"] == key
    assert (volume(bench, again) or {})["metadata"]["uid"] == (before or {})["metadata"]["uid"]
    bench.delete("keeps")


def test_a_claim_deleted_with_delete_leaves_nothing(bench: Bench) -> None:
    """Proves: a claim deleted with Delete leaves nothing."""
    team = bench.claim("forgets", notebooks="enabled", deletionPolicy="Delete")
    s3(bench, team).put_object(Bucket=team.bucket, Key="gone.txt", Body=b"gone")

    bench.delete("forgets")

    until(lambda: left_over(bench, team) == set(), 30, lambda: str(left_over(bench, team)))
    again = bench.claim("forgets", deletionPolicy="Delete")
    assert s3(bench, again).list_objects_v2(Bucket=team.bucket)["KeyCount"] == 0
    bench.delete("forgets")


def test_a_claim_made_again_immediately_has_its_bucket(bench: Bench) -> None:
    """Proves: a claim that is deleted and recreated gets its bucket back."""
    team = bench.claim("again", notebooks="enabled")
    s3(bench, team).put_object(Bucket=team.bucket, Key="kept.txt", Body=b"kept")
    bench.kubectl("delete", "mlopsplatform", "again", "--wait=false")
    until(lambda: bench.get("mlopsplatform", "again", "default") is None, 60)

    new = bench.claim("again", notebooks="enabled")

    assert new.claim_uid != team.claim_uid
    assert s3(bench, new).get_object(Bucket=new.bucket, Key="kept.txt")["Body"].read() == b"kept"
    bench.delete("again")


def test_a_new_composite_does_not_get_the_objects_of_the_old_one(bench: Bench) -> None:
    """Proves: a composite never adopts objects of an earlier composite of the same name.

    A claim in the background lets its composite go after it: the new one meets what is being deleted.
    """
    background = claim("hasty", notebooks="enabled", compositeDeletePolicy="Background")
    bench.apply(background)
    bench.ready("hasty")
    old = bench.team("hasty")
    bench.kubectl("delete", "mlopsplatform", "hasty")

    bench.apply(background)

    bench.ready("hasty", 90)
    new = bench.team("hasty")
    assert new.claim_uid != old.claim_uid
    owners = {
        reference["uid"]
        for kind, name, namespace in (("namespace", new.namespace, ""), ("bucket", new.bucket, STORAGE))
        for reference in (bench.get(kind, name, namespace) or {})["metadata"]["ownerReferences"]
    }
    assert owners == {new.claim_uid}
    bench.delete("hasty")


def test_a_missing_kind_holds_up_its_own_part_and_no_other(bench: Bench) -> None:
    """Proves: a missing operator delays its own part and no other."""
    crd = "inferenceservices.serving.kserve.io"
    definition = bench.get("crd", crd) or {}
    bench.kubectl("delete", "crd", crd)
    until(lambda: bench.get("apiservice", "v1beta1.serving.kserve.io") is None, 60)

    bench.claim("early", wait=0)

    expected = "search: kind InferenceService (serving.kserve.io/v1beta1) is not served yet"
    until(lambda: bench.waits_for("early") == expected, 60, lambda: bench.waits_for("early"))
    parts = (bench.get("mlopsplatform", "early", "default") or {})["status"]["components"]
    assert [part["name"] for part in parts if not part["ready"]] == ["search"]
    team = bench.team("early")
    s3(bench, team).put_object(Bucket=team.bucket, Key="x", Body=b"x")

    written = {name: definition["metadata"][name] for name in ("name", "annotations")}
    bench.apply({**definition, "metadata": written, "status": {}})

    bench.ready("early", 60)
    bench.delete("early")


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({"notebooks": True}, ".spec.notebooks: expected string, got"),
        ({"notebooks": "yes"}, 'Unsupported value: "yes": supported values: "enabled", "disabled"'),
        ({"size": "huge"}, 'Unsupported value: "huge"'),
        ({"costCenter": "a b"}, "spec.costCenter"),
        ({"search": {"replicas": -1}}, "spec.search.replicas"),
        ({"artifacts": {"quota": "many"}}, "spec.artifacts.quota"),
    ],
)
def test_the_api_server_itself_refuses_a_wrong_claim(bench: Bench, spec: dict[str, Any], refused: str) -> None:
    """Proves: the API server refuses a wrong value."""
    assert refused in bench.apply(claim("wrong", **spec), check=False)
    assert bench.get("mlopsplatform", "wrong", "default") is None


def test_an_unknown_field_is_refused_by_the_api_server(bench: Bench) -> None:
    """Proves: with strict validation, which kubectl uses, the API server refuses an unknown field."""
    output = bench.kubectl(
        "create", "--validate=strict", "-f", "-", given=json.dumps(claim("wrong", notebook_size="5Gi")), check=False
    )
    assert 'unknown field "spec.notebook_size"' in output


def test_conditions_of_the_claim_say_the_same_as_those_of_its_composite(bench: Bench, ada: Team) -> None:
    """Proves: claim and composite report the same conditions."""
    bench.ready("ada")
    (composite,) = (item for item in bench.list("xmlopsplatform") if item["metadata"]["uid"] == ada.claim_uid)
    result = bench.get("mlopsplatform", "ada", "default")
    for kind in ("Ready", "Synced", "PartsReady"):
        assert condition(result, kind)["status"] == condition(composite, kind)["status"] == "True"
