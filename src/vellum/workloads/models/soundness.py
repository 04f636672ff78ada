"""Refuse a stored model whose arrays do not fit together, before it makes a prediction.

scikit-learn's compiled parts follow indices from the file without checking them: a forged file could make them read
memory outside the model. This module walks all parts of a loaded model and checks each compiled one
(scikit-learn 1.6 to 1.9: ``tree/_tree.pyx``, ``neighbors/_binary_tree.pxi.tp``, ``svm/_libsvm.pyx``,
``_hist_gradient_boosting/_predictor.pyx``; SciPy's ``interpolate`` and ``sparse``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

_LEAF = -1
_PLAIN = (str, bytes, int, float, complex, bool, type(None), type)


class UnsoundModelError(Exception):
    """A part of a model does not fit the rest; the text names the part and the mismatch."""


def check(model: Any) -> None:  # noqa: ANN401  # scikit-learn publishes no types
    """Check every compiled part that a model holds.

    Raises:
        UnsoundModelError: an index points outside its array, or two sizes differ.
    """
    for part in _parts(model):
        for name in (kind.__name__ for kind in type(part).__mro__):
            if name in _CHECKS:
                _CHECKS[name](part)


def _parts(root: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yield a model and everything below it once."""
    seen: set[int] = set()
    todo = [root]
    while todo:
        part = todo.pop()
        if isinstance(part, _PLAIN) or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, dict):
            todo.extend(part.values())
        elif isinstance(part, (list, tuple, set, frozenset)):
            todo.extend(part)
        elif isinstance(part, np.ndarray):
            todo.extend(part.ravel().tolist() if part.dtype == object else ())
        else:
            todo.extend(vars(part).values() if hasattr(part, "__dict__") else ())


def _need(holds: bool, what: str) -> None:  # noqa: FBT001  # an assertion with a text of its own
    if not holds:
        raise UnsoundModelError(what)


def _tree(tree: Any) -> None:  # noqa: ANN401
    count = int(tree.node_count)
    _need(count > 0, "a tree has no nodes")
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = left != _LEAF
    own = np.arange(count)
    for child in (left[inner], right[inner]):
        # Builders append children after their parent, so a tree with this order has no cycle.
        _need(bool(np.all((child > own[inner]) & (child < count))), "a node of a tree has a child that is not there")
    used = feature[inner]
    _need(bool(np.all((used >= 0) & (used < tree.n_features))), "a node of a tree compares a feature that is not there")
    depth = np.zeros(count, dtype=np.int64)
    for node in np.flatnonzero(inner):
        depth[left[node]] = depth[right[node]] = depth[node] + 1
    _need(int(depth.max()) <= int(tree.max_depth), "a tree is deeper than it says")


def _uses_trees(owner: Any) -> None:  # noqa: ANN401
    """Check an estimator that passes rows to trees without the tree estimator's check of their width."""
    width = int(getattr(owner, "n_features_in_", -1))
    members = np.ravel(np.asarray(getattr(owner, "estimators_", []), dtype=object))
    trees: list[Any] = [getattr(owner, "tree_", None), *(getattr(member, "tree_", None) for member in members)]
    for tree in trees:
        _need(tree is None or int(tree.n_features) <= width, "a tree compares more features than the model takes")
    for tree, features in zip(trees[1:], getattr(owner, "estimators_features_", ()), strict=False):
        _need(int(tree.n_features) <= len(features), "a tree compares more features than it is given")


def _histogram_predictor(predictor: Any) -> None:  # noqa: ANN401
    nodes, count = predictor.nodes, len(predictor.nodes)
    own = np.arange(count)
    inner = nodes["is_leaf"] == 0
    for side in ("left", "right"):
        child = nodes[side][inner].astype(np.int64)
        _need(
            bool(np.all((child > own[inner]) & (child < count))),
            "a node of a boosted tree has a child that is not there",
        )
    sets = inner & (nodes["is_categorical"] != 0)
    _need(
        bool(np.all(nodes["bitset_idx"][sets] < len(predictor.raw_left_cat_bitsets))),
        "a node of a boosted tree names a set of categories that is not there",
    )


def _histogram_boosting(model: Any) -> None:  # noqa: ANN401
    width, categorical = int(model.n_features_in_), model._bin_mapper.is_categorical_  # noqa: SLF001  # no public name
    for predictor in (tree for stage in model._predictors for tree in stage):  # noqa: SLF001  # no public name
        nodes = predictor.nodes[predictor.nodes["is_leaf"] == 0]
        used = nodes["feature_idx"]
        _need(bool(np.all((used >= 0) & (used < width))), "a boosted tree compares a feature that is not there")
        sets = used[nodes["is_categorical"] != 0]
        _need(
            len(categorical) == width and bool(np.all(categorical[sets])),
            "a boosted tree looks for a category in a feature that has none",
        )


def _binary_tree(tree: Any) -> None:  # noqa: ANN401
    data, index, nodes, bounds, _leaf_size, _levels, count, *_ = tree.__getstate__()
    rows = len(data)
    _need(len(index) == rows, "a neighbour tree has another number of rows than of indices")
    _need(bool(np.all((index >= 0) & (index < rows))), "a neighbour tree names a row that is not there")
    _need(len(nodes) == count and bounds.shape[1] == count, "a neighbour tree has another number of nodes than it says")
    _need(bounds.shape[2] == data.shape[1], "the nodes of a neighbour tree have another width than its rows")
    start, end, own = nodes["idx_start"], nodes["idx_end"], np.arange(count)
    _need(
        bool(np.all((start >= 0) & (start <= end) & (end <= rows))),
        "a node of a neighbour tree covers rows that are not there",
    )
    inner = nodes["is_leaf"] == 0
    _need(bool(np.all(2 * own[inner] + 2 < count)), "a node of a neighbour tree has a child that is not there")


def _support_vectors(model: Any) -> None:  # noqa: ANN401
    count, weights = len(model.support_), model._dual_coef_
    classes = len(model.classes_) if hasattr(model, "classes_") else 0
    pairs = classes * (classes - 1) // 2 if classes else 1
    by_class = model._n_support if classes else model._n_support[:1]  # noqa: SLF001  # no public name
    _need(
        bool(np.all(by_class >= 0)) and int(np.sum(by_class)) == count and len(by_class) == (classes or 1),
        "a support vector machine counts its vectors wrongly",
    )
    _need(
        weights.shape == (max(classes - 1, 1), count) and len(model._intercept_) == pairs,
        "a support vector machine has another number of weights than of vectors",
    )
    for scale in (model._probA, model._probB):  # noqa: SLF001  # no public name
        _need(len(scale) in {0, pairs}, "a support vector machine has another number of scales than of classes")
    inside = (model.support_ >= 0) & (model.support_ < model.shape_fit_[0])
    _need(bool(np.all(inside)), "a support vector machine names a row that was not there")
    # With a custom kernel the machine keeps no vectors.
    _need(model.support_vectors_.shape[0] in {0, count}, "a support vector machine lacks some of its vectors")


def _spline(spline: Any) -> None:  # noqa: ANN401
    knots, weights, degree = np.asarray(spline.t), np.asarray(spline.c), int(spline.k)
    _need(degree >= 0 and knots.ndim == 1 and len(knots) >= 2 * degree + 2, "a spline has too few knots")
    _need(weights.shape[0] >= len(knots) - degree - 1, "a spline has fewer weights than its knots need")
    _need(
        bool(np.all(np.diff(knots) >= 0)) and bool(np.all(np.isfinite(knots))), "the knots of a spline are not in order"
    )


def _sparse(matrix: Any) -> None:  # noqa: ANN401
    try:
        matrix.check_format(full_check=True)
    except ValueError as error:
        raise UnsoundModelError(f"a sparse matrix does not fit together: {error}") from error


_CHECKS: dict[str, Callable[[Any], None]] = {
    "Tree": _tree,
    "BaseDecisionTree": _uses_trees,
    "BaseForest": _uses_trees,
    "BaseGradientBoosting": _uses_trees,
    "IsolationForest": _uses_trees,
    "TreePredictor": _histogram_predictor,
    "BaseHistGradientBoosting": _histogram_boosting,
    "BinaryTree64": _binary_tree,
    "BinaryTree32": _binary_tree,
    "BinaryTree": _binary_tree,
    "BaseLibSVM": _support_vectors,
    "BSpline": _spline,
    "_cs_matrix": _sparse,
}
