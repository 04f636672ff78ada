"""A model of scikit-learn behind KServe's protocols: rows or texts in, predictions out."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, Model
from kserve.errors import InvalidInput

from vellum.workloads.models import rows
from vellum.workloads.models.rows import Signature
from vellum.workloads.serving import respond

_TYPES = {"f": ("FP64", np.float64), "i": ("INT64", np.int64), "u": ("UINT64", np.uint64), "b": ("BOOL", np.bool_)}
_FAULTS_OF_ROWS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class SkopsModel(Model):  # type: ignore[misc]  # kserve publishes no types
    """One fitted estimator, loaded before the server began."""

    def __init__(self, name: str, estimator: Any) -> None:  # noqa: ANN401  # scikit-learn publishes no types
        super().__init__(name)
        self._estimator = estimator
        self._signature = Signature.of(estimator)
        self._outputs = self._probe()
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        """Return the v2 metadata of the inputs."""
        return self._signature.inputs()

    def get_output_types(self) -> list[dict[str, Any]]:
        """Return the v2 metadata of the outputs: ``label``, and ``probability`` where the model has one."""
        return self._outputs

    def validate(self, payload: Any) -> Any:  # noqa: ANN401  # whatever was sent
        """Leave the checks to ``predict``: KServe's own fail on a body that is a JSON string."""
        return payload

    async def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401, ARG002
        """Answer a v1 or v2 request in a thread, so that health is answered meanwhile.

        Raises:
            InvalidInput: the model does not accept such a request; KServe answers 400.
        """
        return await asyncio.to_thread(self._answer, payload)

    def _answer(self, payload: Any) -> Any:  # noqa: ANN401
        if not isinstance(payload, InferRequest):
            return {"predictions": self._labels(rows.from_v1(payload, self._signature)).tolist()}
        asked = rows.from_v2(payload, self._signature)
        outputs = [_output("label", self._labels(asked))]
        if hasattr(self._estimator, "predict_proba"):
            outputs.append(_output("probability", self._probabilities(asked)))
        return respond(payload, self.name, outputs)

    def _labels(self, asked: Any) -> Any:  # noqa: ANN401  # an array
        try:
            return np.asarray(self._estimator.predict(asked))
        except _FAULTS_OF_ROWS as error:
            raise InvalidInput(f"the model does not take such rows: {error}") from error

    def _probabilities(self, asked: Any) -> Any:  # noqa: ANN401
        """Return the probability of each label, in the shape of the labels."""
        result = self._estimator.predict_proba(asked)
        if isinstance(result, list):  # A model of several targets has one array of classes for each.
            return np.stack([np.asarray(target).max(axis=1) for target in result], axis=1)
        result = np.asarray(result)
        # A chain or a model of several yes-or-no targets has one column for each, not for each class.
        several = np.ndim(self._labels(asked)) > 1
        return np.where(result >= 0.5, result, 1 - result) if several else result.max(axis=1)  # noqa: PLR2004  # the more likely side

    def _probe(self) -> list[dict[str, Any]]:
        """Return the metadata of the outputs, from a prediction for one row of zeros or empty texts."""
        signature = self._signature
        blank: Any = [""] if signature.texts else [[_blank(signature, place) for place in range(signature.width or 1)]]
        try:
            asked = rows.from_v1({"instances": blank}, signature)
            outputs = [_output("label", self._labels(asked))]
            if hasattr(self._estimator, "predict_proba"):
                outputs.append(_output("probability", self._probabilities(asked)))
        except (InvalidInput, *_FAULTS_OF_ROWS):
            # Some models refuse zeros, such as an encoder of known categories. Then the metadata come from the classes.
            return _declared(self._estimator)
        return [
            {"name": output.name, "datatype": output.datatype, "shape": [-1, *output.shape[1:]]} for output in outputs
        ]


def _blank(signature: Signature, place: int) -> Any:  # noqa: ANN401  # a text or a number
    return "" if signature.columns and signature.columns[place].datatype == "BYTES" else 0.0


def _declared(estimator: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    classes: Any = getattr(estimator, "classes_", None)
    several = isinstance(classes, list)
    kinds = {_TYPES.get(np.asarray(item).dtype.kind, ("BYTES",))[0] for item in (classes if several else [classes])}
    datatype = "FP64" if classes is None else kinds.pop() if len(kinds) == 1 else "BYTES"
    shape = [-1, len(classes)] if several else [-1]
    results = [{"name": "label", "datatype": datatype, "shape": shape}]
    if hasattr(estimator, "predict_proba"):
        results.append({"name": "probability", "datatype": "FP64", "shape": shape})
    return results


def _output(name: str, values: Any) -> InferOutput:  # noqa: ANN401  # an array
    datatype, dtype = _TYPES.get(values.dtype.kind, ("BYTES", None))
    if dtype:
        data = values.astype(dtype)
    else:
        data = np.empty(values.shape, dtype=object)
        data.ravel()[:] = [str(value) for value in values.ravel().tolist()]
    return InferOutput(name, list(values.shape), datatype, data=data)
