"""The platform's report: which part waits for which, since when, and who acts next."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.compose.world import NOW, PLATFORMS, World, settled_platform, written

from vellum.kube.objects import Key, Obj
from vellum.reports import platform as report

PICTURE = Path(__file__).parents[2] / "docs/pictures/kubeflow.svg"
SVG = "{http://www.w3.org/2000/svg}"


def beginning(steps: int) -> Obj:
    world = World(written(PLATFORMS["standard"]))
    for _ in range(steps):
        world.step()
    return world.composite


def broken() -> Obj:
    """Return a platform that ran for an hour, until KServe's Deployment was deleted two seconds ago."""
    world = World(written(PLATFORMS["standard"]))
    world.settle()
    world.now += timedelta(hours=1)
    world.helm.live.pop(Key("apps/v1", "Deployment", "kserve", "kserve"))
    world.step()
    return world.composite


def test_every_part_stands_after_what_it_comes_after() -> None:
    seen: set[str] = set()
    for node in report.nodes(beginning(1)):
        assert set(node.after) <= seen
        seen.add(node.name)
    assert {"istiod", "kserve", "kubeflow-pipelines"} <= seen


def test_a_laptops_platform_is_a_table_of_readiness() -> None:
    """The table shows which part is ready, since when, and what it comes after."""
    parts = report.nodes(settled_platform(PLATFORMS["local"]))
    assert report.text(parts, NOW + timedelta(minutes=5)).splitlines() == [
        "PART               STATE  SINCE  AFTER",
        "storage            ready  5 min",
        "gateway            ready  5 min",
        "training-runtimes  ready  5 min",
        "vector-storage     ready  5 min",
        "storefront         ready  5 min  storage",
        "artifacts          ready  5 min  storefront",
    ]


def test_a_part_that_waits_says_below_for_what_and_who_acts_next() -> None:
    lines = report.text(report.nodes(broken()), NOW + timedelta(hours=1, seconds=2)).splitlines()
    assert lines[:3] == [
        "PART                  STATE  SINCE   AFTER                              CHART                WATCHED",
        "provider-helm         ready  60 min",
        "vector-storage        ready  60 min",
    ]
    place = next(number for number, line in enumerate(lines) if line.startswith("kserve "))
    assert lines[place : place + 2] == [
        "kserve                waits  2 s     kserve-crd, cert-manager           v0.20.0, revision 1  6",
        "  Deployment kserve/kserve is missing; next: the release guard",
    ]


def test_a_platform_that_was_never_composed_says_so() -> None:
    composite = written(PLATFORMS["light"])
    assert {node.reason for node in report.nodes(composite)} == {"it is not composed yet"}


@pytest.mark.parametrize("composite", [beginning(1), beginning(4), broken(), written(PLATFORMS["local"])])
def test_the_picture_has_boxes_for_parts_and_arrows_for_needs(composite: Obj) -> None:
    parts = report.nodes(composite)
    root = ET.fromstring(report.svg(parts))  # our own text of a moment ago
    boxes = {str(box[2].text): (box.get("class"), float(box[1].get("y", 0))) for box in root.iter(f"{SVG}g")}
    assert {name: state for name, (state, _) in boxes.items()} == {
        part.name: "ready" if part.ready else "waits" for part in parts
    }
    direct = {part.name: report._direct(part, parts) for part in parts}
    arrows = [path for path in root.iter(f"{SVG}path") if path.get("class") == "arrow"]
    assert len(arrows) == sum(map(len, direct.values()))
    for name, before in direct.items():
        assert all(boxes[item][1] < boxes[name][1] for item in before), f"{name} stands below what it follows"
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg",
        "title",
        "style",
        "rect",
        "g",
        "text",
        "path",
    }, "a picture of a stranger's platform must be safe to open"


def test_fewer_arrows_say_the_same() -> None:
    parts = {part.name: part for part in report.nodes(beginning(1))}
    assert report._direct(parts["cert-manager"], list(parts.values())) == ["istiod"], (
        "provider-helm stands behind istiod already"
    )


def test_the_picture_of_the_documents_is_what_a_platform_looks_like() -> None:
    drawn = report.svg(report.nodes(broken())) + "\n"
    if os.environ.get("VELLUM_GOLDEN"):
        PICTURE.write_text(drawn, encoding="utf-8")
    assert drawn == PICTURE.read_text(encoding="utf-8"), "make golden draws it anew; look at it"


def test_an_open_circuit_breaker_is_said() -> None:
    composite = written(PLATFORMS["light"])
    assert report.breaker(composite) == ""
    conditions = [{"type": "Responsive", "status": "False", "reason": "WatchCircuitOpen"}]
    text = report.breaker({**composite, "status": {"conditions": conditions}})
    assert text.startswith("Crossplane's circuit breaker is open (WatchCircuitOpen)")
