"""Objects of another owner under a team's name: Crossplane alone would adopt them, and delete them with the claim."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.bench.real import Bench, condition, until

from vellum.kube.objects import Obj, make
from vellum.model.team import STORAGE_NAMESPACE, VECTORS_NAMESPACE, Team
from vellum.objectstore.seaweed import API


def stateful_set(name: str) -> Obj:
    labels = {"app": "theirs"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "theirs", "image": "theirs"}]}}
    spec = {"replicas": 0, "serviceName": "theirs", "selector": {"matchLabels": labels}, "template": pod}
    return make("apps/v1", "StatefulSet", name, VECTORS_NAMESPACE, spec=spec)


def theirs(part: str, team: Team) -> Obj:
    """Return an object under the team's name as another owner would have made it."""
    if part == "namespace":
        return make("v1", "Namespace", team.namespace, labels={"theirs": "yes"})
    if part == "bucket":
        return make(API, "Bucket", team.bucket, STORAGE_NAMESPACE, spec={"reclaimPolicy": "Delete"})
    return stateful_set(team.qdrant)


def untouched(obj: Obj | None) -> Any:
    """Return the object without what its own controllers write."""
    assert obj is not None
    meta = {name: value for name, value in obj["metadata"].items() if name not in {"managedFields", "resourceVersion"}}
    return {**obj, "metadata": meta, "status": None}


@pytest.mark.parametrize("part", ["namespace", "bucket", "qdrant"])
def test_objects_of_another_owner_are_refused_by_name_and_not_changed(bench: Bench, part: str) -> None:
    """Proves: an existing namespace, bucket or Qdrant of a team's name is reported by name and never changed."""
    name = f"taken-{part}"
    foreign = theirs(part, Team("default", name, ""))
    where = (foreign["kind"].lower(), foreign["metadata"]["name"], foreign["metadata"].get("namespace", ""))
    bench.apply(foreign)
    time.sleep(1)
    before = untouched(bench.get(*where))

    bench.claim(name, wait=0)

    text = f"{foreign['kind']} {'/'.join(filter(None, reversed(where[1:])))}"
    expected = f"foreign, so not changed: {text} (without a controller)"
    until(lambda: bench.waits_for(name) == expected, 20, lambda: f"{bench.waits_for(name)}\n{expected}")
    claim = bench.get("mlopsplatform", name, "default")
    assert (condition(claim, "Ready")["status"], condition(claim, "PartsReady")["reason"]) == ("False", "NotOurs")
    (composite,) = (item for item in bench.list("xmlopsplatform") if item["spec"]["claimRef"]["name"] == name)
    assert composite["spec"].get("resourceRefs", []) == []

    bench.delete(name)

    time.sleep(2)
    assert untouched(bench.get(*where)) == before
    bench.kubectl("delete", where[0], where[1], *(("-n", where[2]) if where[2] else ()))


def test_two_claims_never_meet_in_one_name(bench: Bench) -> None:
    """default/a-b and default-a/b would meet in a name that is only joined; the hash keeps them apart."""
    bench.apply(make("v1", "Namespace", "default-a"))
    bench.claim("a-b")
    other = {
        "apiVersion": "platform.vellum.dev/v1alpha1",
        "kind": "MLOpsPlatform",
        "spec": {},
        "metadata": {"name": "b", "namespace": "default-a"},
    }
    bench.apply(other)
    until(lambda: condition(bench.get("mlopsplatform", "b", "default-a"), "Ready").get("status") == "True", 60)
    teams = bench.team("a-b"), bench.team("b", "default-a")
    assert len({team.namespace for team in teams} | {team.bucket for team in teams}) == 4
    bench.kubectl("delete", "mlopsplatform", "b", "-n", "default-a")
    bench.delete("a-b")
