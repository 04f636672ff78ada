"""Every composed object has the shape that an API server accepts, for every claim."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compose.render import worlds
from tests.compose.world import PLATFORMS, World, stored, written
from tests.strategies import CLAIMS

from vellum.api.claim import Claim
from vellum.kube.names import STATEFUL_SET_LIMIT, is_dns_label
from vellum.kube.objects import Key, Obj, secret_values

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
QUALIFIED = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
LABELLED = ("Namespace", "Service", "StatefulSet", "InferenceService", "Notebook")
RESOURCE = re.compile(r"[a-z]+(-[a-z]+)*")


@settings(max_examples=25, deadline=None)
@given(CLAIMS, st.sampled_from(sorted(PLATFORMS)))
def test_names_labels_and_values_are_valid_for_every_claim(claim: Claim, place: str) -> None:
    world = World(stored(claim), written(PLATFORMS[place]))
    _check({name: desired.obj for name, desired in world.settle().objects.items()})


@pytest.mark.parametrize("place", sorted(PLATFORMS))
def test_names_labels_and_values_are_valid_for_every_platform(place: str) -> None:
    _check({name: desired.obj for name, desired in World(written(PLATFORMS[place])).settle().objects.items()})


def _check(objects: dict[str, Obj]) -> None:
    assert len({Key.of(obj) for obj in objects.values()}) == len(objects), "two resources are one object"
    for resource, obj in objects.items():
        meta = obj["metadata"]
        assert RESOURCE.fullmatch(resource)
        assert json.loads(json.dumps(obj, allow_nan=False)) == obj
        assert SUBDOMAIN.fullmatch(meta["name"])
        assert len(meta["name"]) <= (STATEFUL_SET_LIMIT if obj["kind"] == "StatefulSet" else 63)
        assert obj["kind"] not in LABELLED or is_dns_label(meta["name"])
        assert is_dns_label(meta.get("namespace", "cluster-scoped"))
        assert meta["labels"]["app.kubernetes.io/managed-by"] == "vellum"
        for labels in _labels(obj):
            assert all(QUALIFIED.fullmatch(key) and VALUE.fullmatch(value) for key, value in labels.items())
        assert all(isinstance(value, str) for value in meta.get("annotations", {}).values())
        assert "status" not in obj


def _labels(node: Any) -> Iterator[dict[str, str]]:
    if isinstance(node, dict):
        yield from (node[key] for key in ("labels", "matchLabels") if key in node)
        for value in node.values():
            yield from _labels(value)
    elif isinstance(node, list):
        for value in node:
            yield from _labels(value)


def test_pods_select_what_they_carry_and_mount_what_they_declare() -> None:
    objects = worlds()["claim-full-local"].settle().objects
    stateful = objects["qdrant-set"].obj["spec"]
    template = stateful["template"]
    assert stateful["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert objects["qdrant-service"].obj["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    pods = {
        "qdrant": (template["spec"], {claim["metadata"]["name"] for claim in stateful["volumeClaimTemplates"]}),
        "notebook": (objects["notebook"].obj["spec"]["template"]["spec"], set()),
        "search": (objects["search"].obj["spec"]["predictor"], set()),
    }
    for pod, more in pods.values():
        declared = {volume["name"] for volume in pod["volumes"]} | more
        mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert mounted == declared
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            security = container["securityContext"]
            assert (security["allowPrivilegeEscalation"], security["capabilities"]) == (False, {"drop": ["ALL"]})


def test_every_secret_that_a_pod_needs_is_composed() -> None:
    objects = worlds()["claim-full-local"].settle().objects
    secrets = {desired.obj["metadata"]["name"] for desired in objects.values() if desired.obj["kind"] == "Secret"}
    assert set(re.findall(r"'secretKeyRef': {'name': '([^']+)'", str(objects))) <= secrets


def test_a_new_identity_of_the_store_restarts_its_filer() -> None:
    objects = worlds()["platform-light"].settle().objects
    file = json.loads(secret_values(objects["storage-admin"].obj)["s3.json"])
    annotations = objects["storage-store"].obj["spec"]["filer"]["annotations"]
    names = ".".join(identity["name"] for identity in file["identities"])
    assert annotations == {"platform.vellum.dev/identities": names}


def test_the_names_of_resources_never_change() -> None:
    """Crossplane finds a composed object by this name. After a new name it deletes the object and creates another.

    A new component adds names, and needs no line here.
    """
    released = {
        "claim-full-local": [
            "access-account", "access-binding", "access-role", "binding", "bucket-bucket", "bucket-credentials",
            "bucket-grant", "bucket-identity", "bucket-key", "bucket-policy", "bucket-secret", "namespace",
            "namespace-limits", "namespace-quota", "network-deny", "network-inside", "network-parts", "notebook",
            "notebook-home", "notebook-token", "pipelines-launcher", "pipelines-metadata", "pipelines-repository",
            "qdrant-keys", "qdrant-network", "qdrant-service", "qdrant-set", "search", "training-binding",
            "training-role",
        ],
        "platform-local": [
            "artifacts-bucket", "artifacts-credentials", "artifacts-grant", "artifacts-identity", "artifacts-key",
            "artifacts-kubeflow", "artifacts-policy", "artifacts-secret", "gateway", "storage-admin",
            "storage-front", "storage-namespace", "storage-network", "storage-quotas", "storage-service", "storage-store",
            "storefront-deployment", "storefront-network", "training-runtimes-jobs", "training-runtimes-models", "vector-storage-namespace",
            "vector-storage-network",
        ],
    }  # fmt: skip
    composed = {name: worlds()[name].settle().objects for name in released}
    assert {name: sorted(set(released[name]) - objects.keys()) for name, objects in composed.items()} == {
        name: [] for name in released
    }
