"""Every image that a rendered chart names, wherever it names it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tests.charts.helm import HOOK

from vellum.kube.objects import Obj, annotations_of
from vellum.model.release import Image

_PODS = ("Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob")
_REFERENCE = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9._-]+)+:[\w][\w.-]*")
INJECTED = "auto"
"""What istiod replaces by the proxy's own image as a pod is made."""


def of(objects: Iterable[Obj]) -> list[str]:
    """Return one line for each: in a ``container``, a ``hook``, a ``runtime`` of models, or ``named`` for later."""
    return sorted(
        {
            f"{use} {whole(image)}"
            for obj in objects
            if obj["kind"] != "CustomResourceDefinition"
            for use, image in _found(obj)
            if image != INJECTED
        }
    )


def line(image: Image) -> str:
    """Return the line of an image that a component names."""
    return f"{image.use if image.use in ('container', 'hook', 'runtime') else 'named'} {image.reference}"


def whole(image: str) -> str:
    """Return an image with its registry: without one it is Docker's."""
    first, slash, _ = image.partition("/")
    if not slash:
        return f"docker.io/library/{image}"
    return image if "." in first or ":" in first else f"docker.io/{image}"


def _found(obj: Obj) -> Iterator[tuple[str, str]]:
    if obj["kind"] in _PODS:
        yield from _of_pods(obj)
    elif obj["kind"] == "ConfigMap":
        # What is below _example only explains the other keys.
        for key, text in (obj.get("data") or {}).items():
            if key != "_example":
                yield from (("named", image) for image in _in_settings(_parsed(text)))
    elif not (obj.get("spec") or {}).get("disabled"):
        use = "runtime" if obj["kind"] == "ClusterServingRuntime" else "named"
        yield from ((use, image) for key, image in leaves(obj) if key == "image")


def _of_pods(obj: Obj) -> Iterator[tuple[str, str]]:
    for key, text in leaves(obj):
        if key == "image":
            yield "hook" if HOOK in annotations_of(obj) else "container", text
        elif key in ("args", "command", "value") and _REFERENCE.fullmatch(message := text.rpartition("=")[2]):
            yield "named", message


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _in_settings(value: Any) -> Iterator[str]:
    """Yield the images of a program's settings: whole, with a version beside, or as Istio has them."""
    if not isinstance(value, dict):
        return
    if "image" in value and isinstance(value["image"], str):
        version = value.get("defaultImageVersion")
        text = f"{value['image']}:{version}" if version else value["image"]
        if _REFERENCE.fullmatch(text):
            yield text
    if {"hub", "tag", "proxy"} <= value.keys():
        yield f"{value['hub']}/{value['proxy']['image']}:{value['tag']}"
        return
    for inner in value.values():
        yield from _in_settings(inner)


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text below a value with the name of its field."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, key)
    elif isinstance(value, str):
        yield key, value
