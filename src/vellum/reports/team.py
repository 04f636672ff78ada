"""Describe a team from its claim's status: its parts, what each waits for, and what a deletion removes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vellum.components import team_components
from vellum.components.notebook import HOME
from vellum.kube.objects import Obj, status_of
from vellum.model.team import Team
from vellum.reports import table

NOTEBOOK_HOME, BUCKET, VECTORS = "notebook's home", "bucket", "vectors"
_OTHER_STORE = "Vellum does not run its store, so nothing in it is deleted"
_CLUSTER_HOME = "its volume is in the team's namespace; only a StorageClass with reclaimPolicy Retain keeps the disk"


@dataclass(frozen=True, slots=True)
class Fate:
    """Whether deleting the claim removes one thing of the team."""

    what: str
    name: str
    stays: bool
    why: str = ""

    def as_dict(self) -> Obj:
        """Return plain data without the fields that are unknown."""
        fields: Obj = {"what": self.what, "name": self.name, "stays": self.stays}
        return {**fields, "why": self.why} if self.why else fields


def fates(claim: Obj, *, laptop: bool, external: bool = False) -> list[Fate]:
    """Return what deleting the claim removes, and what stays.

    Args:
        claim: the claim as it is stored.
        laptop: whether the claim is on this machine: a cluster cannot keep a volume without its namespace.
        external: whether the bucket is in a store that Vellum does not run.
    """
    meta, status = claim["metadata"], status_of(claim)
    team = Team(meta["namespace"], meta["name"], "")
    keep = (claim.get("spec") or {}).get("deletionPolicy", "Retain") == "Retain"
    bucket = str((status.get("endpoints") or {}).get("bucket") or team.bucket)
    return [
        Fate("namespace", team.namespace, stays=False, why="with its keys, jobs, models and settings"),
        Fate(NOTEBOOK_HOME, HOME, keep and laptop, "" if laptop else _CLUSTER_HOME),
        Fate(BUCKET, bucket, keep or external, _OTHER_STORE if external else ""),
        Fate(VECTORS, team.qdrant, keep),
    ]


def fate_lines(items: list[Fate], sizes: Mapping[str, str]) -> list[str]:
    """Return a line for each thing: whether it stays, its name, its size."""
    rows = [
        (
            "stays" if item.stays else "goes",
            item.what,
            item.name,
            "; ".join(filter(None, (sizes.get(item.what), item.why))),
        )
        for item in items
    ]
    return [table.GAP + line for line in table.lines(("", "", "", ""), rows)[1:]]


def parts(claim: Obj) -> list[Obj]:
    """Return the team's parts as its status lists them, each with its purpose."""
    known = team_components()
    listed = status_of(claim).get("components") or ()
    return [
        {**item, "summary": known[item["name"]].summary} if item["name"] in known else dict(item) for item in listed
    ]


def text(claim: Obj, items: list[Fate]) -> str:
    """Return the parts as a table with what each waits for, then addresses, then what a deletion does."""
    lines = ["it is not composed yet; next: the control plane"]
    if listed := parts(claim):
        rows = [(item["name"], "ready" if item["ready"] else "waits", item.get("summary", "")) for item in listed]
        head, *rest = table.lines(("PART", "STATE", "WHAT IT IS"), rows)
        lines = [head]
        for item, row in zip(listed, rest, strict=True):
            lines.append(row)
            if item.get("reason"):
                after = "" if item["ready"] else f"; next: {item.get('actor', 'the control plane')}"
                lines.append(f"{table.GAP}{item['reason']}{after}")
    places = status_of(claim).get("endpoints") or {}
    if places:
        lines += ["", *table.lines(("ADDRESS", ""), list(places.items()))]
    policy = (claim.get("spec") or {}).get("deletionPolicy", "Retain")
    return "\n".join([*lines, "", f"WHEN THE CLAIM IS DELETED (deletionPolicy: {policy})", *fate_lines(items, {})])
