"""A Release gets its values only after the parts that it needs, and shows fields that another client added."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from tests.compose.test_releases import KSERVE, later, part, revision, settled
from tests.compose.world import PLATFORMS, World, written

from vellum.components import platform_components
from vellum.kube.objects import Obj
from vellum.kube.patch import copied
from vellum.model.release import ReleaseComponent


def values(world: World, name: str) -> Obj:
    result: Obj = world.resources[f"{name}-release"]["spec"]["forProvider"]["values"]
    return result


def lives(world: World, name: str) -> bool:
    return f"{name}-release" in world.resources


def test_parts_keep_their_values_until_what_they_come_after_is_ready() -> None:
    """From light to standard: no chart gets Istio's values before the parts of Istio that it comes after."""
    world = settled("light")
    world.composite["spec"]["profile"] = "standard"
    meshed = [name for name in ("notebook-controller", "kubeflow-pipelines") if lives(world, name)]
    assert meshed
    for _ in range(40):
        old = copied(world.resources)
        world.step()
        ready = {component["name"] for component in world.composite["status"]["components"] if component["ready"]}
        for name in meshed:
            mesh = {item for item in platform_components()[name].after if item.startswith("istio")}
            if values(world, name)["istio"]["enabled"]:
                assert mesh <= ready
            else:
                text = part(world, name)
                assert not text["ready"]
                assert text["serves"]
        if world.resources == old:
            break
    assert all(values(world, name)["istio"]["enabled"] for name in meshed)
    assert world.look().ready


def test_every_part_keeps_its_values_while_one_before_it_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed value of any chart waits for every part that the chart comes after."""
    for name, component in platform_components().items():
        if not isinstance(component, ReleaseComponent):
            continue
        for before in component.after:
            other = platform_components().get(before)
            if not isinstance(other, ReleaseComponent):
                continue
            world = settled("standard")
            old = values(world, name)
            made = component.values
            monkeypatch.setattr(component, "values", lambda wish, made=made: {**made(wish), "new": True})
            key = next(key for key in world.helm.live if (key.kind, key.name) == ("Deployment", before))
            world.helm.edit(key, "status", "readyReplicas", value=0)
            for _ in range(3):
                world.step()
            assert values(world, name) == old, (name, before)
            world.helm.edit(key, "status", "readyReplicas", value=1)
            world.settle()
            assert values(world, name) == {**old, "new": True}, (name, before)
            monkeypatch.undo()


def test_a_chart_that_changes_goes_before_those_that_come_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """If two Releases change in one pass, the second is written only after the first has its composed values."""
    world = settled()
    for name in ("kserve", "kserve-runtimes"):
        component: Any = platform_components()[name]
        made = component.values
        monkeypatch.setattr(component, "values", lambda wish, made=made: {**made(wish), "new": True})
    world.step()
    assert values(world, "kserve")["new"]
    assert "new" not in values(world, "kserve-runtimes")
    world.settle()
    assert values(world, "kserve-runtimes")["new"]


STRANGERS: dict[str, tuple[tuple[str, ...], Any]] = {
    "a value": (("values", "controller", "replicas"), 3),
    "a value in a map of its own": (("values", "theirs"), {"a": {"b": 1}}),
    "a source of values": (("valuesFrom",), [{"configMapKeyRef": {"name": "a", "namespace": "b"}}]),
    "an empty value": (("values", "controller", "replicas"), 0),
    "a set": (("set",), [{"name": "controller.replicas", "value": "3"}]),
    "an option": (("skipCRDs",), True),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_what_a_stranger_adds_to_a_release_is_said(name: str) -> None:
    """Server-side apply keeps the field, so the part names it and the command that removes it."""
    path, value = STRANGERS[name]
    world = settled()
    provider = world.resources["argo-workflows-release"]["spec"]["forProvider"]
    target = provider
    for step in path[:-1]:
        target = target.setdefault(step, {})
    target[path[-1]] = value
    composed = world.look()
    text = next(component for component in composed.status["components"] if component["name"] == "argo-workflows")
    pointer = "/".join(("", "spec", "forProvider", *path))
    assert not text["ready"]
    assert text["serves"], "what runs still works, so no part waits for it"
    assert ".".join(("", "spec", "forProvider", *path)) in text["reason"]
    assert f'{{"op": "remove", "path": "{pointer}"}}' in text["reason"]
    assert [component["name"] for component in composed.status["components"] if not component["ready"]] == [
        "argo-workflows"
    ]
    desired = composed.objects["argo-workflows-release"].obj["spec"]["forProvider"]
    assert value not in (desired.get(path[0]), (desired["values"].get("controller") or {}).get("replicas"))


def test_a_value_of_ours_that_a_stranger_changed_is_written_back() -> None:
    world = settled()
    provider = world.resources["kserve-release"]["spec"]["forProvider"]
    ours = copied(provider["values"])
    provider["values"] = {**ours, "kserve": {**ours["kserve"], "controller": {"deploymentMode": "Knative"}}}
    composed = world.look()
    assert composed.objects["kserve-release"].obj["spec"]["forProvider"]["values"] == ours
    text = next(component for component in composed.status["components"] if component["name"] == "kserve")
    assert (text["ready"], text["reason"]) == (False, "Release kserve is being changed")


def test_fields_of_the_api_server_and_crossplane_are_not_foreign() -> None:
    world = settled()
    release = world.resources["kserve-release"]
    release["spec"] |= {"deletionPolicy": "Delete", "managementPolicies": ["*"]}
    release["spec"]["providerConfigRef"] |= {"kind": "ProviderConfig"}
    # provider-helm 1.3.0 writes this into every Release, on the bench too.
    release["spec"]["forProvider"]["chart"]["pullSecretRef"] = {"name": "", "namespace": ""}
    # A field that we drop in this pass still exists, and Crossplane owns it.
    release["spec"]["forProvider"]["values"]["old"] = True
    fields: Obj = {"f:spec": {"f:forProvider": {"f:values": {"f:old": {}}}}}
    release["metadata"]["managedFields"] = [
        {"manager": "apiextensions.crossplane.io/composed/0a1b", "operation": "Apply", "fieldsV1": fields}
    ]
    assert world.look().ready


def test_a_part_waits_until_provider_helm_has_looked_at_its_last_change() -> None:
    """Conditions name their generation; those of an older one do not count."""
    world = settled()
    release = world.resources["kserve-release"]
    for condition in release["status"]["conditions"]:
        if condition["type"] == "Synced":
            condition["observedGeneration"] = 1
    assert world.look().ready
    release["metadata"]["generation"] = 2
    assert not world.look().ready


TEXT = "- target: {kind: Deployment, name: kserve}\n  patch: '[{op: test, path: /kind, value: Deployment}]'\n"


def patched(**patches: str) -> World:
    document = yaml.safe_load(PLATFORMS["light"])
    document["spec"]["charts"]["patches"] = patches
    return World(written(yaml.safe_dump(document)))


def policies(world: World, name: str) -> list[str]:
    result: list[str] = world.resources[f"{name}-release"]["spec"].get("managementPolicies", ["*"])
    return result


def test_a_release_with_a_patch_is_installed_once() -> None:
    """provider-helm loses the checksum of the patches when it installs, and would upgrade without a change."""
    world = patched(kserve=TEXT, **{"kubeflow-trainer": TEXT})
    assert world.settle().ready
    later(world, 60)
    assert {name: result[0] for name, result in world.helm.records.items()} == dict.fromkeys(world.helm.records, 1)
    assert policies(world, "kserve") == ["Create", "Delete", "LateInitialize", "Observe"]
    assert policies(world, "kubeflow-trainer") == ["Create", "LateInitialize", "Observe"], "it outlives the platform"
    assert policies(world, "kserve-crd") == ["*"]
    assert world.look().ready


def another_patch(world: World) -> None:
    world.composite["spec"]["charts"]["patches"]["kserve"] = TEXT.replace("name: kserve", "name: other")


def a_fault(world: World) -> None:
    world.helm.live.pop(KSERVE)


def another_registry(world: World) -> None:
    world.composite["spec"]["charts"]["repository"] = "oci://mirror.example.org/charts"


@pytest.mark.parametrize("change", [another_patch, a_fault, another_registry])
def test_a_release_with_a_patch_may_be_upgraded_once_something_changes(change: Callable[[World], None]) -> None:
    world = patched(kserve=TEXT)
    assert world.settle().ready
    change(world)
    later(world, 60)
    assert policies(world, "kserve") == ["*"]
    assert revision(world) == 2
    assert KSERVE in world.helm.live
    assert world.look().ready


def test_a_first_revision_with_a_patch_that_fails_may_be_rolled_back() -> None:
    world = patched(kserve=TEXT)
    assert world.settle().ready
    world.helm.records["kserve"] = (1, "failed", world.helm.records["kserve"][2])
    world.step()
    assert policies(world, "kserve") == ["*"]


def test_a_patch_reaches_what_helm_had_installed_before_the_platform() -> None:
    world = patched(kserve=TEXT)
    was = settled("light")
    world.helm = was.helm
    assert world.settle().ready
    assert policies(world, "kserve") == ["*"]
    assert revision(world) == 2


def test_a_release_has_durations_as_the_provider_writes_them_back() -> None:
    """provider-helm writes the whole Release when it installs, and 5m as 5m0s; Crossplane would write 5m again."""
    waits = {
        component.wait_timeout
        for component in platform_components().values()
        if isinstance(component, ReleaseComponent)
    }
    assert all(re.fullmatch(r"([1-9][0-9]*h)?([1-9]?[0-9]m)?[1-9]?[0-9]s", wait) for wait in waits), waits
