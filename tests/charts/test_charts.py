"""The stored results are of the charts, versions and values that Vellum installs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from tests.charts import facts, keys, pod_security, record
from tests.charts.helm import HOOK
from tests.charts.keys import Keys
from tests.charts.releases import published

from vellum.kube.objects import RESTRICTED_CONTAINER, RESTRICTED_POD, Obj, config_map, make
from vellum.kube.patch import copied


def test_every_chart_was_rendered_as_it_is_installed_now() -> None:
    """Else render them again: docs/charts.md says how."""
    rendered = {
        part.name: (part.chart, part.profiles, part.namespace, part.pod_security, part.values)
        for part in record.kept().parts
    }
    installed = {
        item.name: (asdict(item.chart), item.profiles, item.namespace, item.pod_security, item.values)
        for item in published()
    }
    assert rendered == installed


def test_the_page_shows_what_was_found() -> None:
    assert record.PAGE.read_text(encoding="utf-8") == record.page(record.kept())


def pod(**container: Any) -> Obj:
    security = {**copied(RESTRICTED_CONTAINER), **container.pop("securityContext", {})}
    return {
        "spec": {
            "securityContext": copied(RESTRICTED_POD),
            "containers": [{"name": "c", "securityContext": security, **container}],
        }
    }


@pytest.mark.parametrize(
    ("found", "faults"),
    [
        (pod(), ()),
        (pod(securityContext={"runAsNonRoot": False}), ("runAsNonRoot",)),
        (pod(securityContext={"runAsUser": 0}), ("runAsUser",)),
        (pod(securityContext={"allowPrivilegeEscalation": None}), ("allowPrivilegeEscalation",)),
        (pod(securityContext={"seccompProfile": {"type": "Unconfined"}}), ("seccompProfile",)),
        (pod(securityContext={"capabilities": {}}), ("capabilities.drop",)),
        (pod(securityContext={"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}), ("capability NET_ADMIN",)),
        (pod(ports=[{"hostPort": 80}]), ("hostPort",)),
        (
            {"spec": {"hostNetwork": True, "volumes": [{"name": "v", "hostPath": {}}], "containers": []}},
            ("hostNetwork", "volume hostPath"),
        ),
        (
            {"spec": {"containers": [{"name": "c"}]}},
            ("allowPrivilegeEscalation", "capabilities.drop", "runAsNonRoot", "seccompProfile"),
        ),
    ],
)
def test_pod_security_names_the_fields_for_which_a_pod_is_refused(found: Obj, faults: tuple[str, ...]) -> None:
    assert pod_security.faults(found) == faults


def chart(values: Obj) -> list[Obj]:
    """Render a chart that knows two values, and keeps a copy of all as istiod's does."""
    return [
        config_map("settings", "n", {"size": str(values.get("size", 1)), "mode": str(values.get("mode", "plain"))}),
        config_map("copy", "n", {"all": str(values)}),
    ]


def test_a_value_that_does_nothing_is_found() -> None:
    values = {"size": 2, "mode": "plain", "sizes": 2, "sidecar": {"cpu": "10m"}}
    defaults = {"size": 1, "mode": "plain", "sidecar": {}}

    assert keys.of(values, defaults, chart) == Keys(
        effect=["size"], passed_on=["mode", "sidecar.cpu"], default=[], nothing=["sizes"]
    )
    assert keys.of({"size": 1, "mode": "plain"}, defaults, lambda v: chart(v)[:1]) == Keys(default=["size", "mode"])


def test_what_a_chart_makes_is_told_in_words() -> None:
    labels = {"app": "web"}
    container = {
        "name": "main",
        "ports": [{"name": "http", "containerPort": 8080}],
        "resources": {"requests": {"cpu": "1", "memory": "2Gi"}},
    }
    template = {"metadata": {"labels": labels}, "spec": {"serviceAccountName": "web", "containers": [container]}}
    job = {"template": {"metadata": {"labels": labels}, "spec": pod()["spec"]}}
    made = facts.of(
        [
            make(
                "apps/v1",
                "Deployment",
                "web",
                spec={"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
            ),
            make("v1", "Service", "web", spec={"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]}),
            make("v1", "Service", "lost", spec={"selector": {"app": "other"}, "ports": [{"port": 80}]}),
            make("cert-manager.io/v1", "Issuer", "own", spec={}),
            make("batch/v1", "Job", "check", annotations={HOOK: "post-install"}, spec=job),
            make("v1", "ServiceAccount", "far", "kube-system"),
        ],
        "n",
    )

    assert made == facts.Facts(
        workloads=["Deployment web, replicas 2, account web: main 1 2Gi"],
        pods=["Deployment web selects app=web", "Deployment web: main 8080"],
        labels=["Deployment web: app=web"],
        services=["lost ClusterIP: selects no workload", "web ClusterIP: 80→8080"],
        custom=["Issuer own"],
        hooks=["Job check: post-install"],
        others=["ServiceAccount kube-system/far"],
        pod_security={
            "Deployment web": ["allowPrivilegeEscalation", "capabilities.drop", "runAsNonRoot", "seccompProfile"],
            "Job check": [],
        },
    )
