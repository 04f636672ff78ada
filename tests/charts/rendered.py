"""The rendered objects, indexed as tests need them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vellum.compose.helm.records import WORKLOADS
from vellum.kube.objects import Key, Obj

Rendered = Callable[..., list[Obj]]
"""Renders one of Vellum's own charts: its name and values, and perhaps flags of Helm."""


def templates(objects: list[Obj]) -> dict[str, Obj]:
    """Return the templates of pods by workload."""
    return {obj["metadata"]["name"]: obj["spec"]["template"] for obj in objects if obj["kind"] in WORKLOADS}


def containers(objects: list[Obj]) -> list[Obj]:
    pods = (template["spec"] for template in templates(objects).values())
    return [item for pod in pods for item in (*(pod.get("initContainers") or ()), *pod["containers"])]


def but_secrets(objects: list[Obj]) -> dict[Key, Obj]:
    return {Key.of(obj): obj for obj in objects if obj["kind"] != "Secret"}


def of_kind(objects: list[Obj], kind: str) -> dict[str, Obj]:
    return {obj["metadata"]["name"]: obj for obj in objects if obj["kind"] == kind}


def variables(objects: list[Obj], workload: str) -> dict[str, Obj]:
    (container,) = templates(objects)[workload]["spec"]["containers"]
    return {item["name"]: item for item in container["env"]}


def ports(pods: Iterable[Obj]) -> set[int | str]:
    """Return the ports at which pods of these templates listen, by number and by name."""
    messages = [
        port
        for pod in pods
        for container in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])
        for port in container.get("ports") or ()
    ]
    return {port["containerPort"] for port in messages} | {port["name"] for port in messages if "name" in port}


def chosen(pods: Iterable[Obj], selector: Obj) -> list[Obj]:
    """Return the templates of those pods that a selector has."""
    return [pod for pod in pods if selected(selector, pod["metadata"]["labels"])]


def selected(selector: Obj, labels: dict[str, str]) -> bool:
    """Return whether a selector has these labels."""
    wanted = [{"key": key, "values": [value]} for key, value in (selector.get("matchLabels") or {}).items()]
    return all(
        labels.get(item["key"]) in item["values"] for item in [*wanted, *(selector.get("matchExpressions") or ())]
    )
