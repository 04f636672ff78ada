"""Turn pydantic's errors into the words of the claim: what is wrong with a field, and what to write there."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from itertools import islice
from typing import Any

from pydantic import ValidationError

from vellum.api import elsewhere, workloads
from vellum.api.scalars import meaning
from vellum.api.schema import in_words, nearest, node_at
from vellum.api.yaml_reader import MOST_MISTAKES, Mistake, Path, dotted, shown
from vellum.kube.objects import Json
from vellum.model.types import Refused

_PLAIN = re.compile(r"[A-Za-z0-9/][-A-Za-z0-9_./]*|--[a-z]+=[-A-Za-z0-9_./]+")
_OFF = frozenset({"n", "no", "off", "false"})
_TYPES = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "fields"}


def mistakes(
    kind: str,
    error: ValidationError,
    words: Mapping[Path, str] | None = None,
    written: Container[Path] = (),
    *,
    at: Path = (),
) -> list[Mistake]:
    """Return the mistakes of an object, or of the part ``at`` that the model describes, up to a limit.

    Args:
        kind: the object's kind.
        error: the model's error.
        words: the unquoted words of the file, by path.
        written: the paths of all fields in the file.
        at: the path of what the model describes.
    """
    details: Any = islice(error.errors(include_url=False), MOST_MISTAKES)
    return [_mistake(kind, (*at, *detail["loc"]), detail, words or {}, written) for detail in details]


def _mistake(
    kind: str, path: Path, detail: dict[str, Any], words: Mapping[Path, str], written: Container[Path]
) -> Mistake:
    node, given, wrong = node_at(kind, path), detail["input"], detail["type"]
    if wrong == "extra_forbidden":
        return unknown(path, node_at(kind, path[:-1]).get("properties", {}), kind, written)
    if wrong == "missing" and path == ("spec",):
        # An API server requires it too, because Crossplane's definitions do.
        return Mistake("VEL114", "spec is missing", path, f"write spec: {flow(example_of(node))}")
    if wrong == "missing":
        return Mistake("VEL113", "the field is missing", path, write(path, node, kind=kind))
    if wrong == "value_error":
        refusal = detail["ctx"]["error"]
        if not isinstance(refusal, Refused):
            return Mistake("VEL115", str(refusal), path, write(path, node, kind=kind))
        # pydantic marks the refusal of a key with one more step.
        return Mistake(refusal.code, str(refusal), path[:-1] if path[-1] == "[key]" else path, refusal.fix)
    if wrong == "too_long":
        return Mistake("VEL115", f"more than {detail['ctx']['max_length']} entries", path, "write fewer")
    if wrong.endswith("_type") or isinstance(given, bool) or not isinstance(given, str | int):
        what = f"{_TYPES.get(type(given), 'nothing')} instead of {in_words(node)}"
        quote = node.get("type") == "string" and isinstance(given, int | float)
        return Mistake("VEL114", what, path, write(path, node, words.get(path) or given, quote=quote, kind=kind))
    rule = f" like {node['pattern']}" if "pattern" in node else ""
    what = f"{shown(given)} is not allowed: {in_words(node)}{rule}"
    return Mistake("VEL115", what, path, write(path, node, given, kind=kind))


def unknown(path: Path, known: Mapping[str, Any], kind: str = "", written: Container[Path] = ()) -> Mistake:
    """Return the mistake for an unknown field: only a cluster has it, or its name is misspelt."""
    if only := elsewhere.field(kind, path):
        return Mistake("VEL120", only[0], path, only[1])
    near = nearest(str(path[-1]), known)
    fix = f"write {near} instead" if near else f"delete it; known here: {', '.join(known) or 'nothing'}"
    if near and (*path[:-1], near) in written:
        fix = f"delete it; {near} is written too"
    return Mistake("VEL112", f"the field {shown(str(path[-1]))} does not exist", path, fix)


def advice(kind: str, path: Path, word: str, *, is_null: bool) -> str:
    """Return what to write in a field that allows some values only, or only text; empty for other fields."""
    node = node_at(kind, path)
    if "enum" in node:
        return write(path, node, word, kind=kind)
    is_text = path[0] == "metadata" or (node.get("type") == "string" and not in_words(node).startswith("size"))
    return f'write "{word}" in quotes' if is_text and not is_null else ""


def write(path: Path, node: Mapping[str, Any], given: object = None, *, quote: bool = False, kind: str = "") -> str:
    """Return what to write at the path: the nearest allowed value, what was given in quotes, or an example."""
    name = path[-1] if isinstance(path[-1], str) else "entry"
    if "properties" in node:
        # A claim's fields are explained without its kind.
        see = f"see vellum explain {dotted((kind, *path) if kind in workloads.KINDS else path)}"
        if switch := _switch(kind, path, given):
            return f"write {switch}: {given} instead"
        if "required" in node:
            return f"write {name}: {flow(example_of(node))}; {see}"
        return f"write fields below it, such as {next(iter(node['properties']))}; {see}"
    if "enum" in node:
        allowed = list(map(str, node["enum"]))
        off = "disabled" if str(given).lower() in _OFF and "disabled" in allowed else ""
        near = off or nearest(str(given), dict.fromkeys(allowed)) or allowed[0]
        return f"write {name}: {near} (allowed: {', '.join(allowed)})"
    if quote and not in_words(node).startswith("size"):
        return f'write {name}: "{given}" in quotes'
    if node.get("type") == "integer" and isinstance(given, str) and given.isascii() and given.isdigit():
        return f"write {name}: {given[:20]} without quotes"
    return f"write for example {name}: {json.dumps(example_of(node))}"


def _switch(kind: str, path: Path, given: object) -> str:
    """Return the field beside this one that takes the given value and has almost its name, or empty."""
    beside = node_at(kind, path[:-1]).get("properties", {})
    takes = {name: node for name, node in beside.items() if given in node.get("enum", ())}
    return nearest(str(path[-1]), takes) if kind and takes else ""


def example_of(node: Mapping[str, Any]) -> Json:
    """Return a value that the node allows: its example, its default, or its required fields with theirs."""
    if "example" in node:
        return node["example"]
    if "enum" in node:
        return node["enum"][0]
    if "properties" in node:
        return {name: example_of(node["properties"][name]) for name in node.get("required", ())}
    return node.get("default", "a text" if node.get("type") == "string" else None)


def flow(value: Json) -> str:
    """Return a value as one line of YAML, which JSON is too; plain words without quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {flow(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and isinstance(meaning(value), str):
        return value
    return json.dumps(value)
