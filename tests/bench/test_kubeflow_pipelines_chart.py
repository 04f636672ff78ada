"""The chart of Kubeflow Pipelines, rendered by the real Helm: its parts, its rights, its ports and its settings.

What every chart of Vellum's own must be is in ``test_own_charts.py``.
"""

from __future__ import annotations

import base64

import pytest
from tests.charts.rendered import Rendered, containers, of_kind, templates, variables
from tests.charts.strangers import MESH, OUTSIDE

from vellum.kube import quantity
from vellum.kube.objects import Obj


def pipelines(rendered: Rendered, **values: object) -> list[Obj]:
    return rendered("kubeflow-pipelines", dict(values))


def test_pipelines_fits_a_small_cluster(rendered: Rendered) -> None:
    asked = [container["resources"]["requests"] for container in containers(pipelines(rendered))]
    assert sum(quantity.parse(item["cpu"]) for item in asked) <= quantity.parse("500m")
    assert sum(quantity.parse(item["memory"]) for item in asked) <= quantity.parse("1638Mi")


def test_pipelines_has_the_parts_of_v2_and_no_others(rendered: Rendered) -> None:
    assert sorted(templates(pipelines(rendered))) == [
        "metadata-envoy-deployment",
        "metadata-grpc-deployment",
        "ml-pipeline",
        "ml-pipeline-persistenceagent",
        "ml-pipeline-scheduledworkflow",
        "ml-pipeline-ui",
        "mysql",
    ]
    assert sorted(templates(pipelines(rendered, **OUTSIDE))) == [
        "metadata-grpc-deployment",
        "ml-pipeline",
        "ml-pipeline-persistenceagent",
        "ml-pipeline-scheduledworkflow",
    ]


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
    assert tuple(server[f"OBJECTSTORECONFIG_{item}"]["value"] for item in ("HOST", "PORT", "SECURE")) == pieces
    assert tuple(ui[f"MINIO_{item}"]["value"] for item in ("HOST", "PORT", "SSL")) == pieces


def test_a_new_key_or_header_rolls_what_holds_the_old_one(rendered: Rendered) -> None:
    item, other = (templates(pipelines(rendered, objectStore={"generation": text})) for text in ("one", "two"))
    assert {name for name, pod in item.items() if pod != other[name]} == {"ml-pipeline", "ml-pipeline-ui"}
    mesh, named = templates(pipelines(rendered, istio=MESH["istio"])), templates(pipelines(rendered, **MESH))
    assert {name for name, pod in mesh.items() if pod != named[name]} == {"ml-pipeline", "ml-pipeline-ui"}


def test_only_a_token_says_who_calls(rendered: Rendered) -> None:
    """In the mesh too: no proxy before the gateway removes such a header."""
    for values in ({}, {"istio": {"enabled": True}}):
        objects = pipelines(rendered, **values)
        header = variables(objects, "ml-pipeline")["KUBEFLOW_USERID_HEADER"]
        assert header["valueFrom"]["secretKeyRef"] == {"name": "ml-pipeline-identity", "key": "header"}
        text = of_kind(objects, "Secret")["ml-pipeline-identity"]["data"]["header"]
        drawn = base64.b64decode(text).decode()
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
            file,
            "pipelines.kubeflow.org",
        )
        (mount,) = pod["containers"][0]["volumeMounts"]
        assert mount["mountPath"] == "/var/run/secrets/kubeflow/tokens"


def test_nobody_may_read_secrets_or_logs_of_teams(rendered: Rendered) -> None:
    for values in ({}, OUTSIDE, MESH):
        for name, role in of_kind(pipelines(rendered, **values), "ClusterRole").items():
            granted = {
                (resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]
            }
            assert not [item for item, _ in granted if item in ("*", "secrets", "configmaps", "pods/exec")], name
            assert not [verb for _, verb in granted if verb == "*"], name
            logs = values is MESH and name == "ml-pipeline-ui"
            assert logs or not [item for item, _ in granted if item == "pods/log"], name


def test_mysql_is_asked_by_two_and_asks_nobody(rendered: Rendered) -> None:
    policy = of_kind(pipelines(rendered), "NetworkPolicy")["mysql"]["spec"]
    (rule,) = policy["ingress"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy
    assert [item["podSelector"]["matchExpressions"][0]["values"] for item in rule["from"]] == [
        ["ml-pipeline", "metadata-grpc-server"]
    ]


def test_a_team_is_let_in_as_its_own_policies_let_it_out(rendered: Rendered) -> None:
    """The chart has the labels, ports and namespace label that components/pipelines.py opens."""
    from tests.compose.render import CLAIM, EVERYTHING
    from tests.compose.world import PLATFORMS, World, settled_platform, written

    objects = pipelines(rendered)
    made = World(written(CLAIM + EVERYTHING), settled_platform(PLATFORMS["light"])).settle_objects().values()
    (namespace,) = (item for item in made if item["kind"] == "Namespace")
    out = [rule for item in of_kind([*made], "NetworkPolicy").values() for rule in item["spec"].get("egress") or ()]
    asked = [
        (peer["podSelector"]["matchLabels"], rule["ports"][0]["port"])
        for rule in out
        for peer in rule.get("to") or ()
        if (peer.get("namespaceSelector") or {}).get("matchLabels") == {"kubernetes.io/metadata.name": "kubeflow"}
    ]
    assert len(asked) == 3
    for labels, port in asked:
        assert any(template["metadata"]["labels"].items() >= labels.items() for template in templates(objects).values())
        (policy,) = (
            item["spec"]
            for item in of_kind(objects, "NetworkPolicy").values()
            if item["spec"]["podSelector"].get("matchLabels") == labels
        )
        (rule,) = policy["ingress"]
        assert port in [item["port"] for item in rule["ports"]]
        teams = [item["namespaceSelector"]["matchLabels"] for item in rule["from"] if "namespaceSelector" in item]
        assert any(namespace["metadata"]["labels"].items() >= team.items() for team in teams)


def test_what_runs_at_teams_comes_from_the_mirror_and_by_digest_too(rendered: Rendered) -> None:
    messages = {"registry": "mirror.example.org/kfp", "launcher": {"digest": f"sha256:{64 * 'a'}"}}
    result = variables(pipelines(rendered, images=messages), "ml-pipeline")
    assert result["V2_LAUNCHER_IMAGE"]["value"] == f"mirror.example.org/kfp/kubeflow/kfp-launcher@sha256:{64 * 'a'}"
    assert result["V2_DRIVER_IMAGE"]["value"] == "mirror.example.org/kfp/kubeflow/kfp-driver:2.17.0"
