"""Every model twice: which estimator of scikit-learn is the twin of which of ours, and how their parameters map.

Deep models that scikit-learn does not have are twins of themselves over torch: ``backend="torch"``.

>>> from rlplay.models import twin
>>> from rlplay.models.supervised import Ridge
>>> twin(Ridge(0.5))
Ridge(alpha=0.5)
>>> type(twin(twin(Ridge(0.5)))).__module__
'rlplay.models.supervised.linear'
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rlplay.errors import UsageError
from rlplay.models.names import model_class, model_id


class Reference(NamedTuple):
    """The library's estimator for one of our models.

    Attributes:
        place: its class as ``module:Class``.
        fixed: parameters of the library that make it do what ours does.

    Example:
        >>> REFERENCES["fast-ica"].place
        'sklearn.decomposition:FastICA'
    """

    place: str
    fixed: Mapping[str, Any] = {}


TORCH = Reference("torch", {"backend": "torch"})

# By the id of our model; what has no entry has no twin, and `WITHOUT` says why.
REFERENCES = {
    "linear-regression": Reference("sklearn.linear_model:LinearRegression"),
    "ridge": Reference("sklearn.linear_model:Ridge"),
    "lasso": Reference("sklearn.linear_model:Lasso"),
    "elastic-net": Reference("sklearn.linear_model:ElasticNet"),
    "polynomial-features": Reference("sklearn.preprocessing:PolynomialFeatures"),
    "sgd-regressor": Reference("sklearn.linear_model:SGDRegressor"),
    "sgd-classifier": Reference("sklearn.linear_model:SGDClassifier"),
    "perceptron": Reference("sklearn.linear_model:Perceptron"),
    "logistic-regression": Reference("sklearn.linear_model:LogisticRegression"),
    "k-neighbors-regressor": Reference("sklearn.neighbors:KNeighborsRegressor"),
    "k-neighbors-classifier": Reference("sklearn.neighbors:KNeighborsClassifier"),
    "gaussian-nb": Reference("sklearn.naive_bayes:GaussianNB"),
    "decision-tree": Reference("sklearn.tree:DecisionTreeRegressor"),
    "decision-tree-classifier": Reference("sklearn.tree:DecisionTreeClassifier"),
    "random-forest": Reference("sklearn.ensemble:RandomForestRegressor"),
    "random-forest-classifier": Reference("sklearn.ensemble:RandomForestClassifier"),
    "extra-trees": Reference("sklearn.ensemble:ExtraTreesRegressor"),
    "extra-trees-classifier": Reference("sklearn.ensemble:ExtraTreesClassifier"),
    "gradient-boosting": Reference("sklearn.ensemble:HistGradientBoostingRegressor", {"early_stopping": False}),
    "gradient-boosting-classifier": Reference(
        "sklearn.ensemble:HistGradientBoostingClassifier", {"early_stopping": False}
    ),
    "svc": Reference("sklearn.svm:SVC"),
    "kernel-ridge": Reference("sklearn.kernel_ridge:KernelRidge"),
    "gaussian-process": Reference("sklearn.gaussian_process:GaussianProcessRegressor"),
    "standard-scaler": Reference("sklearn.preprocessing:StandardScaler"),
    "min-max-scaler": Reference("sklearn.preprocessing:MinMaxScaler"),
    "robust-scaler": Reference("sklearn.preprocessing:RobustScaler"),
    "pca": Reference("sklearn.decomposition:PCA"),
    "incremental-pca": Reference("sklearn.decomposition:IncrementalPCA"),
    "kernel-pca": Reference("sklearn.decomposition:KernelPCA", {"eigen_solver": "dense"}),
    "fast-ica": Reference("sklearn.decomposition:FastICA", {"whiten": "unit-variance"}),
    "k-means": Reference("sklearn.cluster:KMeans", {"algorithm": "lloyd"}),
    "mini-batch-k-means": Reference("sklearn.cluster:MiniBatchKMeans", {"n_init": 1}),
    "gaussian-mixture": Reference("sklearn.mixture:GaussianMixture"),
    "agglomerative": Reference("sklearn.cluster:AgglomerativeClustering"),
    "dbscan": Reference("sklearn.cluster:DBSCAN"),
    "random-fourier": Reference("sklearn.kernel_approximation:RBFSampler"),
    "nystroem": Reference("sklearn.kernel_approximation:Nystroem"),
    "mlp": Reference("sklearn.neural_network:MLPRegressor", {"verbose": False}),
    "mlp-classifier": Reference("sklearn.neural_network:MLPClassifier", {"verbose": False}),
    "cnn-classifier": TORCH,
    "autoencoder": TORCH,
    "denoising-autoencoder": TORCH,
    "vae": TORCH,
    "random-network-distillation": TORCH,
    "sequence-forecaster": TORCH,
    "lstm-autoencoder": TORCH,
    "gru-autoencoder": TORCH,
    "encoder-decoder": TORCH,
}

WITHOUT = {
    "self-organising-map": "scikit-learn has no self-organising map",
    "hidden-markov-model": "scikit-learn has no models of sequences (hmmlearn has, and is held beside it in tests)",
    "nearest-centroid": "scikit-learn's clusterers that say nothing of new points have no such adapter",
    "tile-coding": "scikit-learn has no shifted grids",
    "fourier-basis": "scikit-learn has no Fourier basis",
    "rbf-grid": "scikit-learn has no grid of bumps",
}


# Checks of scikit-learn's `check_estimator` that a model's nature does not allow, and why.
_TOO_MANY = "its ten columns are more features than fit, with the default grid"
_WEIGHTS = "check_sample_weight_equivalence_on_dense_data"
_DRAWN = "points are drawn: so many of them and so much weight draw other ones (the twin declares it too)"
_ORDER = "a weight is one longer step, and points that occur twice are two (the twin declares it too)"
EXPECTED_FAILED_CHECKS: dict[str, dict[str, str]] = {
    "tile-coding": {"check_dtype_object": _TOO_MANY, "check_fit2d_1sample": _TOO_MANY},
    "fourier-basis": {"check_dtype_object": _TOO_MANY, "check_fit2d_1sample": _TOO_MANY},
    "rbf-grid": {"check_dtype_object": _TOO_MANY, "check_fit2d_1sample": _TOO_MANY},
    "self-organising-map": {"check_clustering": "units between two clusters may hold no points"},
    "k-means": {_WEIGHTS: _DRAWN},
    "mini-batch-k-means": {_WEIGHTS: _DRAWN},
    "random-forest": {_WEIGHTS: _DRAWN},
    "random-forest-classifier": {_WEIGHTS: _DRAWN},
    "sgd-regressor": {_WEIGHTS: _ORDER},
    "sgd-classifier": {_WEIGHTS: _ORDER},
    "perceptron": {_WEIGHTS: _ORDER},
    "mlp": {_WEIGHTS: _ORDER},
    "mlp-classifier": {_WEIGHTS: _ORDER},
    "svc": {_WEIGHTS: "gamma='scale' takes the variance of the points without weights (the twin declares it too)"},
}


def expected_failed_checks(estimator: Any) -> dict[str, str]:
    """The checks of scikit-learn's that one of our models does not pass, and why: for `check_estimator`.

    Example:
        >>> from rlplay.models.unsupervised import PCA, SelfOrganisingMap
        >>> expected_failed_checks(SelfOrganisingMap()), expected_failed_checks(PCA())
        ({'check_clustering': 'units between two clusters may hold no points'}, {})
    """
    return dict(EXPECTED_FAILED_CHECKS.get(model_id(estimator), {}))


def library_class(model_id: str) -> type:
    """The class of a model's twin.

    Raises:
        UsageError: it has none; says why.

    Example:
        >>> library_class("ridge").__module__.split(".")[0]
        'sklearn'
    """
    found = REFERENCES.get(model_id)
    if found is None:
        raise UsageError(f"{model_id} has no twin: {WITHOUT.get(model_id, 'it is not one of ours')}")
    if found is TORCH:
        return model_class(model_id)
    module, _, name = found.place.partition(":")
    return getattr(importlib.import_module(module), name)


def library_name(model_id: str) -> str:
    """Whose the twin is.

    Example:
        >>> library_name("ridge"), library_name("vae")
        ('scikit-learn', 'torch')
    """
    return "torch" if REFERENCES[model_id] is TORCH else "scikit-learn"


def twin(estimator: Any) -> Any:
    """The library's estimator with the same parameters; for one of the library's, ours; of two backends the other.

    Both are unfitted. Parameters that only the library has are given values under which it does what ours does.

    Raises:
        UsageError: the estimator has no twin, or parameters that its twin does not know; names them.

    Example:
        >>> from rlplay.models.supervised import Ridge
        >>> other = twin(Ridge(alpha=0.5))
        >>> other.__module__.split(".")[0], other.alpha
        ('sklearn', 0.5)
    """
    name = model_id(estimator)
    if name in REFERENCES or name in WITHOUT:
        cls = library_class(name)
        if REFERENCES[name] is TORCH:
            other = "numpy" if estimator.backend == "torch" else "torch"
            return cls(**{**estimator.get_params(deep=False), "backend": other})
        if name == "gaussian-process":
            return _library_process(estimator)
        if name == "logistic-regression":
            return _library_logistic(estimator, cls)
        known = inspect.signature(cls).parameters
        usual = type(estimator)().get_params(deep=False)
        given = {
            key: value
            for key, value in estimator.get_params(deep=False).items()
            if key in known and not (known[key].default == "deprecated" and value == usual[key])
        }
        return cls(**{**given, **REFERENCES[name].fixed})
    for ours, found in REFERENCES.items():
        if found.place.partition(":")[2] == type(estimator).__name__ and type(estimator).__module__.startswith(
            found.place.partition(":")[0]
        ):
            return _ours(model_class(ours), estimator, found)
    raise UsageError(f"{type(estimator).__name__} has no twin among our models", "`rlplay models list` names them")


def _ours(cls: type, estimator: Any, found: Reference) -> Any:
    """Our model for an estimator of the library's."""
    known = inspect.signature(cls).parameters
    defaults = type(estimator)().get_params(deep=False)
    given, lost = {}, []
    for key, value in estimator.get_params(deep=False).items():
        if value == "deprecated" or (key in found.fixed and value == found.fixed[key]):
            continue
        if key in known:
            given[key] = value
        elif repr(value) not in (repr(defaults[key]), repr(found.fixed.get(key, defaults[key]))):
            lost.append(f"{key}={value!r}")
    if lost or found.place.endswith("GaussianProcessRegressor"):
        raise UsageError(
            f"our {cls.__name__} cannot do what this one does: it has no {', '.join(lost) or 'kernel objects'}",
            "Leave them at their defaults, or take the library's estimator as it is: agents accept both",
        )
    return cls(**given)


def _library_logistic(model: Any, cls: type) -> Any:
    """Logistic regression with the same penalty: as a share of ‖W‖₁, or by its name before scikit-learn 1.8."""
    known = inspect.signature(cls).parameters
    given = {k: v for k, v in model.get_params(deep=False).items() if k in known and k not in ("penalty", "l1_ratio")}
    square, absolute = model.penalty_shares()
    if square == absolute == 0:
        given["C"] = np.inf
    if absolute > 0:
        given |= {"solver": "saga", "l1_ratio": absolute}
    if known["penalty"].default != "deprecated":
        given["penalty"] = "elasticnet" if absolute > 0 else "l2"
    return cls(**given)


def _library_process(model: Any) -> Any:
    """The Gaussian process with the same kernel."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    kernel = ConstantKernel(model.signal) * RBF(model.length_scale) + WhiteKernel(model.noise)
    how = "fmin_l_bfgs_b" if model.optimize else None
    return GaussianProcessRegressor(kernel, alpha=0.0, optimizer=how, normalize_y=model.normalize_y)
