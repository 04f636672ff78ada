"""The team's bucket and the one key that opens it, from any store of ``objectstore``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field

from vellum import objectstore
from vellum.kube.objects import Kind, Obj
from vellum.model.component import Bound, Data, Policy, Spec, TeamComponent, TeamWish
from vellum.model.platform import PlatformFacts
from vellum.model.state import Ready, Requirement
from vellum.model.team import Team
from vellum.model.types import Storage
from vellum.objectstore.interface import Tenant
from vellum.objectstore.seaweed import SeaweedFS


class ArtifactsSpec(Spec):
    """The claim's ``artifacts`` block."""

    quota: Annotated[
        Storage, Field(description="The most that the bucket may hold; not set in an external store", default="10Gi")
    ]


@lru_cache(maxsize=1024)
def team_tenant(team: Team) -> Tenant:
    """Return the team as a tenant of the object store."""
    return Tenant(part="bucket", id=team.id, bucket=team.bucket, namespace=team.namespace)


class BucketComponent(TeamComponent[ArtifactsSpec]):
    """The bucket's objects in ``vellum-storage``, and the consumer Secret in the team's namespace."""

    name = "bucket"
    summary = "The team's S3 bucket and the only key that opens it"
    spec = ArtifactsSpec
    block = "artifacts"
    needs = ("namespace",)
    after = ("storage", "storefront", "external-storage")
    kinds = SeaweedFS.kinds
    holders = ("bucket-secret",)
    rotates = "accepts both keys until the overlap is over"
    store_key = True
    binds = (
        Bound("AWS_ACCESS_KEY_ID", "S3 access key of the team"),
        Bound("AWS_SECRET_ACCESS_KEY", "S3 secret key of the team"),
        Bound("AWS_ENDPOINT_URL", "where S3 answers", public=True),
        Bound("AWS_REGION", "`us-east-1`, or the region of an external store", public=True),
        Bound("AWS_DEFAULT_REGION", "the same, under the name that boto3 reads", public=True),
        Bound("VELLUM_BUCKET", "the team's bucket", public=True),
    )
    means = (("artifacts.quota", "the store takes no more than that from now on; what is in the bucket stays"),)
    data = Data("bucket")
    actor = "the object store"

    def kinds_on(self, platform: PlatformFacts) -> tuple[Kind, ...]:
        """Return the kinds of the platform's object store."""
        return objectstore.backend(platform).kinds

    def objects(self, wish: TeamWish[ArtifactsSpec]) -> dict[str, Obj]:
        """Return the tenant's objects, and the Secret for KFP and KServe once its key works."""
        return objectstore.objects(team_tenant(wish.team), wish, quota=wish.detail.quota, keep=wish.keep_data)

    def ready(self, wish: TeamWish[ArtifactsSpec], made: Mapping[str, Obj]) -> Ready:
        """Return ready once the store accepts the key and the Secret exists."""
        tenant = team_tenant(wish.team)
        return objectstore.ready(tenant, wish, super().ready(wish, objectstore.in_use(tenant, wish, made)))

    def generations(self, wish: TeamWish[ArtifactsSpec]) -> Collection[int]:
        """Return the generations that have a key in the store."""
        return objectstore.backend(wish.platform).generations(team_tenant(wish.team), wish.observed)

    def accepts(self, wish: TeamWish[ArtifactsSpec], generation: int) -> Ready:
        """Tell whether the store accepts the key."""
        return objectstore.backend(wish.platform).opens(team_tenant(wish.team), wish.observed, generation)

    def binding(self, wish: TeamWish[ArtifactsSpec]) -> dict[str, str]:
        """Return the S3 endpoint, the bucket and its key."""
        access = objectstore.access(team_tenant(wish.team), wish)
        if access is None:
            return {}
        return {
            "AWS_ACCESS_KEY_ID": access.access_key,
            "AWS_DEFAULT_REGION": wish.platform.region,
            "AWS_ENDPOINT_URL": wish.platform.s3_endpoint,
            "AWS_REGION": wish.platform.region,
            "AWS_SECRET_ACCESS_KEY": access.secret_key,
            "VELLUM_BUCKET": access.bucket,
        }

    def endpoints(self, wish: TeamWish[ArtifactsSpec]) -> dict[str, str]:
        """Return the address of S3, and the bucket's name."""
        return {"s3": wish.platform.s3_endpoint, "bucket": bucket_of(wish)}

    def policy(self, wish: TeamWish[ArtifactsSpec]) -> Policy:
        """Allow S3."""
        return objectstore.backend(wish.platform).policy(wish.platform)

    def requires(self, wish: TeamWish[ArtifactsSpec]) -> Mapping[str, Requirement]:
        """Require the Secret of the key, if the key is given."""
        return objectstore.backend(wish.platform).requires(team_tenant(wish.team))

    def adoption(self, wish: TeamWish[ArtifactsSpec]) -> Mapping[str, Requirement]:
        """Require the objects of the derived names, which must not belong to another owner."""
        return objectstore.backend(wish.platform).adoption(team_tenant(wish.team))


def bucket_of(wish: TeamWish[Any]) -> str:
    """Return the name of the team's bucket; before a key is given, the derived name."""
    access = objectstore.access(team_tenant(wish.team), wish)
    return access.bucket if access else wish.team.bucket


component = BucketComponent()
