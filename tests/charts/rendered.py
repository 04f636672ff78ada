"""The rendered objects, indexed as tests need them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vellum.compose.helm.records import WORKLOADS
from vellum.kube.objects import Key, Obj

Rendered = Callable[..., list[Obj]]
"""Renders one of Vellum's own charts: its name and values, and perhaps flags of Helm."""


def templates(objects: list[Obj]) -> dict[str, Obj]:
    """Return the templates of pods by workload."""
    return {one["metadata"]["name"]: one["spec"]["template"] for one in objects if one["kind"] in WORKLOADS}


def containers(objects: list[Obj]) -> list[Obj]:
    pods = (one["spec"] for one in templates(objects).values())
    return [one for pod in pods for one in (*(pod.get("initContainers") or ()), *pod["containers"])]


def but_secrets(objects: list[Obj]) -> dict[Key, Obj]:
    return {Key.of(one): one for one in objects if one["kind"] != "Secret"}


def of_kind(objects: list[Obj], kind: str) -> dict[str, Obj]:
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def variables(objects: list[Obj], workload: str) -> dict[str, Obj]:
    (container,) = templates(objects)[workload]["spec"]["containers"]
    return {one["name"]: one for one in container["env"]}


def ports(pods: Iterable[Obj]) -> set[int | str]:
    """Return the ports at which pods of these templates listen, by number and by name."""
    said = [
        port
        for pod in pods
        for container in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])
        for port in container.get("ports") or ()
    ]
    return {port["containerPort"] for port in said} | {port["name"] for port in said if "name" in port}


def chosen(pods: Iterable[Obj], selector: Obj) -> list[Obj]:
    """Return the templates of those pods that a selector has."""
    return [pod for pod in pods if selected(selector, pod["metadata"]["labels"])]


def selected(selector: Obj, labels: dict[str, str]) -> bool:
    """Return whether a selector has these labels."""
    wanted = [{"key": key, "values": [value]} for key, value in (selector.get("matchLabels") or {}).items()]
    return all(labels.get(one["key"]) in one["values"] for one in [*wanted, *(selector.get("matchExpressions") or ())])
