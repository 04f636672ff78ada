"""Vellum's own charts, rendered by the real Helm with every set of values, before Checkov."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from tests.bench import validators
from tests.bench.test_own_charts import CASES
from tests.charts.record import ROOT
from tests.charts.rendered import Rendered, templates

from vellum.kube.objects import Obj

ACCEPTED = ROOT / "tests/charts/checkov.yaml"
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PriorityClass"}


def placed(obj: Obj) -> Obj:
    """Return an object with the namespace to which Helm sends it; the rendered object does not name it."""
    if obj["kind"] in CLUSTER_WIDE:
        return obj
    return {**obj, "metadata": {"namespace": "ns", **obj["metadata"]}}


def accepted(workloads: set[str]) -> dict[str, set[str]]:
    """Return each check that may fail, and for which workloads."""
    output = yaml.safe_load(ACCEPTED.read_text(encoding="utf-8"))
    assert all(item["reason"] and item["words"] for item in output)
    return {item["check"]: workloads if item["workloads"] == "all" else {*item["workloads"]} for item in output}


def found(report: Mapping[str, Obj]) -> dict[str, set[str]]:
    failed: dict[str, set[str]] = {}
    for check in report["results"]["failed_checks"]:
        failed.setdefault(check["check_id"], set()).add(check["resource"].rpartition(".")[2])
    return failed


def test_checkov_finds_only_what_is_accepted_with_a_reason(rendered: Rendered, tmp_path: Path) -> None:
    (tmp_path / "charts").mkdir()
    workloads: set[str] = set()
    objects = 0
    for case in CASES:
        made = rendered(case.chart, case.values)
        workloads |= {*templates(made)}
        objects += len(made)
        text = yaml.safe_dump_all(map(placed, made))
        (tmp_path / "charts" / f"{case}.yaml").write_text(text, encoding="utf-8")
    report = validators.checkov(tmp_path / "charts", tmp_path)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > objects
    assert found(report) == accepted(workloads)
