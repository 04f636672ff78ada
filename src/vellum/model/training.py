"""Names of training and of served models, which files, objects and the laptop must spell alike."""

from __future__ import annotations

from vellum.kube.objects import Kind

TRAIN_JOB = Kind("trainer.kubeflow.org/v1alpha1", "TrainJob")
TRAINING_RUNTIME = Kind(TRAIN_JOB.api_version, "ClusterTrainingRuntime")
INFERENCE_SERVICE = Kind("serving.kserve.io/v1beta1", "InferenceService")
SERVING_RUNTIME = Kind("serving.kserve.io/v1alpha1", "ClusterServingRuntime")
RUNTIME = "vellum"
"""The runtime that a TrainJob refers to: one container with Python, Vellum and the team's binding."""
MODEL_RUNTIME = "vellum-skops"
MODEL_FORMAT = "skops"
"""The format that skops writes: scikit-learn models without pickle, so that reading one runs none of its code."""
NODE = "node"
"""The job and the container to which a TrainJob's ``trainer`` is applied (trainer 2.3.0, pkg/constants)."""
LONGEST_JOB = 48
"""A pod is called NAME-node-0-0-XXXXX, in at most 63 characters (jobset 0.12.0, its webhook)."""
