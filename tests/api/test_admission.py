"""A laptop checks workloads by the rules of a cluster, and reports all mistakes together."""

from __future__ import annotations

import pytest
import yaml

from vellum.api.loader import MistakesError, admit, load
from vellum.kube.objects import Obj

JOB = "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob\nmetadata: {name: job}\n"
RESOURCES = JOB + "spec: {runtimeRef: {name: vellum}, trainer: {command: [x], resourcesPerNode: %s}}\n"
SERVICE = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: %s
spec:
  predictor:
    model: {modelFormat: {name: skops}, runtime: vellum-skops, args: %s}
"""


def said(text: str, namespace: str = "") -> list[tuple[str, str, str]]:
    """Return (code, field, fix) of all mistakes."""
    try:
        load(text.encode(), "file.yaml", namespace)
    except MistakesError as error:
        return [(item.code, item.where.partition(": ")[2], item.fix) for item in error.every()]
    return []


MEMORY, CPU = "spec.trainer.resourcesPerNode.requests.memory", "spec.trainer.resourcesPerNode.requests.cpu"


@pytest.mark.parametrize(
    ("resources", "field", "fix"),
    [
        ("{requests: {memory: 4GB}}", MEMORY, "write memory: 4G"),
        ("{requests: {memory: 6GiB}}", MEMORY, "write memory: 6Gi"),
        ("{requests: {memory: 512mb}}", MEMORY, "write memory: 512M"),
        ("{requests: {memory: 4 GB}}", MEMORY, "write memory: 4G"),
        ("{requests: {memory: 2gi}}", MEMORY, "write memory: 2Gi"),
        ('{requests: {memory: "1,5Gi"}}', MEMORY, "write memory: 1.5Gi"),
        ("{requests: {memory: two}}", MEMORY, "write memory: 1Gi"),
        ("{requests: {memory: -1Gi}}", MEMORY, "write memory: 1Gi"),
        ("{requests: {memory: 1500m}}", MEMORY, "write memory: 1500Mi"),
        ("{requests: {memory: 512}}", MEMORY, "write memory: 512Mi"),
        ("{requests: {memory: 2.5}}", MEMORY, "write memory: 2.5Mi"),
        ("{requests: {memory: true}}", MEMORY, "write memory: 1Gi"),
        ("{requests: {memory: [1Gi]}}", MEMORY, "write memory: 1Gi"),
        ('{requests: {memory: ""}}', MEMORY, "write memory: 1Gi"),
        ('{requests: {memory: "1e1.5"}}', MEMORY, "write memory: 1Gi"),
        ("{requests: {memory: 9Ei}}", MEMORY, "write memory: 1Gi"),
        ("{requests: {cpu: two}}", CPU, 'write cpu: "1"'),
        ("{requests: {cpu: 500 m}}", CPU, "write cpu: 500m"),
        ("{requests: {cpu: 2 cores}}", CPU, 'write cpu: "2"'),
        ("{requests: {cpu: -1}}", CPU, 'write cpu: "1"'),
        ("{requests: {memory: 2Gi}, limits: {memory: 1Gi}}", MEMORY, "write memory: 1Gi, or a higher limit"),
        ("{requests: {cpu: 2}, limits: {cpu: 1500m}}", CPU, "write cpu: 1500m, or a higher limit"),
        ("{requests: {memory: 4Gi}}", MEMORY, "write memory: 4Gi under limits too"),
        ("{requests: {cpu: 3}}", CPU, "write cpu: 3 under limits too"),
        ("{limits: {memory: 256Mi}}", MEMORY.replace("requests", "limits"), "write memory: 256Mi under requests too"),
        ("{requests: {gpu: 1}}", CPU.replace("cpu", "gpu"), "write nvidia.com/gpu instead"),
        (
            "{limits: {nvidia.com/gpu: 0.5}}",
            "spec.trainer.resourcesPerNode.limits['nvidia.com/gpu']",
            "write nvidia.com/gpu: 1",
        ),
        (
            "{requests: {nvidia.com/gpu: 1}}",
            CPU.replace(".cpu", "['nvidia.com/gpu']"),
            "write nvidia.com/gpu: 1 under limits too",
        ),
    ],
)
def test_a_quantity_that_a_cluster_refuses_is_refused(resources: str, field: str, fix: str) -> None:
    assert said(RESOURCES % resources) == [("VEL115", field, fix)]


@pytest.mark.parametrize(
    "resources",
    [
        "{requests: {cpu: 500m, memory: 0.5Gi}}",
        '{requests: {cpu: "1.5"}}',
        "{requests: {cpu: 1.5}}",
        "{requests: {cpu: 1}}",
        '{requests: {memory: "1e9"}}',
        "{requests: {memory: 1000000000}}",
        '{requests: {memory: "1.5G"}}',
        "{requests: {cpu: 0}}",
        "{requests: {memory: 4Gi, cpu: 3}, limits: {memory: 4Gi, cpu: 4}}",
        "{limits: {memory: 4Gi}}",
        "{requests: {memory: 2Gi, cpu: 2}}",
        "{limits: {memory: 256Mi}, requests: {memory: 128Mi}}",
        "{limits: {nvidia.com/gpu: 1}}",
        "{requests: {ephemeral-storage: 1Gi}}",
        "{}",
    ],
)
def test_a_quantity_that_a_cluster_takes_is_taken(resources: str) -> None:
    assert said(RESOURCES % resources) == []


def test_a_models_requests_are_held_to_its_own_runtime() -> None:
    """The runtime of served models has a limit of 1Gi, that of jobs one of 2Gi."""
    text = SERVICE % ("{name: a}", "[--model=a], resources: {requests: {memory: 1500Mi}}")
    field = "spec.predictor.model.resources.requests.memory"
    assert said(text) == [("VEL115", field, "write memory: 1500Mi under limits too")]


@pytest.mark.parametrize(
    ("namespace", "longest"), [("", 25), ("default-team-a-c25esaspfur2", 25), ("a-b-c25esaspfur2", 36), ("n" * 40, 12)]
)
def test_a_service_has_the_longest_name_its_namespace_leaves(namespace: str, longest: int) -> None:
    """KServe makes one host label, NAME-predictor-NAMESPACE, of at most 63 characters."""
    assert said(SERVICE % (f"{{name: {'m' * longest}}}", "[--model=a]"), namespace) == []
    (problem,) = said(SERVICE % (f"{{name: {'m' * (longest + 1)}}}", "[--model=a]"), namespace)
    assert problem == ("VEL116", "metadata.name", f"write name: {'m' * longest}")
    if namespace:
        inside = SERVICE % (f"{{name: {'m' * (longest + 1)}, namespace: {namespace}}}", "[--model=a]")
        assert said(inside) == [problem]


KEYS = {
    "[]": "models/documents.skops",
    "['--model=']": "models/documents.skops",
    "[--model=../../etc/passwd]": "etc/passwd",
    "[--model=/etc/passwd]": "etc/passwd",
    "[--model=s3://other/models/a.skops]": "models/a.skops",
    "[--model=a//b]": "a/b",
    "[--model=a/./b]": "a/b",
    "[--model=a/]": "a",
    "[--model=.]": "models/documents.skops",
    "['--model=a\\b']": "a-b",
    '["--model=a\\nb"]': "a-b",
    "['--model= a']": "-a",
    "[--model=$(HOME)/a]": "-(HOME)/a",
    "[--model=a, --model=b]": "a",
    "[--model=a, --http_port=1]": "a",
    "[--mod=a]": "models/documents.skops",
    "[a]": "models/documents.skops",
    "['--model', '../a']": "a",
    "['--model=file:///etc/passwd']": "etc/passwd",
    f"[--model={'k' * 1025}]": "k" * 200,
    "['--model=a?versionId=1']": "a-versionId=1",
    "['--model=https://example.org/a.skops']": "a.skops",
}


@pytest.mark.parametrize("args", KEYS)
def test_a_model_is_a_key_of_the_teams_bucket_and_no_path(args: str) -> None:
    ((code, field, fix),) = said(SERVICE % ("{name: a}", args))
    assert (code, field, yaml.safe_load(fix.removeprefix("write "))) == (
        "VEL115",
        "spec.predictor.model.args",
        {"args": [f"--model={KEYS[args]}"]},
    )


@pytest.mark.parametrize("args", ["[--model=a]", "['--model', a/b.skops]", "['--model=models/Übung 1.skops']"])
def test_a_key_that_a_bucket_can_have_is_taken(args: str) -> None:
    assert said(SERVICE % ("{name: a}", args)) == []


@pytest.mark.parametrize(
    ("env", "field"),
    [
        ("{name: 1A}", "spec.trainer.env[0].name"),
        ("{name: 'A=B'}", "spec.trainer.env[0].name"),
        ("{name: ..}", "spec.trainer.env[0].name"),
        ("{name: ''}", "spec.trainer.env[0].name"),
        (
            "{name: A, valueFrom: {secretKeyRef: {name: My_Secret, key: a}}}",
            "spec.trainer.env[0].valueFrom.secretKeyRef.name",
        ),
        ("{name: A, valueFrom: {secretKeyRef: {name: '', key: a}}}", "spec.trainer.env[0].valueFrom.secretKeyRef.name"),
        ("{name: A, valueFrom: {secretKeyRef: {name: a, key: a b}}}", "spec.trainer.env[0].valueFrom.secretKeyRef.key"),
        ("{name: A, valueFrom: {secretKeyRef: {name: a, key: ..}}}", "spec.trainer.env[0].valueFrom.secretKeyRef.key"),
        ("{name: A, value: a, valueFrom: {secretKeyRef: {name: a, key: a}}}", "spec.trainer.env[0]"),
        ("{name: A, valueFrom: {configMapKeyRef: {name: a, key: a}}}", "spec.trainer.env[0].valueFrom.configMapKeyRef"),
    ],
)
def test_an_environment_that_a_pod_cannot_have_is_refused(env: str, field: str) -> None:
    text = JOB + f"spec: {{runtimeRef: {{name: vellum}}, trainer: {{command: [x], env: [{env}]}}}}\n"
    assert field in [where for _, where, _ in said(text)]


DOCUMENTED = """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: sklearn-iris, annotations: {serving.kserve.io/deploymentMode: Serverless}}
spec:
  transformer: {containers: [{name: a, image: a}]}
  predictor:
    canaryTrafficPercent: 10
    minReplicas: 3
    maxReplicas: 2
    model:
      modelFormat: {name: %s}
      storageUri: gs://kfserving-examples/models/a
"""


@pytest.mark.parametrize("framework", ["sklearn", "onnx", "xgboost", "huggingface", "tensorflow", "lightgbm"])
def test_a_service_of_kserves_documents_is_answered_at_once(framework: str) -> None:
    """Every field is reported with its line, and none as unknown."""
    result = said(DOCUMENTED % framework)
    assert [(code, field) for code, field, _ in result] == [
        ("VEL117", "metadata.annotations['serving.kserve.io/deploymentMode']"),
        ("VEL120", "spec.transformer"),
        ("VEL120", "spec.predictor.canaryTrafficPercent"),
        ("VEL115", "spec.predictor.minReplicas"),
        ("VEL113", "spec.predictor.model.runtime"),
        ("VEL113", "spec.predictor.model.args"),
        ("VEL115", "spec.predictor.model.modelFormat.name"),
        ("VEL120", "spec.predictor.model.storageUri"),
    ]
    assert all("kubectl apply -f FILE" in fix for code, _, fix in result if code == "VEL120")


@pytest.mark.parametrize(
    ("head", "owner"),
    [
        ("apiVersion: serving.kserve.io/v1alpha1\nkind: InferenceGraph", "KServe"),
        ("apiVersion: serving.kserve.io/v1alpha1\nkind: ServingRuntime", "KServe"),
        ("apiVersion: serving.kserve.io/v1alpha1\nkind: ClusterServingRuntime", "KServe"),
        ("apiVersion: serving.kserve.io/v1alpha1\nkind: LLMInferenceService", "KServe"),
        ("apiVersion: serving.kserve.io/v1alpha1\nkind: TrainedModel", "KServe"),
        ("apiVersion: trainer.kubeflow.org/v1alpha1\nkind: ClusterTrainingRuntime", "Kubeflow Trainer"),
        ("apiVersion: kubeflow.org/v1\nkind: PyTorchJob", "Kubeflow's training operator"),
        ("apiVersion: kubeflow.org/v1\nkind: Notebook", "Kubeflow Notebooks"),
        ("apiVersion: kubeflow.org/v1beta1\nkind: Experiment", "Kubeflow Katib"),
        ("apiVersion: v1\nkind: Secret", "Kubernetes"),
        ("apiVersion: v1\nkind: ConfigMap", "Kubernetes"),
        ("apiVersion: apps/v1\nkind: Deployment", "Kubernetes"),
        ("apiVersion: v1\nkind: List", "Kubernetes"),
        ("apiVersion: example.org/v1beta1\nkind: Widget", "example.org"),
        ("kind: Secret", "Kubernetes"),
    ],
)
def test_a_kind_of_others_is_said_to_be_theirs(head: str, owner: str) -> None:
    with pytest.raises(MistakesError) as refused:
        load(f"{head}\nmetadata: {{name: a}}\n".encode(), "file.yaml")
    (problem,) = refused.value.every()
    assert problem.code == "VEL120"
    assert owner in problem.what
    assert "kubectl apply -f FILE" in problem.fix


@pytest.mark.parametrize(
    "head",
    [
        "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJop",
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceServise",
        "apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlattform",
        "kind: MLOpsPlatfrom",
    ],
)
def test_a_misspelt_kind_of_ours_is_no_kind_of_others(head: str) -> None:
    codes = [code for code, _, _ in said(f"{head}\nmetadata: {{name: a}}\n")]
    assert "VEL111" in codes
    assert "VEL120" not in codes


@pytest.mark.parametrize("kind", ["kind: TrainJop", ""])
def test_a_wrong_kind_does_not_hide_other_mistakes(kind: str) -> None:
    """The nearest kind, or the only kind of the apiVersion, has the rules for the rest of the file."""
    head = f"apiVersion: trainer.kubeflow.org/v1alpha1\n{kind}\nmetadata: {{name: 1a}}\n"
    assert said(head + "spec: {suspend: on, trainer: {comand: [x]}}\n") == [
        (
            "VEL111",
            "kind" if kind else "",
            "write kind: TrainJob (allowed: MLOpsPlatform, KubeflowPlatform, TrainJob, InferenceService)",
        ),
        ("VEL116", "metadata.name", "write name: m-1a"),
        ("VEL108", "spec.suspend", 'write true, or "on" in quotes'),
        ("VEL113", "spec.runtimeRef", "write runtimeRef: {name: vellum}; see vellum explain TrainJob.spec.runtimeRef"),
        ("VEL112", "spec.trainer.comand", "write command instead"),
    ]


def test_all_documents_of_a_file_are_answered_in_the_order_of_the_lines() -> None:
    text = "---\n".join(
        [RESOURCES % "{requests: {memory: 4GB, cpu: two}}", JOB + "spec: {}\n", RESOURCES % "{limits: {cpu: x}}"]
    )
    with pytest.raises(MistakesError) as refused:
        load(text.encode(), "file.yaml")
    lines = [int(problem.where.split(":")[1]) for problem in refused.value.every()]
    assert lines == sorted(lines)
    assert len(lines) == 5


def test_a_mark_of_the_platform_on_a_persons_object_is_refused() -> None:
    """With such a label the laptop would run the object as a part of the platform."""
    labels = "{name: a, labels: {platform.vellum.dev/component: search}}"
    field = "metadata.labels['platform.vellum.dev/component']"
    assert said(SERVICE % (labels, "[--model=a]")) == [("VEL117", field, "delete 'platform.vellum.dev/component'")]


def test_an_object_from_the_socket_is_checked_as_a_file_is() -> None:
    """The supervisor's own admission refuses what `vellum apply` refuses."""
    obj: Obj = yaml.safe_load(SERVICE % ("{name: a, namespace: team}", "[--model=../../etc/passwd]"))
    with pytest.raises(MistakesError, match="VEL115"):
        admit(obj)
    for broken in (
        {},
        {"kind": "Secret"},
        {**obj, "metadata": {}},
        {**obj, "spec": None},
        {**obj, "spec": {"predictor": {}}},
    ):
        with pytest.raises(MistakesError):
            admit(broken)
    good: Obj = yaml.safe_load(SERVICE % ("{name: a, namespace: team}", "[--model=a]"))
    assert admit(good).manifest() == good
