"""Turn a v1 or v2 request into what a fitted estimator takes: texts, an array or a frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from kserve import InferRequest
from kserve.errors import InvalidInput

from vellum.workloads import tensors

MOST_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Column:
    """One feature of a table: the name it was fitted with, empty if it has none, and its v2 datatype."""

    name: str
    datatype: str


@dataclass(frozen=True, slots=True)
class Signature:
    """The input of a model: texts, or rows of ``width`` values (None: unknown), possibly with named columns."""

    texts: bool
    width: int | None = None
    columns: tuple[Column, ...] = ()

    @classmethod
    def of(cls, model: Any) -> Signature:  # noqa: ANN401  # scikit-learn publishes no types
        """Return the signature of a fitted model."""
        first = model
        while hasattr(first, "steps"):
            first = first.steps[0][1]
        if _takes_texts(getattr(first, "best_estimator_", first)):
            return cls(texts=True)
        names = [str(name) for name in getattr(model, "feature_names_in_", ())]
        by_category = _categories(model)
        columns = tuple(Column(name, by_category.get(name, "FP64")) for name in names)
        return cls(texts=False, width=getattr(model, "n_features_in_", None), columns=columns)

    def inputs(self) -> list[dict[str, Any]]:
        """Return the v2 metadata of the inputs: one tensor, or one for each named column where types differ."""
        if self.texts:
            return [{"name": "input", "datatype": "BYTES", "shape": [-1]}]
        if len({column.datatype for column in self.columns}) > 1:
            return [{"name": column.name, "datatype": column.datatype, "shape": [-1]} for column in self.columns]
        datatype = self.columns[0].datatype if self.columns else "FP64"
        return [{"name": "input", "datatype": datatype, "shape": [-1, -1 if self.width is None else self.width]}]


def from_v1(payload: Any, signature: Signature) -> Any:  # noqa: ANN401  # any JSON in, texts, an array or a frame out
    """Return the rows of a v1 request.

    Raises:
        InvalidInput: the model does not accept the form of the body.
    """
    rows = payload.get("instances", payload.get("inputs")) if isinstance(payload, dict) else None
    if not isinstance(rows, list):
        raise InvalidInput('send {"instances": [...]}')
    _check_count(len(rows))
    if signature.texts:
        if not all(isinstance(row, str) for row in rows):
            raise InvalidInput('the model takes texts: {"instances": ["a text", "another"]}')
        return rows
    if all(isinstance(row, dict) for row in rows):
        return _frame_of_dicts(rows, signature)
    if all(isinstance(row, list) for row in rows):
        return _table(rows, signature)
    raise InvalidInput(f"each instance must be {_expected(signature)}")


def from_v2(request: InferRequest, signature: Signature) -> Any:  # noqa: ANN401  # texts, an array or a frame
    """Return the rows of a v2 request.

    Raises:
        InvalidInput: a tensor contradicts itself, or the model does not accept it.
    """
    try:
        sent = {tensor.name: tensors.read(tensor) for tensor in request.inputs}
    except tensors.BadTensorError as error:
        raise InvalidInput(str(error)) from error
    if len(sent) != len(request.inputs) or not sent:
        raise InvalidInput("send at least one tensor, each with a different name")
    if len(sent) > 1 or (len(signature.columns) == 1 and signature.columns[0].name in sent):
        return _frame_of_columns(sent, signature)
    (values,) = sent.values()
    _check_count(values.shape[0] if values.ndim else 0)
    if signature.texts:
        if values.dtype != object or math.prod(values.shape[1:]) != 1:
            raise InvalidInput("the model takes texts: one tensor of datatype BYTES and shape [rows]")
        return values.ravel().tolist()
    if values.ndim != 2:  # noqa: PLR2004  # a table
        raise InvalidInput(f"the model takes one tensor of shape [rows, {signature.width or 'features'}]")
    _check_width(values.shape[1], signature)
    return _named(values, signature)


def _takes_texts(step: Any) -> bool:  # noqa: ANN401
    from sklearn.utils import get_tags

    tags = get_tags(step).input_tags
    return bool(tags.string and not tags.two_d_array)


def _categories(model: Any) -> dict[str, str]:  # noqa: ANN401
    """Return the columns that an encoder of the model knows as texts."""
    names = [str(name) for name in getattr(model, "feature_names_in_", ())]
    results: dict[str, str] = {}
    todo = [(model, names)]
    while todo:
        part, columns = todo.pop()
        if hasattr(part, "best_estimator_"):
            todo.append((part.best_estimator_, columns))
        if hasattr(part, "steps"):
            todo.extend((step, columns) for _, step in part.steps[:1])
        for _, branch, chosen in getattr(part, "transformers_", ()):
            if not isinstance(branch, str):
                todo.append((branch, _chosen(chosen, columns)))
        for column, categories in zip(columns, getattr(part, "categories_", ()), strict=False):
            if np.asarray(categories).dtype.kind in "OUS":
                results[column] = "BYTES"
        if _is_text_branch(part):
            results.update(dict.fromkeys(columns, "BYTES"))
    return results


def _is_text_branch(part: Any) -> bool:  # noqa: ANN401
    return hasattr(part, "vocabulary_") or type(part).__name__ == "HashingVectorizer"


def _chosen(chosen: Any, columns: list[str]) -> list[str]:  # noqa: ANN401  # a name, names, positions, a mask or a slice
    if isinstance(chosen, str):
        return [chosen]
    if isinstance(chosen, slice) or (
        isinstance(chosen, (list, np.ndarray)) and not all(isinstance(item, str) for item in chosen)
    ):
        return [str(name) for name in np.asarray(columns, dtype=object)[chosen]]
    return [str(name) for name in np.ravel(chosen)]


def _check_count(count: int) -> None:
    if not 1 <= count <= MOST_ROWS:
        raise InvalidInput(f"send 1 to {MOST_ROWS} rows, not {count}")


def _check_width(width: int, signature: Signature) -> None:
    if signature.width is not None and width != signature.width:
        raise InvalidInput(f"the model takes {signature.width} features in each row, not {width}")


def _expected(signature: Signature) -> str:
    if signature.columns:
        keys = ", ".join(column.name for column in signature.columns[:20])
        return f"an object with the keys {keys}, or a list in this order"
    return f"a list of {signature.width or 'the'} numbers"


def _frame_of_dicts(rows: list[dict[str, Any]], signature: Signature) -> Any:  # noqa: ANN401
    names = [column.name for column in signature.columns]
    if not names:
        raise InvalidInput(f"the model was fitted without names of columns: send {_expected(signature)}")
    for number, row in enumerate(rows):
        _check_names(row, names, f"instance {number}")
    return _table([[row[name] for name in names] for row in rows], signature)


def _check_names(given: Any, names: list[str], where: str) -> None:  # noqa: ANN401  # names or a mapping of them
    missing, unknown = (
        [name for name in names if name not in given],
        [str(item) for item in given if item not in names],
    )
    if missing or unknown:
        problems = [f"lacks {', '.join(missing[:10])}"] * bool(missing) + [
            f"has unknown {', '.join(unknown[:10])}"
        ] * bool(unknown)
        raise InvalidInput(f"{where} {' and '.join(problems)}; the model takes {', '.join(names[:20])}")


def _table(rows: list[list[Any]], signature: Signature) -> Any:  # noqa: ANN401
    for row in rows:
        _check_width(len(row), signature)
        if any(isinstance(value, (list, dict)) for value in row):
            raise InvalidInput(f"each instance must be {_expected(signature)}, without lists in it")
    if len({len(row) for row in rows}) != 1:
        raise InvalidInput("all rows must have one length")
    if any(isinstance(value, str) for row in rows for value in row):
        values = np.empty((len(rows), len(rows[0])), dtype=object)
        values[:] = rows
        return _named(values, signature)
    try:
        return _named(np.asarray(rows, dtype=np.float64), signature)
    except OverflowError as error:
        raise InvalidInput("a number is too large for a model") from error


def _named(values: Any, signature: Signature) -> Any:  # noqa: ANN401  # an array in, an array or a frame out
    """Return a frame where the model knows its columns by name; missing values become NaN."""
    if not signature.columns:
        return values
    import pandas as pd

    frame = pd.DataFrame(values, columns=[column.name for column in signature.columns])
    for column in signature.columns:
        if frame[column.name].dtype == object and column.datatype != "BYTES":
            try:
                frame[column.name] = pd.to_numeric(frame[column.name])
            except (ValueError, TypeError) as error:
                raise InvalidInput(f"column {column.name} takes numbers") from error
    return frame


def _frame_of_columns(sent: dict[str, Any], signature: Signature) -> Any:  # noqa: ANN401
    import pandas as pd

    names = [column.name for column in signature.columns]
    if not names:
        raise InvalidInput(f"the model takes one tensor, not {len(sent)}: it was fitted without names of columns")
    _check_names(sent, names, "the request")
    counts = {values.shape[0] if values.ndim else 0 for values in sent.values()}
    if len(counts) != 1 or any(values.size != values.shape[0] for values in sent.values() if values.ndim):
        raise InvalidInput("each column is a tensor of shape [rows], and all have the same number of rows")
    _check_count(counts.pop())
    for column in signature.columns:
        if (sent[column.name].dtype == object) != (column.datatype == "BYTES"):
            raise InvalidInput(f"column {column.name} takes a tensor of datatype {column.datatype}")
    return pd.DataFrame({name: sent[name].ravel() for name in names})
