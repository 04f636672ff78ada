"""The rights of Crossplane's Helm provider: all that the charts need, and none on a team's objects."""

from __future__ import annotations

import re
from collections import defaultdict

from tests.charts import record

from vellum.bench.chart import If
from vellum.bench.charts import STAND_INS
from vellum.kube import names
from vellum.package.charts import OWN, own
from vellum.package.provider import provider, role

WRITES = {"create", "delete", "get", "patch"}


def rendered() -> set[str]:
    """Return every kind of which a published chart was found to make objects."""
    facts = [part.facts for part in record.kept().parts]
    lines = [
        line
        for fact in facts
        for name in ("workloads", "scalers", "custom", "webhooks", "hooks", "others")
        for line in getattr(fact, name)
    ]
    results = {line.split()[0] for line in lines}
    if any(fact.services for fact in facts):
        results.add("Service")
    if any(fact.kinds for fact in facts):
        results.add("CustomResourceDefinition")
    return results


def of_our_own_charts() -> set[str]:
    texts = [text.decode() for name in OWN for path, text in own(name).items() if path.endswith(".yaml")]
    return {kind for text in texts for kind in re.findall(r"^kind: (\w+)$", text, re.MULTILINE)}


def of_stand_ins() -> set[str]:
    objects = [obj.object if isinstance(obj, If) else obj for chart in STAND_INS for obj in chart.objects]
    return {str(obj["kind"]) for obj in objects}


def verbs() -> dict[str, set[str]]:
    """Return the verbs of provider-helm's role, by resource."""
    results: dict[str, set[str]] = defaultdict(set)
    for rule in role()["rules"]:
        for resource in rule["resources"]:
            results[resource] |= set(rule["verbs"])
    return results


def test_every_kind_of_every_chart_may_be_made_patched_and_deleted() -> None:
    kinds = rendered() | of_our_own_charts() | of_stand_ins()
    assert {"Deployment", "Certificate", "Job", "NetworkPolicy", "PersistentVolumeClaim"} <= kinds
    may = verbs()
    assert {kind for kind in kinds if not may[names.plural(kind)] >= WRITES} == set()


def test_nothing_stands_for_everything_and_nothing_is_a_teams() -> None:
    may = verbs()
    assert "*" not in {*may, *(verb for each in may.values() for verb in each)}
    assert may["pods"] == {"get", "list", "watch"}
    of_teams = {"mlopsplatforms", "namespaces", "notebooks", "inferenceservices", "buckets", "seaweeds"}
    assert not of_teams & may.keys()


def test_the_binding_gives_that_role_and_no_other() -> None:
    (binding,) = (item for item in provider() if item["kind"] == "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == role()["metadata"]["name"] == "vellum:provider-helm"
