"""The loader refuses kustomize patches that kustomize would refuse, before anything is stored."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vellum.api import loader, patches
from vellum.errors import ClaimError

HEAD = "apiVersion: platform.vellum.dev/v1alpha1\nkind: KubeflowPlatform\nmetadata: {name: kubeflow}\nspec:\n"
GOOD = [
    "- target: {kind: Deployment}\n  patch: |\n    - {op: remove, path: /spec/replicas}\n",
    "- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: a}\n    data: {a: null, b: on}\n",
    "# why\n\n- target: {kind: Deployment, labelSelector: a=b}\n  options: {allowKindChange: true}\n  patch: |\n    spec: {}\n",
]
WRONG = {
    "this is not a patch": "it is not a list of kustomize patches",
    "[{target: {kind: A}, patch: 'spec: {}'}]": "it is not a list of kustomize patches",
    "{}": "it is not a list of kustomize patches",
    "- a\nresources: [x]": "it is not a list of kustomize patches",
    "- a": "patch 1: it is not a mapping with `target` and `patch`",
    "- {path: file.yaml}": "patch 1: the field 'path' is not known; a patch here may have",
    "- target: {kind: A}": "patch 1: its `patch` is not text",
    "- {target: {kind: A}, patch: {spec: {}}}": "patch 1: its `patch` is not text",
    "- {target: {knd: A}, patch: 'spec: {}'}": "patch 1: the field 'knd' is not known; a target may have",
    "- {target: {kind: 3}, patch: 'spec: {}'}": "patch 1: its target's kind is not text",
    "- {target: [a], patch: 'spec: {}'}": "patch 1: its `target` is not a mapping",
    "- patch: 'spec: {}'": "patch 1: it has no `target`, and its patch does not name apiVersion",
    "- patch: '[{op: remove, path: /a}]'": "patch 1: it has no `target`, which operations need",
    "- {target: {kind: A}, patch: word}": "patch 1: its patch is neither an object nor a list of operations",
    "- {target: {kind: A}, patch: '[{op: set, path: /a}]'}": "patch 1: an operation needs an `op`",
    "- {target: {kind: A}, patch: '[{op: remove, path: a}]'}": "patch 1: the path of `remove` is not text that begins",
    "- {target: {kind: A}, patch: '[{op: add, path: /a}]'}": "patch 1: `add` needs a `value`",
    "- {target: {kind: A}, patch: '[{op: move, path: /a}]'}": "patch 1: `move` needs a `from`",
    "- {target: {kind: A}, patch: 'spec: {'}": "patch 1: not YAML",
    "- {target: {kind: A}, patch: &a 'spec: {}'}": "Vellum does not read anchors (&)",
}


@pytest.mark.parametrize("text", GOOD)
def test_a_patch_that_kustomize_takes_is_taken(text: str) -> None:
    assert patches.checked(text) == text
    assert re.search(patches.START, text)


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_patch_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(WRONG[text])):
        patches.checked(text)


def test_the_file_is_refused_with_its_line_and_a_way_out() -> None:
    text = f"{HEAD}  profile: light\n  charts:\n    patches: {{argo-workflows: this is not a patch}}\n"
    with pytest.raises(ClaimError) as refused:
        loader.load(text.encode(), "p.yaml")
    error = refused.value
    assert (error.code, error.where) == ("VEL115", "p.yaml:7: spec.charts.patches.argo-workflows")
    assert error.what == "it is not a list of kustomize patches"
    assert error.fix.startswith("write patches as in examples/bench/platform.yaml")


def test_the_patches_of_the_bench_are_taken() -> None:
    (platform,) = loader.read(Path(__file__).parents[2] / "examples/bench/platform.yaml")
    assert platform.manifest()["spec"]["charts"]["patches"]
