"""The team's bucket and the one key that opens it, on SeaweedFS's own kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from vellum.components.access import STORE_SECRET
from vellum.kube.objects import Obj
from vellum.kube.seaweed import API, Tenant, consumer_secret, tenant_objects
from vellum.model.component import Component, Kind, Policy, Spec, Wish
from vellum.model.state import Ready, Requirement, waits
from vellum.model.team import STORAGE_NAMESPACE
from vellum.model.types import Storage


class ArtifactsSpec(Spec):
    """The claim's ``artifacts`` block."""

    quota: Annotated[Storage, Field(description="The most that the bucket may hold", default="10Gi")]


class BucketComponent(Component[ArtifactsSpec]):
    """Bucket, identity, policy, credentials in ``vellum-storage``; the consumer Secret in the team's namespace."""

    name = "bucket"
    summary = "The team's S3 bucket and the only key that opens it"
    spec = ArtifactsSpec
    block = "artifacts"
    needs = ("namespace",)
    stands_on = ("storage",)
    kinds = tuple(
        Kind(API, kind) for kind in ("Bucket", "S3Identity", "S3Policy", "S3PolicyBinding", "S3Credentials")
    )
    actor = "the object store"

    def objects(self, wish: Wish[ArtifactsSpec]) -> dict[str, Obj]:
        """Return the tenant's objects, and the Secret for KFP and KServe once its key works."""
        objects = tenant_objects("bucket", self._tenant(wish))
        # Once handed out it stays: a store that hesitates for a moment must not take the key from running steps.
        if "bucket-secret" in wish.observed.resources or self._key_works(wish):
            objects["bucket-secret"] = consumer_secret(
                STORE_SECRET, wish.team.namespace, self._tenant(wish), labels=wish.labels(self.name),
                endpoint=wish.platform.s3_endpoint, region=wish.platform.region,
            )  # fmt: skip
        return objects

    def binding(self, wish: Wish[ArtifactsSpec]) -> dict[str, str]:
        """Hand out the S3 endpoint, the bucket and its key."""
        tenant = self._tenant(wish)
        return {
            "AWS_ACCESS_KEY_ID": tenant.access_key,
            "AWS_ENDPOINT_URL": wish.platform.s3_endpoint,
            "AWS_REGION": wish.platform.region,
            "AWS_SECRET_ACCESS_KEY": tenant.secret_key,
            "VELLUM_BUCKET": tenant.bucket,
        }

    def endpoints(self, wish: Wish[ArtifactsSpec]) -> dict[str, str]:
        """Where S3 answers, and the bucket's name."""
        return {"s3": wish.platform.s3_endpoint, "bucket": wish.team.bucket}

    def policy(self, wish: Wish[ArtifactsSpec]) -> Policy:
        """Reach S3."""
        del wish
        return Policy(egress=((STORAGE_NAMESPACE, {}, 8333),))

    def guarded(self, wish: Wish[ArtifactsSpec]) -> dict[str, Requirement]:
        """A Bucket object of the derived name that is not ours is refused."""
        return {"bucket": Requirement(API, "Bucket", wish.team.bucket, STORAGE_NAMESPACE)}

    def _key_works(self, wish: Wish[ArtifactsSpec]) -> bool:
        names = tenant_objects("bucket", self._tenant(wish))
        return all(wish.observed.health(name, name)[0] for name in names)

    def _tenant(self, wish: Wish[ArtifactsSpec]) -> Tenant:
        team = wish.team
        return Tenant(
            id=team.id, bucket=team.bucket, namespace=STORAGE_NAMESPACE,
            access_key=wish.seed.access_key(team.id), secret_key=wish.seed.secret_key(team.id),
            quota=wish.detail.quota, keep=wish.keep_data, labels=wish.labels(self.name),
        )  # fmt: skip

    def ready(self, wish: Wish[ArtifactsSpec], made: Mapping[str, Obj]) -> Ready:
        """Ready when the store accepts the key and the Secret is there."""
        answer = super().ready(wish, made)
        if not answer or "bucket-secret" in wish.observed.resources:
            return answer
        return waits(f"Secret {STORE_SECRET} is not created yet", actor="the control plane")


component = BucketComponent()
