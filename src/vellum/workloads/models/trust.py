"""The types that a stored model may hold: those that skops trusts, and a reviewed list of scikit-learn's own.

skops trusts every estimator of scikit-learn, and none of the helpers that estimators are made of (skops 0.16,
``skops.io._trusted_types``). This module adds the helpers that were read for this list. None of them opens a file, a
socket or a process when it is built or called. The compiled ones take indices from the file: ``soundness`` checks them.
A prefix such as ``sklearn.`` would allow too much: ``FunctionTransformer(sklearn.datasets.fetch_openml)`` downloads.
"""

from __future__ import annotations

import functools
import inspect

_CALLED_BY_PREDICT = frozenset(
    {
        "numpy.dtype",
        "numpy.max",
        "numpy.mean",
        "numpy.median",
        "numpy.min",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "scipy.interpolate._bsplines.BSpline",
        "scipy.sparse._csc.csc_array",
        "scipy.sparse._csc.csc_matrix",
        "scipy.sparse._csr.csr_array",
        "scipy.sparse._csr.csr_matrix",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.model_selection._search_successive_halving.HalvingGridSearchCV",
        "sklearn.model_selection._search_successive_halving.HalvingRandomSearchCV",
        "sklearn.multiclass._ConstantPredictor",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
    }
)
# Distances without arrays of their own: the others read as many weights from the file as they say they have.
_DISTANCES = frozenset(
    f"sklearn.metrics._dist_metrics.{name}Distance{bits}"
    for name in ("Chebyshev", "Euclidean", "Manhattan", "Minkowski")
    for bits in (32, 64)
)
_MOST_NAMES = 5
_SELECTION_SCORES = (
    "chi2",
    "f_classif",
    "f_regression",
    "mutual_info_classif",
    "mutual_info_regression",
    "r_regression",
)


@functools.cache
def reviewed() -> frozenset[str]:
    """Return the full names of all types and functions that a model may hold beyond skops' own list."""
    return _CALLED_BY_PREDICT | _DISTANCES | _kept_beside_the_model()


def why_not(names: list[str]) -> str:
    """Return the reason why a model that holds these unreviewed names cannot be stored or served."""
    more = len(names) - _MOST_NAMES
    listed = ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
    if all(name.partition(".")[0] in {"sklearn", "numpy", "scipy"} for name in names):
        return f"it holds {listed}, which Vellum has not reviewed for reading from a file"
    return f"it holds {listed}, which is not part of scikit-learn"


def _kept_beside_the_model() -> frozenset[str]:
    """Return helpers that fitted models of search, selection, loss or Gaussian processes hold, such as kernels."""
    import sklearn._loss.loss
    import sklearn.feature_selection
    import sklearn.gaussian_process.kernels
    import sklearn.metrics
    import sklearn.metrics._scorer
    import sklearn.model_selection
    import sklearn.utils._metadata_requests

    splitters = [
        kind for kind in vars(sklearn.model_selection).values() if inspect.isclass(kind) and hasattr(kind, "split")
    ]
    scorers = [sklearn.metrics.get_scorer(name)._score_func for name in sklearn.metrics.get_scorer_names()]  # noqa: SLF001  # it has no public name
    kept = [
        *splitters,
        *scorers,
        sklearn.metrics._scorer._PassthroughScorer,  # noqa: SLF001  # every search without `scoring` keeps one
        sklearn.metrics._scorer._CurveScorer,  # noqa: SLF001  # a tuned threshold keeps one
        sklearn.metrics._scorer._Scorer,  # noqa: SLF001  # every search with `scoring` keeps one
        *_classes_of(sklearn._loss.loss),  # noqa: SLF001  # boosting and generalized linear models keep one
        *_classes_of(sklearn.gaussian_process.kernels),
        *_classes_of(sklearn.utils._metadata_requests),  # noqa: SLF001  # a scorer keeps one
        *(getattr(sklearn.feature_selection, name) for name in _SELECTION_SCORES),
    ]
    return frozenset(f"{kind.__module__}.{kind.__qualname__}" for kind in kept)


def _classes_of(module: object) -> list[type]:
    name = getattr(module, "__name__", "")
    return [kind for kind in vars(module).values() if inspect.isclass(kind) and kind.__module__ == name]
