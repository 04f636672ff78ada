"""The Helm releases that Vellum composes, each once: the chart, where it goes, with which values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from vellum.api import loader
from vellum.api.platform import Platform
from vellum.components import platform_components
from vellum.compose.platform import everything
from vellum.kube.objects import Obj, labels_of
from vellum.model.keys import DUMMY_SEED
from vellum.model.release import Chart, ReleaseComponent

PROFILES = ("light", "standard")


@dataclass(frozen=True, slots=True)
class Release:
    """One release; ``profiles`` are those that install it with these values."""

    component: ReleaseComponent[Any]
    chart: Chart
    namespace: str
    pod_security: str
    """What the namespace enforces."""
    values: Obj
    profiles: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Helm's name for it, from which names in the charts derive."""
        return self.component.name


def composed() -> list[Release]:
    """Return what compose makes, release by release, in the order of the platform."""
    results: list[Release] = []
    for profile in PROFILES:
        made = everything(_platform(profile), DUMMY_SEED)
        enforced = {
            item["metadata"]["name"]: labels_of(item)["pod-security.kubernetes.io/enforce"]
            for item in made
            if item["kind"] == "Namespace"
        }
        for obj in made:
            if obj["kind"] == "Release":
                output = _read(obj, enforced)
                known = next(
                    (item for item in results if (item.name, item.values) == (output.name, output.values)), output
                )
                known.profiles.append(profile)
                if known is output:
                    results.append(output)
    return results


def published() -> list[Release]:
    """Return those whose chart a project of others publishes; Vellum's own have no repository."""
    return [release for release in composed() if release.chart.repository]


def own_releases() -> list[Release]:
    """Return those of the charts that no other project publishes."""
    return [release for release in composed() if not release.chart.repository]


def _platform(profile: str) -> Platform:
    parts = {part.switch: "enabled" for part in platform_components().values() if part.switch}
    written = {
        "apiVersion": "platform.vellum.dev/v1alpha1",
        "kind": "KubeflowPlatform",
        "metadata": {"name": "kubeflow"},
        "spec": {"profile": profile, **parts},
    }
    (platform,) = loader.load(yaml.safe_dump(written).encode(), "platform.yaml")
    assert isinstance(platform, Platform)
    return platform


def _read(obj: Obj, enforced: Mapping[str, str]) -> Release:
    name = obj["metadata"]["annotations"]["crossplane.io/external-name"]
    component = platform_components()[name]
    assert isinstance(component, ReleaseComponent)
    given = obj["spec"]["forProvider"]
    namespace = given["namespace"]
    return Release(component, Chart(**given["chart"]), namespace, enforced[namespace], given["values"])
