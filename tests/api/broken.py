"""Files with common mistakes, one or several in each. Every error about them must lead to a valid file."""

from __future__ import annotations

_CLAIM = "apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: a}\n"
_PLATFORM = "apiVersion: platform.vellum.dev/v1alpha1\nkind: KubeflowPlatform\nmetadata: {name: kubeflow}\n"
_JOB = "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob\nmetadata: {name: a}\n"
_SERVICE = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: a}\n"
_RUNS = "runtimeRef: {name: vellum}"
_CLAIMS = {
    "typo": "spec: {notbooks: enabled}",
    "on": "spec: {notebooks: on}",
    "off": "spec: {pipelines: off}",
    "size": "spec: {size: smal}",
    "storage": "spec: {notebook: {storage: 10gb}}",
    "number": "spec: {costCenter: 4711}",
    "octal": "spec: {costCenter: 0815}",
    "quoted": 'spec: {search: {replicas: "2"}}',
    "many": "spec: {search: {replicas: 9}}",
    "none": "spec: {owner: }",
    "text": "spec: {notebook: 5Gi}",
    "policy": "spec: {deletionPolicy: delete}",
    "no spec": "",
    "list": "spec: []",
    "label": "spec: {}\nlabels: {a: b}",
    "several": "spec: {notbooks: enabled, size: smal, notebook: {storage: 10gb, sotrage: 1Gi}}",
}
_PLATFORMS = {
    "profile": "spec: {profile: lite}",
    "port": "spec: {gateway: {port: 80}}",
    "port text": 'spec: {gateway: {port: "28000"}}',
    "external": "spec: {profile: light, objectStore: {backend: external}}",
    "typo": "spec: {gatway: {port: 28000}}",
}
_JOBS = {
    "nothing": "spec: {}",
    "no spec": "",
    "runtime": "spec: {runtimeRef: {name: torch}, trainer: {command: [x]}}",
    "nodes": f"spec: {{{_RUNS}, trainer: {{command: [x], numNodes: 2}}}}",
    "no command": f"spec: {{{_RUNS}}}",
    "processes": f"spec: {{{_RUNS}, trainer: {{command: [x], numProcPerNode: auto}}}}",
    "command": f"spec: {{{_RUNS}, trainer: {{command: python train.py}}}}",
    "typo": f"spec: {{{_RUNS}, trainer: {{comand: [x]}}}}",
    "memory": f"spec: {{{_RUNS}, trainer: {{command: [x], resourcesPerNode: {{requests: {{memory: 4GB, cpu: two}}}}}}}}",
    "above": f"spec: {{{_RUNS}, trainer: {{command: [x], resourcesPerNode: {{requests: {{memory: 4Gi}}}}}}}}",
    "below": f"spec: {{{_RUNS}, trainer: {{command: [x], resourcesPerNode: {{limits: {{memory: 64Mi}}}}}}}}",
    "pair": f"spec: {{{_RUNS}, trainer: {{command: [x], resourcesPerNode: {{requests: {{cpu: 2}}, limits: {{cpu: 1}}}}}}}}",
    "gpu": f"spec: {{{_RUNS}, trainer: {{command: [x], resourcesPerNode: {{limits: {{gpu: 1}}}}}}}}",
    "twice": f"spec: {{{_RUNS}, trainer: {{command: [x], env: [{{name: A}}, {{name: A}}]}}}}",
    "both": f"spec: {{{_RUNS}, trainer: {{command: [x], env: [{{name: A, value: a, valueFrom: {{secretKeyRef: {{name: a, key: b}}}}}}]}}}}",
    "map": f"spec: {{{_RUNS}, trainer: {{command: [x], env: [{{name: A, valueFrom: {{configMapKeyRef: {{name: a, key: b}}}}}}]}}}}",
    "value": f"spec: {{{_RUNS}, trainer: {{command: [x], env: [{{name: A, value: 7}}]}}}}",
    "overrides": f"spec: {{{_RUNS}, trainer: {{command: [x]}}, podTemplateOverrides: []}}",
    "initializer": f"spec: {{{_RUNS}, trainer: {{command: [x]}}, initializer: {{}}}}",
    "deadline": f"spec: {{{_RUNS}, trainer: {{command: [x]}}, activeDeadlineSeconds: 0}}",
    "suspend": f"spec: {{{_RUNS}, trainer: {{command: [x]}}, suspend: yes}}",
}
_MODEL = "modelFormat: {name: skops}, runtime: vellum-skops"
_SERVICES = {
    "nothing": "spec: {}",
    "no spec": "",
    "no model": "spec: {predictor: {}}",
    "documented": "spec: {predictor: {model: {modelFormat: {name: sklearn}, storageUri: 'gs://a/b'}}}",
    "old": "spec: {predictor: {sklearn: {storageUri: 'gs://a/b'}}}",
    "canary": f"spec: {{predictor: {{canaryTrafficPercent: 10, model: {{{_MODEL}, args: [--model=a]}}}}}}",
    "custom": "spec: {predictor: {containers: [{name: kserve-container, image: a}]}}",
    "transformer": f"spec: {{transformer: {{}}, predictor: {{model: {{{_MODEL}}}}}}}",
    "path": f"spec: {{predictor: {{model: {{{_MODEL}, args: [--model=../../etc/passwd]}}}}}}",
    "args": f"spec: {{predictor: {{model: {{{_MODEL}, args: [--http_port=80]}}}}}}",
    "text": f"spec: {{predictor: {{model: {{{_MODEL}, args: --model=a}}}}}}",
    "replicas": f"spec: {{predictor: {{minReplicas: 3, maxReplicas: 2, model: {{{_MODEL}, args: [--model=a]}}}}}}",
    "runtime": "spec: {predictor: {model: {modelFormat: {name: skops}, runtime: kserve-sklearnserver, args: [--model=a]}}}",
    "typo": f"spec: {{predictor: {{modle: {{{_MODEL}, args: [--model=a]}}}}}}",
    "version": "spec: {predictor: {model: {modelFormat: {name: skops, version: '1'}, runtime: vellum-skops, args: [--model=a]}}}",
    "memory": f"spec: {{predictor: {{model: {{{_MODEL}, args: [--model=a], resources: {{requests: {{memory: 2Gi}}}}}}}}}}",
}
_HEADS = (
    ("claim", _CLAIM, _CLAIMS),
    ("platform", _PLATFORM, _PLATFORMS),
    ("job", _JOB, _JOBS),
    ("service", _SERVICE, _SERVICES),
)
_NAMES = {
    "name My_Team": _CLAIM.replace("name: a", "name: My_Team") + "spec: {}",
    "name 1a": _JOB.replace("name: a", "name: 1a") + f"spec: {{{_RUNS}, trainer: {{command: [x]}}}}",
    "long name": _SERVICE.replace("name: a", f"name: {'a' * 40}")
    + f"spec: {{predictor: {{model: {{{_MODEL}, args: [--model=a]}}}}}}",
    "platform's name": _PLATFORM.replace("kubeflow}", "mine}") + "spec: {}",
    "no name": _CLAIM.replace("{name: a}", "{}") + "spec: {}",
    "label": _CLAIM.replace("name: a", "name: a, labels: {stage: 12}") + "spec: {}",
    "kind": _CLAIM.replace("MLOpsPlatform", "MLOpsPlattform") + "spec: {}",
    "version": _JOB.replace("v1alpha1", "v1") + f"spec: {{{_RUNS}, trainer: {{command: [x]}}}}",
}
BROKEN = {f"{word}: {name}": f"{head}{text}\n" for word, head, texts in _HEADS for name, text in texts.items()} | _NAMES
"""The edit of the file's text that makes the mistake."""
