"""The two kinds as data: structural schemas from the models, and ``vellum explain``, which reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import Any

from vellum.api import claim, elsewhere, platform
from vellum.api.envelope import API_VERSIONS, envelope
from vellum.errors import ClaimError
from vellum.kube.objects import Obj
from vellum.kube.patch import copied
from vellum.kube.quantity import PATTERN

KINDS = (claim.KIND, platform.KIND)
_DROPPED = frozenset({"title", "additionalProperties", "$defs", "$ref", "examples", "const", "anyOf"})
"""What Kubernetes' structural schemas forbid, or what the code below writes in another way."""
LONGEST_PATH = 1000
LONGEST_NAME = 64
"""The search for the nearest name takes time quadratic in the length; every field's name is shorter."""


def schema(kind: str) -> Obj:
    """Return the OpenAPI v3 structural schema of a kind, as a copy that the caller may change.

    Raises:
        KeyError: the kind is not one of ``API_VERSIONS``.
    """
    answer: Obj = copied(_schema(kind))
    return answer


@cache
def _schema(kind: str) -> Obj:
    model = envelope(kind).model_json_schema()
    schema = _structural(model, model["$defs"])
    for whole in (schema, schema["properties"]["metadata"]):
        # The name has no default.
        del whole["default"]
    return schema


def _structural(node: Mapping[str, Any], shared: Mapping[str, Any]) -> Obj:
    """Return a node of pydantic's JSON schema without references and other features that Kubernetes refuses."""
    if "$ref" in node:
        beside = {key: value for key, value in node.items() if key != "$ref"}
        node = {**shared[node["$ref"].rpartition("/")[2]], **beside}
    for option in node.get("anyOf", ()):
        # Optional: Kubernetes leaves the field out instead of allowing null.
        if "$ref" in option:
            option = shared[option["$ref"].rpartition("/")[2]]  # noqa: PLW2901  # resolved
        node = {**node, **option} if option.get("type") != "null" else node
    structural: Obj = {key: value for key, value in node.items() if key not in _DROPPED and value is not None}
    if isinstance(node.get("additionalProperties"), dict):
        # The writer chooses these names; without this the API server would drop them.
        structural["additionalProperties"] = _structural(node["additionalProperties"], shared)
    if "const" in node:
        structural["enum"] = [node["const"]]
    if examples := node.get("examples"):
        structural["example"] = examples[0]
    if isinstance(node.get("items"), dict):
        structural["items"] = _structural(node["items"], shared)
    if "properties" in node:
        # An empty object, so that the API server also sets the defaults inside it.
        structural["default"] = {}
        structural["properties"] = {name: _structural(part, shared) for name, part in node["properties"].items()}
    return structural


@dataclass(frozen=True, slots=True)
class Field:
    """One field in words, for ``vellum explain`` and the reference."""

    path: str
    type: str
    description: str
    default: Any = None
    example: Any = None
    required: bool = False
    allowed: tuple[Any, ...] = ()
    children: tuple[Field, ...] = field(default=(), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data without the fields that have no value."""
        own = {name: getattr(self, name) for name in ("path", "type", "description", "default", "example", "required")}
        listed = {"allowed": list(self.allowed), "children": [child.as_dict() for child in self.children]}
        return {name: value for name, value in {**own, **listed}.items() if value not in (None, [], False)}

    def text(self) -> str:
        """Return the text for a terminal: the field first, then its children, one line each."""
        lines = [self.path, f"  {self.description}", f"  type: {self.type}"]
        if self.default is not None and not self.children:
            lines.append(f"  default: {json.dumps(self.default)}")
        if self.example is not None:
            lines.append(f"  example: {self.path.rpartition('.')[2]}: {json.dumps(self.example)}")
        names = [child.path.rpartition(".")[2] for child in self.children]
        width = max(map(len, names), default=0)
        lines += [f"  {name:{width}}  {child.summary()}" for name, child in zip(names, self.children, strict=True)]
        return "\n".join(lines)

    def summary(self) -> str:
        """Return the field in one line."""
        default = "" if self.default is None or self.children else f", default {json.dumps(self.default)}"
        return f"{self.description} ({self.type}{', required' if self.required else default})"

    def leaves(self) -> Iterator[Field]:
        """Yield every field without children, in order."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


def explain(path: str = "") -> Field:
    """Describe a field: ``spec.notebooks``, ``TrainJob.spec.trainer.env[0].name``, ``metadata.labels['a/b']``.

    A path without a kind belongs to the first kind that has it: the claim, then the platform, then the workloads.

    Raises:
        ClaimError: VEL119 if the field does not exist; VEL120 if only a cluster has it.
    """
    words = [step[0] or step[1] for step in _WORD.findall(path[:LONGEST_PATH])]
    named = [name for name in API_VERSIONS if words and words[0].lower() == name.lower()]
    rest = words[len(named) :]
    kind = max(named or API_VERSIONS, key=lambda item: _known(item, rest))
    node: Mapping[str, Any] = _schema(kind)
    parent, required = kind, False
    for position, word in enumerate(rest):
        if (child := _child(node, word)) is None:
            place: tuple[str | int, ...] = tuple(rest[: position + 1])
            if elsewhere_says := elsewhere.field(kind, place):
                raise ClaimError("VEL120", elsewhere_says[0], where=path[:200], fix=elsewhere_says[1])
            raise _unknown(path, word, parent, _inside(node).get("properties", {}))
        required = word in _inside(node).get("required", ())
        node, parent = child, f"{parent}.{word}" if _PLAIN_WORD.fullmatch(word) else f"{parent}['{word}']"
    return _field(parent, node, required=required)


_WORD = re.compile(r"""\['([^']*)'\]|([^.\[\]]+)(?:\[[0-9]*\])*""")
"""One step of a path: a field with any position in its list, or a name in brackets."""
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_-]+")


def _inside(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the node of a list's entries, or the node itself if it is not a list."""
    result: Mapping[str, Any] = node.get("items", node)
    return result


def _child(node: Mapping[str, Any], word: str) -> Mapping[str, Any] | None:
    """Return the node of a field, also where the writer chose its name; None if it does not exist."""
    inside = _inside(node)
    if word in (known := inside.get("properties", {})):
        result: Mapping[str, Any] = known[word]
        return result
    free = inside.get("additionalProperties")
    return {"description": inside.get("description", ""), **free} if isinstance(free, dict) else None


def _known(kind: str, words: list[str]) -> int:
    """Return how many steps of the path exist in the kind."""
    node: Mapping[str, Any] | None = _schema(kind)
    for position, word in enumerate(words):
        node = _child(node or {}, word)
        if node is None:
            return position
    return len(words)


def _unknown(path: str, word: str, parent: str, known: Mapping[str, Any]) -> ClaimError:
    near = nearest(word, known)
    fix = f"vellum explain {parent}.{near}" if near else f"vellum explain {parent}"
    return ClaimError("VEL119", f"{parent} has no field {word[:LONGEST_NAME]!r}", where=path[:200], fix=fix)


def nearest(word: str, known: Mapping[str, Any]) -> str:
    """Return the known name that looks most like the word, or empty; the comparison ignores case."""
    if len(word) > LONGEST_NAME:
        return ""
    names = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), names, n=1)
    return names[near[0]] if near else ""


def node_at(kind: str, path: tuple[str | int, ...]) -> Obj:
    """Return the schema of the field; empty if it does not exist."""
    node = _schema(kind)
    for part in path:
        free = node.get("additionalProperties", {})
        node = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part, free)
    return node


def _field(path: str, node: Mapping[str, Any], *, required: bool = False) -> Field:
    needed = _inside(node).get("required", ())
    children = tuple(
        _field(f"{path}.{name}", part, required=name in needed)
        for name, part in _inside(node).get("properties", {}).items()
    )
    return Field(
        path=path,
        type=in_words(node),
        description=node.get("description", ""),
        default=node.get("default"),
        example=node.get("example"),
        required=required,
        allowed=tuple(node.get("enum", ())),
        children=children,
    )


_PLAIN = {"array": "list", "boolean": "true or false", "number": "number"}


def in_words(node: Mapping[str, Any]) -> str:
    """Return the type of a field in words."""
    if "enum" in node:
        return " | ".join(map(str, node["enum"]))
    if "type" not in node:
        return "anything"
    if node["type"] in _PLAIN:
        return _PLAIN[node["type"]]
    if node["type"] == "integer":
        least, most = node.get("minimum"), node.get("maximum")
        return "whole number" if least is None else f"whole number from {least} to {most}"
    if node.get("pattern") == f"^{PATTERN}$":
        return "size such as 10Gi"
    if node["type"] == "object":
        return "names and texts" if "additionalProperties" in node else "fields"
    return f"text, at most {node['maxLength']} characters" if "maxLength" in node else "text"
