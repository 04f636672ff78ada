"""The charts of the bench's registry, rendered by the real Helm with the values that Vellum sets."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts import pod_security, stand_ins
from tests.charts.helm import Helm as RealHelm
from tests.charts.record import Part, kept
from tests.charts.releases import published

from vellum.bench import chart, charts
from vellum.bench.chart import STAND_IN, Chart
from vellum.kube.objects import Obj, annotations_of
from vellum.package.charts import OWN, packed

HERE = {item.name: item for item in charts.STAND_INS}
STAND_INS = [part for part in kept().parts if part.stand_in]
RESTRICTED = {"seccompProfile": {"type": "RuntimeDefault"}}
VALUES: dict[str, Obj] = {
    "cert-manager": {"crds": {"enabled": True}},
    "base": {},
    "istiod": {"autoscaleEnabled": False, **RESTRICTED},
    "cni": {},
    "gateway": {"autoscaling": {"enabled": False}, "securityContext": RESTRICTED},
    "seaweedfs-operator": {"webhook": {"certManager": {"enabled": True}}, "podSecurityContext": RESTRICTED},
    "argo-workflows": {"controller": {"podSecurityContext": RESTRICTED}},
}
"""Per chart, of the values that the real one needs under Pod Security, those that the stand-in knows."""


class Helm:
    """Renders charts as a release ``x`` in a namespace ``ns``."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder

    def rendered(self, archive: bytes, **values: Any) -> list[Obj]:
        path, given = self._folder / "chart.tgz", self._folder / "values.yaml"
        path.write_bytes(archive)
        given.write_text(json.dumps(values))
        argv = [str(self._program), "template", "x", str(path), "-n", "ns", "-f", str(given)]
        done = subprocess.run(argv, env={"HOME": str(self._folder)}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [item for item in yaml.load_all(done.stdout, yaml.CSafeLoader) if item]

    def of(self, name: str, **values: Any) -> list[Obj]:
        return self.rendered(archive(HERE[name]), **{**VALUES[name], **values})


@pytest.fixture
def helm(built: dict[str, Path], tmp_path: Path) -> Helm:
    """Return Helm as it is built for the bench."""
    return Helm(built["helm"], tmp_path)


def archive(stand_in: Chart) -> bytes:
    return packed(stand_in.name, chart.files(stand_in))


def names(objects: list[Obj], kind: str) -> list[str]:
    return sorted(obj["metadata"]["name"] for obj in objects if obj["kind"] == kind)


def spec(objects: list[Obj], kind: str, name: str) -> Obj:
    (result,) = (obj for obj in objects if (obj["kind"], obj["metadata"]["name"]) == (kind, name))
    return dict(result["spec"])


def pod(objects: list[Obj], name: str) -> Obj:
    return dict(spec(objects, "Deployment", name)["template"]["spec"])


@pytest.mark.parametrize("name", sorted(HERE))
def test_a_stand_in_says_so_and_makes_nothing_that_must_answer(helm: Helm, name: str) -> None:
    inside = chart.files(HERE[name])
    about = json.loads(inside["Chart.yaml"])
    objects = helm.of(name)
    kinds = {obj["kind"] for obj in objects}

    assert about["annotations"] == STAND_IN
    assert "stand-in" in about["description"]
    assert kinds.isdisjoint({"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "Namespace", "Job"})
    assert not [obj for obj in objects if "helm.sh/hook" in annotations_of(obj)]
    assert all(
        annotations_of(obj).items() >= STAND_IN.items() for obj in objects if obj["kind"] == "CustomResourceDefinition"
    )


@pytest.mark.parametrize("name", sorted(HERE.keys() - {"cni", "base"}))
def test_pods_pass_pod_security_with_the_values_that_vellum_sets(helm: Helm, name: str) -> None:
    objects = helm.of(name)
    results = [obj["spec"]["template"] for obj in objects if obj["kind"] == "Deployment"]
    assert results
    assert [faults for item in results if (faults := pod_security.faults(item))] == []


def test_istios_plugin_needs_a_privileged_namespace(helm: Helm) -> None:
    assert pod_security.faults(spec(helm.of("cni"), "DaemonSet", "istio-cni-node")["template"])


@pytest.mark.parametrize("part", STAND_INS, ids=lambda part: part.name)
def test_a_stand_in_makes_what_the_real_chart_made_when_that_was_rendered(
    built: dict[str, Path], tmp_path: Path, part: Part
) -> None:
    release = next(item for item in published() if item.name == part.name)
    result = stand_ins.of(release, part.facts, part.keys, RealHelm(built["helm"], tmp_path), tmp_path)
    assert part.stand_in
    assert result == stand_ins.Differences(part.stand_in.lacks, part.stand_in.ignores)


def test_values_have_the_effect_that_they_have_in_the_real_charts(helm: Helm) -> None:
    assert names(helm.of("cert-manager", crds={"enabled": False}), "CustomResourceDefinition") == []
    assert names(helm.of("istiod", autoscaleEnabled=True), "HorizontalPodAutoscaler") == ["istiod"]
    assert names(helm.of("istiod"), "HorizontalPodAutoscaler") == []
    alone = helm.of("argo-workflows", singleNamespace=True)
    assert (names(alone, "ClusterRole"), names(alone, "Role")) == ([], ["x-workflow-controller"])
    named = {**VALUES["argo-workflows"]["controller"], "configMap": {"create": False, "name": "mine"}}
    controller = helm.of("argo-workflows", controller={**named, "resources": {"requests": {"cpu": "1"}}})
    (container,) = pod(controller, "x-workflow-controller")["containers"]
    assert (container["args"][:2], container["resources"]) == (["--configmap", "mine"], {"requests": {"cpu": "1"}})
    assert names(controller, "ConfigMap") == []
    gateway = helm.of("gateway", serviceAccount={"name": "door"}, service={"type": "ClusterIP"})
    assert (names(gateway, "ServiceAccount"), spec(gateway, "Service", "x")["type"]) == (["door"], "ClusterIP")


def test_kserves_charts_are_the_real_ones_and_whole(helm: Helm, built: dict[str, Path]) -> None:
    served = charts.served(built)
    rendered = {name: helm.rendered(served[f"{name}-v0.20.0.tgz"]) for name in charts.KSERVE}
    assert {name: len(objects) for name, objects in rendered.items()} == {
        "kserve-crd": 6,
        "kserve-resources": 22,
        "kserve-runtime-configs": 0,
    }
    assert len(served) == len(charts.STAND_INS) + len(charts.REAL) + len(OWN)


def test_the_trainers_chart_is_the_real_one_with_jobsets_in_it(helm: Helm, built: dict[str, Path]) -> None:
    archive = charts.served(built)["kubeflow-trainer-2.3.0.tgz"]
    made = helm.rendered(archive)
    assert sorted(item["metadata"]["name"] for item in made if item["kind"] == "Deployment") == [
        "jobset-controller",
        "x-kubeflow-trainer-controller-manager",
    ]
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = set(tar.getnames())
    assert "kubeflow-trainer/charts/jobset/crds/jobset.x-k8s.io_jobsets.yaml" in names
    assert not [name for name in names if "/tests/" in name]


def test_the_same_charts_are_the_same_bytes(built: dict[str, Path]) -> None:
    served = charts.served(built)
    assert charts.served(built) == served
    with tarfile.open(fileobj=io.BytesIO(served["base-1.30.3.tgz"])) as tar:
        assert tar.getnames() == ["base/Chart.yaml", "base/templates/objects.yaml", "base/values.yaml"]
