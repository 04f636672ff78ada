"""A part of the platform that Helm installs: its chart, its values, and the proof that it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Literal

from vellum.kube.names import plural
from vellum.kube.objects import Kind, Obj, make
from vellum.model.component import CLUSTER_USAGE, PlatformComponent, S, Wish
from vellum.model.platform import PlatformFacts

PROVIDER_CONFIG = "vellum"
"""Vellum's own ProviderConfig: ``default`` may belong to another user, for another cluster."""
RELEASE = Kind("helm.crossplane.io/v1beta1", "Release")
"""provider-helm's cluster-scoped kind (1.3.0)."""
SYSTEM = "crossplane-system"
"""The namespace of Crossplane and its packages."""
PROVIDER = "provider-helm"


@dataclass(frozen=True, slots=True)
class Chart:
    """The place of a chart, and its exact version: with a range, provider-helm would upgrade for ever (#318)."""

    repository: str
    """Empty for Vellum's own charts: the platform object names their registry."""
    name: str
    version: str


Use = Literal["container", "hook", "started", "injected", "runtime", "package"]
"""Why an image is pulled: for a pod of the chart; for a Job that Helm runs once; for a pod that a program of the chart
starts; into a pod of another owner; for a pod that serves a model; or by Crossplane, as a package."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image to pull, with its registry, and the reason."""

    reference: str
    use: Use = "container"


@dataclass(frozen=True, slots=True)
class Charts:
    """The sources of charts, from the platform object."""

    repository: str = ""
    own: str = ""
    """A registry with Vellum's own charts."""
    plain_http: bool = False
    patches: Mapping[str, str] = field(default_factory=dict)
    """Kustomize patches by component."""


def crd(kind: Kind) -> str:
    """Return the name of the CRD that defines a kind."""
    return f"{plural(kind.kind)}.{kind.api_version.split('/')[0]}"


class ReleaseComponent(PlatformComponent[S], Generic[S]):
    """One Helm release, named like the component, because names and selectors in the charts derive from its name."""

    chart: Chart
    images: tuple[Image, ...] = ()
    """The images that this chart version pulls with these values; Vellum's own charts have them in their values."""
    namespace: str
    makes_namespace: bool = False
    """Whether this part composes the namespace; exactly one part does."""
    pod_security: str = "restricted"
    """The Pod Security level of the namespace, if this part makes it."""
    serves: tuple[Kind, ...] = ()
    """Kinds that its CRDs define: it is ready once the API server serves their group and version."""
    crds: tuple[Kind, ...] = ()
    """Those of them in the ``crds/`` of a chart below: Helm makes them only when it installs, without a mark, and does
    not record them."""
    custom: tuple[Kind, ...] = ()
    """Kinds of operators of which the chart itself makes objects; the guard checks those too."""
    profiles: tuple[str, ...] = ("light", "standard")
    kinds = (RELEASE, CLUSTER_USAGE)
    actor: str = PROVIDER
    wait_timeout: ClassVar[str] = "5m0s"
    """In Go's spelling: provider-helm writes it back so, and Crossplane would overwrite another one."""
    outlives: ClassVar[bool] = False
    """Whether it stays installed when its Release is deleted: if Helm deletes its CRDs, all their objects go too."""

    def values(self, wish: Wish[S]) -> Obj:
        """Return the least values that run under Pod Security and fit a small cluster."""
        del wish
        return {}

    def objects(self, wish: Wish[S]) -> dict[str, Obj]:
        """Return the objects besides the Release, which ``compose.helm`` makes: at least the namespace."""
        if not self.makes_namespace:
            return {}
        labels = {**wish.labels(self.name), "pod-security.kubernetes.io/enforce": self.pod_security}
        return {f"{self.name}-namespace": make("v1", "Namespace", self.namespace, labels=labels)}

    def kinds_asked(self, platform: PlatformFacts) -> tuple[Kind, ...]:
        """Return the kinds of its objects, and those that the chart defines or makes objects of."""
        return (*self.kinds_on(platform), *self.serves, *self.custom)

    def looks_at(self) -> Mapping[str, Kind]:
        """Return the kinds of operators that the guard searches for objects of this release, by group/kind."""
        return {f"{kind.api_version}/{kind.kind}": kind for kind in self.custom}
