"""Kinds and fields that only a cluster has: kinds of KServe, Kubeflow and Kubernetes, and fields of a laptop's kinds.

The facts are those of KServe 0.20, Trainer 2.3 and Kubernetes 1.34. A message must not deny a field that exists there.
"""

from __future__ import annotations

import re

from vellum.api.yaml_reader import Path

KUBECTL = "apply the file on a cluster: kubectl apply -f FILE"
_TRAIN = "here write a TrainJob (trainer.kubeflow.org/v1alpha1)"
_SERVE = "here write an InferenceService with runtime: vellum-skops"
_MADE = "here a claim makes what a team needs"
_ROWS = (
    ("KServe", _SERVE, """
        InferenceGraph TrainedModel LLMInferenceService LLMInferenceServiceConfig ServingRuntime ClusterServingRuntime
        ClusterStorageContainer LocalModelCache LocalModelNamespaceCache LocalModelNode LocalModelNodeGroup"""),
    ("Kubeflow Trainer", f"{_TRAIN} with runtimeRef: {{name: vellum}}",
     "TrainingRuntime ClusterTrainingRuntime OptimizationJob"),
    ("Kubeflow's training operator", _TRAIN, "PyTorchJob TFJob MPIJob XGBoostJob PaddleJob JAXJob MXJob"),
    ("Kubeflow Katib", _TRAIN, "Experiment Trial Suggestion"),
    ("Kubeflow Notebooks", "here write notebooks: enabled into the claim", "Notebook Workspace WorkspaceKind"),
    ("Kubeflow", _MADE, "Profile PodDefault Tensorboard PVCViewer"),
    ("Kubeflow Pipelines", "here write pipelines: enabled into the claim",
     "Pipeline PipelineVersion ScheduledWorkflow Viewer"),
    ("Argo Workflows", _TRAIN, "Workflow WorkflowTemplate ClusterWorkflowTemplate CronWorkflow WorkflowTaskSet"),
    ("Kubeflow Hub", "a laptop has no such part", "ModelRegistry"),
    ("Kubeflow Spark Operator", _TRAIN, "SparkApplication ScheduledSparkApplication SparkConnect"),
    ("KubeRay", _TRAIN, "RayCluster RayJob RayService"),
    ("Kubernetes", _TRAIN, "JobSet LeaderWorkerSet Job CronJob"),
    ("Kubernetes", "here write a TrainJob or an InferenceService",
     "Deployment StatefulSet DaemonSet ReplicaSet Pod ReplicationController PodTemplate"),
    ("Kubernetes", "here a workload reads the team's own Secrets, such as vellum-binding", "Secret ConfigMap"),
    ("Kubernetes", "here data is in the team's bucket",
     "PersistentVolumeClaim PersistentVolume StorageClass VolumeSnapshot"),
    ("Kubernetes", "here write each item as a document of its own, with --- between them", "List"),
    ("Kubernetes", _MADE, """
        Namespace ResourceQuota LimitRange ServiceAccount Role RoleBinding ClusterRole ClusterRoleBinding NetworkPolicy
        PodDisruptionBudget HorizontalPodAutoscaler"""),
    ("Kubernetes", "here the gateway finds every workload automatically", """
        Service Ingress Endpoints EndpointSlice Gateway HTTPRoute GRPCRoute VirtualService DestinationRule
        AuthorizationPolicy"""),
    ("Kubernetes", "a laptop has no such part", """
        CustomResourceDefinition Event Node Lease ValidatingWebhookConfiguration MutatingWebhookConfiguration APIService
        PriorityClass"""),
    ("Crossplane", "here write the claim alone", """
        Composition CompositeResourceDefinition Provider ProviderConfig Function Configuration Release
        DeploymentRuntimeConfig Usage ClusterUsage"""),
)  # fmt: skip
_KINDS = {word: (owner, instead) for owner, instead, words in _ROWS for word in words.split()}
"""Kind to its project, and to its replacement on a laptop."""
_GROUPS = {
    "serving.kserve.io": "KServe",
    "trainer.kubeflow.org": "Kubeflow Trainer",
    "kubeflow.org": "Kubeflow",
    "pipelines.kubeflow.org": "Kubeflow Pipelines",
    "modelregistry.kubeflow.org": "Kubeflow Hub",
    "argoproj.io": "Argo",
    "jobset.x-k8s.io": "JobSet",
    "ray.io": "KubeRay",
    "apps": "Kubernetes",
    "batch": "Kubernetes",
    "": "Kubernetes",
    "policy": "Kubernetes",
    "autoscaling": "Kubernetes",
    "extensions": "Kubernetes",
}
_VERSION = re.compile(r"v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?")
_GROUP = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")
_KIND = re.compile(r"[A-Z][A-Za-z0-9]{0,62}")
_LONGEST_GROUP = 253
_OURS = "platform.vellum.dev"

_POD = frozenset({
    "containers", "initContainers", "ephemeralContainers", "volumes", "nodeSelector", "nodeName", "affinity",
    "tolerations", "imagePullSecrets", "securityContext", "schedulerName", "priorityClassName", "priority",
    "runtimeClassName", "hostNetwork", "hostPID", "hostIPC", "hostUsers", "hostname", "subdomain", "hostAliases",
    "dnsPolicy", "dnsConfig", "restartPolicy", "terminationGracePeriodSeconds", "activeDeadlineSeconds",
    "automountServiceAccountToken", "serviceAccount", "shareProcessNamespace", "enableServiceLinks",
    "topologySpreadConstraints", "readinessGates", "preemptionPolicy", "overhead", "setHostnameAsFQDN", "os",
    "schedulingGates", "resourceClaims", "resources",
})  # fmt: skip
_CONTAINER = frozenset({
    "name", "image", "imagePullPolicy", "command", "workingDir", "ports", "env", "envFrom", "volumeMounts",
    "volumeDevices", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "terminationMessagePath",
    "terminationMessagePolicy", "securityContext", "stdin", "stdinOnce", "tty", "resizePolicy", "restartPolicy",
})  # fmt: skip
FRAMEWORKS = frozenset({
    "sklearn", "xgboost", "lightgbm", "catboost", "tensorflow", "pytorch", "triton", "onnx", "openvino",
    "huggingface", "pmml", "paddle", "mlflow", "mlserver", "tensorrt", "keras", "spacy", "vllm", "predictive",
    "custom",
})  # fmt: skip
"""Formats of models that KServe's own runtimes serve."""
_KSERVE: dict[str, frozenset[str]] = {
    "spec": frozenset({"transformer", "explainer", "canaryTrafficPercent"}),
    "spec.predictor": _POD | FRAMEWORKS | {
        "storageUris", "workerSpec", "scaleTarget", "scaleMetric", "scaleMetricType", "containerConcurrency", "timeout",
        "canaryTrafficPercent", "canary", "logger", "batcher", "labels", "annotations", "deploymentStrategy",
        "autoScaling",
    },
    "spec.predictor.model": _CONTAINER | {
        "storageUri", "storage", "runtimeVersion", "protocolVersion", "fineTunedWeights",
    },
    "spec.predictor.model.modelFormat": frozenset({"version"}),
    "spec.predictor.model.resources": frozenset({"claims"}),
}  # fmt: skip
_TRAINER: dict[str, frozenset[str]] = {
    "spec": frozenset(
        {"podTemplateOverrides", "podSpecOverrides", "labels", "annotations", "datasetConfig", "modelConfig"}
    ),
    "spec.trainer": frozenset({"podTemplate"}),
    "spec.trainer.resourcesPerNode": frozenset({"claims"}),
    "spec.trainer.env.valueFrom": frozenset({"configMapKeyRef", "fieldRef", "resourceFieldRef", "fileKeyRef"}),
}
_FIELDS = {"InferenceService": ("KServe", _KSERVE), "TrainJob": ("Kubeflow Trainer", _TRAINER)}
_HERE = {
    "storageUri": "write args: [--model=KEY] with the model's key in the team's bucket",
    "storage": "write args: [--model=KEY] with the model's key in the team's bucket",
    "storageUris": "write args: [--model=KEY] in the model, with its key in the team's bucket",
    "configMapKeyRef": "write the value itself, or a secretKeyRef",
}
"""Field to what to write instead of it on a laptop."""


def field(kind: str, path: Path) -> tuple[str, str] | None:
    """Return what is wrong with a field that the kind's operator has but a laptop does not serve, and the fix."""
    owner, known = _FIELDS.get(kind, ("", {}))
    name = str(path[-1])
    place = ".".join(part for part in path[:-1] if isinstance(part, str))
    if name not in known.get(place, ()):
        return None
    instead = f"; {_HERE[name]}" if name in _HERE else ""
    return (f"{owner} has the field {name}; a laptop does not serve it", f"delete {name}, or {KUBECTL}{instead}")


def known(word: object) -> bool:
    """Tell whether another project defines the kind."""
    return isinstance(word, str) and word in _KINDS


def kind(api_version: object, word: object) -> tuple[str, str] | None:
    """Return what to report for another project's kind, and the fix; None if it may be a misspelt kind of ours."""
    if not isinstance(word, str):
        return None
    group, slash, version = api_version.rpartition("/") if isinstance(api_version, str) else ("", "", "")
    if group == _OURS:
        return None
    if word in _KINDS:
        owner, instead = _KINDS[word]
        return f"{owner} has the kind {word}; a laptop does not serve it", f"{KUBECTL}; {instead}"
    real = _VERSION.fullmatch(version) and (group in _GROUPS or _GROUP.fullmatch(group))
    if not real or (not group and slash) or len(group) > _LONGEST_GROUP or not _KIND.fullmatch(word):
        return None
    owner = _GROUPS.get(group, group)
    return f"{word} is a kind of {owner}; a laptop does not serve it", KUBECTL
