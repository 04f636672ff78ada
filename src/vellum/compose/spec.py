"""Compare the live spec of a Release with the composed one: which fields differ, and who owns them. Pure.

Crossplane applies what Vellum composes, so it restores a composed field that another actor changed. A field that
another actor added is not ours, and server-side apply leaves it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vellum.kube.objects import Obj

Path = tuple[str, ...]
DEFAULTS: Obj = {
    "deletionPolicy": "Delete", "managementPolicies": ["*"],
    "forProvider": {"chart": {"pullSecretRef": {"name": "", "namespace": ""}}},
    "providerConfigRef": {"kind": "ProviderConfig", "policy": {"resolution": "Required", "resolve": "Always"}},
}  # fmt: skip
"""Fields that the API server or Crossplane's runtime writes into a Release (provider-helm 1.3.0)."""
COMPOSER = "apiextensions.crossplane.io/composed"
"""The prefix of the field manager with which Crossplane applies a function's objects."""


def settled(live: Obj, wanted: Obj) -> bool:
    """Tell whether the live chart and values are the composed ones; fields that others added do not count."""
    return not any(_changed(_part(wanted), _part(live)))


def foreign(live: Obj, wanted: Obj) -> list[Path]:
    """Return the paths of fields in the live spec that are not composed and that Crossplane did not apply."""
    ours = _applied(live)
    return [
        path for path in _added(live["spec"], wanted["spec"], DEFAULTS) if not _has(ours, ("spec", *path))
    ]


def words(paths: list[Path]) -> str:
    """Return the paths as text."""
    return ", ".join("." + ".".join(("spec", *path)) for path in paths)


def removal(name: str, paths: list[Path]) -> str:
    """Return the command that removes the fields."""
    steps = ", ".join(f'{{"op": "remove", "path": "{_pointer(("spec", *path))}"}}' for path in paths)
    return f"kubectl patch releases.helm.crossplane.io {name} --type=json -p '[{steps}]'"


def _part(release: Obj) -> Obj:
    provider = release["spec"]["forProvider"]
    return {"chart": provider.get("chart") or {}, "values": provider.get("values") or {}}


def _changed(wanted: Any, live: Any) -> Iterator[bool]:  # noqa: ANN401  # any JSON
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for name, value in wanted.items():
            yield from _changed(value, live.get(name))
    elif wanted != live:
        yield True


def _added(live: Any, wanted: Any, known: Any, path: Path = ()) -> Iterator[Path]:  # noqa: ANN401  # any JSON
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        for name, value in live.items():
            default = known.get(name) if isinstance(known, Mapping) else None
            if name in wanted:
                yield from _added(value, wanted[name], default, (*path, name))
            elif value not in (default, None) and not (_is_empty(value) and "values" not in path):
                yield (*path, name)


def _is_empty(value: Any) -> bool:  # noqa: ANN401  # any JSON
    """Tell whether the value is empty: provider-helm writes the whole object, with an empty ``pullSecretRef``."""
    if isinstance(value, Mapping):
        return all(map(_is_empty, value.values()))
    return value in (None, "", [], False, 0)


def _applied(live: Obj) -> Obj:
    """Return the tree of fields that Crossplane applied, in the form of ``managedFields``."""
    for entry in live["metadata"].get("managedFields") or ():
        if str(entry.get("manager", "")).startswith(COMPOSER):
            found: Obj = entry.get("fieldsV1") or {}
            return found
    return {}


def _has(fields: Mapping[str, Any], path: Path) -> bool:
    for step in path:
        if f"f:{step}" not in fields:
            return False
        fields = fields[f"f:{step}"]
    return True


def _pointer(path: Path) -> str:
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in path)
