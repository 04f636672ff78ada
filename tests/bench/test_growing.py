"""A light platform grows to a standard one, and nothing gets Istio's values before Istio is there."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml
from tests.bench.real import ROOT, Bench, condition, until
from tests.bench.test_guard import RELEASES, explained, platform

from vellum.components import platform_components
from vellum.kube.objects import Obj

MESH = ("istiod", "istio-cni", "istio-ingressgateway")
MESHED = ("kubeflow-pipelines", "notebook-controller")
STANDARD = '{"spec": {"profile": "standard"}}'
FAILS_SECONDS = 60
STRANGER: Obj = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "virtualservices.networking.istio.io",
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"meta.helm.sh/release-name": "mesh", "meta.helm.sh/release-namespace": "mesh-system"},
    },
    "spec": {
        "group": "networking.istio.io",
        "scope": "Namespaced",
        "names": {"kind": "VirtualService", "plural": "virtualservices"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


@pytest.fixture
def light() -> Iterator[Bench]:
    """Return a bench of its own with a light platform."""
    root = Path(tempfile.mkdtemp(prefix="vellum-light-"))
    wanted = yaml.safe_load((ROOT / "examples/bench/platform.yaml").read_text())
    wanted["spec"]["profile"] = "light"
    file = root.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(wanted))
    empty = Bench(root)
    try:
        result = json.loads(empty.vellum("up", str(file), "--output", "json").stdout)
        yield Bench(root, result["kubeconfig"], result["kubectl"], result["s3"])
    finally:
        empty.vellum("down", check=False)
        file.unlink()
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.nightly
def test_a_part_that_cannot_be_installed_keeps_the_circuit_breaker_closed(light: Bench) -> None:
    """Crossplane forgives one event a second. A part that is tried again and again makes fewer."""
    light.apply(STRANGER)
    light.kubectl("patch", "kubeflowplatform", "kubeflow", "--type=merge", "-p", STANDARD)
    until(lambda: "cannot be imported" in str(platform(light)["status"]["components"]), 60, lambda: explained(light))
    # provider-helm's first tries follow each other quickly.
    time.sleep(FAILS_SECONDS)
    before = events(light)
    time.sleep(FAILS_SECONDS)
    assert events(light) - before < FAILS_SECONDS
    assert condition(platform(light), "Responsive")["status"] == "True"
    messages = {component["name"]: component for component in platform(light)["status"]["components"]}
    assert messages["istio-base"]["actor"] == "the platform engineer"
    assert all(messages[name]["serves"] for name in MESHED)
    light.kubectl("delete", "crd", STRANGER["metadata"]["name"])
    until(lambda: grown(light), 300, lambda: explained(light))


def events(bench: Bench) -> int:
    """Return how many events of the platform Crossplane's circuit breaker has counted."""
    port = json.loads((bench.root / "ports.json").read_text())["bench/crossplane-metrics"]
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    result = re.findall(r"^circuit_breaker_events_total\{([^}]*)\} ([0-9.e+]+)$", text, re.MULTILINE)
    return round(sum(float(value) for labels, value in result if "kubeflowplatform" in labels))


@pytest.mark.nightly
def test_a_light_platform_grows_and_every_chart_keeps_its_values_until_the_mesh_is_there(light: Bench) -> None:
    before = releases(light)
    assert set(MESH).isdisjoint(before)
    assert not any(meshed(before[name]) for name in MESHED)
    light.kubectl("patch", "kubeflowplatform", "kubeflow", "--type=merge", "-p", STANDARD)
    waited, deadline = set(), time.monotonic() + 300
    while not grown(light):
        now = releases(light)
        ready = {name for name, item in now.items() if condition(item, "Ready").get("status") == "True"}
        for name in MESHED:
            if meshed(now[name]):
                mesh = set(MESH) & {*platform_components()[name].after}
                assert ready >= mesh, f"{name} before {mesh - ready}"
            else:
                waited.add(name)
        assert time.monotonic() < deadline, explained(light)
        time.sleep(0.2)
    assert waited == set(MESHED)
    after = releases(light)
    assert {name: revision(after[name]) - revision(before[name]) for name in MESHED} == dict.fromkeys(MESHED, 1)
    secrets = light.list("secrets", "-A", "-l", "owner=helm")
    assert {secret["metadata"]["labels"]["status"] for secret in secrets} <= {"deployed", "superseded"}


def releases(bench: Bench) -> dict[str, Obj]:
    return {item["metadata"]["name"]: item for item in bench.list(RELEASES)}


def meshed(release: Obj) -> bool:
    return bool(release["spec"]["forProvider"]["values"]["istio"]["enabled"])


def revision(release: Obj) -> int:
    return int(release["status"]["atProvider"]["revision"])


def grown(bench: Bench) -> bool:
    result = platform(bench)
    ready = condition(result, "Ready")
    seen = ready.get("observedGeneration") == result["metadata"]["generation"]
    return bool(seen and ready["status"] == "True" and result["status"].get("profile") == "standard")
