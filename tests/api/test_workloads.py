"""TrainJobs and InferenceServices are read as strictly as claims; fields that only a cluster supports are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from vellum.api.loader import MistakesError, load, read
from vellum.api.workloads import Workload
from vellum.kube.objects import Obj

ROOT = Path(__file__).parents[2]
HEAD = "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob\nmetadata: {name: job}\n"
ARGS = ", args: [--model=models/a.skops]"
MODEL = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: job}
spec: {predictor: {model: {modelFormat: {name: %s}, runtime: vellum-skops%s}}}
"""
CLUSTER = "apply it to a cluster: kubectl apply -f FILE"


def manifest(text: str) -> Obj:
    (result,) = load(text.encode(), "job.yaml")
    assert isinstance(result, Workload)
    return result.manifest()


def test_a_job_is_stored_as_it_was_written() -> None:
    trainer = "{command: [python, -c], args: [print(1)], env: [{name: A, value: b}], numNodes: 1}"
    spec = f"spec: {{runtimeRef: {{name: vellum}}, suspend: true, activeDeadlineSeconds: 60, trainer: {trainer}}}\n"
    assert manifest(HEAD + spec) == {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "job"},
        "spec": {
            "runtimeRef": {"name": "vellum"},
            "suspend": True,
            "activeDeadlineSeconds": 60,
            "trainer": {
                "command": ["python", "-c"],
                "args": ["print(1)"],
                "env": [{"name": "A", "value": "b"}],
                "numNodes": 1,
            },
        },
    }


def test_the_examples_are_valid() -> None:
    result = read(ROOT / "examples/training")
    assert [(item.manifest()["kind"], item.manifest()["metadata"]["name"]) for item in result] == [
        ("InferenceService", "documents"),
        ("TrainJob", "documents"),
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{runtimeRef: {name: vellum}}", ("VEL115", "spec.trainer", "write trainer: {command: [python, -m, MODULE]}")),
        ("{trainer: {command: [x]}}", ("VEL113", "spec.runtimeRef", "write runtimeRef: {name: vellum}; see vellum explain TrainJob.spec.runtimeRef")),
        ("{trainer: {command: [x]}, runtimeRef: {name: torch}}", ("VEL115", "spec.runtimeRef.name", f"write name: vellum, or {CLUSTER}")),
        ("{trainer: {command: [x]}, runtimeRef: {name: vellum}, initializer: {}}", ("VEL115", "spec.initializer", f"delete it, or {CLUSTER}")),
        ("{trainer: {command: [x]}, runtimeRef: {name: vellum}, runtimePatches: []}", ("VEL115", "spec.runtimePatches", f"delete it, or {CLUSTER}")),
        ("{runtimeRef: {name: vellum}, trainer: {command: [x], numNodes: 2}}", ("VEL115", "spec.trainer.numNodes", f"write numNodes: 1, or {CLUSTER}")),
        ("{runtimeRef: {name: vellum}, trainer: {command: [x], numProcPerNode: 2}}", ("VEL115", "spec.trainer.numProcPerNode", "delete numProcPerNode")),
        ("{runtimeRef: {name: vellum}, trainer: {comand: []}}", ("VEL112", "spec.trainer.comand", "write command instead")),
        ("{runtimeRef: {name: vellum}, trainer: {command: [x], env: [{name: A, valeu: b}]}}", ("VEL112", "spec.trainer.env[0].valeu", "write value instead")),
        ("{runtimeRef: {name: vellum}, trainer: {command: [x], env: [{name: A}, {name: A}]}}", ("VEL115", "spec.trainer.env[1]", "keep one of the two")),
        ("{runtimeRef: {name: vellum}, trainer: {command: python}}", ("VEL114", "spec.trainer.command", 'write for example command: ["python", "-m", "train"]')),
        ("{runtimeRef: {name: vellum}, trainer: {command: [x], args: [$(A)], env: [{name: A, value: b}]}}", ("VEL115", "spec.trainer.args[0]", "read the variable in the program")),
        ('{runtimeRef: {name: vellum}, trainer: {command: [x]}, suspend: "yes"}', ("VEL114", "spec.suspend", "write for example suspend: false")),
        ("{trainer: {command: [x]}, runtimeRef: {name: vellum}, activeDeadlineSeconds: 0}", ("VEL115", "spec.activeDeadlineSeconds", "write for example activeDeadlineSeconds: 3600")),
    ],
)  # fmt: skip
def test_what_a_laptop_cannot_do_is_refused_with_the_reason(spec: str, expected: tuple[str, str, str]) -> None:
    with pytest.raises(MistakesError) as refused:
        load(f"{HEAD}spec: {spec}\n".encode(), "job.yaml")
    (problem,) = refused.value.problems
    assert (problem.code, problem.where.rpartition(": ")[2], problem.fix) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (MODEL % ("sklearn", ARGS), "VEL115"),
        (MODEL % ("skops", ", storageUri: s3://b/k" + ARGS), "VEL120"),
        (HEAD.replace("v1alpha1", "v1") + "spec: {runtimeRef: {name: vellum}, trainer: {command: [x]}}\n", "VEL111"),
        (HEAD.replace("job}", "1job}") + "spec: {runtimeRef: {name: vellum}, trainer: {command: [x]}}\n", "VEL116"),
        (
            HEAD.replace("job}", f"{'j' * 49}}}") + "spec: {runtimeRef: {name: vellum}, trainer: {command: [x]}}\n",
            "VEL116",
        ),
        (HEAD + f"spec: {{runtimeRef: {{name: vellum}}, trainer: {{args: [{'x' * 70000}]}}}}\n", "VEL115"),
        (HEAD + f"spec: {{runtimeRef: {{name: vellum}}, trainer: {{args: [{'x,' * 129}]}}}}\n", "VEL115"),
    ],
)
def test_other_mistakes_have_their_codes(text: str, code: str) -> None:
    with pytest.raises(MistakesError) as refused:
        load(text.encode(), "job.yaml")
    assert refused.value.code == code


def test_a_file_for_a_laptop_and_a_cluster_may_name_its_namespace() -> None:
    text = HEAD.replace("{name: job}", "{name: job, namespace: default-team-a-c25esaspfur2}")
    result = manifest(text + "spec: {runtimeRef: {name: vellum}, trainer: {command: [x]}}\n")
    assert result["metadata"] == {"name": "job", "namespace": "default-team-a-c25esaspfur2"}
