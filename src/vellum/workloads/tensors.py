"""Read a tensor of a v2 request strictly: datatype, shape and data must agree."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "BOOL": (bool,),
    "BYTES": (str, bytes),
    "FP": (int, float),
    "INT": (int,),
    "UINT": (int,),
}
_DATATYPES = (
    *("BOOL", "BYTES", "FP16", "FP32", "FP64"),
    *(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)),
)


class BadTensorError(Exception):
    """A tensor contradicts itself; the text names the tensor and the contradiction."""


def read(tensor: Any) -> Any:  # noqa: ANN401  # KServe's InferInput in, an array out
    """Return a tensor as an array of its shape; BYTES become an array of texts.

    Raises:
        BadTensorError: datatype, shape and data do not agree.
    """
    name, datatype, shape = tensor.name, tensor.datatype, tensor.shape
    if datatype not in _DATATYPES:
        raise BadTensorError(f"tensor {name}: datatype {datatype} is unknown; use one of {', '.join(_DATATYPES)}")
    if not isinstance(shape, list) or any(
        not isinstance(size, int) or isinstance(size, bool) or size < 0 for size in shape
    ):
        raise BadTensorError(f"tensor {name}: the shape must be a list of whole numbers from 0")
    if tensor._raw_data is None:  # noqa: SLF001  # KServe has no public name for it
        _check_json(tensor)
    try:
        values = tensor.as_numpy()
    except (ValueError, TypeError, OverflowError) as error:
        raise BadTensorError(f"tensor {name} cannot be read: {error}") from error
    if datatype != "BYTES":
        return values
    try:
        texts = [item.decode() if isinstance(item, bytes) else item for item in values.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise BadTensorError(f"tensor {name}: a text is not UTF-8") from error
    decoded = np.empty(len(texts), dtype=object)
    decoded[:] = texts
    return decoded.reshape(values.shape)


def _check_json(tensor: Any) -> None:  # noqa: ANN401  # KServe's InferInput
    """Refuse JSON values that numpy would turn into another type without an error."""
    kind = tensor.datatype.rstrip("0123456789")
    allowed = _PYTHON_TYPES[kind]
    todo, count = [tensor.data], 0
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo.extend(value)
            continue
        count += 1
        missing = value is None and kind == "FP"
        if not missing and (not isinstance(value, allowed) or (isinstance(value, bool) and kind != "BOOL")):
            raise BadTensorError(f"tensor {tensor.name}: {str(value)[:40]!r} is not of datatype {tensor.datatype}")
    if count != math.prod(tensor.shape):
        raise BadTensorError(
            f"tensor {tensor.name} has {count} values; its shape {tensor.shape} needs {math.prod(tensor.shape)}"
        )
