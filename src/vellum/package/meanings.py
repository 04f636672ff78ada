"""What a change of a field or an object means for the platform engineer, as sentences of the upgrade page."""

from __future__ import annotations

from vellum.components import platform_components, team_components
from vellum.model.component import AnyComponent

_DECIDED = "it cannot change later: Vellum refuses another value ({}) and changes nothing"
_ONLY_UP = "it only goes up, so rendering the earlier files does not undo it; a lower one is refused"
_OVERLAP = "how long older keys are accepted; nothing restarts"
KEYS_UNSAID = "nothing changes now; made again, it continues with the highest generation recorded beside the seed"
_PLATFORM = {
    "profile": "light may become standard, which brings Istio; every other change is refused (ProfileChanged) and "
    "changes nothing",
    "objectStore.backend": _DECIDED.format("StoreChanged"),
    "artifacts.bucket": _DECIDED.format("BucketChanged"),
    "objectStore": "every client of the store gets the new address; data stays where it is",
    "charts.patches": "Helm upgrades that release once",
    "charts": "Helm pulls charts from there at its next upgrade",
    "keys.generation": "unless it has these keys already, Kubeflow Pipelines' API server and UI are rolled by one Helm "
    f"upgrade, and the old key ends with the overlap; {_ONLY_UP}",
    "keys.overlap": _OVERLAP,
    "repair": "while it is disabled, deleted or edited objects of charts are not restored",
    "images": "pods that run it are replaced",
}
"""The effect of a change, by field of the platform that does not belong to a part."""
REFUSED = ("profile", "objectStore.backend", "artifacts.bucket")
_CLAIM = {
    "size": "quota, requests and limits change; pods are replaced",
    "deletionPolicy": "decides what happens to bucket and vectors when the claim is deleted; nothing happens now",
    "owner": "an annotation of the team's namespace changes",
    "costCenter": "a label of the team's namespace changes",
    "keys.generation": "unless it has these keys already, Qdrant and the notebook restart and kernels end, the search "
    f"restarts, and the old keys end, the bucket's with the overlap; {_ONLY_UP}",
    "keys.overlap": _OVERLAP,
}
"""The effect of a change, by field of the claim that does not belong to a part."""
OTHER = {
    "Provider": "Crossplane replaces the provider's pod; releases stay as they are, and meanwhile nothing is repaired",
    "Function": "Crossplane replaces the function's pods; claims stay as they are, and meanwhile nothing is composed",
    "DeploymentRuntimeConfig": "Crossplane replaces the pods of that package",
    "Composition": "every claim and the platform are composed once more, with the same result if nothing else changes",
    "ClusterRole": "rights change immediately",
    "ClusterRoleBinding": "rights change immediately",
    "ValidatingAdmissionPolicy": "what the API server refuses changes immediately",
    "Namespace": "claims are stored there",
}
BOUND = "the API server refuses another roleRef: delete the binding first, then apply; in between it grants no rights"
MIGRATE = ("/mysql", "/kfp-api-server", "/ml_metadata_store_server")
"""Ends of the paths of a chart's images that migrate such files at their start."""


def of_claim() -> dict[str, str]:
    """Return the effect of a change by field of the claim."""
    return {**_CLAIM, **{path: text for part in team_components().values() for path, text in part.means}}


def of_platform() -> dict[str, str]:
    """Return the effect of a change by field of the platform, or by a block of fields."""
    return {**_PLATFORM, **{path: text for part in platform_components().values() for path, text in part.means}}


def switches() -> tuple[str, ...]:
    """Return the fields of a claim that remove something when they are disabled."""
    return tuple(part.switch for part in team_components().values() if part.switch)


def opens(name: str) -> str:
    """Return the warning about another version of a part that opens the data of all teams; empty for other parts."""
    part = platform_components().get(name) or team_components().get(name)
    if part is None or part.data is None or not part.data.all_teams:
        return ""
    return f"it opens {part.data.all_teams}: back it up first, as an older version may not read what a newer one wrote"


def image_opens(path: str) -> str:
    """Return that warning for an image, by its field of the platform, such as ``images.qdrant``."""
    parts: dict[str, AnyComponent] = {**platform_components(), **team_components()}
    return "".join(opens(name) for name, part in parts.items() if path == f"images.{part.image}")


def lost_with_a_claim() -> tuple[list[str], list[str]]:
    """Return the data that is deleted with a team's namespace, and the data that ``deletionPolicy`` decides about."""
    data = [part.data for part in team_components().values() if part.data]
    return [item.name for item in data if item.in_namespace], [item.name for item in data if not item.in_namespace]
