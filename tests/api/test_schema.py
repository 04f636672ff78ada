"""The schemas follow Kubernetes' structural rules, ``explain`` finds every field, and the reference is current."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vellum.api import claim, platform, reference, schema
from vellum.errors import ClaimError
from vellum.kube.patch import merged

ROOT = Path(__file__).parents[2]
EXTERNAL = {"profile": "light", "objectStore": {"backend": "external", "endpoint": "https://other.example.org"}}
BESIDE = {f"KubeflowPlatform.spec.objectStore.{name}": EXTERNAL for name in ("endpoint", "region")}
"""What an example needs beside it."""


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("properties", {}).values():
        yield from _nodes(child)


@pytest.mark.parametrize("kind", schema.KINDS)
def test_every_node_is_structural(kind: str) -> None:
    for node in _nodes(schema.schema(kind)):
        assert node["type"] in ("object", "string", "integer", "boolean")
        assert node["description"]
        assert not {"$ref", "$defs", "anyOf", "const", "title", "examples"} & node.keys()
        assert not ("properties" in node and "additionalProperties" in node)
        assert node.get("default", "") is not None


def test_the_spec_of_a_schema_has_exactly_the_fields_of_the_model() -> None:
    properties = {kind: schema.schema(kind)["properties"]["spec"]["properties"] for kind in schema.KINDS}
    assert {kind: list(fields) for kind, fields in properties.items()} == {
        claim.KIND: list(claim.claim_spec().model_fields),
        platform.KIND: list(platform.platform_spec().model_fields),
    }


def test_the_defaults_of_the_schema_are_the_defaults_of_the_model() -> None:
    for kind, model in ((claim.KIND, claim.claim_spec()), (platform.KIND, platform.platform_spec())):
        written = model().model_dump(mode="json", exclude_none=True)
        assert _defaults(schema.schema(kind)["properties"]["spec"]) == written


def _defaults(node: dict[str, Any]) -> Any:
    if "properties" not in node:
        return node.get("default")
    results = {name: _defaults(child) for name, child in node["properties"].items()}
    return {name: value for name, value in results.items() if value is not None}


def test_every_example_is_valid() -> None:
    for kind, model in ((claim.KIND, claim.claim_spec()), (platform.KIND, platform.platform_spec())):
        for field in schema.explain(f"{kind}.spec").leaves():
            value: Any = field.example if field.example is not None else field.default
            for name in reversed(field.path.split(".")[2:]):
                value = {name: value}
            model.model_validate(merged(BESIDE.get(field.path, {}), {}, value))


def test_a_schema_belongs_to_its_caller() -> None:
    schema.schema(claim.KIND)["properties"].clear()
    assert schema.schema(claim.KIND)["properties"]


def test_explain_describes_one_field() -> None:
    assert schema.explain("spec.notebooks").as_dict() == {
        "path": "MLOpsPlatform.spec.notebooks",
        "type": "enabled | disabled",
        "description": "The team's own JupyterLab, with a home for its files and packages",
        "default": "disabled",
        "allowed": ["enabled", "disabled"],
    }


def test_explain_lists_the_children_of_a_block() -> None:
    field = schema.explain("kubeflowplatform.spec.gateway")
    assert field.text() == (
        "KubeflowPlatform.spec.gateway\n"
        "  Details: One loopback port that routes to S3, Qdrant, the notebook and the models\n"
        "  type: fields\n"
        "  port  The loopback port of the gateway (whole number from 1024 to 32767, default 28000)"
    )


def test_explain_without_a_path_shows_the_claim() -> None:
    assert [child.path for child in schema.explain().children] == [
        f"MLOpsPlatform.{name}" for name in ("apiVersion", "kind", "metadata", "spec")
    ]


@pytest.mark.parametrize(
    ("path", "fix"),
    [
        ("spec.notbooks", "vellum explain MLOpsPlatform.spec.notebooks"),
        ("spec.notebook.Storage", "vellum explain MLOpsPlatform.spec.notebook.storage"),
        ("KubeflowPlatform.spec.qqq", "vellum explain KubeflowPlatform.spec"),
        ("spec.size.small", "vellum explain MLOpsPlatform.spec.size"),
        ("x" * 100_000, "vellum explain MLOpsPlatform"),
    ],
)
def test_a_field_that_does_not_exist_names_the_nearest(path: str, fix: str) -> None:
    with pytest.raises(ClaimError) as caught:
        schema.explain(path)
    assert (caught.value.code, caught.value.fix) == ("VEL119", fix)


def test_the_committed_reference_is_what_the_models_say() -> None:
    assert (ROOT / "docs/reference/claim.md").read_text(encoding="utf-8") == reference.reference(), (
        "make golden writes it anew"
    )
