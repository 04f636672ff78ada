"""All scikit-learn estimators that predict can be stored; forged files are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.cluster import DBSCAN
from sklearn.datasets import fetch_openml, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, SplineTransformer
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree
from sklearn.utils._test_common.instance_generator import _tested_estimators

from vellum.errors import WorkloadError
from vellum.workloads.models import store

pytestmark = [pytest.mark.timeout(180), pytest.mark.filterwarnings("ignore")]
ROWS, TARGET = load_iris(return_X_y=True)
ROWS = np.abs(ROWS)
REFUSED = {"Birch": "the model cannot be served: skops cannot store it: Objects of type Birch are not supported yet."}


def fitted(model: Any) -> Any:
    """Return an estimator fitted on irises, or None if it takes no rows of numbers."""
    two_classes = slice(0, 100)
    attempts = [
        (ROWS, TARGET),
        (ROWS[two_classes], TARGET[two_classes]),
        (ROWS, ROWS[:, :2]),
        (ROWS[:, 0], TARGET),
        (ROWS @ ROWS.T, TARGET),
    ]
    for rows, target in attempts:
        try:
            return model.fit(rows, target), rows
        except (ValueError, TypeError, AttributeError, IndexError):
            continue
    return None


def refusal(model: Any) -> str:
    try:
        store.read(store.written(model, "key"), "key")
    except WorkloadError as error:
        return error.what
    return ""


@pytest.mark.slow
def test_every_estimator_that_predicts_is_served_or_refused_truly() -> None:
    """All estimators of scikit-learn's own tests give equal predictions after storing, or a reason."""
    served, refused = 0, {}
    for untrained in _tested_estimators():
        if not hasattr(untrained, "predict") or (trained := fitted(untrained)) is None:
            continue
        kind, (model, rows) = type(untrained).__name__, trained
        if why := refusal(model):
            refused[kind] = why
            continue
        again = store.read(store.written(model, "key"), "key")
        item, other = (np.asarray(_repeatable(each).predict(rows[:5])) for each in (model, again))
        assert np.array_equal(item, other) or np.allclose(item, other), kind
        served += 1
    assert refused == REFUSED
    assert served > 120


def _repeatable(model: Any) -> Any:
    return model.set_params(random_state=0) if "random_state" in model.get_params() else model


def _own(rows: Any) -> Any:
    return rows


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (make_pipeline(FunctionTransformer(_own), LogisticRegression()), "which is not part of scikit-learn"),
        (make_pipeline(FunctionTransformer(fetch_openml), LogisticRegression()), "which Vellum has not reviewed"),
        (DBSCAN(), "DBSCAN has no method predict"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason(model: Any, why: str) -> None:
    if why.startswith("DBSCAN"):
        model.fit(ROWS)
    else:
        model[-1].fit(ROWS, TARGET)
    assert why in refusal(model)


def test_a_model_that_is_not_fitted_is_refused() -> None:
    assert "it is not fitted" in refusal(LogisticRegression())


def _tree_with(model: Any, field: str, value: int, **sizes: int) -> Any:
    tree = model.tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][0] = value
    state.update(sizes)
    model.tree_ = Tree(*tree.__reduce__()[1])
    model.tree_.__setstate__(state)
    return model


def _tree(field: str, value: int, **sizes: int) -> Callable[[], Any]:
    return lambda: _tree_with(DecisionTreeClassifier().fit(ROWS, TARGET), field, value, **sizes)


def _narrow_forest() -> Any:
    model = RandomForestClassifier(3).fit(ROWS, TARGET)
    model.n_features_in_ = 1
    return model


def _narrow_isolation() -> Any:
    model = IsolationForest(n_estimators=3).fit(ROWS)
    model.estimators_features_ = [np.array([0])] * 3
    return model


def _boosted(field: str, value: int) -> Callable[[], Any]:
    def made() -> Any:
        model = HistGradientBoostingClassifier(max_iter=2).fit(ROWS, TARGET)
        model._predictors[0][0].nodes[field][0] = value
        return model

    return made


def _neighbours() -> Any:
    model = KNeighborsClassifier(algorithm="kd_tree").fit(ROWS, TARGET)
    state = list(model._tree.__getstate__())
    state[1] = np.asarray(state[1]).copy()
    state[1][0] = 10**6
    model._tree.__setstate__(tuple(state))
    return model


def _machine() -> Any:
    model = SVC().fit(ROWS, TARGET)
    model._n_support = np.asarray([10**6, 1, 1], dtype=np.int32)
    return model


def _splines() -> Any:
    model = make_pipeline(SplineTransformer(), LogisticRegression()).fit(ROWS, TARGET)
    model[0].bsplines_[0].t = model[0].bsplines_[0].t[:3]
    return model


FORGED = {
    "a child that is not there": _tree("left_child", 10**6),
    "a child that is its own parent": _tree("left_child", 0),
    "a feature that is not there": _tree("feature", 10**6),
    "a tree that is deeper than it says": _tree("threshold", 0, max_depth=1),
    "a forest that takes fewer features than its trees": _narrow_forest,
    "an isolation forest that hands its trees too few features": _narrow_isolation,
    "a boosted child that is not there": _boosted("left", 10**6),
    "a boosted feature that is not there": _boosted("feature_idx", 10**6),
    "a category in a feature without categories": _boosted("is_categorical", 1),
    "a neighbour that is not there": _neighbours,
    "more support vectors than there are": _machine,
    "a spline with too few knots": _splines,
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_model_is_refused_before_it_predicts(case: str) -> None:
    content = skops.io.dumps(FORGED[case]())
    with pytest.raises(WorkloadError, match=r"damaged or forged|cannot be read"):
        store.read(content, "key")
