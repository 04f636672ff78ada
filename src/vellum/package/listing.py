"""The contents of a layout, as people read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from vellum.oci.layout import INDEXES, Json, Layout
from vellum.package import charts
from vellum.package.recipes import ARCHITECTURES, CHARTS, RECIPES, TAG

_CHART = "application/vnd.cncf.helm.config.v1+json"
_XPKG = "io.crossplane.xpkg"


@dataclass(frozen=True, slots=True)
class Content:
    """One image, package or chart."""

    name: str
    """Repository and tag, without a registry."""
    kind: str
    digest: str
    platforms: list[str]
    size: int
    """Bytes of all its blobs, each counted once."""

    @property
    def megabytes(self) -> str:
        """The size for people."""
        return f"{self.size / 1e6:.1f}" if self.size else ""

    def as_dict(self) -> Json:
        """Return plain data."""
        return asdict(self)


def planned() -> list[Content]:
    """Return what a build creates, without digests."""
    platforms = [f"linux/{architecture}" for architecture in ARCHITECTURES]
    images = [
        Content(f"{recipe.name}:{TAG}", "package" if recipe.xpkg else "image", "", platforms, 0) for recipe in RECIPES
    ]
    made = [Content(f"{CHARTS}/{name}:{charts.version(name)}", "chart", "", [], 0) for name in charts.OWN]
    return sorted([*made, *images], key=lambda item: item.name)


def contents(layout: Layout) -> list[Content]:
    """Return everything with a name, by name."""
    results = []
    for name, descriptor in sorted(layout.named().items()):
        blobs = {item["digest"]: item["size"] for item in layout.reached(descriptor)}
        manifests = list(_manifests(layout, descriptor))
        platforms = [
            f"linux/{manifest['platform']['architecture']}" for manifest in manifests if "platform" in manifest
        ]
        kind = _kind(layout.read(manifests[0]))
        results.append(Content(name, kind, descriptor["digest"], platforms, sum(blobs.values())))
    return results


def _manifests(layout: Layout, descriptor: Json) -> Iterator[Json]:
    if descriptor["mediaType"] in INDEXES:
        yield from layout.read(descriptor)["manifests"]
    else:
        yield descriptor


def _kind(manifest: Json) -> str:
    if manifest["config"]["mediaType"] == _CHART:
        return "chart"
    marked = any(_XPKG in (layer.get("annotations") or {}) for layer in manifest["layers"])
    return "package" if marked else "image"
