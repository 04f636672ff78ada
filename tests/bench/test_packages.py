"""Crossplane's package manager pulls from the bench's registry, and its rbac-manager writes the rights."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench.real import Bench, condition, new_bench, until

from vellum.bench.packages import HOST
from vellum.kube.objects import Obj, make
from vellum.oci.layout import Layout
from vellum.oci.registry import Registry
from vellum.package import pushed, xpkg

SYSTEM = ("-n", "crossplane-system")


def revision(bench: Bench, kind: str) -> Obj:
    (result,) = bench.list(kind)
    return result


def healthy(bench: Bench, kind: str, name: str) -> None:
    """Wait until the package runs."""
    until(
        lambda: condition(bench.get(f"{kind}.pkg.crossplane.io", name), "Healthy").get("status") == "True",
        120,
        lambda: bench.kubectl("describe", f"{kind}.pkg.crossplane.io,{kind}revision.pkg.crossplane.io"),
    )


def provider_helm(bench: Bench) -> Obj:
    """Return the state of its process."""
    processes = json.loads(bench.vellum("status", "--output", "json").stdout)["processes"]
    return next(process for process in processes if process["name"] == "provider-helm")


def test_the_packages_are_pulled_from_the_registry(bench: Bench) -> None:
    for kind, name in (
        ("providerrevision", "crossplane-contrib/provider-helm:v1.3.0"),
        ("functionrevision", "function-vellum:v0"),
    ):
        result = revision(bench, kind)
        host, _, path = result["status"]["resolvedImage"].partition("/")
        assert (host.partition(":")[0], path) == ("127.0.0.1", name)
        assert {
            item["type"]: item["status"] for item in result["status"]["conditions"] if item["type"].endswith("Healthy")
        } == {"RevisionHealthy": "True", "RuntimeHealthy": "True"}
    crd = bench.get("crd", "providerconfigs.helm.crossplane.io")
    assert crd is not None
    assert [reference["kind"] for reference in crd["metadata"]["ownerReferences"] if reference.get("controller")] == [
        "ProviderRevision"
    ]


def test_rbac_manager_gives_the_provider_its_rights(bench: Bench) -> None:
    role = f"crossplane:provider:{revision(bench, 'providerrevision')['metadata']['name']}:system"
    binding = bench.get("clusterrolebinding", role)
    assert binding is not None
    account = {"kind": "ServiceAccount", "name": "provider-helm", "namespace": "crossplane-system"}
    assert (binding["subjects"], binding["roleRef"]["name"]) == ([account], role)


def test_deleted_rights_and_runtimes_are_back(bench: Bench) -> None:
    """The process of provider-helm ends with its Deployment, and a new one starts."""
    role = "crossplane:composite:xmlopsplatforms.platform.vellum.dev:aggregate-to-crossplane"
    name = revision(bench, "providerrevision")["metadata"]["name"]
    uid = (bench.get("deployment", name, "crossplane-system") or {})["metadata"]["uid"]
    before = provider_helm(bench)

    bench.kubectl("delete", "clusterrole", role)
    bench.kubectl("delete", "deployment", name, *SYSTEM)

    def back() -> bool:
        result = bench.get("deployment", name, "crossplane-system")
        return (
            bench.get("clusterrole", role) is not None
            and result is not None
            and result["metadata"]["uid"] != uid
            and condition(result, "Available").get("status") == "True"
        )

    until(back, 90)
    until(lambda: provider_helm(bench)["ready"] and provider_helm(bench)["pid"] != before["pid"], 30)


def test_a_configuration_installs_its_dependencies(tmp_path: Path) -> None:
    """On a bare bench Crossplane installs the provider, the function and both kinds from one package."""
    for bench in new_bench("--bare"):
        registry = json.loads(bench.vellum("status", "--output", "json").stdout)["registry"]
        layout = Layout.create(tmp_path / "layout")
        pushing = pushed.Pushing(layout, Registry(registry, plain=True), "acme", print)
        function = pushed.package(layout, "function-vellum:v0", xpkg.function())
        objects = xpkg.configuration("configuration-vellum", f"{HOST}/acme/function-vellum", function["digest"])
        pushing.image("function-vellum:v0", function)
        pushing.image("configuration-vellum:v0", pushed.package(layout, "configuration-vellum:v0", objects))

        spec = {"package": f"{HOST}/acme/configuration-vellum:v0"}
        bench.apply(make("pkg.crossplane.io/v1", "Configuration", "vellum", spec=spec))

        for kind, name in (
            ("configuration", "vellum"),
            ("provider", "crossplane-contrib-provider-helm"),
            ("function", "acme-function-vellum"),
        ):
            healthy(bench, kind, name)
        assert condition(bench.get("xrd", "xmlopsplatforms.platform.vellum.dev"), "Offered")["status"] == "True"
        called = {item["spec"]["pipeline"][0]["functionRef"]["name"] for item in bench.list("composition")}
        assert called == {"acme-function-vellum"}
