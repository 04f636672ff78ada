"""Requests as Crossplane's core makes them, from plain worlds; and its loop around the function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf import json_format
from tests.compose.render import CLAIM, EVERYTHING, GIVEN
from tests.compose.world import NOW, PLATFORMS, World, settled_platform, written

from vellum.api.claim import XR_KIND
from vellum.function.answer import answer
from vellum.kube.objects import Obj
from vellum.kube.patch import copied
from vellum.model.keys import DUMMY_SEED
from vellum.model.state import LIST

MANAGED = [
    {
        "manager": f"manager-{number}",
        "operation": "Apply",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:template": {"f:spec": {}}}},
    }
    for number in range(3)
]
"""The managedFields of other managers, which every observed object has."""


Required = dict[str, Obj | list[Obj] | None]


def team_world(spec: str = EVERYTHING, place: str = "light") -> World:
    """Return a claim's world as Crossplane has it: a composite that refers to its claim."""
    world = World(written(CLAIM + spec), settled_platform(PLATFORMS[place]), foreign=[*GIVEN])
    meta = {
        "name": "research-x7k2p",
        "uid": world.composite["metadata"]["uid"],
        "generation": 1,
        "managedFields": MANAGED,
    }
    refs = {
        "claimRef": {
            "apiVersion": "platform.vellum.dev/v1alpha1",
            "kind": "MLOpsPlatform",
            "namespace": "team-a",
            "name": "research",
        },
        "compositionRef": {"name": "mlopsplatform"},
        "resourceRefs": [{"apiVersion": "v1", "kind": "Namespace", "name": "x"}],
    }
    world.composite = {
        **world.composite,
        "kind": XR_KIND,
        "metadata": meta,
        "spec": {**world.composite["spec"], **refs},
    }
    return world


def platform_world(place: str = "light") -> World:
    """Return the platform's world."""
    return World(written(PLATFORMS[place]), foreign=[*GIVEN])


def request(world: World, required: Required, *, seed: bytes | None = None) -> fnv1.RunFunctionRequest:
    """Build one request."""
    made = fnv1.RunFunctionRequest()
    made.meta.tag = "a tag"
    _fill(made.observed.composite, world.composite)
    for name, obj in world.resources.items():
        live = copied(obj)
        live["metadata"]["managedFields"] = MANAGED
        _fill(made.observed.resources[name], live)
    for name, result in required.items():
        made.required_resources[name].SetInParent()
        for item in [result] if isinstance(result, dict) else result or ():
            _fill(made.required_resources[name].items.add(), item)
    made.credentials["seed"].credential_data.data["seed"] = DUMMY_SEED.material if seed is None else seed
    return made


def _fill(target: fnv1.Resource, obj: Obj) -> None:
    json_format.ParseDict(obj, target.resource)


def looked(
    world: World,
    ask: Callable[[fnv1.RunFunctionRequest], fnv1.RunFunctionResponse] = lambda item: answer(item, NOW)[0],
    **more: Any,
) -> tuple[fnv1.RunFunctionResponse, int]:
    """Call as Crossplane does, until the requirements settle; return the last answer and the number of calls."""
    required: Required = {}
    before: dict[str, Any] | None = None
    for calls in range(1, 7):
        response = ask(request(world, required, **more))
        if any(result.severity == fnv1.SEVERITY_FATAL for result in response.results):
            return response, calls
        wanted = {name: _selector(item) for name, item in response.requirements.resources.items()}
        if wanted == before:
            return response, calls
        before = wanted
        required = {
            name: world._listed(_Asked(item)) if name.startswith(LIST) else world._found(name, _Asked(item))
            for name, item in response.requirements.resources.items()
        }
    raise AssertionError("the requirements do not settle")


def _selector(resource_selector: fnv1.ResourceSelector) -> str:
    return str(resource_selector)


class _Asked:
    def __init__(self, selector: fnv1.ResourceSelector) -> None:
        self.api_version, self.kind = selector.api_version, selector.kind
        self.name, self.namespace = selector.match_name, selector.namespace
        self.labels = dict(selector.match_labels.labels)


def desired(response: fnv1.RunFunctionResponse) -> dict[str, Obj]:
    """Return the desired objects of the answer, as plain data with whole numbers."""
    from vellum.function.struct import View
    from vellum.kube.patch import plain

    return {name: plain(View(item.resource)) for name, item in response.desired.resources.items()}


def said(response: fnv1.RunFunctionResponse) -> dict[str, tuple[str, str]]:
    """Return the conditions: type to (reason, message)."""
    return {condition.type: (condition.reason, condition.message) for condition in response.conditions}
