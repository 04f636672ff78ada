"""What charts make outside of namespaces: the list that ``vellum install`` looks for is that of the rendered charts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import yaml
from tests.charts.record import Part, kept

from vellum.cluster import strangers
from vellum.components import platform_components
from vellum.kube.names import plural
from vellum.model.release import ReleaseComponent
from vellum.package.charts import OWN, own

_CLUSTER = (
    "APIService",
    "ClusterRole",
    "ClusterRoleBinding",
    "CSIDriver",
    "IngressClass",
    "PriorityClass",
    "StorageClass",
    "ClusterServingRuntime",
    "ClusterStorageContainer",
    "ClusterIssuer",
    "ClusterTrainingRuntime",
    "ClusterWorkflowTemplate",
)
_HEAD = """# What each part's chart makes outside of namespaces, as Kind/name. Written by tests/charts/test_cluster_scoped.py from the
# rendered charts (VELLUM_GOLDEN=1), so do not edit it. A kind in crds/ of its chart is left out: Helm leaves one that is
# there as it is.
"""


def of_a_record(part: Part) -> Iterator[str]:
    for line in part.facts.kinds:
        kind, group = re.match(r"(\w+) ([^/]+)/", line).groups()  # type: ignore[union-attr]
        if kind not in part.facts.apart:
            yield f"CustomResourceDefinition/{plural(kind)}.{group}"
    for line in part.facts.webhooks:
        kind, _, name = line.partition(":")[0].partition(" ")
        yield f"{kind}/{name}"
    for line in (*part.facts.others, *part.facts.custom):
        kind, _, name = line.partition(" ")
        if kind in _CLUSTER:
            yield f"{kind}/{name}"


def of_our_own(name: str) -> Iterator[str]:
    """Read the templates; objects that Vellum turns off have their own template."""
    off = {"templates/user-roles.yaml"}
    for path, text in own(name).items():
        if not path.startswith("templates/") or path in off:
            continue
        for part in re.split(r"^---$", text.decode(), flags=re.MULTILINE):
            kind = re.search(r"^kind: (\w+)", part, re.MULTILINE)
            if kind and kind[1] in (*_CLUSTER, "CustomResourceDefinition"):
                match = re.search(r"^metadata:\n(?:  .*\n)*?  name: (\S+)", part, re.MULTILINE)
                assert match, path
                yield f"{kind[1]}/{match[1]}"


def test_the_list_of_what_charts_make_is_that_of_the_rendered_charts() -> None:
    results = {part.name: sorted({*of_a_record(part)}) for part in kept().parts}
    results |= {
        name: sorted({*of_our_own(part.chart.name)})
        for name, part in platform_components().items()
        if isinstance(part, ReleaseComponent) and part.chart.name in OWN
    }
    results = {name: made for name, made in sorted(results.items()) if made}
    if os.environ.get("VELLUM_GOLDEN"):
        strangers.LIST.write_text(_HEAD + yaml.safe_dump(results, width=120), encoding="utf-8")
    assert strangers.made() == results
    assert "CustomResourceDefinition/virtualservices.networking.istio.io" in results["istio-base"]
    assert "CustomResourceDefinition/notebooks.kubeflow.org" in results["notebook-controller"]
