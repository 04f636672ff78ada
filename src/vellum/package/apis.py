"""The two kinds as Crossplane's XRDs.

The claim is a v1 XRD of scope LegacyCluster: only there claims exist, and only such a composite may make a Namespace.
The platform is a v2 XRD of scope Cluster. Sources: crossplane v2.3.4, apis/apiextensions and crossplane-runtime's xcrd.
"""

from __future__ import annotations

from vellum.api import claim, platform, schema
from vellum.kube.objects import DOMAIN, Obj, make
from vellum.model.platform import LAPTOP
from vellum.model.state import PARTS_READY

CLAIM_PLURAL, PLATFORM_PLURAL = "mlopsplatforms", "kubeflowplatforms"
CLAIM_COMPOSITION, PLATFORM_COMPOSITION = "mlopsplatform", "kubeflowplatform"
_LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_TEXT: Obj = {"type": "string"}
_TEXTS: Obj = {"type": "object", "additionalProperties": _TEXT}


def xrds() -> list[Obj]:
    """Return both definitions."""
    claims = {
        "scope": "LegacyCluster",
        "group": DOMAIN,
        "names": {"kind": claim.XR_KIND, "plural": f"x{CLAIM_PLURAL}"},
        "claimNames": {"kind": claim.KIND, "plural": CLAIM_PLURAL, "shortNames": ["mlops"]},
        # With Background the claim would be deleted before its namespace and keys.
        "defaultCompositeDeletePolicy": "Foreground",
        "enforcedCompositionRef": {"name": CLAIM_COMPOSITION},
        "versions": [_version(claim.KIND, _claim_status(), _NAME, _columns("Team", ".status.team"))],
    }
    platforms = {
        "scope": "Cluster",
        "group": DOMAIN,
        "names": {"kind": platform.KIND, "plural": PLATFORM_PLURAL},
        "enforcedCompositionRef": {"name": PLATFORM_COMPOSITION},
        "versions": [_version(platform.KIND, _platform_status(), _ONE, _columns("Profile", ".status.profile"))],
    }
    api = "apiextensions.crossplane.io"
    kind = "CompositeResourceDefinition"
    return [
        make(f"{api}/v1", kind, f"x{CLAIM_PLURAL}.{DOMAIN}", spec=claims),
        make(f"{api}/v2", kind, f"{PLATFORM_PLURAL}.{DOMAIN}", spec=platforms),
    ]


_NAME = {
    "rule": f"self.metadata.name.matches('{_LABEL}')",
    "message": "at most 63 of a-z 0-9 -, a letter or digit first and last",
}
_UPWARDS = {
    "rule": "!has(self.generation) || !has(oldSelf.generation) || self.generation >= oldSelf.generation",
    "message": "generation only goes up: the keys of a lower one were replaced",
}
"""A transition rule. A claim without a generation lowers nothing: compose keeps the current one."""
_ONE = {"rule": f"self.metadata.name == '{platform.NAME}'", "message": f"the platform must be named {platform.NAME}"}


def _version(kind: str, status: Obj, rule: Obj, columns: list[Obj]) -> Obj:
    written = schema.schema(kind)
    spec = {name: value for name, value in written["properties"]["spec"].items() if name != "default"}
    if kind == platform.KIND:
        spec = _on_clusters(spec)
    keys = {**spec["properties"]["keys"], "x-kubernetes-validations": [_UPWARDS]}
    spec = {**spec, "properties": {**spec["properties"], "keys": keys}}
    return {
        "name": claim.API_VERSION.rpartition("/")[2],
        "served": True,
        "referenceable": True,
        "additionalPrinterColumns": columns,
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "description": written["description"],
                "x-kubernetes-validations": [rule],
                "properties": {"spec": spec, "status": {"type": "object", "properties": status}},
            }
        },
    }


def _on_clusters(spec: Obj) -> Obj:
    """Return the platform's spec for Crossplane: the profile is required, and it is not a laptop's."""
    profile = {name: value for name, value in spec["properties"]["profile"].items() if name != "default"}
    profile["enum"] = [name for name in profile["enum"] if name != LAPTOP]
    properties = {**spec["properties"], "profile": profile}
    return {**spec, "properties": properties, "required": [*spec.get("required", ()), "profile"]}


def _columns(name: str, path: str) -> list[Obj]:
    waits = f".status.conditions[?(@.type=='{PARTS_READY}')].message"
    return [
        {"name": name, "type": "string", "jsonPath": path},
        {"name": "Waits-for", "type": "string", "jsonPath": waits},
    ]


def _guard() -> Obj:
    """Return the schema of the release guard's memory and its receipts; see model/repair.py."""
    whole = {"type": "integer"}
    repair: Obj = {
        "at": _TEXT,
        "faults": _TEXTS,
        "since": _TEXTS,
        "revision": whole,
        "open": {"type": "boolean"},
        "undone": {"type": "boolean"},
    }
    memory: Obj = {
        "phase": _TEXT,
        "since": _TEXTS,
        "faults": _TEXTS,
        "nonce": whole,
        "tries": whole,
        "step": _TEXT,
        "patch": _TEXT,
        "repairs": whole,
        "recent": {"type": "array", "items": _TEXT},
        "installed": {"type": "boolean"},
        # Versions before this one wrote a list here. Another type would not fit the status that they stored, and the
        # API server would refuse every change of the platform.
        "brought": {"type": "array", "items": _TEXT},
        "services": _TEXTS,
        "last": {"type": "object", "properties": repair},
    }
    receipt: Obj = {
        "component": {**_TEXT, "description": "The component that owns the object"},
        "object": {**_TEXT, "description": "The object that was repaired"},
        "wrong": {**_TEXT, "description": "What was wrong"},
        "seen": {**_TEXT, "description": "When the fault was seen"},
        "back": {**_TEXT, "description": "When the object was seen repaired"},
        "seconds": {**whole, "description": "Seconds from seen to back"},
        "revision": {**whole, "description": "The Helm revision that repaired it"},
    }
    return {
        "guard": {
            "type": "object",
            "description": "The release guard's memory of each part",
            "additionalProperties": {"type": "object", "properties": memory},
        },
        "receipts": {
            "type": "array",
            "description": "Repairs, newest first",
            "items": {"type": "object", "properties": receipt},
        },
    }


def _components() -> Obj:
    words = {"name": "The part", "reason": "What it waits for, or another note", "actor": "Who must act next"}
    properties: Obj = {name: {**_TEXT, "description": text} for name, text in words.items()}
    properties["ready"] = {"type": "boolean", "description": "Whether the part is ready"}
    properties["serves"] = {"type": "boolean", "description": "Whether it works although it is not ready"}
    properties |= {
        "since": {**_TEXT, "description": "Since when it is ready, or waits"},
        "version": {**_TEXT, "description": "The version of its chart"},
        "revision": {"type": "integer", "description": "Helm's revision"},
        "watched": {"type": "integer", "description": "Objects of the chart that are compared with what Helm made"},
        "repairs": {"type": "integer", "description": "How often it was repaired"},
        "lastRepair": {**_TEXT, "description": "When it was last repaired"},
    }
    item = {"type": "object", "required": ["name", "ready"], "properties": properties}
    return {"type": "array", "description": "Every part, ready or with what it waits for", "items": item}


def _refused() -> Obj:
    """Return the schema of what is recorded about objects that the API server refuses; see compose/refused.py."""
    words = {
        "name": "The object's name in the composition",
        "reason": "Why it is refused",
        "until": "When it is tried again",
    }
    properties: Obj = {name: {**_TEXT, "description": text} for name, text in words.items()}
    properties["tries"] = {"type": "integer", "description": "How often it was tried"}
    properties["object"] = {**_TEXTS, "description": "The object, if it exists"}
    item = {"type": "object", "properties": properties}
    described = "Objects that the API server refuses: they stay as they are, and are tried again later"
    return {"refused": {"type": "array", "description": described, "items": item}}


def _keys() -> Obj:
    """Return the schema of what is recorded about keys; see model/rotation.py."""
    whole = {"type": "integer"}
    previous: Obj = {
        "generation": {**whole, "description": "Which one"},
        "since": {**_TEXT, "description": "When a newer one came into use"},
        "until": {**_TEXT, "description": "When it is removed, if it is not in use then"},
    }
    held: Obj = {
        "by": {**_TEXT, "description": "The object"},
        "generation": {**whole, "description": "The generation of its keys"},
    }
    properties: Obj = {
        "generation": {**whole, "description": "The generation in use"},
        "coming": {**whole, "description": "The next generation, not yet in use"},
        "waits": {**_TEXT, "description": "What it waits for"},
        "single": {**whole, "description": "The generation of servers that accept one key at a time"},
        "previous": {
            "type": "array",
            "description": "Older generations that are still accepted",
            "items": {"type": "object", "properties": previous},
        },
        "held": {
            "type": "array",
            "description": "The holders of keys, until the older ones are gone",
            "items": {"type": "object", "properties": held},
        },
        "removed": {**whole, "description": "All generations up to this one are removed for good"},
    }
    return {
        "keys": {
            "type": "object",
            "description": "Which keys are in use and which are accepted",
            "properties": properties,
        }
    }


def _claim_status() -> Obj:
    return {
        "components": _components(),
        **_keys(),
        **_refused(),
        "deletionPolicy": {
            **_TEXT,
            "description": "The policy of the bucket and the vectors: what a deletion of the claim does to them now",
        },
        "endpoints": {**_TEXTS, "description": "The addresses of the parts"},
        "seedFingerprint": {**_TEXT, "description": "Identifies the seed of the keys without revealing it"},
        "team": {**_TEXT, "description": "The team's namespace"},
    }


def _platform_status() -> Obj:
    return {
        "components": _components(),
        **_guard(),
        **_keys(),
        **_refused(),
        "endpoints": {**_TEXTS, "description": "The addresses of the platform"},
        "objectStore": {**_TEXT, "description": "The backend of every bucket"},
        "profile": {**_TEXT, "description": "The profile that is composed"},
        "artifactsBucket": {**_TEXT, "description": "The bucket of Kubeflow Pipelines' artifacts"},
        "seedFingerprint": {**_TEXT, "description": "Identifies the seed of the keys without revealing it"},
    }
