"""The chart of the notebook controller, rendered by the real Helm: its rights, its ports and its settings.

What every chart of Vellum's own must be is in ``test_own_charts.py``.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml
from tests.charts import facts
from tests.charts.rendered import Rendered
from tests.charts.strangers import EVERYTHING

from vellum.components.notebook import component as notebook
from vellum.components.notebook_controller import component
from vellum.kube.objects import Obj
from vellum.model.team import KUBEFLOW_NAMESPACE, MESH_NAMESPACE
from vellum.package.charts import own

Render = Callable[..., list[Obj]]


@pytest.fixture
def render(rendered: Rendered) -> Render:
    """Return what renders the chart with these values."""
    return lambda **values: rendered(component.name, values)


def one(objects: list[Obj], kind: str, name: str = "") -> Obj:
    (result,) = (obj for obj in objects if obj["kind"] == kind and name in ("", obj["metadata"]["name"]))
    return result


def names(objects: list[Obj]) -> list[str]:
    return sorted(f"{obj['kind']} {obj['metadata']['name']}" for obj in objects)


def rules(role: Obj) -> list[tuple[str, str, str]]:
    """Return each rule as its resources, its names and its verbs."""
    return [
        (
            f"{rule['apiGroups'][0]} {' '.join(rule['resources'])}".strip(),
            " ".join(rule.get("resourceNames", [])),
            " ".join(rule["verbs"]),
        )
        for rule in role["rules"]
    ]


def container(objects: list[Obj]) -> Obj:
    (result,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(result)


def environment(objects: list[Obj]) -> dict[str, str]:
    return {text["name"]: text["value"] for text in container(objects)["env"]}


def test_names_are_kubeflows_own(render: Render) -> None:
    assert names(render()) == [
        "ClusterRole notebook-controller-role",
        "ClusterRoleBinding notebook-controller-role-binding",
        "CustomResourceDefinition notebooks.kubeflow.org",
        "Deployment notebook-controller-deployment",
        "NetworkPolicy notebook-controller",
        "Service notebook-controller-service",
        "ServiceAccount notebook-controller-service-account",
    ]
    assert set(names(render(**EVERYTHING))) - set(names(render())) == {
        "ClusterRole notebook-controller-kubeflow-notebooks-admin",
        "ClusterRole notebook-controller-kubeflow-notebooks-edit",
        "ClusterRole notebook-controller-kubeflow-notebooks-view",
        "Role notebook-controller-leader-election-role",
        "RoleBinding notebook-controller-leader-election-rolebinding",
    }
    fewer = render(crds={"enabled": False}, networkPolicies={"enabled": False})
    assert set(names(render())) - set(names(fewer)) == {
        "CustomResourceDefinition notebooks.kubeflow.org",
        "NetworkPolicy notebook-controller",
    }


def test_the_controller_may_do_what_it_does_and_nothing_else(render: Render) -> None:
    assert rules(one(render(), "ClusterRole")) == [
        ("kubeflow.org notebooks", "", "get list watch"),
        ("kubeflow.org notebooks/status notebooks/finalizers", "", "update"),
        ("apps statefulsets", "", "get list watch create update"),
        ("services", "", "get list watch create update"),
        ("pods", "", "get list watch"),
        ("events", "", "get list watch create patch"),
    ]
    assert one(render(), "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"] is True
    assert one(render(), "ServiceAccount")["automountServiceAccountToken"] is False
    more = rules(one(render(**EVERYTHING), "ClusterRole", "notebook-controller-role"))
    assert set(more) - set(rules(one(render(), "ClusterRole"))) == {
        ("kubeflow.org notebooks", "", "get list watch update"),
        ("networking.istio.io virtualservices", "", "get list watch create update"),
    }
    assert rules(one(render(**EVERYTHING), "Role")) == [
        ("configmaps", "kubeflow-notebook-controller", "get update"),
        ("coordination.k8s.io leases", "kubeflow-notebook-controller", "get update"),
        ("configmaps", "", "create"),
        ("coordination.k8s.io leases", "", "create"),
    ]


def test_values_reach_the_program(render: Render) -> None:
    assert environment(render()) == {
        "USE_ISTIO": "false",
        "ISTIO_GATEWAY": "kubeflow/kubeflow-gateway",
        "ISTIO_HOST": "*",
        "CLUSTER_DOMAIN": "cluster.local",
        "ENABLE_CULLING": "false",
        "CULL_IDLE_TIME": "1440",
        "IDLENESS_CHECK_PERIOD": "1",
        "ADD_FSGROUP": "true",
    }
    other = render(
        istio={"enabled": True, "gateway": "doors/front", "host": "lab.example.org"},
        clusterDomain="corp.example",
        culling={"enabled": True, "idleMinutes": 90, "checkMinutes": 5},
        addFSGroup=False,
    )
    assert environment(other) == {
        "USE_ISTIO": "true",
        "ISTIO_GATEWAY": "doors/front",
        "ISTIO_HOST": "lab.example.org",
        "CLUSTER_DOMAIN": "corp.example",
        "ENABLE_CULLING": "true",
        "CULL_IDLE_TIME": "90",
        "IDLENESS_CHECK_PERIOD": "5",
        "ADD_FSGROUP": "false",
    }


def test_several_elect_one_and_one_alone_gives_way_to_its_successor(render: Render) -> None:
    alone, several = one(render(), "Deployment")["spec"], one(render(replicas=3), "Deployment")["spec"]
    assert (alone["replicas"], alone["strategy"]["type"]) == (1, "Recreate")
    assert "args" not in container(render())
    assert (several["replicas"], several["strategy"]["type"]) == (3, "RollingUpdate")
    assert container(render(replicas=3))["args"] == ["--enable-leader-election"]


def test_the_team_lets_in_the_pods_that_the_policy_lets_out(render: Render) -> None:
    """A notebook's own policy names the controller by a label; the chart's policy names notebooks by one."""
    objects = render(**EVERYTHING)
    policy = one(objects, "NetworkPolicy")["spec"]
    controller, gateway = notebook.policy(None).ingress  # type: ignore[arg-type]  # it asks for nothing
    pods = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert (controller[0], controller[2], gateway) == (KUBEFLOW_NAMESPACE, 8888, (MESH_NAMESPACE, {}, 8888))
    assert controller[1].items() <= pods.items()
    has_name = {"matchExpressions": [{"key": "notebook-name", "operator": "Exists"}]}
    assert {"to": [{"namespaceSelector": {}, "podSelector": has_name}]} in policy["egress"]


def test_nothing_is_open_but_the_api_server_and_the_probes(render: Render) -> None:
    policy = one(render(), "NetworkPolicy")["spec"]
    assert policy["ingress"] == [{"ports": [{"port": "probes"}]}]
    assert policy["egress"] == [{"ports": [{"port": 443}, {"port": 6443}]}]
    watched = one(render(**EVERYTHING), "NetworkPolicy")["spec"]["ingress"]
    assert [rule["ports"] for rule in watched] == [[{"port": "probes"}], [{"port": "metrics"}]]


def test_the_kind_is_stored_as_v1_and_served_as_the_controller_speaks_it(render: Render) -> None:
    crd = one(render(), "CustomResourceDefinition")
    versions = crd["spec"]["versions"]
    kind = facts.of([crd], KUBEFLOW_NAMESPACE).kinds
    assert kind == ["Notebook kubeflow.org/v1+v1beta1, Namespaced, kept"]
    assert [version["name"] for version in versions if version["storage"]] == ["v1"]
    first, second = ({**version, "name": "", "storage": None} for version in versions)
    assert first == second
    types = yaml.load(own(component.name)["files/types.yaml"], yaml.CSafeLoader)
    schema = versions[0]["schema"]["openAPIV3Schema"]
    spec = schema["properties"]["spec"]
    template = spec["properties"]["template"]
    assert template["properties"]["spec"] == types["PodSpec"]
    assert schema["properties"]["status"]["properties"]["containerState"] == types["ContainerState"]
    assert [item["required"] for item in (schema, spec, template)] == [["spec"], ["template"], ["spec"]]


@pytest.mark.parametrize(
    "values",
    [
        {"istio": {"enable": True}},
        {"istio": {"gateway": "no-namespace"}},
        {"culling": {"idleMinutes": 0}},
        {"culling": {"idleMinutes": "90"}},
        {"images": {"controller": {"digest": "v1"}}},
        {"replicas": -1},
        {"clusterDomain": ""},
        {"networkPolicies": {"apiServerPorts": []}},
        {"resources": {"controller": {"limits": {"gpu": 1}}}},
        {"replica": 1},
    ],
    ids=str,
)
def test_a_value_that_means_nothing_is_refused(render: Render, values: Obj) -> None:
    with pytest.raises(ValueError, match="values don't meet the specifications of the schema"):
        render(**values)
