"""Vellum's own charts, rendered by the real Helm, with their defaults, with what Vellum sets, and at their limits."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.charts import facts, helm, keys, pod_security
from tests.charts import own as chart
from tests.charts.releases import own_releases

from vellum.bench.chart import packed
from vellum.compose.inventory import WORKLOADS
from vellum.kube import quantity
from vellum.kube.objects import Key, Obj, annotations_of
from vellum.package.charts import OWN, own

DIGEST = f"sha256:{64 * 'a'}"
OUTSIDE = {
    "database": {"external": {"host": "db.example.org", "tls": "verify", "secret": {"name": "db"}}},
    "objectStore": {"endpoint": "https://s3.example.org"},
    "ui": {"enabled": False},
}
MESH: Obj = {"istio": {"enabled": True}, "identity": {"header": "kubeflow-userid"}}
MORE: dict[str, dict[str, Obj]] = {"kubeflow-pipelines": {"outside": OUTSIDE, "mesh": MESH}}
"""Per chart, values of strangers."""


@dataclass(frozen=True, slots=True)
class Case:
    """One chart with values."""

    chart: str
    about: str
    values: Obj

    def __str__(self) -> str:
        return f"{self.chart}-{self.about}"


CASES = [
    *(Case(name, "defaults", {}) for name in OWN),
    *(Case(one.chart.name, "-".join(one.profiles), one.values) for one in own_releases() if one.chart.name in OWN),
    *(Case(name, about, values) for name, more in MORE.items() if name in OWN for about, values in more.items()),
]  # fmt: skip
every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_chart = pytest.mark.parametrize("name", OWN)
Rendered = Callable[..., list[Obj]]


@pytest.fixture
def program(built: dict[str, Path], tmp_path: Path) -> helm.Helm:
    """Return Helm as it is built for the bench."""
    return helm.Helm(built["helm"], tmp_path)


@pytest.fixture
def archive(tmp_path: Path) -> Callable[[str], Path]:
    """Return what packs a chart."""

    def of(name: str) -> Path:
        path = tmp_path / f"{name}.tgz"
        path.write_bytes(packed(name, own(name)))
        return path

    return of


@pytest.fixture
def rendered(program: helm.Helm, archive: Callable[[str], Path]) -> Rendered:
    """Return what renders a chart in a namespace ``ns``."""

    def of(name: str, values: Obj, *flags: str, kubernetes: str = helm.KUBERNETES[-1]) -> list[Obj]:
        return program.rendered(archive(name), name, "ns", values, *flags, kubernetes=kubernetes)

    return of


def templates(objects: list[Obj]) -> dict[str, Obj]:
    """Return the templates of pods by workload."""
    return {one["metadata"]["name"]: one["spec"]["template"] for one in objects if one["kind"] in WORKLOADS}


def containers(objects: list[Obj]) -> list[Obj]:
    pods = (one["spec"] for one in templates(objects).values())
    return [one for pod in pods for one in (*(pod.get("initContainers") or ()), *pod["containers"])]


def but_secrets(objects: list[Obj]) -> dict[Key, Obj]:
    return {Key.of(one): one for one in objects if one["kind"] != "Secret"}


def of_kind(objects: list[Obj], kind: str) -> dict[str, Obj]:
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def variables(objects: list[Obj], workload: str) -> dict[str, Obj]:
    (container,) = templates(objects)[workload]["spec"]["containers"]
    return {one["name"]: one for one in container["env"]}


@every_chart
def test_helm_has_nothing_to_say_of_a_chart(
    program: helm.Helm, archive: Callable[[str], Path], name: str
) -> None:
    program.lint(archive(name))


@every_case
def test_two_renderings_and_an_upgrade_differ_in_secrets_only(rendered: Rendered, case: Case) -> None:
    """Else every repair, which is an upgrade, would roll the pods."""
    first = rendered(case.chart, case.values)
    assert but_secrets(first) == but_secrets(rendered(case.chart, case.values))
    assert but_secrets(first) == but_secrets(rendered(case.chart, case.values, "--is-upgrade"))
    oldest = rendered(case.chart, case.values, kubernetes=helm.KUBERNETES[0])
    assert but_secrets(first) == but_secrets(oldest)
    assert [Key.of(one) for one in first] == [Key.of(one) for one in oldest]


@every_case
def test_pods_pass_pod_security_and_can_write_nowhere_but_in_volumes(rendered: Rendered, case: Case) -> None:
    objects = rendered(case.chart, case.values)
    assert {
        name: found for name, one in templates(objects).items() if (found := pod_security.faults(one))
    } == {}
    assert [
        one["name"] for one in containers(objects) if not one["securityContext"]["readOnlyRootFilesystem"]
    ] == []


@every_case
def test_images_are_pinned_and_containers_ask_for_something(rendered: Rendered, case: Case) -> None:
    for one in containers(rendered(case.chart, case.values)):
        _, colon, tag = one["image"].rpartition(":")
        assert colon
        assert "/" not in tag
        assert tag != "latest"
        assert {"cpu", "memory"} <= one["resources"]["requests"].keys()
        assert "memory" in one["resources"]["limits"]


@every_case
def test_what_opens_something_comes_from_a_secret_that_must_be_there(rendered: Rendered, case: Case) -> None:
    objects = rendered(case.chart, case.values)
    for container in containers(objects):
        for one in container.get("env") or ():
            reference = (one.get("valueFrom") or {}).get("secretKeyRef")
            assert reference is None or not reference.get("optional"), one
            assert reference or not chart.SECRET_WORDS.search(one["name"]), one


@every_case
def test_secrets_are_drawn(rendered: Rendered, case: Case) -> None:
    """What is the same at the next rendering without a cluster can be guessed; but for names."""
    one, other = (of_kind(rendered(case.chart, case.values), "Secret") for _ in range(2))
    same = {
        f"{name}.{key}" for name, secret in one.items() for key, value in secret["data"].items()
        if other[name]["data"][key] == value
    }  # fmt: skip
    named = {"ml-pipeline-identity.header"} if case.values.get("identity") else set()
    assert same == ({"mysql-secret.username"} & {f"{name}.username" for name in one}) | named
    assert all("stringData" not in secret for secret in one.values())


@every_case
def test_services_policies_and_accounts_belong_to_pods(rendered: Rendered, case: Case) -> None:
    objects = rendered(case.chart, case.values)
    found = facts.of(objects, "ns")
    pods = templates(objects)
    accounts = {one["spec"].get("serviceAccountName", "default") for one in pods.values()}

    assert [one for one in found.services if "selects no workload" in one] == []
    assert accounts == {*of_kind(objects, "ServiceAccount")}
    listening = {port["containerPort"] for one in containers(objects) for port in one.get("ports") or ()}
    for name, service in of_kind(objects, "Service").items():
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= listening, name
    for name, policy in of_kind(objects, "NetworkPolicy").items():
        selector = policy["spec"]["podSelector"]
        assert any(selected(selector, one["metadata"]["labels"]) for one in pods.values()), name


def selected(selector: Obj, labels: dict[str, str]) -> bool:
    """Tell whether a selector has these labels."""
    wanted = [{"key": key, "values": [value]} for key, value in (selector.get("matchLabels") or {}).items()]
    return all(
        labels.get(one["key"]) in one["values"]
        for one in [*wanted, *(selector.get("matchExpressions") or ())]
    )


@every_case
def test_the_guard_looks_at_all_but_what_it_leaves_alone_on_purpose(rendered: Rendered, case: Case) -> None:
    assert facts.unguarded(rendered(case.chart, case.values)) == set()


@every_chart
def test_what_holds_data_outlives_the_release(rendered: Rendered, name: str) -> None:
    kept = {
        Key.of(one) for one in rendered(name, {}) if annotations_of(one).get("helm.sh/resource-policy") == "keep"
    }  # fmt: skip
    data = {
        Key.of(one)
        for one in rendered(name, {})
        if one["kind"] in ("CustomResourceDefinition", "PersistentVolumeClaim")
    }
    assert data
    assert data <= kept


@pytest.mark.parametrize(
    "release", [one for one in own_releases() if one.chart.name in OWN], ids=lambda one: f"{one.name}-{'-'.join(one.profiles)}"
)  # fmt: skip
def test_each_value_that_vellum_sets_does_something_and_the_component_knows_the_kinds(
    rendered: Rendered, release: object
) -> None:
    from tests.charts.releases import Release

    assert isinstance(release, Release)
    objects = rendered(release.chart.name, release.values)
    does = keys.of(
        release.values, chart.values(release.chart.name), lambda values: rendered(release.chart.name, values)
    )
    assert does.nothing == []
    assert facts.custom(objects) <= {*release.component.custom}
    assert {*release.component.serves} <= facts.served(objects)
    everywhere = [rendered(one.chart.name, one.values) for one in own_releases() if one.name == release.name]
    assert {*release.component.custom} == {kind for one in everywhere for kind in facts.custom(one)}


# Kubeflow Pipelines


def pipelines(rendered: Rendered, **values: object) -> list[Obj]:
    return rendered("kubeflow-pipelines", dict(values))


def test_pipelines_fits_a_small_cluster(rendered: Rendered) -> None:
    asked = [one["resources"]["requests"] for one in containers(pipelines(rendered))]
    assert sum(quantity.parse(one["cpu"]) for one in asked) <= quantity.parse("500m")
    assert sum(quantity.parse(one["memory"]) for one in asked) <= quantity.parse("1638Mi")


def test_pipelines_has_the_parts_of_v2_and_no_others(rendered: Rendered) -> None:
    assert sorted(templates(pipelines(rendered))) == [
        "metadata-envoy-deployment", "metadata-grpc-deployment", "ml-pipeline", "ml-pipeline-persistenceagent",
        "ml-pipeline-scheduledworkflow", "ml-pipeline-ui", "mysql",
    ]  # fmt: skip
    assert sorted(templates(pipelines(rendered, **OUTSIDE))) == [
        "metadata-grpc-deployment", "ml-pipeline", "ml-pipeline-persistenceagent", "ml-pipeline-scheduledworkflow",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("endpoint", "pieces"),
    [
        ("http://s3.vellum-storage.svc:8333", ("s3.vellum-storage.svc", "8333", "false")),
        ("https://s3.example.org", ("s3.example.org", "443", "true")),
        ("http://10.0.0.7", ("10.0.0.7", "80", "false")),
        ("https://s3.example.org:9000", ("s3.example.org", "9000", "true")),
    ],
)
def test_the_endpoint_is_taken_apart(rendered: Rendered, endpoint: str, pieces: tuple[str, str, str]) -> None:
    objects = pipelines(rendered, objectStore={"endpoint": endpoint})
    server, ui = variables(objects, "ml-pipeline"), variables(objects, "ml-pipeline-ui")
    assert tuple(server[f"OBJECTSTORECONFIG_{one}"]["value"] for one in ("HOST", "PORT", "SECURE")) == pieces
    assert tuple(ui[f"MINIO_{one}"]["value"] for one in ("HOST", "PORT", "SSL")) == pieces


def test_a_new_key_or_header_rolls_what_holds_the_old_one(rendered: Rendered) -> None:
    one, other = (templates(pipelines(rendered, objectStore={"generation": text})) for text in ("one", "two"))
    assert {name for name, pod in one.items() if pod != other[name]} == {"ml-pipeline", "ml-pipeline-ui"}
    mesh, named = templates(pipelines(rendered, istio=MESH["istio"])), templates(pipelines(rendered, **MESH))
    assert {name for name, pod in mesh.items() if pod != named[name]} == {"ml-pipeline", "ml-pipeline-ui"}


def test_only_a_token_says_who_calls(rendered: Rendered) -> None:
    """In the mesh too: nothing stands before the gateway that would take such a header away."""
    for values in ({}, {"istio": {"enabled": True}}):
        objects = pipelines(rendered, **values)
        header = variables(objects, "ml-pipeline")["KUBEFLOW_USERID_HEADER"]
        assert header["valueFrom"]["secretKeyRef"] == {"name": "ml-pipeline-identity", "key": "header"}
        said = of_kind(objects, "Secret")["ml-pipeline-identity"]["data"]["header"]
        drawn = base64.b64decode(said).decode()
        assert drawn.startswith("x-vellum-")
        assert len(drawn) == len("x-vellum-") + 40
        assert drawn == drawn.lower()
    with pytest.raises(ValueError, match="/istio/enabled"):
        pipelines(rendered, identity={"header": "kubeflow-userid"})


def test_who_sends_the_header_of_a_proxy_must_be_the_gateway(rendered: Rendered) -> None:
    policies = of_kind(pipelines(rendered, **MESH), "AuthorizationPolicy")
    (rule,) = policies["ml-pipeline-identity"]["spec"]["rules"]
    assert policies["ml-pipeline-identity"]["spec"]["action"] == "DENY"
    assert rule["when"] == [{"key": "request.headers[kubeflow-userid]", "values": ["*"]}]
    (source,) = rule["from"]
    assert source["source"]["notPrincipals"] == [
        "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account",
        "cluster.local/ns/ns/sa/ml-pipeline-ui",
    ]


def test_agents_show_tokens_that_only_pipelines_takes(rendered: Rendered) -> None:
    for name, file in {
        "persistenceagent": "persistenceagent-sa-token",
        "scheduledworkflow": "scheduledworkflow-sa-token",
    }.items():
        pod = templates(pipelines(rendered))[f"ml-pipeline-{name}"]["spec"]
        (volume,) = pod["volumes"]
        (source,) = volume["projected"]["sources"]
        assert (source["serviceAccountToken"]["path"], source["serviceAccountToken"]["audience"]) == (
            file, "pipelines.kubeflow.org",
        )  # fmt: skip
        (mount,) = pod["containers"][0]["volumeMounts"]
        assert mount["mountPath"] == "/var/run/secrets/kubeflow/tokens"


def test_nobody_may_read_secrets_or_logs_of_teams(rendered: Rendered) -> None:
    for values in ({}, OUTSIDE, MESH):
        for name, role in of_kind(pipelines(rendered, **values), "ClusterRole").items():
            granted = {
                (one, verb) for rule in role["rules"] for one in rule["resources"] for verb in rule["verbs"]
            }
            assert not [one for one, _ in granted if one in ("*", "secrets", "configmaps", "pods/exec")], name
            assert not [verb for _, verb in granted if verb == "*"], name
            logs = values is MESH and name == "ml-pipeline-ui"
            assert logs or not [one for one, _ in granted if one == "pods/log"], name


def test_mysql_is_asked_by_two_and_asks_nobody(rendered: Rendered) -> None:
    policy = of_kind(pipelines(rendered), "NetworkPolicy")["mysql"]["spec"]
    (rule,) = policy["ingress"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy
    assert [one["podSelector"]["matchExpressions"][0]["values"] for one in rule["from"]] == [
        ["ml-pipeline", "metadata-grpc-server"]
    ]


def test_a_team_is_let_in_as_its_own_policies_let_it_out(rendered: Rendered) -> None:
    """What components/pipelines.py opens is what stands here: labels, ports, and the namespace's label."""
    from tests.compose.render import CLAIM, EVERYTHING
    from tests.compose.world import PLATFORMS, World, settled_platform, written

    objects = pipelines(rendered)
    made = World(written(CLAIM + EVERYTHING), settled_platform(PLATFORMS["light"])).settle_objects().values()
    (namespace,) = (one for one in made if one["kind"] == "Namespace")
    out = [
        rule for one in of_kind([*made], "NetworkPolicy").values() for rule in one["spec"].get("egress") or ()
    ]
    asked = [
        (peer["podSelector"]["matchLabels"], rule["ports"][0]["port"]) for rule in out for peer in rule.get("to") or ()
        if (peer.get("namespaceSelector") or {}).get("matchLabels") == {"kubernetes.io/metadata.name": "kubeflow"}
    ]  # fmt: skip
    assert len(asked) == 3
    for labels, port in asked:
        assert any(one["metadata"]["labels"].items() >= labels.items() for one in templates(objects).values())
        (policy,) = (
            one["spec"] for one in of_kind(objects, "NetworkPolicy").values()
            if one["spec"]["podSelector"].get("matchLabels") == labels
        )  # fmt: skip
        (rule,) = policy["ingress"]
        assert port in [one["port"] for one in rule["ports"]]
        teams = [
            one["namespaceSelector"]["matchLabels"] for one in rule["from"] if "namespaceSelector" in one
        ]
        assert any(namespace["metadata"]["labels"].items() >= one.items() for one in teams)


def test_a_mirror_and_a_digest_take_the_place_of_registry_and_tag(rendered: Rendered) -> None:
    objects = pipelines(
        rendered, images={"registry": "mirror.example.org/kfp", "apiServer": {"digest": DIGEST}}
    )
    assert all(one["image"].startswith("mirror.example.org/kfp/") for one in containers(objects))
    (server,) = templates(objects)["ml-pipeline"]["spec"]["containers"]
    assert server["image"] == f"mirror.example.org/kfp/kubeflow/kfp-api-server@{DIGEST}"
    assert variables(objects, "ml-pipeline")["V2_LAUNCHER_IMAGE"]["value"].startswith(
        "mirror.example.org/kfp/"
    )
