"""Turn pydantic's errors into the words of the claim: what is wrong with a field, and what to write there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import ValidationError

from vellum.api import elsewhere, workloads
from vellum.api.documents import MOST_PROBLEMS, Path, dotted, shown
from vellum.api.scalars import meaning
from vellum.api.schema import in_words, nearest, node_at

_PLAIN = re.compile(r"[A-Za-z0-9/][-A-Za-z0-9_./]*|--[a-z]+=[-A-Za-z0-9_./]+")
_OFF = frozenset({"n", "no", "off", "false"})


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: VEL112 unknown field, VEL113 missing, VEL114 wrong type, VEL115 not allowed, VEL120 of a cluster."""

    code: str
    what: str
    path: Path
    fix: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.what}; {self.fix}"


def mistakes(
    kind: str, error: ValidationError, word: Callable[[Path], str] = lambda _: "", written: Container[Path] = ()
) -> list[Mistake]:  # fmt: skip
    """Return the mistakes of a spec, up to a limit.

    Args:
        kind: the object's kind.
        error: the model's error.
        word: returns the unquoted word at a path.
        written: the paths of all fields in the file.
    """
    details: Any = islice(error.errors(include_url=False), MOST_PROBLEMS)
    return [_mistake(kind, detail, word, written) for detail in details]


def _mistake(
    kind: str, detail: Mapping[str, Any], word: Callable[[Path], str], places: Container[Path]
) -> Mistake:
    path: Path = ("spec", *detail["loc"])
    node, given = node_at(kind, path), detail["input"]
    written = word(path) or given
    match detail["type"]:
        case "extra_forbidden":
            return unknown(path, node_at(kind, path[:-1]).get("properties", {}), kind, places)
        case "missing":
            return Mistake("VEL113", "the field is missing", path, write(path, node, kind=kind))
        case "value_error":
            refused = detail["ctx"]["error"]
            return Mistake(
                "VEL115", str(refused), path, getattr(refused, "fix", "") or write(path, node, kind=kind)
            )
        case "too_long":
            return Mistake("VEL115", f"more than {detail['ctx']['max_length']} entries", path, "write fewer")
        case wrong if wrong.endswith("_type") or isinstance(given, bool) or not isinstance(given, str | int):
            what = f"{_kind_of(given)} instead of {in_words(node)}"
            quote = node.get("type") == "string" and isinstance(given, int | float)
            return Mistake("VEL114", what, path, write(path, node, written, quote=quote, kind=kind))
        case _:
            what = f"{shown(given)} is not allowed: {in_words(node)}{_rule(node)}"
            return Mistake("VEL115", what, path, write(path, node, given, kind=kind))


def unknown(path: Path, known: Mapping[str, Any], kind: str = "", written: Container[Path] = ()) -> Mistake:
    """Return the mistake for an unknown field: only a cluster has it, or its name is misspelt."""
    if found := elsewhere.field(kind, path):
        return Mistake("VEL120", found[0], path, found[1])
    word = str(path[-1])
    near = nearest(word, known)
    if near and (*path[:-1], near) in written:
        return Mistake(
            "VEL112", f"the field {shown(word)} does not exist", path, f"delete it; {near} is written too"
        )
    fix = f"write {near} instead" if near else f"delete it; known here: {', '.join(known) or 'nothing'}"
    return Mistake("VEL112", f"the field {shown(word)} does not exist", path, fix)


def advice(kind: str, path: Path, word: str) -> str:
    """Return what to write in a field with a list of allowed values; empty for other fields."""
    node = node_at(kind, path)
    return write(path, node, word, kind=kind) if "enum" in node else ""


def write(
    path: Path, node: Mapping[str, Any], given: object = None, *, quote: bool = False, kind: str = ""
) -> str:
    """Return what to write at the path: the nearest allowed value, what was given in quotes, or an example."""
    name = path[-1] if isinstance(path[-1], str) else "entry"
    if "properties" in node:
        # A claim's fields are explained without its kind.
        place = dotted((kind, *path) if kind in workloads.KINDS else path)
        if switch := _switch(kind, path, given):
            return f"write {switch}: {given} instead"
        if "required" in node:
            return f"write {name}: {flow(example_of(node))}; see vellum explain {place}"
        return f"write fields below it, such as {next(iter(node['properties']))}; see vellum explain {place}"
    if "enum" in node:
        allowed = list(map(str, node["enum"]))
        return f"write {name}: {_nearest_allowed(str(given), allowed)} (allowed: {', '.join(allowed)})"
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


def example_of(node: Mapping[str, Any]) -> Any:  # noqa: ANN401  # any JSON
    """Return a value that the node allows: its example, its default, or its required fields with theirs."""
    if "example" in node:
        return node["example"]
    if "enum" in node:
        return node["enum"][0]
    if "properties" in node:
        needed = node.get("required", ())
        return {name: example_of(part) for name, part in node["properties"].items() if name in needed}
    return node.get("default", "a text" if node.get("type") == "string" else None)


def flow(value: Any) -> str:  # noqa: ANN401  # any JSON
    """Return a value as one line of YAML, which JSON is too; plain words without quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {flow(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and isinstance(meaning(value), str):
        return value
    return json.dumps(value)


def _nearest_allowed(given: str, allowed: list[str]) -> str:
    if given.lower() in _OFF and "disabled" in allowed:
        return "disabled"
    return nearest(given, dict.fromkeys(allowed)) or allowed[0]


def _kind_of(given: object) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "fields",
    }
    return names.get(type(given), "nothing")


def _rule(node: Mapping[str, Any]) -> str:
    return f" like {node['pattern']}" if "pattern" in node else ""
