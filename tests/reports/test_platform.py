"""The platform as people look at it: who waits for whom, since when, and who acts next."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree as ET

from tests.compose.world import NOW, PLATFORMS, World, written

from vellum.kube.objects import Obj
from vellum.reports import platform as report


def beginning(steps: int) -> Obj:
    world = World(written(PLATFORMS["standard"]))
    for _ in range(steps):
        world.step()
    return world.composite


def test_every_part_stands_after_what_it_comes_after() -> None:
    seen: set[str] = set()
    for node in report.nodes(beginning(1)):
        assert set(node.after) <= seen
        seen.add(node.name)
    assert {"istiod", "kserve", "kubeflow-pipelines"} <= seen


def test_a_part_that_waits_says_for_what_since_when_and_who_acts_next() -> None:
    lines = report.text(report.nodes(beginning(4)), NOW + timedelta(minutes=5)).splitlines()
    assert lines[2] == "istio-base            ready   5 min  1.30.3, revision 1  after provider-helm"
    place = next(number for number, line in enumerate(lines) if line.startswith("seaweedfs-operator "))
    assert lines[place : place + 2] == [
        "seaweedfs-operator    waits   5 min  after cert-manager",
        "                      waits for cert-manager: Release cert-manager is not created yet; next: the control plane",
    ]


def test_a_platform_that_was_never_composed_says_so() -> None:
    composite = written(PLATFORMS["light"])
    assert {node.reason for node in report.nodes(composite)} == {"it is not composed yet"}


def test_the_picture_has_a_box_for_every_part_and_an_arrow_for_every_direct_need() -> None:
    parts = report.nodes(beginning(60))
    assert all(part.ready for part in parts)
    root = ET.fromstring(report.svg(parts))  # our own text of a moment ago
    names = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text") if text.get("font-weight")]
    assert sorted(map(str, names)) == sorted(part.name for part in parts)
    lines = [path for path in root.iter("{http://www.w3.org/2000/svg}path") if path.get("fill") == "none"]
    direct = {part.name: report._direct(part, parts) for part in parts}
    assert len(lines) == sum(map(len, direct.values()))
    assert direct["cert-manager"] == ["istiod"], "provider-helm stands behind istiod already"


def test_an_open_circuit_breaker_is_said() -> None:
    composite = written(PLATFORMS["light"])
    assert report.breaker(composite) == ""
    conditions = [{"type": "Responsive", "status": "False", "reason": "WatchCircuitOpen"}]
    said = report.breaker({**composite, "status": {"conditions": conditions}})
    assert said.startswith("Crossplane's circuit breaker is open (WatchCircuitOpen)")
