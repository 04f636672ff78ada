"""Every chart and image that a platform pulls, and its publisher's registry: the content of a mirror.

For other projects' charts, the component lists the images beside the version; ``tests/charts`` compares that list with
the rendered charts. For Vellum's own charts their values list them, for teams' parts the platform object does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import yaml

from vellum.api.platform import Platform
from vellum.components import platform_components, team_components
from vellum.compose.order import in_order
from vellum.kube.objects import Obj
from vellum.model.release import PROVIDER, Image, ReleaseComponent, Use
from vellum.package import charts
from vellum.package.compositions import FUNCTION
from vellum.package.provider import PACKAGE

_STARTED = ("driver", "launcher")
"""Images in the values of Vellum's own charts that only a program uses, for the pods that it starts."""


@dataclass(frozen=True, slots=True)
class PulledChart:
    """One chart, and the part that it installs."""

    part: str
    repository: str
    """Empty for Vellum's own, which ``vellum package push`` pushes."""
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class PulledImage:
    """One image, the part that needs it, and why."""

    part: str
    image: str
    source: str
    """The source of its name: a chart, ``spec.images`` of the platform, or ``crossplane``."""
    use: Use


@dataclass(frozen=True, slots=True)
class Pulled:
    """All charts and images, in the order of installation, and the images without a name."""

    charts: list[PulledChart]
    images: list[PulledImage]
    unnamed: list[str]
    """Fields of the platform that are not set; without them a part of it, or of the teams, is not composed."""

    def as_dict(self) -> Obj:
        """Return plain data."""
        return asdict(self)


def pulled(platform: Platform, function_package: str = "") -> Pulled:
    """Return what this platform pulls, and what its teams may pull: all their parts, as future claims are not known."""
    images = [PulledImage(PROVIDER, PACKAGE, "crossplane", "package")]
    if function_package:
        images.append(PulledImage(FUNCTION, function_package, "crossplane", "package"))
    wanted = {name: part for name, part in platform_components().items() if platform.wants(part)}
    made: list[PulledChart] = []
    for name, part in in_order(wanted):
        if isinstance(part, ReleaseComponent):
            chart = part.chart
            made.append(PulledChart(name, chart.repository, chart.name, chart.version))
            of_chart = part.images if chart.repository else of_own_chart(chart.name)
            images += [PulledImage(name, item.reference, f"chart {chart.name}", item.use) for item in of_chart]
    named = platform.facts.images
    users = dict(_users(wanted))
    images += [
        PulledImage(part, named[key], f"spec.images.{key}", "container")
        for key, parts in users.items()
        if key in named
        for part in parts
    ]
    return Pulled(made, images, [f"spec.images.{key}" for key in users if key not in named])


def _users(wanted: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the keys of the platform's images, each with the parts that run it."""
    parts = [*wanted.values(), *team_components().values()]
    for key in sorted({part.image for part in parts if part.image}):
        yield key, [part.name for part in parts if part.image == key]


def of_own_chart(name: str) -> Iterator[Image]:
    """Yield the images in the values of one of Vellum's own charts; the bench's stand-ins have none."""
    if name not in charts.OWN:
        return
    images = yaml.safe_load(charts.own(name)["values.yaml"])["images"]
    for part, image in images.items():
        if isinstance(image, dict):
            version = f"@{image['digest']}" if image.get("digest") else f":{image['tag']}"
            reference = f"{image['registry']}/{image['repository']}{version}"
            yield Image(reference, "started" if part in _STARTED else "container")
