"""Rendered fields must be live; live objects may have more."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vellum.compose.helm.diff import differences
from vellum.compose.helm.records import Rendered, read
from vellum.kube.objects import Kind, Obj, make
from vellum.kube.patch import copied

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("abc", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", max_size=2), inner, max_size=3),
    max_leaves=12,
)


def want(**body: Any) -> Rendered:
    return Rendered(Kind("apps/v1", "Deployment"), "a", "b", make("apps/v1", "Deployment", "b", **body))


def found(wanted: Any, live: Any, *, scaled: bool = False) -> list[str]:
    return [str(difference) for difference in differences(want(spec=wanted), {"spec": live}, scaled=scaled)]


def more(value: Any) -> Any:
    """Return what a live object may have beyond what was rendered."""
    if isinstance(value, dict):
        return {**{key: more(part) for key, part in value.items()}, "added": {"by": "others"}}
    return [more(part) for part in value] if isinstance(value, list) else value


@given(JSON)
def test_an_object_is_as_rendered_also_with_defaults_and_what_others_add(value: Any) -> None:
    assert found({"value": value}, {"value": value}) == []
    assert found({"value": value}, more({"value": value})) == []


@pytest.mark.parametrize(
    ("wanted", "live", "path"),
    [
        ({"replicas": 1}, {"replicas": 0}, ".spec.replicas"),
        ({"replicas": 1}, {}, ".spec.replicas"),
        ({"a": {"b": "c"}}, {"a": None}, ".spec.a"),
        (
            {"env": [{"name": "A", "value": "1"}]},
            {"env": [{"name": "B"}, {"name": "A", "value": "2"}]},
            ".spec.env[0].value",
        ),
        ({"args": ["a", "b"]}, {"args": ["a"]}, ".spec.args"),
        ({"ports": [{"port": 80}]}, {"ports": []}, ".spec.ports[0]"),
        (
            {"resources": {"requests": {"cpu": "1"}}},
            {"resources": {"requests": {"cpu": "999m"}}},
            ".spec.resources.requests.cpu",
        ),
        ({"flag": True}, {"flag": False}, ".spec.flag"),
        ({"env": [{"name": "A", "value": ""}]}, {"env": [{"name": "A", "value": "x"}]}, ".spec.env[0].value"),
    ],
)
def test_a_field_that_is_another_is_found_with_its_path(wanted: Any, live: Any, path: str) -> None:
    assert found(wanted, live) == [path]


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        (
            {"resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}},
            {"resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}},
        ),
        ({"affinity": None, "tolerations": [], "nodeSelector": {}}, {}),
        ({"env": [{"name": "A", "value": ""}]}, {"env": [{"name": "A"}]}),
        ({"port": 80}, {"port": "80"}),
        (
            {"env": [{"name": "A", "value": "1"}]},
            {"env": [{"name": "SIDECAR", "value": "x"}, {"name": "A", "value": "1"}]},
        ),
        (
            {"containers": [{"name": "main", "image": "a"}]},
            {"containers": [{"name": "proxy"}, {"name": "main", "image": "a", "x": 1}]},
        ),
    ],
)
def test_two_spellings_of_the_same_are_no_difference(wanted: Any, live: Any) -> None:
    assert found(wanted, live) == []


def test_an_autoscaler_owns_the_replicas_and_nothing_else() -> None:
    assert found({"replicas": 1, "paused": False}, {"replicas": 5, "paused": True}, scaled=True) == [".spec.paused"]


def test_what_controllers_write_into_a_webhook_configuration_is_theirs() -> None:
    kind = Kind("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")
    item = Rendered(
        kind, "", "a", make(kind.api_version, kind.kind, "a", webhooks=[{"name": "w", "failurePolicy": "Ignore"}])
    )
    assert list(differences(item, {"webhooks": [{"name": "w", "failurePolicy": "Fail"}]})) == []


def record(*documents: str) -> Obj:
    payload = json.dumps({"manifest": "\n---\n".join(documents)}).encode()
    twice = base64.b64encode(base64.b64encode(gzip.compress(payload))).decode()
    made = make("v1", "Secret", "r", data={"release": twice})
    made["metadata"] |= {"uid": "u", "resourceVersion": twice}
    return made


CRD = "# Source: crds.yaml\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\n"
SERVICE = "# Source: service.yaml\napiVersion: v1\nkind: Service\nmetadata:\n  name: s\n"
ELSEWHERE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: other}\n"
CLUSTER_ROLE = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\n"
ISSUER = "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: i}\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n"


def test_a_record_lists_what_is_compared_and_where_it_lies() -> None:
    custom = {"cert-manager.io/v1/Issuer": Kind("cert-manager.io/v1", "Issuer")}
    documents = ("", CRD, SERVICE, ELSEWHERE, CLUSTER_ROLE, ISSUER, SECRET)
    everything = read(record(*documents), "own", custom).rendered
    assert [str(item) for item in everything] == ["Service own/s", "ConfigMap other/c", "ClusterRole r", "Issuer own/i"]
    assert [str(item) for item in read(record(*documents), "own", {}).rendered][-1] == "ClusterRole r"


def test_a_block_of_text_at_the_end_of_an_object_keeps_its_last_line_break() -> None:
    settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: |\n    one\n    two"
    for item in read(record(settings, f"{settings}\n", settings), "own", {}).rendered:
        assert item.manifest["data"] == {"a": "one\ntwo\n"}


@pytest.mark.parametrize(
    "document",
    [
        '{\n "apiVersion": "v1",\n "kind": "Service",\n "metadata": {"name": "s"}\n}\n',
        '"kind": Service\napiVersion: v1\nmetadata: {name: s}\n',
        "{kind: Service, apiVersion: v1, metadata: {name: s}}\n",
    ],
)
def test_a_chart_may_spell_its_objects_as_it_likes(document: str) -> None:
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "a"}}
    documents = (CRD, json.dumps(crd, indent=1), f"# Source: a\n{document}")
    assert [str(item) for item in read(record(*documents), "own", {}).rendered] == ["Service own/s"]


def test_a_workload_scaled_to_zero_is_found_without_rendered_replicas() -> None:
    assert found({}, {"replicas": 3}) == []
    assert found({}, {"replicas": 0}) == [".spec.replicas"]
    assert found({}, {"replicas": 3}, scaled=True) == []
    assert found({}, {"replicas": 0}, scaled=True) == [".spec.replicas"], "an autoscaler leaves it at 0"


def test_the_rendered_side_is_never_changed_by_a_comparison() -> None:
    item = want(spec={"a": [{"name": "x", "v": 1}]})
    before = copied(item.manifest)
    list(differences(item, {"spec": {"a": [{"name": "x", "v": 2}]}}))
    assert item.manifest == before
