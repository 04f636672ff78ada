"""The kinds of Kubeflow that a team writes beside its claim: ``TrainJob`` and ``InferenceService``.

These models accept what a laptop can run; a cluster accepts all that its operators know. A file that a laptop accepts
means the same on a cluster. A field that only a cluster can serve is refused with the reason, never ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, ValidationInfo, WithJsonSchema, field_validator

from vellum.api.elsewhere import FRAMEWORKS
from vellum.kube.objects import Json, Kind, Obj, make
from vellum.model.component import Spec
from vellum.model.training import INFERENCE_SERVICE, MODEL_FORMAT, MODEL_RUNTIME, RUNTIME, TRAIN_JOB
from vellum.model.types import Refused

MOST_WORDS, LONGEST_WORD = 128, 65536
"""The limit of a command. The CRD allows 128 words of 1 MiB; a file here has at most 1 MiB in all."""
Word = Annotated[str, StringConstraints(max_length=LONGEST_WORD, pattern=r"^[^\x00]*$")]
Words = Annotated[list[Word], Field(max_length=MOST_WORDS)]
Name = Annotated[
    str, StringConstraints(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
]
"""The limit of an object's name: a DNS subdomain."""
SecretKeyName = Annotated[
    str, StringConstraints(max_length=253, pattern=r"^([-_a-zA-Z0-9]|\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$")
]
Variable = Annotated[str, StringConstraints(max_length=253, pattern=r"^([-_a-zA-Z]|\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$")]
"""The names that Kubernetes allows: not ``.``, not ``..``, and without ``=``."""
Image = Annotated[str, StringConstraints(max_length=500, pattern=r"^[A-Za-z0-9][-A-Za-z0-9._:/@]*$")]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
Amounts = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {
                "type": "string",
                "description": "A quantity of Kubernetes: cores, bytes, devices",
                "example": "1Gi",
            },
        }
    ),
]
"""Checked by ``api/resources.py``, which knows the unit of each name and the runtime's own values."""
CLUSTER = "apply it to a cluster: kubectl apply -f FILE"


class SecretKey(Spec):
    """A key of a Secret in the team's namespace."""

    name: Name = Field(description="The Secret", examples=["vellum-binding"])
    key: SecretKeyName = Field(description="Its key", examples=["VELLUM_BUCKET"])
    optional: bool = Field(default=False, description="Whether the key may be missing")


class ValueFrom(Spec):
    """The source of a variable's value."""

    secretKeyRef: SecretKey = Field(description="A key of a Secret")  # noqa: N815  # Kubernetes' spelling


class EnvVar(Spec):
    """A variable of the environment."""

    name: Variable = Field(description="The variable", examples=["SEED"])
    value: Word = Field(default="", description="Its value", examples=["7"])
    valueFrom: ValueFrom | None = Field(default=None, description="The source of its value")  # noqa: N815  # Kubernetes' spelling


class Resources(Spec):
    """Requests and limits, which only a cluster enforces."""

    requests: Amounts = Field(default={}, description="The reserved amounts", examples=[{"cpu": "1"}])
    limits: Amounts = Field(default={}, description="The largest amounts", examples=[{"memory": "2Gi"}])


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
            raise Refused(f"a laptop does not have the runtime {name[:60]!r}", f"write name: {RUNTIME}, or {CLUSTER}")
        return name


_ONE = {"type": "integer", "minimum": 1, "maximum": 1}


def _one_machine(nodes: object) -> object:
    if nodes is None or (nodes == 1 and isinstance(nodes, int) and not isinstance(nodes, bool)):
        return nodes
    what = f"{str(nodes)[:40]} nodes: a laptop is one machine, and trains in one group of processes"
    raise Refused(what, f"write numNodes: 1, or {CLUSTER}")


def _starts_one(count: object) -> object:
    if count is not None:
        what = f"the runtime {RUNTIME} starts one program on each node"
        raise Refused(what, "delete numProcPerNode")
    return count


class Trainer(Spec):
    """The program of a TrainJob."""

    image: Image | None = Field(
        default=None,
        description="The image on a cluster, in place of the runtime's; a laptop runs everything in its own "
        "environment",
        examples=["registry.example.org/train:1"],
    )
    command: Words = Field(default=[], description="The program", examples=[["python", "-m", "train"]])
    args: Words = Field(default=[], description="Its arguments", examples=[["--epochs=3"]])
    env: Annotated[list[EnvVar], Field(max_length=MOST_WORDS)] = Field(
        default=[], description="Variables beside the binding", examples=[[{"name": "SEED", "value": "7"}]]
    )
    numNodes: Annotated[Any, BeforeValidator(_one_machine), WithJsonSchema(_ONE)] = Field(  # noqa: N815  # Kubernetes' spelling
        default=None, description="How many machines; a laptop is one", examples=[1]
    )
    numProcPerNode: Annotated[Any, BeforeValidator(_starts_one), WithJsonSchema(_ONE)] = Field(  # noqa: N815  # Kubernetes' spelling
        default=None, description="Processes on each machine; the runtime of a laptop does not support it", examples=[1]
    )
    resourcesPerNode: Resources | None = Field(  # noqa: N815  # Kubernetes' spelling
        default=None, description="Requests and limits; a laptop enforces none"
    )


class TrainJobSpec(Spec):
    """A TrainJob's spec, with the fields that a laptop supports."""

    runtimeRef: RuntimeRef = Field(description="What it runs in")  # noqa: N815  # Kubernetes' spelling
    trainer: Trainer = Field(default=Trainer(), description="What it runs", validate_default=True)
    suspend: bool = Field(
        default=False, description="Whether it is stopped for now; when resumed, it starts again from the beginning"
    )
    activeDeadlineSeconds: Number | None = Field(  # noqa: N815  # Kubernetes' spelling
        default=None, description="How many seconds it may run before it fails", examples=[3600]
    )
    managedBy: Literal["trainer.kubeflow.org/trainjob-controller"] = Field(  # noqa: N815  # Kubernetes' spelling
        default="trainer.kubeflow.org/trainjob-controller", description="The controller that runs it"
    )
    initializer: Any = Field(default=None, description="What a cluster loads first; not on a laptop")
    runtimePatches: Any = Field(  # noqa: N815  # Kubernetes' spelling
        default=None, description="What a cluster changes in the runtime; not on a laptop"
    )

    @field_validator("initializer", "runtimePatches")
    @classmethod
    def _of_a_cluster(cls, given: Json, info: ValidationInfo) -> Json:
        if given is not None:
            raise Refused(f"a laptop does not support {info.field_name}", f"delete it, or {CLUSTER}")
        return given


class ModelFormat(Spec):
    """The storage format of the model."""

    name: str = Field(
        description="A scikit-learn model that skops wrote",
        examples=[MODEL_FORMAT],
        json_schema_extra={"enum": [MODEL_FORMAT]},
    )

    @field_validator("name")
    @classmethod
    def _is_served(cls, name: str) -> str:
        if name != MODEL_FORMAT:
            known = f"{name[:40]!r} is not a known format"
            if name in FRAMEWORKS:
                known = f"only a cluster serves models of the format {name}"
            fix = f"write name: {MODEL_FORMAT}, and store the model with skops.io.dump, or {CLUSTER}"
            raise Refused(f"{known}; a laptop serves only {MODEL_FORMAT}", fix)
        return name


class Model(Spec):
    """A model that is served."""

    modelFormat: ModelFormat = Field(description="How it is stored")  # noqa: N815  # Kubernetes' spelling
    runtime: str = Field(
        description="The runtime that serves it", examples=[MODEL_RUNTIME], json_schema_extra={"enum": [MODEL_RUNTIME]}
    )
    args: Words = Field(
        description="Its arguments: --model=KEY of the team's bucket", examples=[["--model=models/documents.skops"]]
    )
    resources: Resources | None = Field(default=None, description="Requests and limits; a laptop enforces none")

    @field_validator("runtime")
    @classmethod
    def _is_here(cls, name: str) -> str:
        if name != MODEL_RUNTIME:
            raise Refused(
                f"a laptop does not have the runtime {name[:60]!r}", f"write runtime: {MODEL_RUNTIME}, or {CLUSTER}"
            )
        return name


class Predictor(Spec):
    """The servers of the model."""

    model: Model = Field(description="The model")
    serviceAccountName: Name | None = Field(  # noqa: N815  # Kubernetes' spelling
        default=None, description="Its service account on a cluster", examples=["default-editor"]
    )
    minReplicas: int = Field(  # noqa: N815  # Kubernetes' spelling
        default=1, ge=0, le=100, description="The least number of servers; a laptop runs one"
    )
    maxReplicas: int = Field(  # noqa: N815  # Kubernetes' spelling
        default=1, ge=1, le=100, description="The largest number of servers; a laptop runs one"
    )


class InferenceServiceSpec(Spec):
    """An InferenceService's spec, with the fields that a laptop supports."""

    predictor: Predictor = Field(description="What answers")


SPECS: dict[str, type[Spec]] = {TRAIN_JOB.kind: TrainJobSpec, INFERENCE_SERVICE.kind: InferenceServiceSpec}
KINDS = {kind.kind: kind for kind in (TRAIN_JOB, INFERENCE_SERVICE)}


@dataclass(frozen=True, slots=True)
class Workload:
    """One valid TrainJob or InferenceService; ``namespace`` is empty if the file does not set one."""

    kind: Kind
    namespace: str
    name: str
    spec: Spec
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    def manifest(self) -> Obj:
        """Return the object as it was written."""
        spec = self.spec.model_dump(mode="json", exclude_unset=True)
        return make(*self.kind, self.name, self.namespace, labels=self.labels, annotations=self.annotations, spec=spec)
