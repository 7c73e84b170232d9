"""Estimators in agents: found by id, described as JSON, saved as arrays, and exported as compiled row functions.

Ids are those of the entry-point group ``rlplay.models`` (``k-means``), of `LIBRARY` (``sklearn/k-means``), and of
`rlplay.registry.register_model`. A class that has no id is written as ``module:Class``, which a file never causes to be
imported: who loads it registers the class first.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from rlplay import registry
from rlplay.errors import CheckpointError, HyperparameterError, UsageError, unknown

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


class RowFunction(NamedTuple):
    """A fitted model as a compiled function of one row, without validation.

    Attributes:
        function: ``function(codes, x [D]) -> value``, or ``function(codes, x [D], out [F])`` for a transformer.
        codes: what was fitted, as a tuple of arrays.
    """

    function: Callable[..., Any]
    codes: tuple[Any, ...]


def row_function(estimator: Any, method: str) -> RowFunction | None:
    """The compiled row function of a fitted estimator's ``predict`` or ``transform``, if it offers one.

    An estimator offers it by ``row_function(method)``, returning function and codes, or None.
    """
    if method == "transform" and type(estimator).__name__ == "FunctionTransformer" and estimator.func is None:
        return RowFunction(_identity(), ())
    export = getattr(estimator, "row_function", None)
    found = export(method) if export is not None else None
    return None if found is None else RowFunction(*found)


@cache
def _identity() -> Callable[..., None]:
    """The row function of a transformer that gives what it gets."""
    from rlplay.compiled.cache import in_place

    @in_place
    def row(codes: Any, x: NDArray[np.float64], out: NDArray[Any]) -> None:
        for d in range(x.shape[0]):
            out[d] = x[d]

    return row


@cache
def over_rows(function: Callable[..., Any]) -> Callable[..., NDArray[np.float64]]:
    """A compiled row function of ``predict`` over a batch: ``(codes, x [B, D]) -> float64 [B]``."""
    from rlplay.compiled.cache import compiled  # numba is loaded only where something is compiled

    @compiled
    def rows(codes: Any, x: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.empty(x.shape[0])
        for i in range(x.shape[0]):
            out[i] = function(codes, x[i])
        return out

    return rows


def seeded(estimator: Any, rng: np.random.Generator) -> Any:
    """An unfitted clone that draws from a seed of its own wherever the user set none."""
    from sklearn.base import clone

    new = clone(estimator)
    for name, value in new.get_params().items():
        if name.rpartition("__")[2] == "random_state" and value is None:
            new.set_params(**{name: int(rng.integers(2**31))})
    return new


def is_fitted(estimator: Any) -> bool:
    """Whether an estimator has been fitted: by scikit-learn's rule, for objects that have none by their attributes."""
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    except (TypeError, AttributeError):  # an estimator without tags
        return any(name.endswith("_") and not name.startswith("_") for name in vars(estimator))
    return True


def final_step(estimator: Any) -> Any:
    """The last step of a pipeline; any other estimator itself."""
    steps = getattr(estimator, "steps", None)
    return steps[-1][1] if isinstance(steps, list) else estimator


def _is_density(model: Any) -> bool:
    from sklearn.utils import get_tags

    return get_tags(model).estimator_type == "density_estimator"


def _is_transformer(model: Any) -> bool:
    from sklearn.utils import get_tags

    return get_tags(model).estimator_type is None and get_tags(model).transformer_tags is not None


def require_regressor(model: Any, owner: str, *, classifiers: bool = False) -> Any:
    """The model itself, where it can learn numbers (or, with ``classifiers``, classes).

    Raises:
        HyperparameterError: no estimator, or one without predict, or a classifier or clusterer.
    """
    from sklearn.base import is_classifier, is_clusterer

    fits = "Take a regressor: ExtraTreesRegressor(50), sklearn.linear_model.Ridge(), or any with fit and predict"
    if isinstance(model, type) or not hasattr(model, "fit"):
        raise HyperparameterError(f"{owner}: model={model!r} is no estimator: it has no fit", fits)
    name = type(model).__name__
    if not hasattr(model, "predict"):
        raise HyperparameterError(f"{owner}: model={name} has no predict", fits)
    kinds = {
        "classifier": is_classifier, "clusterer": is_clusterer, "density estimator": _is_density,
        "transformer": _is_transformer,
    }  # fmt: skip
    for kind, is_it in kinds.items():
        if kind == "classifier" and classifiers:
            continue
        try:
            wrong = is_it(model)
        except (AttributeError, TypeError):  # an estimator that says nothing about itself
            wrong = getattr(model, "_estimator_type", None) == kind
        if wrong:
            needed = "actions are learned by a classifier or regressor" if classifiers else (
                "values are learned by a regressor"
            )  # fmt: skip
            raise HyperparameterError(f"{owner}: model={name} is a {kind} and {needed}", fits)
    return model


# Names.


def model_ids() -> list[str]:
    """The ids of all models that can be named."""
    return sorted({*registry.model_ids(), *LIBRARY})


def model_class(model_id: str) -> type:
    """The class of a model id.

    Raises:
        UnknownNameError: no such model; names the nearest.
    """
    if model_id in LIBRARY:
        module, _, name = LIBRARY[model_id].partition(":")
        return getattr(importlib.import_module(module), name)
    if model_id in registry.model_ids():
        return registry.model_class(model_id)
    raise unknown("model", model_id, model_ids())


def model_id(estimator: Any) -> str:
    """The id of an estimator's class; ``module:Class`` where it has none."""
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
    """
    from inspect import signature

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
            found[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"{text!r}: {value!r} is no literal") from error
    own = {key: value for key, value in found.items() if key in parameters}
    return cls(**own), {key: value for key, value in found.items() if key not in parameters}


def describe(estimator: Any) -> dict[str, Any]:
    """An estimator's class and parameters as JSON values; what was fitted is left out.

    Raises:
        CheckpointError: a parameter that JSON cannot hold; named.
    """
    if hasattr(estimator, "get_params"):
        parameters = estimator.get_params(deep=False)
    else:
        parameters = {k: v for k, v in vars(estimator).items() if not k.endswith("_")}
    return {
        "model": model_id(estimator),
        "params": {key: _plain(value, f"{type(estimator).__name__}.{key}") for key, value in parameters.items()},
    }


def build(described: Mapping[str, Any]) -> Any:
    """The unfitted estimator of a description; only ids that are registered here, never an import that it asks for.

    Raises:
        CheckpointError: a class without an id.
    """
    name = str(described["model"])
    if ":" in name:
        raise CheckpointError(
            f"the model {name} has no id, and a file may not cause an import",
            f'Register it first: rlplay.register_model("my-model", {name.partition(":")[2]})',
        )
    cls = model_class(name)
    try:
        return cls(**{str(key): _from_plain(value) for key, value in described.get("params", {}).items()})
    except TypeError as error:
        raise HyperparameterError(f"{name} cannot be made: {error}") from error


def _plain(value: Any, place: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {"values": value.tolist(), "dtype": str(value.dtype)}
    if isinstance(value, tuple):
        return {"tuple": [_plain(one, place) for one in value]}
    if isinstance(value, list):
        return [_plain(one, place) for one in value]
    if hasattr(value, "fit") and not isinstance(value, type):
        return describe(value)
    raise CheckpointError(
        f"parameter {place}={value!r} is neither a number, a text, an array nor an estimator",
        "A file can hold only those",
    )


def _from_plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_plain(one) for one in value]
    if isinstance(value, dict):
        if "model" in value:
            return build(value)
        if "tuple" in value:
            return tuple(_from_plain(one) for one in value["tuple"])
        return np.array(value["values"], dtype=np.dtype(str(value["dtype"])))
    return value


# Files.


def pack(estimator: Any, arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, Any]:
    """A fitted estimator as JSON values; its arrays are added to ``arrays`` under names that begin with the prefix.

    Raises:
        CheckpointError: an attribute that neither JSON nor an array can hold; named.
    """
    described = describe(estimator)
    parameters = described["params"]
    fitted = {}
    for name, value in vars(estimator).items():
        place = f"{type(estimator).__name__}.{name}"
        if name not in parameters or (isinstance(value, list) and name == "steps"):
            try:
                fitted[name] = _packed(value, arrays, f"{prefix}/{name}", place)
            except CheckpointError:
                if not name.startswith("_") or name.endswith("_"):
                    raise  # private helpers are made anew; everything else matters
    return {**described, "fitted": fitted}


def unpack(packed: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The fitted estimator that `pack` wrote.

    Raises:
        CheckpointError: a class that is not registered here, or numbers that cannot be.
    """
    estimator = build(packed)
    for name, value in packed["fitted"].items():
        if not str(name).isidentifier() or str(name).startswith("__"):
            raise CheckpointError(f"the model {packed['model']} has an attribute {name!r}: refused")
        setattr(estimator, str(name), _unpacked(value, arrays))
    check = getattr(estimator, "check_fitted", None)
    if check is not None:
        try:
            check()
        except ValueError as error:
            raise CheckpointError(str(error)) from error
    centres = getattr(estimator, "cluster_centers_", None)
    width = getattr(estimator, "n_features_in_", None)
    if centres is not None and width is not None and np.shape(centres)[1:] != (width,):
        raise CheckpointError(f"the model {packed['model']} has centres of shape {np.shape(centres)}: refused")
    return estimator


def _packed(value: Any, arrays: dict[str, NDArray[Any]], name: str, place: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    if isinstance(value, np.generic):
        return {"scalar": value.item(), "dtype": str(value.dtype)}
    if isinstance(value, np.ndarray) and value.dtype != object:
        arrays[name] = value
        # BLAS sums in another order where columns lie together: what is loaded has to lie as what was saved.
        return {"array": name, "order": "F"} if value.flags.f_contiguous and value.ndim > 1 else {"array": name}
    if (isinstance(value, tuple) and hasattr(value, "_fields")) or isinstance(value, list | tuple):
        parts = [_packed(one, arrays, f"{name}/{i}", place) for i, one in enumerate(value)]
        return {"record": type(value).__name__, "parts": parts} if hasattr(value, "_fields") else {
            "list" if isinstance(value, list) else "tuple": parts
        }  # fmt: skip
    if type(value).__module__ == "sklearn.tree._tree" and type(value).__name__ == "Tree":
        state = value.__getstate__()
        arrays[f"{name}/values"] = state["values"]
        for field in state["nodes"].dtype.names:
            arrays[f"{name}/{field}"] = np.ascontiguousarray(state["nodes"][field])
        shape = [value.n_features, value.n_classes.tolist(), value.n_outputs, state["max_depth"], state["node_count"]]
        return {"tree": name, "shape": shape, "fields": list(state["nodes"].dtype.names)}
    if hasattr(value, "fit") and not isinstance(value, type):
        return {"estimator": pack(value, arrays, name)}
    raise CheckpointError(
        f"{place} is a {type(value).__name__}, which neither JSON nor an array can hold",
        "Only estimators whose fitted attributes are numbers, texts, arrays and estimators can be saved",
    )


def _unpacked(value: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
    if "value" in value:
        return value["value"]
    if "scalar" in value:
        return np.dtype(str(value["dtype"])).type(value["scalar"])
    if "array" in value:
        found = arrays[str(value["array"])]
        return np.asfortranarray(found) if value.get("order") == "F" and not found.flags.f_contiguous else found
    if "record" in value:
        from rlplay.models.kd_tree import KDTree
        from rlplay.models.supervised.trees import Trees

        return {"Trees": Trees, "KDTree": KDTree}[value["record"]](*(_unpacked(one, arrays) for one in value["parts"]))
    if "list" in value:
        return [_unpacked(one, arrays) for one in value["list"]]
    if "tuple" in value:
        return tuple(_unpacked(one, arrays) for one in value["tuple"])
    if "estimator" in value:
        return unpack(value["estimator"], arrays)
    return _sklearn_tree(value, arrays)


def _sklearn_tree(value: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
    """scikit-learn's Tree, after a check that no child or feature lies outside it."""
    from sklearn.tree._tree import Tree

    n_features, n_classes, n_outputs, max_depth, count = value["shape"]
    columns = {str(field): arrays[f"{value['tree']}/{field}"] for field in value["fields"]}
    tree = Tree(int(n_features), np.array(n_classes, np.intp), int(n_outputs))
    nodes = np.zeros(count, dtype=tree.__getstate__()["nodes"].dtype)
    for field, column in columns.items():
        nodes[field] = column
    inner = nodes["left_child"] >= 0
    here = np.arange(count)[inner]
    for child in ("left_child", "right_child"):
        if not ((nodes[child][inner] > here) & (nodes[child][inner] < count)).all():
            raise CheckpointError("a tree in the file has a child outside itself: refused")
    if not ((nodes["feature"][inner] >= 0) & (nodes["feature"][inner] < n_features)).all():
        raise CheckpointError("a tree in the file asks for a feature that is not there: refused")
    tree.__setstate__(
        {"max_depth": max_depth, "node_count": count, "nodes": nodes, "values": arrays[f"{value['tree']}/values"]}
    )
    return tree
