"""The platform's own bucket and its key in ``kubeflow``: Pipelines starts on that bucket once the Secret exists."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from vellum import objectstore
from vellum.kube.objects import DOMAIN, Kind, Obj, make
from vellum.model.component import USAGE, PlatformComponent, Spec, Wish, known
from vellum.model.platform import PlatformFacts
from vellum.model.state import Ready, Requirement
from vellum.model.team import KUBEFLOW_NAMESPACE
from vellum.objectstore.interface import Tenant
from vellum.objectstore.seaweed import SeaweedFS, store_usage


class ArtifactsComponent(PlatformComponent[Spec]):
    """Bucket ``vellum-artifacts``, its key, and the Secret that Kubeflow Pipelines reads."""

    name = "artifacts"
    summary = "The bucket of Kubeflow Pipelines and its key in namespace kubeflow"
    needs = ("storage", "storefront", "external-storage")
    kinds = (*SeaweedFS.kinds, USAGE)
    holders = ("artifacts-secret",)
    rotates = "accepts both keys until the overlap is over"
    actor = "the object store"

    def kinds_on(self, platform: PlatformFacts) -> tuple[Kind, ...]:
        """Return the kinds of the platform's object store."""
        kinds = objectstore.backend(platform).kinds
        return known((*kinds, USAGE), platform) if kinds else ()

    def objects(self, wish: Wish[Spec]) -> dict[str, Obj]:
        """Return the namespace, the bucket's objects, and the Secret once the key works."""
        namespace = {
            **wish.labels(self.name),
            "app.kubernetes.io/part-of": "kubeflow",
            f"{DOMAIN}/s3-client": "true",
            "pod-security.kubernetes.io/enforce": "restricted",
        }
        made = {
            "artifacts-kubeflow": make("v1", "Namespace", KUBEFLOW_NAMESPACE, labels=namespace),
            **objectstore.objects(tenant(wish.platform), wish, quota="20Gi", keep=True),
        }
        if wish.platform.crossplane and "artifacts-bucket" in made:
            made["artifacts-usage"] = store_usage(made["artifacts-bucket"])
        return made

    def ready(self, wish: Wish[Spec], made: Mapping[str, Obj]) -> Ready:
        """Return ready once the Secret exists."""
        own = tenant(wish.platform)
        return objectstore.ready(own, wish, super().ready(wish, objectstore.in_use(own, wish, made)))

    def generations(self, wish: Wish[Spec]) -> Collection[int]:
        """Return the generations that have a key in the store."""
        return objectstore.backend(wish.platform).generations(tenant(wish.platform), wish.observed)

    def accepts(self, wish: Wish[Spec], generation: int) -> Ready:
        """Tell whether the store accepts the key."""
        return objectstore.backend(wish.platform).opens(tenant(wish.platform), wish.observed, generation)

    def requires(self, wish: Wish[Spec]) -> Mapping[str, Requirement]:
        """Require the Secret of the key, if the key is given."""
        return objectstore.backend(wish.platform).requires(tenant(wish.platform))


def tenant(platform: PlatformFacts) -> Tenant:
    """Return the owner of the bucket: the platform itself."""
    return Tenant(
        part="artifacts",
        id="artifacts",
        bucket=platform.artifacts_bucket,
        namespace=KUBEFLOW_NAMESPACE,
        named_by="spec.artifacts.bucket",
    )


component = ArtifactsComponent()
