"""The same claims, edits, deletions and faults give the same objects and messages on both control planes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.bench.pair import DROPPED, Pair, pair
from tests.bench.real import Bench
from tests.nightly import chosen

from vellum.kube.objects import Obj, make
from vellum.model.team import Team


@pytest.fixture
def both(bench: Bench, tmp_path: Path) -> Iterator[Pair]:
    """Return both control planes without any claim of this test."""
    made = pair(bench, tmp_path)
    yield made
    bench.delete("twin")


@pytest.fixture(scope="module")
def settled(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Return both with the claim ``settled``, for faults after which it is as before."""
    made = pair(bench, tmp_path_factory.mktemp("settled"))
    made.claim("settled", notebooks="enabled")
    yield made
    bench.delete("settled")


SPECS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "notebooks": {"notebooks": "enabled"},
    "a home of 20Gi": {"notebooks": "enabled", "notebook": {"storage": "20Gi"}},
    "medium": {"size": "medium", "notebooks": "enabled"},
    "large, with owner and cost center": {"size": "large", "owner": "ada@example.org", "costCenter": "4711"},
    "data deleted with the claim": {"deletionPolicy": "Delete"},
    "no pipelines": {"pipelines": "disabled"},
    "no inference": {"inference": "disabled"},
    "nothing that runs": {"pipelines": "disabled", "inference": "disabled"},
    "three replicas": {"search": {"replicas": 3}},
    "keys of a later generation": {"keys": {"generation": 3}},
    "quotas": {"artifacts": {"quota": "1.5Ti"}, "vectors": {"storage": "500Mi"}},
}

IN_CI = {"notebooks", "large, with owner and cost center", "quotas"}
"""The oracle's tests show the same for each of the others, pass by pass."""


@pytest.mark.parametrize("name", chosen(SPECS, lambda name: name in IN_CI))
def test_a_claim_means_the_same(both: Pair, name: str) -> None:
    """Proves: a claim gives the same objects and status on the laptop and on Crossplane."""
    both.claim("twin", **SPECS[name])
    both.same("twin")


def test_a_claim_that_is_edited_step_by_step_stays_the_same(both: Pair) -> None:
    """Proves: each edit of a claim gives the same on the laptop and on Crossplane."""
    spec: dict[str, Any] = {}
    for step in (
        {"notebooks": "enabled"},
        {"size": "medium"},
        {"search": {"replicas": 2}},
        {"owner": "ada@example.org"},
        {"notebook": {"storage": "50Gi"}},
        {"vectors": {"storage": "50Gi"}},
        {"artifacts": {"quota": "50Gi"}},
        {"pipelines": "disabled"},
        {"inference": "disabled"},
        {"notebooks": "disabled"},
        {"deletionPolicy": "Delete"},
        {"pipelines": "enabled", "inference": "enabled", "notebooks": "enabled"},
        {"size": "small"},
    ):
        spec |= step
        both.claim("twin", **spec)
        both.same("twin")


@pytest.mark.parametrize(("kind", "part"), [("Secret", "vellum-binding")])
def test_what_is_deleted_comes_back_the_same(settled: Pair, kind: str, part: str) -> None:
    settled.same("settled")
    settled.delete("settled", kind, part)
    settled.same("settled")


@pytest.mark.parametrize(
    ("kind", "part", "patch"),
    [
        ("InferenceService", "search", {"spec": {"predictor": {"minReplicas": 7}}}),
        ("RoleBinding", "default-editor", {"subjects": []}),
    ],
)
def test_what_is_edited_is_put_back_the_same(settled: Pair, kind: str, part: str, patch: Obj) -> None:
    settled.same("settled")
    settled.edit("settled", kind, part, patch)
    settled.same("settled")


def test_what_somebody_else_adds_stays_on_both(both: Pair) -> None:
    both.claim("twin")
    both.same("twin")
    both.edit("twin", "ConfigMap", "kfp-launcher", {"metadata": {"labels": {"theirs": "yes"}}})
    both.claim("twin", owner="another")
    both.same("twin")
    team = both.bench.team("twin")
    real = both.bench.get("configmap", "kfp-launcher", team.namespace) or {}
    (here,) = (obj for key, obj in both.world.snapshot().items() if key.name == "kfp-launcher")
    assert (real["metadata"]["labels"]["theirs"], here["metadata"]["labels"]["theirs"]) == ("yes", "yes")


def test_what_somebody_else_has_taken_is_refused_with_the_same_words(both: Pair) -> None:
    team = Team("default", "twin", "")
    both.make(make("v1", "Namespace", team.namespace))
    both.claim("twin")
    both.same("twin")
    both.delete_claim("twin")
    both.world.settle()
    assert both.bench.get("namespace", team.namespace) is not None
    both.bench.kubectl("delete", "namespace", team.namespace)


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_a_deleted_claim_leaves_nothing_composed_on_both(both: Pair, policy: str) -> None:
    """Proves: a claim that is deleted and created again gives the same on both."""
    both.claim("twin", notebooks="enabled", deletionPolicy=policy)
    both.same("twin")
    composed = both.real("twin")
    both.delete_claim("twin")
    both.world.settle()
    assert {key: result for key in composed if (result := both.api.get(key))} == {}
    assert {key for key in composed if both.world.store.get(key)} == set()
    both.claim("twin", notebooks="enabled", deletionPolicy=policy)
    both.same("twin")


def test_little_is_dropped_from_the_comparison_and_each_with_a_reason() -> None:
    assert len(DROPPED) <= 12
    assert all(DROPPED.values())
