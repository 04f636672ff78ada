"""How live objects differ from the rendered ones, and a live Release from the composed one. Pure.

Every rendered field must be live; other live fields are fine: defaults, injected sidecars.
Crossplane applies what Vellum composes, so it restores a composed field that another actor changed. Server-side apply
leaves a field that another actor added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vellum.compose.helm import normal
from vellum.compose.helm.normal import Path
from vellum.compose.helm.records import Rendered
from vellum.kube.objects import Json, Obj

_ONLY_THERE = frozenset({"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})
"""Their own controllers write into them (certificates; istiod also the failure policy), so only absence is a fault."""
_NOT_COMPARED = frozenset({"apiVersion", "kind", "metadata", "status"})
_SCALABLE = frozenset({"Deployment", "StatefulSet"})
_MERGE_KEYS = ("name", "containerPort", "port", "mountPath", "key", "ip")
REPLICAS: Path = ("spec", "replicas")
Fields = tuple[str, ...]
DEFAULTS: Obj = {
    "deletionPolicy": "Delete",
    "managementPolicies": ["*"],
    "forProvider": {"chart": {"pullSecretRef": {"name": "", "namespace": ""}}},
    "providerConfigRef": {"kind": "ProviderConfig", "policy": {"resolution": "Required", "resolve": "Always"}},
}
"""Fields that the API server or Crossplane's runtime writes into a Release (provider-helm 1.3.0)."""
COMPOSER = "apiextensions.crossplane.io/composed"
"""The prefix of the field manager with which Crossplane applies a function's objects."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs from the rendered one; ``live`` is None if the field is gone."""

    path: Path
    live: Any
    rendered: bool = True
    """Whether the manifest has the field; if not, an upgrade alone does not restore it."""

    def __str__(self) -> str:
        return "".join(f".{step}" if isinstance(step, str) else f"[{step}]" for step in self.path)


def differences(want: Rendered, live: Obj, *, scaled: bool = False) -> Iterator[Difference]:
    """Yield the fields of a live object that differ from the rendered ones.

    Args:
        want: the rendered object.
        live: the object in the API server.
        scaled: whether an autoscaler owns the number of replicas; it leaves 0 at 0.
    """
    if want.kind.kind in _ONLY_THERE:
        return
    for name, value in want.manifest.items():
        if name not in _NOT_COMPARED:
            for difference in _differences(value, live.get(name), (name,)):
                if not (scaled and difference.path == REPLICAS and difference.live != 0):
                    yield difference
    if _is_switched_off(want, live):
        yield Difference(REPLICAS, 0, rendered=False)


def _is_switched_off(want: Rendered, live: Obj) -> bool:
    """Tell whether a workload is scaled to 0 whose chart sets no number, such as KServe's."""
    if want.kind.kind not in _SCALABLE or "replicas" in want.manifest["spec"]:
        return False
    return bool(live["spec"].get("replicas") == 0)


def _differences(want: Json, live: Json, path: Path) -> Iterator[Difference]:
    if normal.same(want, live, path):
        return
    if isinstance(want, dict) and isinstance(live, Mapping):
        for name, value in normal.with_account(want, path).items():
            yield from _differences(value, live.get(name), (*path, name))
    elif isinstance(want, list) and isinstance(live, list) and (pairs := _pairs(want, live)) is not None:
        for place, (item, other) in enumerate(pairs):
            yield from _differences(item, other, (*path, place))
    else:
        yield Difference(path, live)


def _pairs(want: list[Any], live: list[Any]) -> list[tuple[Any, Any]] | None:
    """Return each wanted entry with its live one; None if the lists cannot be matched."""
    key = next((key for key in _MERGE_KEYS if _identifies(key, want)), "")
    if key:
        # The API server drops an empty name.
        by_key = {item.get(key) or "": item for item in live if isinstance(item, Mapping)}
        return [(item, by_key.get(item[key] or "")) for item in want]
    return list(zip(want, live, strict=True)) if len(want) == len(live) else None


def _identifies(key: str, entries: list[Any]) -> bool:
    if not all(isinstance(entry, dict) and key in entry for entry in entries):
        return False
    return len({entry[key] for entry in entries}) == len(entries) > 0


def settled(live: Obj, wanted: Obj) -> bool:
    """Tell whether the live chart and values are the composed ones; fields that others added do not count."""
    return not any(_changed(_part(wanted), _part(live)))


def foreign(live: Obj, wanted: Obj) -> list[Fields]:
    """Return the paths of fields in the live spec that are not composed and that Crossplane did not apply."""
    ours = _applied(live)
    return [path for path in _added(live["spec"], wanted["spec"], DEFAULTS) if not _has(ours, ("spec", *path))]


def listed(paths: list[Fields]) -> str:
    """Return the paths as text."""
    return ", ".join("." + ".".join(("spec", *path)) for path in paths)


def removal(name: str, paths: list[Fields]) -> str:
    """Return the command that removes the fields."""
    steps = ", ".join(f'{{"op": "remove", "path": "{pointer(("spec", *path))}"}}' for path in paths)
    return f"kubectl patch releases.helm.crossplane.io {name} --type=json -p '[{steps}]'"


def _part(release: Obj) -> Obj:
    provider = release["spec"]["forProvider"]
    return {"chart": provider.get("chart") or {}, "values": provider.get("values") or {}}


def _changed(wanted: Json, live: Json) -> Iterator[bool]:
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for name, value in wanted.items():
            yield from _changed(value, live.get(name))
    elif wanted != live:
        yield True


def _added(live: Json, wanted: Json, known: Json, path: Fields = ()) -> Iterator[Fields]:
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        for name, value in live.items():
            default = known.get(name) if isinstance(known, Mapping) else None
            if name in wanted:
                yield from _added(value, wanted[name], default, (*path, name))
            elif value not in (default, None) and not (_is_empty(value) and "values" not in path):
                yield (*path, name)


def _is_empty(value: Json) -> bool:
    """Tell whether the value is empty: provider-helm writes the whole object, with an empty ``pullSecretRef``."""
    if isinstance(value, Mapping):
        return all(map(_is_empty, value.values()))
    return value in (None, "", [], False, 0)


def _applied(live: Obj) -> Obj:
    """Return the tree of fields that Crossplane applied, in the form of ``managedFields``."""
    for entry in live["metadata"].get("managedFields") or ():
        if str(entry.get("manager", "")).startswith(COMPOSER):
            result: Obj = entry.get("fieldsV1") or {}
            return result
    return {}


def _has(fields: Mapping[str, Any], path: Fields) -> bool:
    for step in path:
        if f"f:{step}" not in fields:
            return False
        fields = fields[f"f:{step}"]
    return True


def pointer(path: Path) -> str:
    """Return the path as a JSON pointer."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
