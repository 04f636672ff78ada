"""``MLOpsPlatform``: the claim, whose model is made from the catalogue of components; see docs/reference/claim.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, create_model

from vellum.api.keys import KeysSpec
from vellum.components import team_components
from vellum.kube.objects import Obj, make, status_of
from vellum.model import team
from vellum.model.component import AnyTeamComponent, Size, Spec
from vellum.model.team import Team

API_VERSION, KIND, XR_KIND = team.API_VERSION, team.CLAIM.kind, team.COMPOSITE_KIND

Switch = Literal["enabled", "disabled"]

CROSSPLANE_FIELDS = frozenset(
    {
        "claimRef",
        "compositeDeletePolicy",
        "compositionRef",
        "compositionRevisionRef",
        "compositionRevisionSelector",
        "compositionSelector",
        "compositionUpdatePolicy",
        "crossplane",
        "environmentConfigRefs",
        "publishConnectionDetailsTo",
        "resourceRef",
        "resourceRefs",
        "writeConnectionSecretToRef",
    }
)
"""Crossplane writes these into the spec of every claim and composite. Vellum accepts and ignores them."""
CROSSPLANE_DEFAULTS = {"compositeDeletePolicy": "Foreground", "compositionUpdatePolicy": "Automatic"}
"""What the API server or Crossplane sets where a claim does not."""


class ClaimWideSpec(Spec):
    """The fields that concern every component."""

    owner: Annotated[str, StringConstraints(max_length=253, pattern=r"^[^\x00-\x1f\x7f]*$")] = Field(
        default="",
        description="Who is responsible for the team: an annotation on its namespace",
        examples=["ada@example.org"],
    )
    costCenter: Annotated[  # noqa: N815  # the API's spelling
        str, StringConstraints(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")
    ] = Field(
        default="",
        description="Who pays: a label on the namespace, so at most 63 of A-Z a-z 0-9 - _ .",
        examples=["4711"],
    )
    size: Size = Field(default="small", description="Quota, and the requests and limits of every part")
    deletionPolicy: Literal["Retain", "Delete"] = Field(  # noqa: N815  # the API's spelling
        default="Retain",
        description="What happens to the bucket and the vectors when the claim is deleted; "
        "a bucket in an external store always stays",
    )
    keys: KeysSpec = Field(default=KeysSpec(), description="The generation of the team's keys")


@cache
def claim_spec() -> type[ClaimWideSpec]:
    """Return the model of the claim's spec: the claim-wide fields and the fields of each component."""
    fields: dict[str, Any] = {}
    for component in team_components().values():
        if component.switch:
            fields[component.switch] = (Switch, Field(component.default, description=component.summary))
        if component.block:
            block = component.spec
            fields[component.block] = (block, Field(default_factory=block, description=f"Details: {component.summary}"))
    return create_model("ClaimSpec", __base__=ClaimWideSpec, **fields)


@dataclass(frozen=True, slots=True)
class Claim:
    """One valid claim. ``uid`` is empty until a control plane has stored the claim."""

    namespace: str
    name: str
    spec: ClaimWideSpec
    uid: str = ""
    generation: int = 0
    deleting: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    rotation: Mapping[str, Any] = field(default_factory=dict)
    """What the status records about the team's keys."""

    @property
    def team(self) -> Team:
        """The team of the claim."""
        return Team(self.namespace, self.name, self.uid)

    def wants(self, component: AnyTeamComponent) -> bool:
        """Tell whether the claim asks for the component."""
        return not component.switch or getattr(self.spec, component.switch) == "enabled"

    def detail(self, component: AnyTeamComponent) -> Spec:
        """Return the claim's settings for the component."""
        detail: Spec = getattr(self.spec, component.block) if component.block else component.spec()
        return detail

    def manifest(self) -> Obj:
        """Return the claim as it is stored: the fields that were written and every default."""
        spec = self.spec.model_dump(mode="json", exclude_none=True)
        return make(*team.CLAIM, self.name, self.namespace, labels=self.labels, annotations=self.annotations, spec=spec)


def from_live(obj: Obj) -> Claim:
    """Return the claim of a stored claim, or of a composite that carries its ``claimRef``.

    Raises:
        pydantic.ValidationError: the stored spec does not fit the model; the caller answers with a condition.
    """
    meta, spec = obj["metadata"], dict(obj.get("spec") or {})
    # Ignored on a claim: with a claimRef, its author could act in the name of another team.
    reference = (spec.get("claimRef") or {}) if obj["kind"] != KIND else {}
    written = {name: value for name, value in spec.items() if name not in CROSSPLANE_FIELDS}
    return Claim(
        namespace=reference.get("namespace") or meta.get("namespace", ""),
        name=reference.get("name") or meta["name"],
        spec=claim_spec().model_validate(written),
        uid=meta.get("uid", ""),
        generation=meta.get("generation", 0),
        deleting="deletionTimestamp" in meta,
        rotation=status_of(obj).get("keys") or {},
    )
