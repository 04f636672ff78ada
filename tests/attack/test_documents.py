"""Hostile files and objects as documents: ``vellum validate``, ``vellum apply`` and the control socket.

None is accepted, ends a process or shows a trace. Every answer is a VEL code with a place and a fix.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.api.broken import BROKEN
from tests.api.mutation import ODD
from tests.api.test_hostile import HOSTILE
from tests.attack.conftest import Attacked
from tests.platform.harness import Installation

from vellum.errors import VellumError
from vellum.host.client import Client
from vellum.host.state import State

pytestmark = [pytest.mark.attack, pytest.mark.timeout(240)]
TEAM = "default-team-a-c25esaspfur2"
KEYS = (
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a/../../b",
    "a//b",
    "a/",
    "s3://other/a",
    "file:///etc/passwd",
    "http://a/b",
    "\\\\a\\b",
    "a\nb",
    "a\x00b",
    "\u202ea",
    "$(AWS_SECRET_ACCESS_KEY)",
    "{{.Name}}",
    "a;rm -rf /",
    "a|b",
    "`id`",
    "a" * 2000,
    "%2e%2e/%2e%2e",
    "a?versionId=1",
    "../search",
    "a\tb",
    "a\r\nHost: b",
    " a",
    "a ",
    "--http_port=1",
    "~/a",
    "a/./b",
    "*",
    "<a>",
)
QUANTITIES: tuple[Any, ...] = (
    "4GB",
    "6GiB",
    "two",
    "-1Gi",
    "1500m",
    "1e1000",
    "",
    " ",
    "1 Gi",
    "0x10",
    "1_000",
    "NaN",
    "Infinity",
    "1Gi\n",
    "९Gi",
    "9Ei",
    "--1",
    "1..5",
    "1ii",
    None,
    True,
    [],
    {},
    10**40,
)
NAMES: tuple[Any, ...] = (
    "a" * 26,
    "a" * 64,
    "A",
    "1a",
    "-a",
    "a-",
    "a.b",
    "a/b",
    "../a",
    "",
    "a b",
    "é",
    "a\n",
    "$(A)",
    "xn--\u202e",
    7,
    None,
    [],
    {},
)
VARIABLES = ("", "A=B", "A B", "1A", "A\x00", "é", ".", "..", "..a", "A\n", "A" * 300)
OTHERS = (
    "v1 Secret",
    "v1 ConfigMap",
    "v1 Pod",
    "v1 List",
    "apps/v1 Deployment",
    "batch/v1 CronJob",
    "rbac.authorization.k8s.io/v1 ClusterRoleBinding",
    "serving.kserve.io/v1alpha1 InferenceGraph",
    "serving.kserve.io/v1alpha1 ServingRuntime",
    "serving.kserve.io/v1alpha1 ClusterServingRuntime",
    "serving.kserve.io/v1alpha1 LLMInferenceService",
    "serving.kserve.io/v1alpha1 TrainedModel",
    "trainer.kubeflow.org/v1alpha1 TrainingRuntime",
    "trainer.kubeflow.org/v1alpha1 ClusterTrainingRuntime",
    "kubeflow.org/v1 PyTorchJob",
    "kubeflow.org/v1 Notebook",
    "kubeflow.org/v1beta1 Experiment",
    "platform.vellum.dev/v1alpha1 XMLOpsPlatform",
    "apiextensions.crossplane.io/v1 Composition",
    "helm.m.crossplane.io/v1beta1 Release",
    "a/b/c Widget",
)


def job(**trainer: Any) -> dict[str, Any]:
    spec = {"runtimeRef": {"name": "vellum"}, "trainer": {"command": ["true"], **trainer}}
    head = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob"}
    return {**head, "metadata": {"name": "hostile", "namespace": TEAM}, "spec": spec}


def service(*args: str, **more: Any) -> dict[str, Any]:
    model = {"modelFormat": {"name": "skops"}, "runtime": "vellum-skops", "args": list(args), **more}
    head = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
    return {**head, "metadata": {"name": "hostile", "namespace": TEAM}, "spec": {"predictor": {"model": model}}}


def renamed(obj: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], **metadata}}


def objects() -> Iterator[tuple[str, Any]]:
    """Yield (class, object); none of them may be accepted."""
    for key in KEYS:
        yield ("keys of models", service(f"--model={key}") if key != "--http_port=1" else service("--model=a", key))
    for amount in QUANTITIES:
        for field in ("requests", "limits"):
            yield "quantities", job(resourcesPerNode={field: {"memory": amount}})
            yield (
                "quantities",
                service(
                    "--model=a",
                    resources={field: {"cpu" if amount == "1500m" else "memory": amount}}
                    if amount != "1500m"
                    else {field: {"memory": amount}},
                ),
            )
    for name in NAMES:
        yield "names", renamed(service("--model=a"), name=name)
        yield "names", renamed(job(), name=name if name != "a" * 26 else "a" * 49)
    for variable in VARIABLES:
        yield "environment", job(env=[{"name": variable, "value": "a"}])
        yield (
            "environment",
            job(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": variable or "A", "key": "../a"}}}]),
        )
    for word in ("component", "team", "anything"):
        yield ("marks of the platform", renamed(service("--model=a"), labels={f"platform.vellum.dev/{word}": "search"}))
        yield "marks of the platform", renamed(job(), annotations={f"platform.vellum.dev/{word}": "search"})
    for other in OTHERS:
        version, kind = other.split()
        yield (
            "kinds of others",
            {"apiVersion": version, "kind": kind, "metadata": {"name": "hostile", "namespace": TEAM}},
        )
    yield from odd()


def odd() -> Iterator[tuple[str, Any]]:
    """Put every odd value that is invalid there into every place of a job and of a service."""
    for made in (job(env=[{"name": "A", "value": "a"}]), service("--model=a")):
        for path in places(made):
            for value in ODD:
                if (
                    not isinstance(value, str)
                    and value not in (None, True, False)
                    and path[-1] not in ("args", "command", "env")
                ):
                    changed = copy.deepcopy(made)
                    parent = changed
                    for step in path[:-1]:
                        parent = parent[step]
                    parent[path[-1]] = value
                    yield "odd values", changed


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(child, dict | list):
            yield from places(child, (*path, key))


def validated(files: list[Path]) -> list[dict[str, Any]]:
    """Return what the command says of each file; all in one call, as starting it costs more than a file does."""
    argv = [sys.executable, "-m", "vellum.cli", "validate", "--output", "json", *map(str, files)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    result: list[dict[str, Any]] = json.loads(done.stdout)
    return result


def usable(answer: dict[str, Any]) -> None:
    assert 1 <= len(answer["errors"]) <= 22
    for error in answer["errors"]:
        assert error["code"].startswith("VEL1")
        assert error["fix"]
        assert f"{error}".isprintable()
        assert len(f"{error}") < 3000


def test_no_hostile_file_is_valid(tmp_path: Path, attacked: Attacked) -> None:
    """Malicious bytes, mistakes, and every hostile object as YAML: refused with a code, a place and a fix each."""
    rows = [("bytes", data) for data in HOSTILE.values()] + [("mistakes", text.encode()) for text in BROKEN.values()]
    rows += [
        (name, yaml.safe_dump(obj, allow_unicode=False).encode())
        for name, obj in objects()
        if "\ud800" not in repr(obj)
    ]
    files = []
    for number, (_, data) in enumerate(rows):
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_bytes(data)
    taken = []
    for (name, data), answer in zip(rows, validated(files), strict=True):
        if "errors" in answer:
            usable(answer)
        else:
            taken.append((name, data[:300]))
    assert taken == []
    attacked("Hostile files to `vellum validate`", len(rows) * ["a coded error with a fix"])


def test_no_hostile_object_is_stored_through_the_socket(platform: Installation, attacked: Attacked) -> None:
    """The control socket refuses what the commands refuse; nothing runs or is stored."""
    client = Client(State(platform.state))
    before = {name: item["pid"] for name, item in platform.processes().items()}
    tries = [obj for _, obj in objects()] + list(ODD)
    for obj in tries:
        with pytest.raises(VellumError) as refused:
            client.ask("apply", manifests=[job(), obj])
        assert refused.value.code[:4] in ("VEL1", "VEL4", "VEL7"), obj
        assert "Traceback" not in str(refused.value)
    status = platform.status()
    assert status["made"] == []
    assert {process["name"]: process["pid"] for process in status["processes"]} == before
    attacked("Hostile objects through the control socket", len(tries) * ["a coded error, nothing stored"])


def test_no_hostile_file_is_applied(platform: Installation, tmp_path: Path, attacked: Attacked) -> None:
    """A good object beside a bad one in a folder is not stored either."""
    for number, key in enumerate(KEYS[:4]):
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(service(f"--model={key}")))
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(job()))
    done = platform.run("apply", str(tmp_path), "--team", "team-a", check=False)
    assert (done.returncode, done.stderr.count("error VEL"), "Traceback" in done.stderr) == (1, 4, False)
    assert platform.status()["made"] == []
    attacked("Hostile files to `vellum apply`, beside a good one", 4 * ["a coded error, nothing stored"])
