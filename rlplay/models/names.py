"""Models by name: ids, and text such as ``k-means:64,random_state=1``.

Ids are those of the entry-point group ``rlplay.models`` (``k-means``), of `LIBRARY` (``sklearn/k-means``), and of
`rlplay.registry.register_model`.
"""

from __future__ import annotations

import importlib
import re
from inspect import signature
from typing import Any

import yaml

from rlplay import registry
from rlplay.errors import UsageError, unknown
from rlplay.storage.texts import plain_yaml

# Estimators of scikit-learn that can be named and saved.
LIBRARY = {
    "identity": "sklearn.preprocessing:FunctionTransformer",
    "sklearn/agglomerative": "sklearn.cluster:AgglomerativeClustering",
    "sklearn/dbscan": "sklearn.cluster:DBSCAN",
    "sklearn/decision-tree": "sklearn.tree:DecisionTreeRegressor",
    "sklearn/decision-tree-classifier": "sklearn.tree:DecisionTreeClassifier",
    "sklearn/elastic-net": "sklearn.linear_model:ElasticNet",
    "sklearn/extra-tree": "sklearn.tree:ExtraTreeRegressor",
    "sklearn/extra-tree-classifier": "sklearn.tree:ExtraTreeClassifier",
    "sklearn/extra-trees": "sklearn.ensemble:ExtraTreesRegressor",
    "sklearn/extra-trees-classifier": "sklearn.ensemble:ExtraTreesClassifier",
    "sklearn/fast-ica": "sklearn.decomposition:FastICA",
    "sklearn/gaussian-mixture": "sklearn.mixture:GaussianMixture",
    "sklearn/gaussian-nb": "sklearn.naive_bayes:GaussianNB",
    "sklearn/incremental-pca": "sklearn.decomposition:IncrementalPCA",
    "sklearn/k-means": "sklearn.cluster:KMeans",
    "sklearn/kernel-centerer": "sklearn.preprocessing:KernelCenterer",
    "sklearn/kernel-pca": "sklearn.decomposition:KernelPCA",
    "sklearn/kernel-ridge": "sklearn.kernel_ridge:KernelRidge",
    "sklearn/lasso": "sklearn.linear_model:Lasso",
    "sklearn/linear": "sklearn.linear_model:LinearRegression",
    "sklearn/logistic-regression": "sklearn.linear_model:LogisticRegression",
    "sklearn/min-max-scaler": "sklearn.preprocessing:MinMaxScaler",
    "sklearn/mini-batch-k-means": "sklearn.cluster:MiniBatchKMeans",
    "sklearn/mlp": "sklearn.neural_network:MLPRegressor",
    "sklearn/nystroem": "sklearn.kernel_approximation:Nystroem",
    "sklearn/pca": "sklearn.decomposition:PCA",
    "sklearn/pipeline": "sklearn.pipeline:Pipeline",
    "sklearn/polynomial-features": "sklearn.preprocessing:PolynomialFeatures",
    "sklearn/random-forest": "sklearn.ensemble:RandomForestRegressor",
    "sklearn/random-forest-classifier": "sklearn.ensemble:RandomForestClassifier",
    "sklearn/rbf-sampler": "sklearn.kernel_approximation:RBFSampler",
    "sklearn/ridge": "sklearn.linear_model:Ridge",
    "sklearn/robust-scaler": "sklearn.preprocessing:RobustScaler",
    "sklearn/sgd-regressor": "sklearn.linear_model:SGDRegressor",
    "sklearn/standard-scaler": "sklearn.preprocessing:StandardScaler",
}


def model_ids() -> list[str]:
    """The ids of all models that can be named.

    Example:
        >>> "k-means" in model_ids(), "sklearn/k-means" in model_ids()
        (True, True)
    """
    return sorted({*registry.model_ids(), *LIBRARY})


def model_class(model_id: str) -> type:
    """The class of a model id.

    Raises:
        UnknownNameError: no such model; names the nearest.

    Example:
        >>> model_class("k-means").__module__, model_class("sklearn/pca").__name__
        ('rlplay.models.unsupervised.k_means', 'PCA')
    """
    if model_id in LIBRARY:
        module, _, name = LIBRARY[model_id].partition(":")
        return getattr(importlib.import_module(module), name)
    if model_id in registry.model_ids():
        return registry.model_class(model_id)
    raise unknown("model", model_id, model_ids())


def model_id(estimator: Any) -> str:
    """The id of an estimator's class; ``module:Class`` where it has none.

    Example:
        >>> from rlplay.models.unsupervised import KMeans
        >>> model_id(KMeans(4)), model_id(object())
        ('k-means', 'builtins:object')
    """
    cls = type(estimator)
    place = f"{cls.__module__}:{cls.__qualname__}"
    for known in registry.model_ids():
        if registry.model_place(known) == place:
            return known
    for known, public in LIBRARY.items():
        if public.partition(":")[2] == cls.__name__ and cls.__module__.startswith(public.partition(":")[0]):
            return known
    return place


def parse(text: str, options: tuple[str, ...] = ()) -> tuple[Any, dict[str, Any]]:
    """An estimator from ``ID[:first][,key=value...]``, and those keys that are options of its user.

    Raises:
        UsageError: no such model, or a parameter that it does not have.

    Example:
        >>> model, options = parse("k-means:4,random_state=1,warm_up=100", ("warm_up",))
        >>> model.n_clusters, model.random_state, options
        (4, 1, {'warm_up': 100})
    """
    name = re.split("[:,]", text, maxsplit=1)[0]
    rest, has_first = text[len(name) + 1 :], text[len(name) :].startswith(":")
    cls = model_class(name.strip())
    parameters = list(signature(cls).parameters)
    found: dict[str, Any] = {}
    for place, part in enumerate(p for p in rest.split(",") if p.strip()):
        key, equals, value = part.partition("=")
        if not equals and place == 0 and has_first:
            key, value = parameters[0], part
        elif not equals:
            raise UsageError(f"{text!r}: {part!r} is not key=value", f"For example {name}:64,{parameters[-1]}=1")
        if key.strip() not in (*parameters, *options):
            raise unknown(f"parameter of {name}", key.strip(), (*parameters, *options))
        try:
            found[key.strip()] = plain_yaml(value)
        except yaml.YAMLError as error:
            raise UsageError(f"{text!r}: {value!r} is no literal") from error
    own = {key: value for key, value in found.items() if key in parameters}
    return cls(**own), {key: value for key, value in found.items() if key not in parameters}
