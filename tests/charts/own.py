"""Vellum's own charts, as files: what their values, schema and README say, and which paths each of them names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from tests.charts.keys import Path, at, leaves

from vellum.kube.objects import Obj
from vellum.package.charts import own

_ROW = re.compile(r"^\| `([\w.]+)` \| (?:`(.*?)`)? ?\| (.+) \|$", re.MULTILINE)
SECRET_WORDS = re.compile(r"pass|secret|token|access_?key", re.IGNORECASE)


def values(name: str) -> Obj:
    """Return the chart's values."""
    text: Obj = yaml.safe_load(own(name)["values.yaml"])
    return text


def paths(name: str) -> list[str]:
    """Return the path of every value."""
    return [".".join(path) for path in leaves(values(name))]


def images(name: str) -> dict[str, Obj]:
    """Return registry, repository, tag and digest of each part's image."""
    return {part: text for part, text in values(name)["images"].items() if isinstance(text, dict)}


def schema(name: str) -> Obj:
    """Return the chart's schema."""
    text: Obj = json.loads(own(name)["values.schema.json"])
    return text


def table(name: str) -> dict[str, tuple[str, str]]:
    """Return the README's table: path to default and what it is."""
    result = _ROW.findall(own(name)["README.md"].decode())
    return {path: (default, words) for path, default, words in result}


def explained(name: str) -> dict[str, tuple[str, str]]:
    """Return what the README's table must be: of each value its default, and its comment in values.yaml."""
    words = comments(name)
    return {path: (written(at(values(name), tuple(path.split(".")))), words.get(path, "")) for path in paths(name)}


def written(value: object) -> str:
    """Return a value as the README has it: words as they are."""
    return value if isinstance(value, str) else json.dumps(value)


def comments(name: str) -> dict[str, str]:
    """Return the comment of each value as one line, without the stop at its end."""
    results: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    words: list[str] = []
    for line in own(name)["values.yaml"].decode().splitlines():
        inner = line.lstrip()
        if inner.startswith("# "):
            words.append(inner[2:])
            continue
        key, colon, rest = inner.partition(":")
        if colon:
            indent = len(line) - len(inner)
            above = [*(item for item in above if item[0] < indent), (indent, key)]
            if rest and words:
                results[".".join(step for _, step in above)] = " ".join(words).removesuffix(".")
        words = []
    return results


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


def largest_numbers(name: str) -> Iterator[tuple[Path, Any]]:
    """Yield the path of every value that may be a number, and the largest that the schema takes; None without one."""
    yield from _largest(schema(name), schema(name), ())


def _largest(of: Obj, root: Obj, above: Path) -> Iterator[tuple[Path, Any]]:
    for step, text in of.get("properties", {}).items():
        inner = _resolved(text, root)
        item = _resolved(inner.get("items", inner), root)
        if {"integer", "number"} & {*([item["type"]] if isinstance(item.get("type"), str) else item.get("type", ()))}:
            most = item.get("maximum")
            yield (*above, step), [most] if "items" in inner else most
        yield from _largest(inner, root, (*above, step))


def with_value(values: Obj, path: Path, value: Any) -> Obj:
    """Return the values with one more."""
    first, *rest = path
    inner = values.get(first)
    return {
        **values,
        first: with_value(inner if isinstance(inner, dict) else {}, tuple(rest), value) if rest else value,
    }


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
