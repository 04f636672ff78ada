"""Crossplane's packages."""

from __future__ import annotations

import pytest

from vellum.package.xpkg import configuration, dependency_name


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("function-vellum", "function-vellum"),
        ("acme/ml/function-vellum", "acme-ml-function-vellum"),
        ("a_b/c.d:e", "ab-c-d-e"),
        ("a" * 62 + "/b", "a" * 62),
    ],
)
def test_a_dependency_has_the_name_that_crossplane_gives_it(repository: str, name: str) -> None:
    assert dependency_name(repository) == name


def test_the_configuration_calls_the_function_that_it_depends_on() -> None:
    package, *objects = configuration("vellum", "registry.example/acme/function-vellum", "sha256:1")
    assert [item["package"] for item in package["spec"]["dependsOn"]] == [
        "xpkg.crossplane.io/crossplane-contrib/provider-helm",
        "registry.example/acme/function-vellum",
    ]
    calls = [obj["spec"]["pipeline"][0]["functionRef"] for obj in objects if obj["kind"] == "Composition"]
    assert calls == [{"name": "acme-function-vellum"}] * 2
