"""A model beside its twin: are the answers the same, are the scores, and which is faster."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.approximation.estimators import sample_function
from rlplay.errors import UsageError
from rlplay.models.names import model_class
from rlplay.models.references import twin

Data = tuple[NDArray[Any], NDArray[Any]]


class Parity(NamedTuple):
    """How a model is held against its twin.

    Attributes:
        ours: parameters under which both begin alike.
        tolerance: greatest difference of the answers, relative to their size; None where chance differs.
        what: what is compared, in words.
        data: ``"waves"`` for `waves`; by default the last of `data_sets`.
    """

    ours: Mapping[str, Any] = {}
    tolerance: float | None = 1e-8
    what: str = "predictions"
    data: str = ""


CHANCE = "other random numbers: scores only"
PARITY = {
    "lasso": Parity({"tol": 1e-10, "alpha": 0.1}),
    "elastic-net": Parity({"tol": 1e-10, "alpha": 0.01}),
    "sgd-regressor": Parity({"shuffle": False, "max_iter": 20, "tol": None}),
    "sgd-classifier": Parity({"shuffle": False, "max_iter": 5, "tol": None}, 1e-8, "scores, points in order"),
    "perceptron": Parity({"shuffle": False, "max_iter": 5, "tol": None}, 1e-8, "scores, points in order"),
    "logistic-regression": Parity({"tol": 1e-9}, 1e-4, "probabilities"),
    "gaussian-process": Parity({"optimize": False, "noise": 0.1}, 1e-8, "means"),
    "decision-tree": Parity({"random_state": 0, "max_depth": 4}, 1e-10, "predictions, no splits tied"),
    "decision-tree-classifier": Parity({"random_state": 0, "max_depth": 4}, 1e-10, "shares, no splits tied"),
    "random-forest": Parity({"random_state": 0}, None, CHANCE),
    "random-forest-classifier": Parity({"random_state": 0}, None, CHANCE),
    "extra-trees": Parity({"random_state": 0}, None, CHANCE),
    "extra-trees-classifier": Parity({"random_state": 0}, None, CHANCE),
    "gradient-boosting": Parity({}, 1e-6, "predictions"),
    "gradient-boosting-classifier": Parity({"max_iter": 20}, 1e-6, "log-odds, no splits tied", "waves"),
    "svc": Parity({"tol": 1e-6}, 1e-3, "f(x)"),
    "kernel-ridge": Parity({"kernel": "rbf", "alpha": 0.1}),
    "kernel-pca": Parity({"n_components": 4, "kernel": "rbf", "gamma": 1e-3}, 1e-6, "codes"),
    "pca": Parity({"n_components": 10, "random_state": 0}, 1e-8, "codes"),
    "incremental-pca": Parity({"n_components": 10}, 1e-8, "codes"),
    "fast-ica": Parity({"n_components": 4, "w_init": np.random.RandomState(0).normal(size=(4, 4)), "tol": 1e-8,
                        "max_iter": 1000}, 1e-6, "signals but for their signs"),
    "k-means": Parity({"n_clusters": 10, "init": "rows", "n_init": 1}, 0.0, "labels, from the same centres"),
    "mini-batch-k-means": Parity({"n_clusters": 10, "random_state": 0}, None, CHANCE),
    "gaussian-mixture": Parity({"n_components": 5, "covariance_type": "diag", "tol": 0.0, "max_iter": 20}, 1e-6,
                               "log-densities, from the same start"),
    "agglomerative": Parity({"n_clusters": 10}, 0.0, "clusters"),
    "dbscan": Parity({"eps": 22.0}, 0.0, "clusters"),
    "random-fourier": Parity({"gamma": 1e-3, "random_state": 0}, 1e-10, "features"),
    "nystroem": Parity({"gamma": 1e-3, "random_state": 0, "n_components": 50}, 1e-6, "features"),
    "mlp": Parity({"random_state": 0}, None, CHANCE),
    "mlp-classifier": Parity({"random_state": 0}, None, CHANCE),
    "cnn-classifier": Parity({"max_iter": 3, "channels": (8,), "image_shape": (8, 8), "random_state": 0}, 1e-4,
                             "probabilities, from the same weights"),
    "autoencoder": Parity({"max_iter": 10, "random_state": 0}, 1e-4, "codes, from the same weights"),
    "denoising-autoencoder": Parity({"max_iter": 10, "random_state": 0}, 1e-4, "codes, from the same weights"),
    "vae": Parity({"max_iter": 10, "random_state": 0}, 1e-4, "codes, from the same weights"),
    "random-network-distillation": Parity({"max_iter": 10, "random_state": 0}, 1e-4, "novelty, from the same weights"),
    "sequence-forecaster": Parity({"max_iter": 3, "hidden_size": 16, "step_size": 8, "random_state": 0}, 1e-4,
                                  "states, from the same weights"),
    "lstm-autoencoder": Parity({"max_iter": 3, "hidden_size": 16, "step_size": 8, "random_state": 0}, 1e-4,
                               "codes, from the same weights"),
    "gru-autoencoder": Parity({"max_iter": 3, "hidden_size": 16, "step_size": 8, "random_state": 0}, 1e-4,
                              "codes, from the same weights"),
    "encoder-decoder": Parity({"max_iter": 5, "hidden_size": 16, "random_state": 0}, 1e-4,
                              "predictions, from the same weights"),
}  # fmt: skip


def kind_of(estimator: Any) -> str:
    """``regressor``, ``classifier``, ``clusterer`` or ``transformer``."""
    from sklearn.base import is_classifier, is_clusterer, is_regressor

    for name, is_it in (("regressor", is_regressor), ("classifier", is_classifier), ("clusterer", is_clusterer)):
        if is_it(estimator):
            return name
    return "transformer" if hasattr(estimator, "transform") else "clusterer"


def data_sets(kind: str) -> dict[str, Data]:
    """The real data that come with scikit-learn, standardised, for a kind of model.

    Rounded to float32, which is what scikit-learn's trees see: a value that equals a threshold falls to the same side.
    """
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

    loaders = {"diabetes": load_diabetes} if kind == "regressor" else {
        "iris": load_iris, "wine": load_wine, "breast cancer": load_breast_cancer, "digits": load_digits,
    }  # fmt: skip
    found = {}
    for name, load in loaders.items():
        x, y = load(return_X_y=True)
        x = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
        found[name] = (x.astype(np.float32).astype(np.float64), y)
    return found


def waves(n: int = 4000) -> Data:
    """Points [N, 5] in two classes, divided by a wave and a product; no two values are equal."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 5))
    return x, (np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.3 * rng.normal(size=n) > 0).astype(int)


def pair(model_id: str, **parameters: Any) -> tuple[Any, Any]:
    """One of our models and its twin, unfitted, with the same parameters.

    Raises:
        UsageError: it has no twin.
    """
    ours = model_class(model_id)(**parameters)
    return ours, twin(ours)


def five_fold(estimator: Any, x: NDArray[Any], y: NDArray[Any]) -> float:
    """The mean score over five folds, the same for every model."""
    from sklearn.base import clone
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

    fold = StratifiedKFold if kind_of(estimator) == "classifier" else KFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(cross_val_score(clone(estimator), x, y, cv=fold(5, shuffle=True, random_state=0)).mean())


_METHODS = {
    "regressor": ("predict",),
    "classifier": ("decision_function", "predict_proba", "predict"),
    "clusterer": ("labels_",),
    "transformer": ("transform",),
}


def answers(estimator: Any, twin_of_it: Any, x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """What two fitted models say of points, as precisely as both can."""
    for method in _METHODS[kind_of(estimator)]:
        if hasattr(estimator, method) and hasattr(twin_of_it, method):
            mine, other = getattr(estimator, method), getattr(twin_of_it, method)
            return (np.asarray(mine(x)), np.asarray(other(x))) if callable(mine) else (mine, other)
    raise UsageError(f"{type(estimator).__name__} and {type(twin_of_it).__name__} have no answers in common")


def parity(model_id: str) -> float | None:
    """The greatest difference between the answers of both, relative to their size; None where chance differs.

    For clusterings 0 where both make the same clusters, whatever their numbers.
    """
    rules = PARITY.get(model_id, Parity())
    if rules.tolerance is None:
        return None
    kind = kind_of(model_class(model_id)())
    found = data_sets(kind)
    x, y = waves() if rules.data == "waves" else found[next(reversed(found))]
    if kind != "regressor" and not rules.data:
        x, y = x[:600] * (4.0 if model_id == "dbscan" else 1.0), y[:600]
    given = dict(rules.ours)
    if given.get("init") == "rows":
        given["init"] = x[: given["n_clusters"]].copy()
    if model_id == "gaussian-mixture":
        return _mixture_parity(x, given)
    ours, theirs = pair(model_id, **given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours.fit(x, y)
        theirs.fit(x, y)
        mine, other = answers(ours, theirs, x)
    if model_id == "fast-ica":
        mine, other = np.abs(mine), np.abs(other)
    if kind == "clusterer":
        return 0.0 if _same_clusters(mine, other) else 1.0
    return float(np.abs(mine - other).max() / max(float(np.abs(other).max()), 1e-12))


def _same_clusters(a: NDArray[Any], b: NDArray[Any]) -> bool:
    pairs = {(int(i), int(j)) for i, j in zip(a, b, strict=True)}
    return len(pairs) == len(set(a.tolist())) == len(set(b.tolist()))


def _mixture_parity(x: NDArray[Any], given: dict[str, Any]) -> float:
    """Expectation and maximisation from the same weights, means and covariances."""
    x = x[:, x.std(axis=0) > 0][:, :8]
    k = given["n_components"]
    start = {"weights_init": np.full(k, 1 / k), "means_init": x[:k].copy(), "precisions_init": np.ones((k, x.shape[1]))}
    ours, theirs = pair("gaussian-mixture", **given, **start, reg_covar=1e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine, other = ours.fit(x).score_samples(x), theirs.fit(x).score_samples(x)
    return float(np.abs(mine - other).max() / np.abs(other).max())


class Speed(NamedTuple):
    """Seconds of both; the ratio is how many times as fast ours is."""

    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """How many times as fast ours is."""
        return self.theirs / max(self.ours, 1e-12)


def in_turns(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int = 3) -> Speed:
    """The fastest of some rounds of each; both take turns, so that a machine that slows down slows both."""
    times: list[tuple[float, float]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(rounds):
            start = time.perf_counter()
            ours()
            middle = time.perf_counter()
            theirs()
            times.append((middle - start, time.perf_counter() - middle))
    return Speed(min(t[0] for t in times), min(t[1] for t in times))


def speeds(ours: Any, theirs: Any, x: NDArray[Any], y: NDArray[Any], rounds: int = 3) -> dict[str, Speed]:
    """Fit, answer all points, and, where ours has a sample function, answer one point; in turns, compiled before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours.fit(x, y)
    found = {"fit": in_turns(lambda: ours.fit(x, y), lambda: theirs.fit(x, y), rounds)}
    method = "predict" if hasattr(ours, "predict") else "transform" if hasattr(ours, "transform") else ""
    if not method or not hasattr(theirs, method):
        return found
    call, other = getattr(ours, method), getattr(theirs, method)
    call(x)
    found[method] = in_turns(lambda: call(x), lambda: other(x), rounds)
    row = sample_function(ours, method)
    if row is not None:
        point, one = np.ascontiguousarray(x[0], np.float64), x[:1]
        room = () if method == "predict" else (np.zeros(call(one).shape[1], np.float32),)
        row.function(row.codes, point, *room)
        many = in_turns(
            lambda: _many(row.function, row.codes, point, room), lambda: [other(one) for _ in range(20)], rounds
        )
        found["one row"] = Speed(many.ours / 1000, many.theirs / 20)
    return found


def _many(function: Callable[..., Any], codes: Any, point: Any, room: Any) -> None:
    for _ in range(1000):
        function(codes, point, *room)
