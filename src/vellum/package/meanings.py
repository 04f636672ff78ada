"""What a change of a field or an object means for the platform engineer, as sentences of the upgrade page."""

from __future__ import annotations

_DECIDED = "it cannot change later: Vellum refuses another value ({}) and changes nothing"
_ONLY_UP = "it only goes up, so rendering the earlier files does not undo it; a lower one is refused"
_OVERLAP = "how long older keys are accepted; nothing restarts"
KEYS_UNSAID = (
    "nothing changes now; made again, it continues with the highest generation recorded beside the seed"
)
PLATFORM = {
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
    "training": "enabled: Kubeflow Trainer is installed; disabled: refused where it is installed (ProfileChanged), and "
    "then nothing changes",
    "gateway.port": "only a laptop has that port: nothing changes on a cluster",
    "repair": "while it is disabled, deleted or edited objects of charts are not restored",
    "images": "pods that run it are replaced",
}
"""By field of the platform; the longest matching path counts."""
REFUSED = ("profile", "objectStore.backend", "artifacts.bucket")
SWITCHES = ("notebooks", "pipelines", "inference", "training")
"""Fields of a claim that remove something when they are disabled."""
CLAIM = {
    "size": "quota, requests and limits change; pods are replaced",
    "deletionPolicy": "decides what happens to bucket and vectors when the claim is deleted; nothing happens now",
    "owner": "an annotation of the team's namespace changes",
    "costCenter": "a label of the team's namespace changes",
    "keys.generation": "unless it has these keys already, Qdrant and the notebook restart and kernels end, the search "
    f"restarts, and the old keys end, the bucket's with the overlap; {_ONLY_UP}",
    "keys.overlap": _OVERLAP,
    "artifacts.quota": "the store takes no more than that from now on; what is in the bucket stays",
    "notebooks": "disabled: the notebook's server is deleted, its home stays; enabled: it is made",
    "pipelines": "the settings for runs are added or removed; earlier runs stay in Kubeflow",
    "inference": "the search service is added or removed; bucket and vectors stay",
    "training": "disabled: the team's account may no longer make, see or end TrainJobs, nor serve its own models, "
    "and requests of running programs with these rights are refused; existing jobs and services stay; enabled: it may",
    "search.replicas": "pods of the search service are added or removed",
    "notebook.storage": "a home keeps the size with which it was made",
    "vectors.storage": "a volume keeps the size with which it was made",
}
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
DATA = {
    "kubeflow-pipelines": "the database of Pipelines",
    "storage": "the object store with every bucket",
    "qdrant": "the vectors of every team",
}
"""Parts whose programs open files that outlive them."""
MIGRATE = ("/mysql", "/kfp-api-server", "/ml_metadata_store_server")
"""Ends of the paths of a chart's images that migrate such files at their start."""


def opens(part: str) -> str:
    """Return the sentence about another version of such a part."""
    return f"it opens {DATA[part]}: back it up first, as an older version may not read what a newer one wrote"
