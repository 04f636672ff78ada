"""A part of the platform that Helm installs: which chart, with which values, and what proves that it is there."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Literal

from vellum.kube.objects import Obj, make
from vellum.model.component import CLUSTER_USAGE, Kind, PlatformComponent, PlatformWish, S

PROVIDER_CONFIG = "vellum"
"""Of our own: ``default`` may be somebody's, for another cluster."""
RELEASE = Kind("helm.crossplane.io/v1beta1", "Release")
"""provider-helm's cluster-scoped kind (1.3.0)."""
SYSTEM = "crossplane-system"
"""The namespace of Crossplane and of all that works for it."""
PROVIDER = "provider-helm"


@dataclass(frozen=True, slots=True)
class Chart:
    """Where a chart is published, and the exact version: a range would make provider-helm upgrade for ever (#318)."""

    repository: str
    """Empty for Vellum's own charts: the platform object names the registry that holds them."""
    name: str
    version: str


Use = Literal["container", "hook", "started", "injected", "runtime", "package"]
"""Why an image is pulled: for a pod of the chart; for a Job that Helm runs once; for a pod that a program of the chart
starts; into a pod of somebody else; for a pod that serves a model; or by Crossplane, as a package."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that somebody pulls, with its registry, and why."""

    reference: str
    use: Use = "container"


@dataclass(frozen=True, slots=True)
class Charts:
    """Where charts come from, as the platform object says it."""

    repository: str = ""
    own: str = ""
    """A registry that holds Vellum's own."""
    plain_http: bool = False
    patches: Mapping[str, str] = field(default_factory=dict)
    """Kustomize patches by component."""


class ReleaseComponent(PlatformComponent[S], Generic[S]):
    """One Helm release; its name is the component's, as names and selectors in the charts derive from it."""

    chart: Chart
    images: tuple[Image, ...] = ()
    """What this version of the chart pulls with these values; of Vellum's own charts their values say it."""
    namespace: str
    makes_namespace: bool = False
    """Whether this part composes the namespace; exactly one part does."""
    pod_security: str = "restricted"
    """What the namespace enforces, if this part makes it."""
    serves: tuple[Kind, ...] = ()
    """Kinds that its CRDs bring: it is ready once the API server serves their group and version."""
    custom: tuple[Kind, ...] = ()
    """Kinds of operators of which the chart itself makes objects; the guard looks at those too."""
    profiles: tuple[str, ...] = ("light", "standard")
    kinds = (RELEASE, CLUSTER_USAGE)
    actor: str = PROVIDER
    wait_timeout: ClassVar[str] = "5m"
    outlives: ClassVar[bool] = False
    """Whether it stays installed when its Release goes: with CRDs that Helm deletes, all objects of them would go."""

    @abstractmethod
    def values(self, wish: PlatformWish[S]) -> Obj:
        """Return the least values that run under Pod Security and fit a small cluster."""

    def objects(self, wish: PlatformWish[S]) -> dict[str, Obj]:
        """Return what stands beside the Release, which ``compose.releases`` makes: at least the namespace."""
        if not self.makes_namespace:
            return {}
        labels = {**wish.labels(self.name), "pod-security.kubernetes.io/enforce": self.pod_security}
        return {f"{self.name}-namespace": make("v1", "Namespace", self.namespace, labels=labels)}

    def looks_at(self) -> Mapping[str, Kind]:
        """Return the kinds of operators among which the guard looks for objects of this release, by group/kind."""
        return {f"{kind.api_version}/{kind.kind}": kind for kind in self.custom}
