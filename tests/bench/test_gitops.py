"""What ``vellum render --gitops`` writes, before the real API server: with the real CRDs of Argo CD and of Flux."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.bench import real, validators
from tests.bench.real import ROOT, Bench
from tests.package.test_gitops import IN_GIT, PACKAGE

from vellum.bench import programs
from vellum.bench.programs import Files
from vellum.kube.objects import Obj, make
from vellum.package.tree import in_order

CRDS = (
    Files("argo-cd-crds", "argo-cd", "github.com/argoproj/argo-cd/v3", "manifests/crds", "application-crd.yaml"),
    Files("flux-kustomize-crds", "flux", "github.com/fluxcd/kustomize-controller", "config/crd/bases"),
    Files(
        "flux-source-crds", "flux", "github.com/fluxcd/source-controller", "config/crd/bases", "*gitrepositories.yaml"
    ),
)
STRICT = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "--field-manager=person", "-f")


@pytest.fixture(scope="module")
def kinds(bench: Bench) -> Iterator[list[Obj]]:
    """Have the kinds of both tools served, for as long as these tests take."""
    result = programs.ensure(print, CRDS)
    crds: list[Obj] = [
        yaml.load(path.read_bytes(), yaml.CSafeLoader)
        for crd in CRDS
        for path in sorted(result[crd.name].rglob("*.yaml"))
    ]
    namespaces = [make("v1", "Namespace", name) for name in ("argocd", "flux-system")]
    bench.apply(*crds, *namespaces)
    names = [crd["metadata"]["name"] for crd in crds]
    bench.kubectl("wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in names))
    yield crds
    bench.kubectl("delete", "crd", *names)
    bench.kubectl("delete", "namespace", "argocd", "flux-system", "--wait=false")


def rendered(tool: str, folder: Path) -> Path:
    claim = folder.with_name("claim.yaml")
    claim.write_text(json.dumps(real.claim("waves")))
    files = [str(ROOT / "examples/bench/platform.yaml"), str(claim)]
    argv = [sys.executable, "-m", "vellum.cli", "render", *files, "--output", str(folder)]
    subprocess.run([*argv, "--gitops", tool, *IN_GIT, "--function", PACKAGE], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("tool", ["argocd", "flux"])
def test_an_api_server_with_the_tools_own_kinds_takes_every_field(
    bench: Bench, kinds: list[Obj], tmp_path: Path, tool: str
) -> None:
    assert {kind["kind"] for kind in kinds} == {"CustomResourceDefinition"}
    folder = rendered(tool, tmp_path / "git")
    output = bench.kubectl(*STRICT, str(folder / tool)).splitlines()
    objects = [obj for path in (folder / tool).glob("*.yaml") for obj in yaml.safe_load_all(path.read_text())]
    assert len(output) == len(objects)
    assert all("serverside-applied (server dry run)" in line for line in output)


def test_a_field_that_a_tool_does_not_know_is_found(bench: Bench, kinds: list[Obj], tmp_path: Path) -> None:
    assert kinds
    path = rendered("flux", tmp_path / "git") / "flux/kustomizations.yaml"
    path.write_text(path.read_text().replace("dependsOn:", "dependOn:"))
    output = bench.kubectl(*STRICT, str(path), check=False)
    assert 'unknown field "spec.dependOn"' in output or ".spec.dependOn: field not declared in schema" in output


def test_the_tree_with_waves_is_taken_as_the_tree_without(bench: Bench, tmp_path: Path) -> None:
    for path in in_order(rendered("argocd", tmp_path / "git")):
        output = bench.kubectl(*STRICT, str(path), "--force-conflicts").splitlines()
        assert len(output) == len(list(yaml.safe_load_all(path.read_text())))


CLAIMS: Obj = {"claimNames": {"kind": "MLOpsPlatform"}}


def seen(api_version: str, kind: str, spec: Obj | None = None, **conditions: str) -> Obj:
    """Return an object as Crossplane leaves it: with these conditions, or new and without a status."""
    obj: Obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": spec or {}}
    if conditions:
        obj["status"] = {
            "conditions": [
                {"type": name, "status": status, "message": f"{name} is {status}"}
                for name, status in conditions.items()
            ]
        }
    return obj


OURS, API, PKG = "platform.vellum.dev/v1alpha1", "apiextensions.crossplane.io", "pkg.crossplane.io/v1"
DEFINITION = "CompositeResourceDefinition"
HEALTH = [
    (seen(f"{API}/v1", DEFINITION, CLAIMS), ["Progressing", "waits for Established"], "again"),
    (seen(f"{API}/v1", DEFINITION, CLAIMS, Established="True"), ["Progressing", "waits for Offered"], False),
    (seen(f"{API}/v1", DEFINITION, CLAIMS, Established="True", Offered="True"), ["Healthy", ""], True),
    (seen(f"{API}/v2", DEFINITION, Established="False"), ["Progressing", "Established is False"], False),
    (seen(f"{API}/v2", DEFINITION, Established="True"), ["Healthy", ""], True),
    (seen(PKG, "Provider", Installed="True", Healthy="Unknown"), ["Progressing", "Healthy is Unknown"], False),
    (seen(PKG, "Provider", Installed="True", Healthy="True"), ["Healthy", ""], True),
    (seen(PKG, "Function", Installed="False"), ["Progressing", "Installed is False"], False),
    (
        seen(OURS, "KubeflowPlatform", Synced="True", Ready="False", PartsReady="False"),
        ["Progressing", "PartsReady is False"],
        False,
    ),
    (seen(OURS, "KubeflowPlatform", Synced="False", Ready="True"), ["Degraded", "Synced is False"], False),
    (seen(OURS, "MLOpsPlatform", Synced="True", Ready="True"), ["Healthy", ""], True),
]


def test_both_tools_see_healthy_exactly_what_crossplane_calls_ready(tmp_path: Path) -> None:
    (settings,) = yaml.safe_load_all((rendered("argocd", tmp_path / "argo") / "argocd/settings.yaml").read_text())
    steps = yaml.safe_load_all((rendered("flux", tmp_path / "flux") / "flux/kustomizations.yaml").read_text())
    checks = {
        (check["apiVersion"], check["kind"]): check["current"]
        for step in steps
        for check in step["spec"].get("healthCheckExprs", ())
    }
    cases: list[tuple[str, str, Obj]] = []
    for obj, _, _ in HEALTH:
        version, kind = obj["apiVersion"], obj["kind"]
        key = f"resource.customizations.health.{version.partition('/')[0]}_{kind}"
        cases += [("lua", settings["data"][key], obj), ("cel", checks[version, kind], obj)]
    text = validators.health(cases, tmp_path)
    assert list(zip(text[::2], text[1::2], strict=True)) == [(argo, flux) for _, argo, flux in HEALTH]
