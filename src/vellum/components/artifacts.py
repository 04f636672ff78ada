"""The platform's own bucket and its key in ``kubeflow``: Pipelines starts on that bucket once the Secret exists."""

from __future__ import annotations

from collections.abc import Mapping

from vellum.components.access import STORE_SECRET
from vellum.kube.objects import DOMAIN, Obj, make
from vellum.kube.seaweed import API, Tenant, consumer_secret, tenant_objects
from vellum.model.component import Kind, PlatformComponent, PlatformWish, Spec
from vellum.model.state import Ready, waits
from vellum.model.team import KUBEFLOW_NAMESPACE, STORAGE_NAMESPACE

TENANT = "artifacts"


class ArtifactsComponent(PlatformComponent[Spec]):
    """Bucket ``vellum-artifacts``, its key, and the Secret that Kubeflow Pipelines reads."""

    name = "artifacts"
    summary = "The bucket of Kubeflow Pipelines and its key in namespace kubeflow"
    spec = Spec
    needs = ("storage",)
    kinds = tuple(
        Kind(API, kind) for kind in ("Bucket", "S3Identity", "S3Policy", "S3PolicyBinding", "S3Credentials")
    )
    actor = "the object store"

    def objects(self, wish: PlatformWish[Spec]) -> dict[str, Obj]:
        """Return the bucket's objects, and the Secret once the key works."""
        labels = wish.labels(self.name)
        namespace = {**labels, "app.kubernetes.io/part-of": "kubeflow", f"{DOMAIN}/s3-client": "true",
                     "pod-security.kubernetes.io/enforce": "restricted"}  # fmt: skip
        objects = {
            "artifacts-kubeflow": make("v1", "Namespace", KUBEFLOW_NAMESPACE, labels=namespace),
            **tenant_objects("artifacts", self._tenant(wish)),
        }
        works = all(wish.observed.health(name, name)[0] for name in objects)
        # Once handed out it stays: Pipelines would lose its store whenever the store hesitates.
        if works or "artifacts-secret" in wish.observed.resources:
            objects["artifacts-secret"] = consumer_secret(
                STORE_SECRET, KUBEFLOW_NAMESPACE, self._tenant(wish), labels=labels,
                endpoint=wish.platform.s3_endpoint, region=wish.platform.region,
            )  # fmt: skip
        return objects

    def ready(self, wish: PlatformWish[Spec], made: Mapping[str, Obj]) -> Ready:
        """Ready when the Secret is in place."""
        answer = super().ready(wish, made)
        if not answer or "artifacts-secret" in wish.observed.resources:
            return answer
        return waits(
            f"Secret {KUBEFLOW_NAMESPACE}/{STORE_SECRET} is not created yet", actor="the control plane"
        )

    def _tenant(self, wish: PlatformWish[Spec]) -> Tenant:
        return Tenant(
            id=TENANT, bucket=wish.platform.artifacts_bucket, namespace=STORAGE_NAMESPACE,
            access_key=wish.seed.access_key(TENANT), secret_key=wish.seed.secret_key(TENANT),
            quota="20Gi", keep=True, labels=wish.labels(self.name),
        )  # fmt: skip


component = ArtifactsComponent()
