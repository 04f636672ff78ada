"""The chart of the notebook controller, rendered by the real Helm: its rights, its doors and its settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts import facts
from tests.charts.helm import KUBERNETES, Helm
from tests.charts.pod_security import faults

from vellum.bench import programs
from vellum.components.notebook import component as notebook
from vellum.components.notebook_controller import component
from vellum.kube.objects import Obj
from vellum.model.team import KUBEFLOW_NAMESPACE

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/notebook-controller"
ALL: Obj = {
    "istio": {"enabled": True}, "culling": {"enabled": True}, "replicas": 2, "userRoles": {"enabled": True},
    "networkPolicy": {"metricsFrom": ["monitoring"]},
}  # fmt: skip
"""Everything that is off by default."""
Render = Callable[..., list[Obj]]


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(programs.ensure(print)["helm"], tmp_path_factory.mktemp("helm"))


@pytest.fixture
def render(helm: Helm) -> Render:
    """Return what renders the chart as the platform installs it, with further values."""

    def rendered(**values: Any) -> list[Obj]:
        return helm.rendered(CHART, component.name, KUBEFLOW_NAMESPACE, values)

    return rendered


def one(objects: list[Obj], kind: str, name: str = "") -> Obj:
    (found,) = (obj for obj in objects if obj["kind"] == kind and name in ("", obj["metadata"]["name"]))
    return found


def names(objects: list[Obj]) -> list[str]:
    return sorted(f"{obj['kind']} {obj['metadata']['name']}" for obj in objects)


def rules(role: Obj) -> list[tuple[str, str, str]]:
    """Return each rule as what it is about, in words, its names and its verbs."""
    return [
        (
            f"{rule['apiGroups'][0]} {' '.join(rule['resources'])}".strip(),
            " ".join(rule.get("resourceNames", [])),
            " ".join(rule["verbs"]),
        )
        for rule in role["rules"]
    ]


def container(objects: list[Obj]) -> Obj:
    (found,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def environment(objects: list[Obj]) -> dict[str, str]:
    return {said["name"]: said["value"] for said in container(objects)["env"]}


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
    assert set(names(render(**ALL))) - set(names(render())) == {
        "ClusterRole notebook-controller-kubeflow-notebooks-admin",
        "ClusterRole notebook-controller-kubeflow-notebooks-edit",
        "ClusterRole notebook-controller-kubeflow-notebooks-view",
        "Role notebook-controller-leader-election-role",
        "RoleBinding notebook-controller-leader-election-rolebinding",
    }
    fewer = render(crds={"enabled": False}, networkPolicy={"enabled": False})
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
    more = rules(one(render(**ALL), "ClusterRole", "notebook-controller-role"))
    assert set(more) - set(rules(one(render(), "ClusterRole"))) == {
        ("kubeflow.org notebooks", "", "get list watch update"),
        ("networking.istio.io virtualservices", "", "get list watch create update"),
    }
    assert rules(one(render(**ALL), "Role")) == [
        ("configmaps", "kubeflow-notebook-controller", "get update"),
        ("coordination.k8s.io leases", "kubeflow-notebook-controller", "get update"),
        ("configmaps", "", "create"),
        ("coordination.k8s.io leases", "", "create"),
    ]


def test_roles_and_accounts_belong_together(render: Render) -> None:
    objects = render(**ALL)
    account = {
        "kind": "ServiceAccount",
        "name": "notebook-controller-service-account",
        "namespace": KUBEFLOW_NAMESPACE,
    }
    bindings = [obj for obj in objects if obj["kind"].endswith("RoleBinding")]
    assert [obj["subjects"] for obj in bindings] == [[account], [account]]
    assert [one(objects, obj["roleRef"]["kind"], obj["roleRef"]["name"]) for obj in bindings]
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == (account["name"], True)


def test_values_reach_the_program(render: Render) -> None:
    assert environment(render()) == {
        "USE_ISTIO": "false", "ISTIO_GATEWAY": "kubeflow/kubeflow-gateway", "ISTIO_HOST": "*",
        "CLUSTER_DOMAIN": "cluster.local", "ENABLE_CULLING": "false", "CULL_IDLE_TIME": "1440",
        "IDLENESS_CHECK_PERIOD": "1", "ADD_FSGROUP": "true",
    }  # fmt: skip
    other = render(
        istio={"enabled": True, "gateway": "doors/front", "host": "lab.example.org"}, clusterDomain="corp.example",
        culling={"enabled": True, "idleMinutes": 90, "checkMinutes": 5}, addFSGroup=False,
    )  # fmt: skip
    assert environment(other) == {
        "USE_ISTIO": "true", "ISTIO_GATEWAY": "doors/front", "ISTIO_HOST": "lab.example.org",
        "CLUSTER_DOMAIN": "corp.example", "ENABLE_CULLING": "true", "CULL_IDLE_TIME": "90",
        "IDLENESS_CHECK_PERIOD": "5", "ADD_FSGROUP": "false",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("image", "rendered"),
    [
        ({}, "ghcr.io/kubeflow/notebooks/notebook-controller:v1.11.0"),
        ({"registry": "mirror.example:5000/hub"},
         "mirror.example:5000/hub/kubeflow/notebooks/notebook-controller:v1.11.0"),
        ({"tag": "v1.11.1", "repository": "ours"}, "ghcr.io/ours:v1.11.1"),
        ({"tag": "v1", "digest": f"sha256:{'0' * 64}"},
         f"ghcr.io/kubeflow/notebooks/notebook-controller@sha256:{'0' * 64}"),
    ],
)  # fmt: skip
def test_the_image_comes_by_tag_or_digest_from_any_registry(
    render: Render, image: Obj, rendered: str
) -> None:
    objects = render(image=image, imagePullSecrets=["mirror"])
    assert container(objects)["image"] == rendered
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": "mirror"}]


def test_several_elect_one_and_one_alone_gives_way_to_its_successor(render: Render) -> None:
    alone, several = one(render(), "Deployment")["spec"], one(render(replicas=3), "Deployment")["spec"]
    assert (alone["replicas"], alone["strategy"]["type"]) == (1, "Recreate")
    assert "args" not in container(render())
    assert (several["replicas"], several["strategy"]["type"]) == (3, "RollingUpdate")
    assert container(render(replicas=3))["args"] == ["--enable-leader-election"]


def test_the_team_lets_in_the_pods_that_the_policy_lets_out(render: Render) -> None:
    """A notebook's own policy names the controller by a label; the chart's policy names notebooks by one."""
    objects = render(**ALL)
    policy = one(objects, "NetworkPolicy")["spec"]
    ((namespace, labels, port),) = notebook.policy(None).ingress  # type: ignore[arg-type]  # it asks for nothing
    pods = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert (namespace, port) == (KUBEFLOW_NAMESPACE, 8888)
    assert labels.items() <= pods.items()
    assert policy["podSelector"]["matchLabels"] == pods
    has_name = {"matchExpressions": [{"key": "notebook-name", "operator": "Exists"}]}
    assert {"to": [{"namespaceSelector": {}, "podSelector": has_name}]} in policy["egress"]


def test_nothing_is_open_but_the_api_server_and_the_probes(render: Render) -> None:
    policy = one(render(), "NetworkPolicy")["spec"]
    assert policy["ingress"] == [{"ports": [{"port": "probes"}]}]
    assert policy["egress"] == [{"ports": [{"port": 443}, {"port": 6443}]}]
    watched = one(render(**ALL), "NetworkPolicy")["spec"]["ingress"]
    assert [rule["ports"] for rule in watched] == [[{"port": "probes"}], [{"port": "metrics"}]]


def test_the_kind_is_stored_as_v1_and_served_as_the_controller_speaks_it(render: Render) -> None:
    crd = one(render(), "CustomResourceDefinition")
    versions = crd["spec"]["versions"]
    kind = facts.of([crd], KUBEFLOW_NAMESPACE).kinds
    assert kind == ["Notebook kubeflow.org/v1+v1beta1, Namespaced, kept"]
    assert [version["name"] for version in versions if version["storage"]] == ["v1"]
    first, second = ({**version, "name": "", "storage": None} for version in versions)
    assert first == second
    types = yaml.load((CHART / "files/types.yaml").read_text("utf-8"), yaml.CSafeLoader)
    schema = versions[0]["schema"]["openAPIV3Schema"]
    spec = schema["properties"]["spec"]
    template = spec["properties"]["template"]
    assert template["properties"]["spec"] == types["PodSpec"]
    assert schema["properties"]["status"]["properties"]["containerState"] == types["ContainerState"]
    assert [one["required"] for one in (schema, spec, template)] == [["spec"], ["template"], ["spec"]]


@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_pods_pass_pod_security_restricted(helm: Helm, kubernetes: str) -> None:
    objects = helm.rendered(CHART, "x", "ns", ALL, kubernetes=kubernetes)
    assert list(faults(one(objects, "Deployment")["spec"]["template"])) == []


@pytest.mark.parametrize(
    "values",
    [
        {"istio": {"enable": True}}, {"istio": {"gateway": "no-namespace"}}, {"culling": {"idleMinutes": 0}},
        {"culling": {"idleMinutes": "90"}}, {"image": {"digest": "v1"}}, {"replicas": -1}, {"clusterDomain": ""},
        {"networkPolicy": {"apiServerPorts": []}}, {"resources": {"limits": {"gpu": 1}}}, {"replica": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_value_that_means_nothing_is_refused(render: Render, values: Obj) -> None:
    with pytest.raises(ValueError, match="values don't meet the specifications of the schema"):
        render(**values)


@pytest.mark.parametrize("profile", ["light", "standard"])
def test_the_chart_takes_what_the_platform_gives(render: Render, profile: str) -> None:
    (given,) = (
        obj["spec"]["forProvider"]["values"]
        for obj in yaml.load_all((ROOT / f"tests/golden/platform-{profile}.yaml").read_text("utf-8"), yaml.CSafeLoader)
        if obj and obj.get("kind") == "Release" and obj["metadata"]["name"] == component.name
    )  # fmt: skip
    assert environment(render(**given))["USE_ISTIO"] == ("true" if profile == "standard" else "false")
