"""What a team writes beside its claim, in the kinds of Kubeflow: ``TrainJob`` and ``InferenceService``.

A cluster takes all that its operators know; this is what a laptop takes, and a file that it takes means the same on a
cluster. What only a cluster can do is refused here with the reason, never ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from vellum.kube.objects import Obj
from vellum.model.component import Kind, Spec
from vellum.model.training import (
    INFERENCE_SERVICE,
    MODEL_FORMAT,
    MODEL_RUNTIME,
    RUNTIME,
    TRAIN_JOB,
)
from vellum.model.types import Refused

MOST_WORDS, LONGEST_WORD = 128, 65536
"""Of a command; the CRD allows 128 words of 1 MiB, and a file here has at most 1 MiB in all."""
Word = Annotated[str, StringConstraints(max_length=LONGEST_WORD, pattern=r"^[^\x00]*$")]
Words = Annotated[list[Word], Field(max_length=MOST_WORDS)]
Name = Annotated[str, StringConstraints(max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
Variable = Annotated[str, StringConstraints(max_length=253, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
Amount = Annotated[str, StringConstraints(max_length=32)] | int | float
CLUSTER = "apply it to a cluster: kubectl apply -f FILE"


class SecretKey(Spec):
    """A key of a Secret of the team's namespace."""

    name: Name = Field(description="The Secret", examples=["vellum-binding"])
    key: Name = Field(description="Its key", examples=["VELLUM_BUCKET"])
    optional: bool = Field(default=False, description="Whether it may be missing")


class ValueFrom(Spec):
    """Where a variable's value comes from."""

    secretKeyRef: SecretKey = Field(description="A key of a Secret")  # noqa: N815  # Kubernetes' spelling


class EnvVar(Spec):
    """A variable of the environment."""

    name: Variable = Field(description="The variable", examples=["SEED"])
    value: Word = Field(default="", description="Its value", examples=["7"])
    valueFrom: ValueFrom | None = Field(default=None, description="Where its value comes from")  # noqa: N815  # Kubernetes' spelling


class Resources(Spec):
    """Requests and limits, which only a cluster enforces."""

    requests: dict[Name, Amount] = Field(default={}, description="What is reserved", examples=[{"cpu": "1"}])
    limits: dict[Name, Amount] = Field(
        default={}, description="What is the most", examples=[{"memory": "2Gi"}]
    )


class RuntimeRef(Spec):
    """The runtime of a TrainJob."""

    name: Name = Field(description=f"The runtime; a laptop has {RUNTIME}", examples=[RUNTIME])
    apiGroup: Literal["trainer.kubeflow.org"] = Field(  # noqa: N815  # Kubernetes' spelling
        default="trainer.kubeflow.org", description="Its API group"
    )
    kind: Literal["ClusterTrainingRuntime"] = Field(
        default="ClusterTrainingRuntime", description="Its kind; a namespaced TrainingRuntime needs a cluster"
    )

    @field_validator("name")
    @classmethod
    def _is_here(cls, name: str) -> str:
        if name != RUNTIME:
            raise Refused(f"a laptop has no runtime {name!r}", f"write name: {RUNTIME}, or {CLUSTER}")
        return name


class Trainer(Spec):
    """What a TrainJob runs."""

    image: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        default=None,
        description="The image on a cluster, in place of the runtime's; a laptop runs everything in its own "
        "environment",
        examples=["registry.example.org/train@sha256:..."],
    )
    command: Words = Field(default=[], description="The program", examples=[["python", "-m", "train"]])
    args: Words = Field(default=[], description="Its arguments", examples=[["--epochs=3"]])
    env: Annotated[list[EnvVar], Field(max_length=MOST_WORDS)] = Field(
        default=[], description="Variables beside the binding", examples=[[{"name": "SEED", "value": "7"}]]
    )
    numNodes: int | None = Field(  # noqa: N815  # Kubernetes' spelling
        default=None, description="How many machines; a laptop is one", examples=[1]
    )
    numProcPerNode: int | None = Field(  # noqa: N815  # Kubernetes' spelling
        default=None,
        description="Processes a machine, which the runtime of a laptop does not know",
        examples=[1],
    )
    resourcesPerNode: Resources | None = Field(  # noqa: N815  # Kubernetes' spelling
        default=None, description="Requests and limits; a laptop enforces none"
    )

    @field_validator("numNodes")
    @classmethod
    def _one_machine(cls, nodes: int | None) -> int | None:
        if nodes not in (None, 1):
            what = f"{nodes} nodes: a laptop is one machine, and trains in one group of processes"
            raise Refused(what, f"write numNodes: 1, or {CLUSTER}")
        return nodes

    @field_validator("numProcPerNode")
    @classmethod
    def _starts_one(cls, count: int | None) -> int | None:
        if count is not None:
            raise Refused(
                f"the runtime {RUNTIME} starts one program a node, which starts others itself",
                "delete numProcPerNode",
            )
        return count

    @field_validator("env")
    @classmethod
    def _once_each(cls, env: list[EnvVar]) -> list[EnvVar]:
        names = [entry.name for entry in env]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise Refused(f"{twice[0]} is written twice", "keep one of the two")
        return env

    @field_validator("env")
    @classmethod
    def _one_source(cls, env: list[EnvVar]) -> list[EnvVar]:
        for entry in env:
            if entry.value and entry.valueFrom:
                raise Refused(f"{entry.name} has a value and a place to take it from", "keep one of the two")
        return env


class TrainJobSpec(Spec):
    """A TrainJob's spec, as far as a laptop can do what it says."""

    runtimeRef: RuntimeRef = Field(description="What it runs in")  # noqa: N815  # Kubernetes' spelling
    trainer: Trainer = Field(default=Trainer(), description="What it runs", validate_default=True)
    suspend: bool = Field(
        default=False, description="Whether it is stopped for now; it begins anew afterwards"
    )
    activeDeadlineSeconds: Number | None = Field(  # noqa: N815  # Kubernetes' spelling
        default=None, description="How long it may run before it is ended as failed", examples=[3600]
    )
    managedBy: Literal["trainer.kubeflow.org/trainjob-controller"] = Field(  # noqa: N815  # Kubernetes' spelling
        default="trainer.kubeflow.org/trainjob-controller", description="Who runs it"
    )
    initializer: Any = Field(default=None, description="What a cluster loads before; not on a laptop")
    runtimePatches: Any = Field(  # noqa: N815  # Kubernetes' spelling
        default=None, description="What a cluster changes in the runtime; not on a laptop"
    )

    @field_validator("initializer", "runtimePatches")
    @classmethod
    def _of_a_cluster(cls, given: Any, info: ValidationInfo) -> Any:  # noqa: ANN401  # whatever was written
        if given is not None:
            raise Refused(f"a laptop has no {info.field_name}", f"delete it, or {CLUSTER}")
        return given

    @field_validator("trainer")
    @classmethod
    def _shows_no_value(cls, trainer: Trainer) -> Trainer:
        if not trainer.command:
            raise Refused(
                "there is no command, and a laptop has no image that brings one",
                "write command: [python, -m, MODULE]",
            )
        # A kubelet puts values in place of $(NAME); here every user of the machine could read them.
        known = "|".join(re.escape(entry.name) for entry in trainer.env)
        for word in (*trainer.command, *trainer.args):
            if known and (found := re.search(rf"\$\(({known})\)", word)):
                raise Refused(
                    f"{found[0]} would show the value of a variable to everybody who lists processes",
                    "read the variable in the program",
                )
        return trainer


class ModelFormat(Spec):
    """How the model is stored."""

    name: Literal["skops"] = Field(
        description="A model of scikit-learn, written by skops", examples=[MODEL_FORMAT]
    )


class Model(Spec):
    """A model that is served."""

    modelFormat: ModelFormat = Field(description="How it is stored")  # noqa: N815  # Kubernetes' spelling
    runtime: Literal["vellum-skops"] = Field(description="What serves it", examples=[MODEL_RUNTIME])
    args: Words = Field(
        default=[], description="Its arguments: --model=KEY of the team's bucket",
        examples=[["--model=models/documents.skops"]],
    )  # fmt: skip
    resources: Resources | None = Field(
        default=None, description="Requests and limits; a laptop enforces none"
    )


class Predictor(Spec):
    """What answers."""

    model: Model = Field(description="The model")
    serviceAccountName: Name | None = Field(  # noqa: N815  # Kubernetes' spelling
        default=None, description="Who it is on a cluster", examples=["default-editor"]
    )
    minReplicas: int = Field(  # noqa: N815  # Kubernetes' spelling
        default=1, ge=0, le=100, description="How many answer at least; a laptop runs one"
    )
    maxReplicas: int = Field(  # noqa: N815  # Kubernetes' spelling
        default=1, ge=1, le=100, description="How many answer at most; a laptop runs one"
    )


class InferenceServiceSpec(Spec):
    """An InferenceService's spec, as far as a laptop can do what it says."""

    predictor: Predictor = Field(description="What answers")


SPECS: dict[str, type[Spec]] = {
    TRAIN_JOB.kind: TrainJobSpec,
    INFERENCE_SERVICE.kind: InferenceServiceSpec,
}
KINDS = {kind.kind: kind for kind in (TRAIN_JOB, INFERENCE_SERVICE)}


@dataclass(frozen=True, slots=True)
class Workload:
    """One valid TrainJob or InferenceService; ``namespace`` is empty where the file names none."""

    kind: Kind
    namespace: str
    name: str
    spec: Spec
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    def manifest(self) -> Obj:
        """Return the object as it was written."""
        metadata: Obj = {"name": self.name}
        for name in ("namespace", "labels", "annotations"):
            if value := getattr(self, name):
                metadata[name] = value
        spec = self.spec.model_dump(mode="json", exclude_unset=True)
        return {
            "apiVersion": self.kind.api_version,
            "kind": self.kind.kind,
            "metadata": metadata,
            "spec": spec,
        }


def check_live(obj: Obj) -> None:
    """Check the spec of an object that did not come through the loader.

    Raises:
        pydantic.ValidationError: it is not as a laptop takes it.
    """
    SPECS[obj["kind"]].model_validate(obj.get("spec") or {})
