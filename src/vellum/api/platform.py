"""``KubeflowPlatform``: what Crossplane installs. Its ``profile`` names the place, so that a claim does not have to."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, create_model, field_validator

from vellum.api import patches
from vellum.api.claim import CROSSPLANE_FIELDS, Switch
from vellum.api.keys import KeysSpec
from vellum.api.status import PlatformStatus, platform_status
from vellum.components import all_components, platform_components
from vellum.kube.names import bucket_name, is_dns_label
from vellum.kube.objects import Obj, make, status_of
from vellum.model.component import AnyPlatformComponent, Spec
from vellum.model.platform import LAPTOP, PLATFORM, REGION, PlatformFacts
from vellum.model.release import Charts, ReleaseComponent
from vellum.model.types import Refused

KIND, NAME = PLATFORM.kind, PLATFORM.name
DEFAULT_BUCKET = "vellum-artifacts"


def _not_a_teams(bucket: str) -> str:
    if bucket.startswith(bucket_name("")) and bucket != DEFAULT_BUCKET:
        raise ValueError(f"a team may have {bucket!r}: names with {bucket_name('')} are derived from claims")
    return bucket


def _reachable(endpoint: str) -> str:
    host, _, port = endpoint.partition("://")[2].partition(":")
    if not all(map(is_dns_label, host.split("."))):
        raise ValueError(f"{host!r} is neither a host name nor an IPv4 address")
    if port and int(port) > 65535:  # noqa: PLR2004  # the highest port
        raise ValueError(f"{port} is not a port")
    return endpoint


Bucket = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{1,61})[a-z0-9]$"), AfterValidator(_not_a_teams)]
ImageName = Annotated[
    str,
    StringConstraints(
        max_length=512,
        pattern=r"^[a-z0-9][-a-z0-9.:]*(/[a-z0-9][-a-z0-9._]*)+"
        r"(:[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}|(:[A-Za-z0-9_][-A-Za-z0-9_.]{0,127})?@sha256:[0-9a-f]{64})$",
    ),
    Field(examples=[f"registry.example.org/vellum@sha256:{'0' * 64}"]),
]
Repository = Annotated[
    str, StringConstraints(max_length=253, pattern=r"^((oci|https|http)://[a-z0-9][-a-z0-9.:/_]*[a-z0-9/])?$")
]
Endpoint = Annotated[
    str,
    StringConstraints(max_length=261, pattern=r"^https?://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[1-9][0-9]{0,4})?$"),
    AfterValidator(_reachable),
]
Region = Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z0-9][-a-z0-9_]*$")]
PatchText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32768),
    AfterValidator(patches.checked),
    Field(json_schema_extra={"pattern": patches.START}),
]
LOCAL_IMAGE = "laptop.invalid/none"
"""A laptop runs processes from wheels. The objects still need an image, and this one can never be pulled."""


class ArtifactsSpec(Spec):
    """Where Kubeflow Pipelines keeps its artifacts."""

    bucket: Bucket = Field(default=DEFAULT_BUCKET, description="The platform's bucket", examples=["artifacts-eu"])


class ObjectStoreSpec(Spec):
    """The object store of all buckets."""

    backend: Literal["seaweedfs", "external"] = Field(
        default="seaweedfs",
        description="The object store behind every bucket: `seaweedfs` is installed, `external` is an existing store; "
        "it cannot change later",
    )
    endpoint: Endpoint | None = Field(
        default=None,
        description="The address of an external store, without a path: buckets are addressed by path",
        examples=["https://s3.example.org"],
        validate_default=True,
    )
    region: Region = Field(default=REGION, description="The region of an external store", examples=["eu-central-1"])

    @field_validator("endpoint")
    @classmethod
    def _of_an_external_store(cls, endpoint: str | None, info: ValidationInfo) -> str | None:
        backend = info.data.get("backend")
        if backend == "external" and endpoint is None:
            raise Refused("an external store needs an endpoint", "write endpoint: https://HOST, or with :PORT")
        if backend == "seaweedfs" and endpoint is not None:
            raise Refused("only an external store has an endpoint", "delete endpoint, or write backend: external")
        return endpoint

    @field_validator("region")
    @classmethod
    def _of_what_has_regions(cls, region: str, info: ValidationInfo) -> str:
        if info.data.get("backend") == "seaweedfs" and region != REGION:
            raise Refused(
                f"only an external store has another region than {REGION}", "delete region, or write backend: external"
            )
        return region


class ChartsSpec(Spec):
    """Where Helm finds charts."""

    repository: Repository = Field(
        default="",
        description="A registry with every chart; default: each project's own registry",
        examples=["oci://registry.example.org/charts"],
    )
    own: Repository = Field(
        default="",
        description="A registry with Vellum's own charts; default: the registry with every chart",
        examples=["oci://registry.example.org/vellum"],
    )
    plainHTTP: bool = Field(  # noqa: N815  # the API's spelling
        default=False, description="Whether the registry uses HTTP: only for a registry on the same machine"
    )
    patches: dict[str, PatchText] = Field(
        default={},
        description="Kustomize patches for what a part's chart renders, by part",
        examples=[{"kserve": "- target: {kind: ConfigMap}\n  patch: '[{op: remove, path: /data/a}]'"}],
    )

    @field_validator("patches")
    @classmethod
    def _of_parts(cls, patches: dict[str, str]) -> dict[str, str]:
        known = {name for name, part in platform_components().items() if isinstance(part, ReleaseComponent)}
        for name in patches:
            if name not in known:
                raise ValueError(f"part {name[:64]!r} does not have a chart; parts that do: {', '.join(sorted(known))}")
        return patches


class PlatformWideSpec(Spec):
    """The fields that concern the whole platform."""

    profile: Literal["local", "light", "standard"] = Field(default=LAPTOP, description="The place: local is a laptop")
    artifacts: ArtifactsSpec = Field(default=ArtifactsSpec(), description="Kubeflow Pipelines' bucket")
    charts: ChartsSpec = Field(default=ChartsSpec(), description="Where charts come from")
    repair: Literal["enabled", "disabled"] = Field(
        default="enabled",
        description="Whether Vellum restores deleted or edited objects of installed charts; Helm alone does not",
    )
    objectStore: ObjectStoreSpec = Field(  # noqa: N815  # the API's spelling
        default=ObjectStoreSpec(), description="The object store"
    )
    keys: KeysSpec = Field(default=KeysSpec(), description="The generation of the platform's own key to its bucket")

    @field_validator("objectStore")
    @classmethod
    def _made_on_laptops(cls, store: ObjectStoreSpec, info: ValidationInfo) -> ObjectStoreSpec:
        # The laptop's own gateway answers S3, and a laptop has no kubectl to give it a Secret.
        if store.backend == "external" and info.data.get("profile") == LAPTOP:
            raise Refused(
                "a laptop always runs its own object store", "write profile: light or standard, or delete objectStore"
            )
        return store


@cache
def _images_spec() -> type[Spec]:
    users: dict[str, list[str]] = {}
    for part in all_components().values():
        if part.image:
            users.setdefault(part.image, []).append(part.name)
    fields: dict[str, Any] = {
        image: (ImageName | None, Field(default=None, description=f"What runs {' and '.join(names)}"))
        for image, names in sorted(users.items())
    }
    return create_model("ImagesSpec", __base__=Spec, __doc__="Images, by digest or tag.", **fields)


@cache
def platform_spec() -> type[PlatformWideSpec]:
    """Return the model of the platform's spec, which is made from the catalogue."""
    switches = dict.fromkeys(part.switch for part in platform_components().values() if part.switch)
    fields: dict[str, Any] = {
        switch: (Switch, Field(default="disabled", description=_switched(switch))) for switch in switches
    }
    fields |= {
        part.block: (part.spec, Field(default_factory=part.spec, description=f"Details: {part.summary}"))
        for part in platform_components().values()
        if part.block
    }
    images = _images_spec()
    words = "Images, by digest or tag; a part without an image is not composed"
    fields["images"] = (images, Field(default_factory=images, description=words))
    return create_model("PlatformSpec", __base__=PlatformWideSpec, **fields)


def _switched(switch: str) -> str:
    parts = [part for part in platform_components().values() if part.switch == switch]
    return "; ".join(part.summary for part in parts)


@dataclass(frozen=True, slots=True)
class Platform:
    """One valid platform object, and what its status records."""

    spec: PlatformWideSpec
    uid: str = ""
    generation: int = 0
    status: PlatformStatus = field(default_factory=PlatformStatus)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def left_out(self) -> dict[str, str]:
        """Return the parts that the platform leaves out, each with the field that adds it."""
        return {
            name: f"the platform leaves it out; write spec.{part.switch}: enabled in KubeflowPlatform {NAME}"
            for name, part in platform_components().items()
            if self._could(part) and self._is_off(part)
        }

    @property
    def waiting(self) -> dict[str, str]:
        """Return why each part that claims may need is not ready, or is left out."""
        wanted = [name for name, part in platform_components().items() if self.wants(part)]
        reasons = {name: self.status.waits_for(name) for name in wanted}
        return self.left_out | {name: reason for name, reason in reasons.items() if reason is not None}

    @property
    def repairs(self) -> bool:
        """Whether the release guard may repair."""
        return self.spec.repair == "enabled"

    @property
    def charts(self) -> Charts:
        """Where Helm finds charts."""
        spec = self.spec.charts
        return Charts(spec.repository, spec.own, spec.plainHTTP, spec.patches)

    def wants(self, component: AnyPlatformComponent) -> bool:
        """Tell whether the profile and the object store have the component, and its switch is on."""
        return self._could(component) and not self._is_off(component)

    def _could(self, component: AnyPlatformComponent) -> bool:
        return self.spec.profile in component.profiles and self.spec.objectStore.backend in component.backends

    def _is_off(self, component: AnyPlatformComponent) -> bool:
        if not component.switch or self.spec.profile == LAPTOP:
            return False
        return bool(getattr(self.spec, component.switch) == "disabled")

    def detail(self, component: AnyPlatformComponent) -> Spec:
        """Return the platform's settings for the component."""
        detail: Spec = getattr(self.spec, component.block) if component.block else component.spec()
        return detail

    @property
    def _laptop_gateway(self) -> str:
        # Known before the status has it. Otherwise the first Secrets would name Services that a laptop lacks, and
        # after the gateway moves they would name the old port.
        blocks = self.spec.model_dump()
        return f"http://127.0.0.1:{blocks['gateway']['port']}"

    @property
    def facts(self) -> PlatformFacts:
        """The facts of the platform that the composition of a claim may use."""
        images: Spec = getattr(self.spec, "images")  # noqa: B009  # a field made from the catalogue
        on_laptop = self.spec.profile == LAPTOP
        local = dict.fromkeys(type(images).model_fields, LOCAL_IMAGE) if on_laptop else {}
        return PlatformFacts(
            profile=self.spec.profile,
            artifacts_bucket=self.spec.artifacts.bucket,
            images={**local, **images.model_dump(exclude_none=True)},
            gateway=self._laptop_gateway if on_laptop else self.status.gateway,
            backend=self.spec.objectStore.backend,
            external=self.spec.objectStore.endpoint or "",
            region=self.spec.objectStore.region,
            waiting=self.waiting,
        )

    def manifest(self) -> Obj:
        """Return the platform as it is stored."""
        spec = self.spec.model_dump(mode="json", exclude_none=True)
        return make(*PLATFORM.gvk, NAME, labels=self.labels, annotations=self.annotations, spec=spec)


def from_live(obj: Obj) -> Platform:
    """Return the platform of a stored object.

    Raises:
        pydantic.ValidationError: the stored spec does not fit the model.
    """
    meta = obj["metadata"]
    written = {name: value for name, value in (obj.get("spec") or {}).items() if name not in CROSSPLANE_FIELDS}
    return Platform(
        spec=platform_spec().model_validate(written),
        uid=meta.get("uid", ""),
        generation=meta.get("generation", 0),
        status=platform_status(status_of(obj)),
    )
