"""A light platform grows to a standard one, and nothing gets Istio's values before Istio is there."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.bench.real import ROOT, Bench, condition
from tests.bench.test_guard import RELEASES, explained, platform

from vellum.kube.objects import Obj

MESH = ("istiod", "istio-cni", "istio-ingressgateway")
MESHED = ("kubeflow-pipelines", "notebook-controller")


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
        found = json.loads(empty.vellum("up", str(file), "--output", "json").stdout)
        yield Bench(root, found["kubeconfig"], found["kubectl"], found["s3"])
    finally:
        empty.vellum("down", check=False)
        file.unlink()
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.nightly
def test_a_light_platform_grows_and_every_chart_keeps_its_values_until_the_mesh_is_there(
    light: Bench,
) -> None:
    before = releases(light)
    assert set(MESH).isdisjoint(before)
    assert not any(meshed(before[name]) for name in MESHED)
    light.kubectl(
        "patch", "kubeflowplatform", "kubeflow", "--type=merge", "-p", '{"spec": {"profile": "standard"}}'
    )
    waited, deadline = set(), time.monotonic() + 300
    while not grown(light):
        now = releases(light)
        ready = {name for name, one in now.items() if condition(one, "Ready").get("status") == "True"}
        for name in MESHED:
            if meshed(now[name]):
                assert ready.issuperset(MESH), f"{name} before {set(MESH) - ready}"
            else:
                waited.add(name)
        assert time.monotonic() < deadline, explained(light)
        time.sleep(0.2)
    assert waited == set(MESHED)
    after = releases(light)
    assert {name: revision(after[name]) - revision(before[name]) for name in MESHED} == dict.fromkeys(
        MESHED, 1
    )
    secrets = light.list("secrets", "-A", "-l", "owner=helm")
    assert {one["metadata"]["labels"]["status"] for one in secrets} <= {"deployed", "superseded"}


def releases(bench: Bench) -> dict[str, Obj]:
    return {one["metadata"]["name"]: one for one in bench.list(RELEASES)}


def meshed(release: Obj) -> bool:
    return bool(release["spec"]["forProvider"]["values"]["istio"]["enabled"])


def revision(release: Obj) -> int:
    return int(release["status"]["atProvider"]["revision"])


def grown(bench: Bench) -> bool:
    found = platform(bench)
    ready = condition(found, "Ready")
    seen = ready.get("observedGeneration") == found["metadata"]["generation"]
    return bool(seen and ready["status"] == "True" and found["status"].get("profile") == "standard")
