"""The chart of the notebook controller: the kind takes what Vellum composes, and no value that stops the controller.

Without Helm: the schema of the kind is read from the chart as a template puts it into the CRD. What needs Helm is in
``tests/bench/test_notebook_controller_chart.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jsonschema
import pytest
import yaml
from kubernetes import client
from tests.compose.render import worlds

from vellum.kube.objects import Obj
from vellum.package.charts import own

_INT32 = {"minimum": -(2**31), "maximum": 2**31 - 1}


@cache
def types() -> dict[str, Obj]:
    loaded: dict[str, Obj] = yaml.load(own("notebook-controller")["files/types.yaml"], yaml.CSafeLoader)
    return loaded


def closed(schema: Any) -> Any:
    """Return the schema as the API server reads it: what it does not know is an error for kubectl, and dropped."""
    if not isinstance(schema, Mapping):
        return schema
    results = {key: closed(value) for key, value in schema.items()}
    if schema.get("format") == "int32":
        results |= _INT32
    if schema.get("type") == "object" and "additionalProperties" not in schema:
        results |= {"additionalProperties": False}
    if "properties" in schema:
        results["properties"] = {name: closed(value) for name, value in schema["properties"].items()}
    return results


@cache
def checker() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(closed(types()["PodSpec"]))


def refused(pod: Obj) -> list[str]:
    """Return the places for which the API server would refuse this pod."""
    return sorted(error.json_path for error in checker().iter_errors(pod))


def test_the_kind_takes_the_notebooks_that_vellum_composes() -> None:
    objects = {name: world.settle().objects for name, world in worlds().items() if name.startswith("claim-")}
    notebooks = {name: result["notebook"].obj for name, result in objects.items() if "notebook" in result}
    assert notebooks.keys() == {
        "claim-full-local",
        "claim-full-light",
        "claim-full-external",
        "claim-minimal-local",
        "claim-medium-local",
        "claim-large-local",
    }
    pods = {name: notebook["spec"]["template"]["spec"] for name, notebook in notebooks.items()}
    assert {name: refused(pod) for name, pod in pods.items()} == {name: [] for name in pods}


@pytest.mark.parametrize(
    ("pod", "places"),
    [
        ({}, ["$"]),
        ({"containers": []}, ["$.containers"]),
        ({"containers": [{"name": "lab"}]}, ["$.containers[0]"]),
        ({"containers": [{"name": "lab", "image": "i"}], "tolerations": "all"}, ["$.tolerations"]),
        (
            {"containers": [{"name": "lab", "image": "i", "ports": [{"containerPort": "web"}]}]},
            ["$.containers[0].ports[0].containerPort"],
        ),
        (
            {"containers": [{"name": "lab", "image": "i", "resources": {"limits": {"cpu": "lots"}}}]},
            ["$.containers[0].resources.limits.cpu"],
        ),
        ({"containers": [{"name": "lab", "image": "i"}], "priority": 2**31}, ["$.priority"]),
        ({"containers": [{"name": "lab", "image": "i"}], "hostUsers": False}, ["$"]),
    ],
)
def test_the_kind_refuses_a_pod_that_the_controller_cannot_read(pod: Obj, places: list[str]) -> None:
    """One such Notebook would stop it for all: the list of all Notebooks is read as a whole."""
    assert refused(pod) == places


@pytest.mark.parametrize("quantity", ["1", "0.5", ".5", "5.", "100m", "2Gi", "1e3", "1E6", "-1", "+2k", "3E", 4])
def test_quantities_are_taken_as_kubernetes_writes_them(quantity: str | int) -> None:
    assert jsonschema.Draft7Validator(types()["quantity"]).is_valid(quantity)


@pytest.mark.parametrize("quantity", ["", "lots", "1 Gi", "1GiB", "1e", "0x10", "1.2.3", "Gi", 1.5, True, None, {}])
def test_what_is_no_quantity_is_refused(quantity: object) -> None:
    assert not jsonschema.Draft7Validator(types()["quantity"]).is_valid(quantity)


_SAME = {
    "str": ("string", "quantity"),
    "int": ("int32", "int64"),
    "bool": ("boolean",),
    "datetime": ("time",),
    "object": ("intOrString",),
    "dict(str, str)": ("strings", "quantities"),
}
"""What the client calls a type, and what the chart may call it; to the client quantities are words."""


def differs(schema: Obj, text: str, path: str) -> Iterator[str]:
    """Yield where the schema is not of the type that Kubernetes' own client has there."""
    if listed := re.fullmatch(r"list\[(.+)\]", text):
        yield from differs(schema.get("items", {}), listed[1], f"{path}[]")
    elif text in _SAME:
        if schema not in [types()[name] for name in _SAME[text]]:
            yield f"{path} is no {text}"
    else:
        model = getattr(client, text)
        for name, json in model.attribute_map.items():
            if json in schema["properties"]:
                yield from differs(schema["properties"][json], model.openapi_types[name], f"{path}.{json}")


@pytest.mark.parametrize(("ours", "theirs"), [("PodSpec", "V1PodSpec"), ("ContainerState", "V1ContainerState")])
def test_fields_have_the_types_that_kubernetes_own_client_has(ours: str, theirs: str) -> None:
    assert list(differs(types()[ours], theirs, ours)) == []
