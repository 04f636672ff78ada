"""A model of scikit-learn as KServe's protocols know it: rows or texts in, what it predicts out."""

from __future__ import annotations

from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InvalidInput

MOST_ROWS = 4096
_TYPES = {
    "f": ("FP64", np.float64),
    "i": ("INT64", np.int64),
    "u": ("UINT64", np.uint64),
    "b": ("BOOL", np.bool_),
}


class SkopsModel(Model):  # type: ignore[misc]  # kserve publishes no types
    """One fitted estimator; it was loaded before the server began."""

    def __init__(self, name: str, estimator: Any) -> None:  # noqa: ANN401  # scikit-learn publishes no types
        super().__init__(name)
        self._estimator = estimator
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        """Describe the v2 input."""
        return [{"name": "input", "datatype": "BYTES", "shape": [-1]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        """Describe the v2 outputs; the second is there if the model knows how sure it is."""
        return [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probability", "datatype": "FP64", "shape": [-1]},
        ]

    def validate(self, payload: Any) -> Any:  # noqa: ANN401  # whatever was sent
        """Leave the checks to ``predict``: KServe's own fail on a body that is a JSON string."""
        return payload

    def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401, ARG002
        """Answer a v1 or v2 request.

        Raises:
            InvalidInput: the request is not as it must be; KServe answers 400.
        """
        second = isinstance(payload, InferRequest)
        rows = _tensor(payload) if second else _instances(payload)
        if not 1 <= len(rows) <= MOST_ROWS:
            raise InvalidInput(f"send 1 to {MOST_ROWS} rows, not {len(rows)}")
        try:
            labels = np.asarray(self._estimator.predict(rows))
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidInput(f"the model does not take such rows: {error}") from error
        if not second:
            return {"predictions": labels.tolist()}
        outputs = [_output("label", labels)]
        if hasattr(self._estimator, "predict_proba"):
            outputs.append(_output("probability", self._estimator.predict_proba(rows).max(axis=1)))
        return InferResponse(payload.id or "", self.name, outputs)


def _instances(payload: Any) -> Any:  # noqa: ANN401  # any JSON
    """Return the rows of a v1 request: texts as they are, numbers as an array."""
    rows = payload.get("instances") if isinstance(payload, dict) else None
    if not isinstance(rows, list):
        raise InvalidInput('send a JSON object: {"instances": ["a text", "another"]}')
    if all(isinstance(row, str) for row in rows):
        return rows
    try:
        return np.asarray(rows, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InvalidInput("the rows are neither texts nor lists of numbers of one length") from error


def _tensor(payload: InferRequest) -> Any:  # noqa: ANN401  # texts or an array
    """Return the rows of a v2 request: its one tensor."""
    if len(payload.inputs) != 1:
        raise InvalidInput(f"send one tensor, not {len(payload.inputs)}")
    tensor = payload.inputs[0]
    try:
        values = tensor.as_numpy()
    except (ValueError, TypeError) as error:  # more or fewer values than the shape says, or of another type
        raise InvalidInput(f"the tensor cannot be read: {error}") from error
    if tensor.datatype != "BYTES":
        return values
    rows = np.ravel(values).tolist()
    try:
        return [row.decode() if isinstance(row, bytes) else str(row) for row in rows]
    except UnicodeDecodeError as error:
        raise InvalidInput("a text is not UTF-8") from error


def _output(name: str, values: Any) -> InferOutput:  # noqa: ANN401  # an array
    kind, dtype = _TYPES.get(values.dtype.kind, ("BYTES", None))
    data = values.astype(dtype).tolist() if dtype else [str(value) for value in values.tolist()]
    return InferOutput(name, list(values.shape), kind, data=data)
