"""The fixes converge: a file is valid after a few rounds of following all of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.api.broken import BROKEN

from vellum.api.loader import MistakesError, load
from vellum.errors import VellumError

MOST_ROUNDS = 3
_STEP = re.compile(r"\['([^']*)'\]|\[([0-9]+)\]|([^.\[\]]+)")


def place(problem: VellumError) -> list[str | int]:
    """Return the path of a problem."""
    path = problem.where.partition(": ")[2]
    return [result[0] or (int(result[1]) if result[1] else result[2]) for result in _STEP.findall(path)]


def problems(value: Any) -> list[VellumError]:
    """Return the mistakes of a document, written as JSON, which is also YAML."""
    try:
        load(json.dumps(value, ensure_ascii=False).encode(), "file.yaml")
    except MistakesError as error:
        return list(error.every())
    return []


WRITE = re.compile(
    r"write (?:for example )?([^ ]+): (.*?)"
    r"(?: under (\w+) too|; see .*|, (?:and|or|if) .*| \(allowed.*| in quotes| without quotes)?"
)


def at(root: Any, path: list[str | int]) -> Any:
    """Return the value at a path; create missing fields."""
    for step in path:
        root = root.setdefault(step, {}) if isinstance(root, dict) else root[step]
    return root


def followed(root: Any, path: list[str | int], fix: str) -> None:
    """Apply a fix literally."""
    parent, last = at(root, path[:-1]), path[-1] if path else ""
    if match := re.fullmatch(r"write ([^ ]+) instead", fix):
        parent[match[1]] = parent.pop(last)
    elif match := re.search(r"\bdelete '?([^ ',;]+)", fix):
        gone = last if match[1] in ("it", "the", last) else match[1]
        del (parent if gone == last else parent[last])[gone]
    elif fix == "keep one of the two":
        del parent[last]
    elif match := re.fullmatch(r'write "(.*)" in quotes', fix):
        parent[last] = match[1]
    elif re.match(r"write fields below it, such as [A-Za-z]+;", fix):
        parent[last] = {}
    elif match := WRITE.fullmatch(fix):
        written(root, path, match)
    else:
        pytest.fail(f"a user cannot follow: {fix}")


def written(root: Any, path: list[str | int], result: re.Match[str]) -> None:
    """Write ``name: value`` at the path, below it, or beside it ``under`` another field."""
    name, value, beside = result[1], yaml.safe_load(result[2]), result[3]
    if beside:
        at(root, path[:-2]).setdefault(beside, {})[path[-1]] = value
    elif not path or name == path[-1]:
        at(root, path[:-1])[name] = value
    elif name == "entry":
        at(root, path[:-1])[path[-1]] = value
    else:
        at(root, path)[name] = value


def rounds(value: Any) -> int:
    """Return after how many rounds of following all fixes the document is valid."""
    for number in range(MOST_ROUNDS + 1):
        if not (wrong := problems(value)):
            return number
        # From the last to the first, so that a deletion from a list does not move entries with open fixes.
        for problem in reversed(wrong):
            followed(value, place(problem), problem.fix)
    text = "\n".join(f"{problem}: {problem.fix}" for problem in problems(value))
    pytest.fail(f"not valid after {MOST_ROUNDS} rounds: {value}\n{text}")


@pytest.mark.parametrize("name", BROKEN)
def test_who_follows_every_fix_has_a_valid_file(name: str) -> None:
    """Claims, platforms and workloads with the mistakes of the documents, as YAML and one by one."""
    with pytest.raises(MistakesError):
        load(BROKEN[name].encode(), "file.yaml")
    value = yaml.safe_load(BROKEN[name])
    assert rounds(value) <= MOST_ROUNDS


_ODD = st.sampled_from(
    [
        "4GB",
        "two",
        "",
        -1,
        0,
        2.5,
        True,
        [],
        {},
        ["a"],
        {"a": "b"},
        "a b",
        "../../etc/passwd",
        "/a",
        "1Gi",
        "500m",
        "8Gi",
        7,
        "s3://a/b",
        "x" * 80,
        "My_Name",
        "é",
        "$(A)",
        "sklearn",
    ]
)
_JOB_FIELDS = [
    ("spec", "runtimeRef", "name"),
    ("spec", "trainer", "command"),
    ("spec", "trainer", "args"),
    ("spec", "trainer", "env"),
    ("spec", "trainer", "numNodes"),
    ("spec", "trainer", "numProcPerNode"),
    ("spec", "trainer", "image"),
    ("metadata", "name"),
    ("spec", "trainer", "resourcesPerNode", "requests", "memory"),
    ("spec", "trainer", "resourcesPerNode", "limits", "cpu"),
    ("spec", "suspend"),
    ("spec", "activeDeadlineSeconds"),
    ("spec", "trainer", "comand"),
    ("spec", "podTemplateOverrides"),
]
_MODEL = ("spec", "predictor", "model")
_SERVICE_FIELDS = [
    (*_MODEL, "modelFormat", "name"),
    (*_MODEL, "runtime"),
    (*_MODEL, "args"),
    (*_MODEL, "storageUri"),
    (*_MODEL, "env"),
    (*_MODEL, "resources", "requests", "memory"),
    (*_MODEL, "resources", "limits", "nvidia.com/gpu"),
    (*_MODEL, "modelFromat"),
    ("spec", "predictor", "minReplicas"),
    ("spec", "predictor", "maxReplicas"),
    ("spec", "transformer"),
    ("metadata", "name"),
    ("spec", "predictor", "serviceAccountName"),
    ("spec", "predictor", "containers"),
]


def mistaken(kind: str, changes: list[tuple[tuple[str, ...], Any]]) -> Any:
    """Return a valid workload with some fields replaced."""
    job = {"runtimeRef": {"name": "vellum"}, "trainer": {"command": ["x"]}}
    model = {"modelFormat": {"name": "skops"}, "runtime": "vellum-skops", "args": ["--model=a"]}
    value: dict[str, Any] = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": kind,
        "metadata": {"name": "a"},
        "spec": job,
    }
    if kind == "InferenceService":
        value |= {"apiVersion": "serving.kserve.io/v1beta1", "spec": {"predictor": {"model": model}}}
    for path, odd in changes:
        parent: Any = value
        for step in path[:-1]:
            parent = parent.setdefault(step, {})
            if not isinstance(parent, dict):
                break
        else:
            parent[path[-1]] = odd
    return value


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(_JOB_FIELDS), _ODD), min_size=1, max_size=4))
def test_who_follows_every_fix_of_a_job_has_a_valid_one(changes: list[tuple[tuple[str, ...], Any]]) -> None:
    rounds(mistaken("TrainJob", changes))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(_SERVICE_FIELDS), _ODD), min_size=1, max_size=4))
def test_who_follows_every_fix_of_a_service_has_a_valid_one(changes: list[tuple[tuple[str, ...], Any]]) -> None:
    rounds(mistaken("InferenceService", changes))
