"""Vellum's own charts, as files: what their values, schema and README say, and which paths each of them names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from tests.charts.keys import Path, leaves

from vellum.kube.objects import Obj
from vellum.package.charts import own

_ROW = re.compile(r"^\| `([\w.]+)` \| (?:`(.*?)`)? ?\| (.+) \|$", re.MULTILINE)
SECRET_WORDS = re.compile(r"pass|secret|token|access_?key", re.IGNORECASE)


def values(name: str) -> Obj:
    """Return the chart's values."""
    said: Obj = yaml.safe_load(own(name)["values.yaml"])
    return said


def paths(name: str) -> list[str]:
    """Return the path of every value."""
    return [".".join(path) for path in leaves(values(name))]


def schema(name: str) -> Obj:
    """Return the chart's schema."""
    said: Obj = json.loads(own(name)["values.schema.json"])
    return said


def table(name: str) -> dict[str, str]:
    """Return the README's table: path to default."""
    return {path: default for path, default, _ in _ROW.findall(own(name)["README.md"].decode())}


def known(of: Obj, above: Path = ()) -> Iterator[str]:
    """Yield the path of every value that a schema has, but for Helm's own ``global``."""
    for name, inner in _resolved(of, of).get("properties", {}).items():
        if (*above, name) != ("global",):
            yield from _known(_resolved(inner, of), of, (*above, name))


def _known(of: Obj, root: Obj, above: Path) -> Iterator[str]:
    if not (properties := of.get("properties")):
        yield ".".join(above)
    for name, inner in (properties or {}).items():
        yield from _known(_resolved(inner, root), root, (*above, name))


def _resolved(of: Mapping[str, Any], root: Obj) -> Obj:
    if "$ref" in of:
        return dict(root["$defs"][of["$ref"].rpartition("/")[2]])
    return dict(of)


def open_objects(of: Any, at: str = "#") -> Iterator[str]:
    """Yield the places of a schema where an object may have any other key, or may be any object."""
    if isinstance(of, dict):
        # What is below an `if` or a `then` only says more of an object that is described elsewhere.
        if (of.get("type") == "object" or "object" in (of.get("type") or ())) and of.get(
            "additionalProperties"
        ) is not False:
            yield at
        if "patternProperties" in of:
            yield f"{at}/patternProperties"
        for name, inner in of.items():
            yield from open_objects(inner, f"{at}/{name}")
    elif isinstance(of, list):
        for place, inner in enumerate(of):
            yield from open_objects(inner, f"{at}/{place}")


def unexplained(name: str) -> Iterator[str]:
    """Yield the lines of values.yaml that set a value and have no comment above."""
    before = ""
    for line in own(name)["values.yaml"].decode().splitlines():
        _, colon, rest = line.partition(": ")
        if colon and rest and not line.lstrip().startswith("#") and not before.lstrip().startswith("# "):
            yield line
        before = line
