"""Estimators in files: described by id and parameters as JSON, what was fitted as arrays, and back.

A class that has no id is written as ``module:Class``, which a file never causes to be imported: who loads it registers
the class first.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import CheckpointError, HyperparameterError, one_line
from rlplay.models.fitted import check_fitted
from rlplay.models.names import model_class, model_id

_WIDEST = 10_000  # features up to which a loaded estimator is asked once


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
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": str(value)}  # JSON has no nan and inf
    if value is None or isinstance(value, bool | int | float | str):
        return value
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
        if "number" in value:
            return float(value["number"])
        return np.array(value["values"], dtype=np.dtype(str(value["dtype"])))
    return value


# What was fitted.


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
    estimator = _filled(build(packed), packed, arrays)
    name = str(packed["model"])
    check_fitted(name, estimator)
    check = getattr(estimator, "check_fitted", None)
    if check is not None:
        try:
            check()
        except Exception as error:
            raise CheckpointError(f"the model {name}: {' '.join(str(error).split())[:300]}") from error
    centres = getattr(estimator, "cluster_centers_", None)
    width = getattr(estimator, "n_features_in_", None)
    if centres is not None and width is not None and np.shape(centres)[1:] != (width,):
        raise CheckpointError(f"the model {name} has centres of shape {np.shape(centres)}: refused")
    if isinstance(width, int) and width <= _WIDEST:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of columns without names
                _ask_once(estimator, np.zeros((2, width)))
        except Exception as error:
            words = one_line(error)
            raise CheckpointError(f"the model {name} in the file does not work: {words}") from error
    return estimator


def _ask_once(estimator: Any, x: NDArray[np.float64]) -> None:
    """Raise where an estimator cannot answer for two points, or names other classes than it has."""
    _answer(estimator, x)
    classes = getattr(estimator, "classes_", None)
    if classes is not None and hasattr(estimator, "predict_proba"):
        told = np.shape(estimator.predict_proba(x))
        if told != (2, len(classes)):
            raise ValueError(f"its probabilities are of {told[1]} classes, and it has {len(classes)}")


def _filled(estimator: Any, packed: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
    """An unfitted estimator with the attributes that were fitted."""
    for name, value in packed["fitted"].items():
        if not str(name).isidentifier() or str(name).startswith("__"):
            raise CheckpointError(f"the model {packed['model']} has an attribute {name!r}: refused")
        setattr(estimator, str(name), _unpacked(value, arrays))
    return estimator


def why_not_saved(estimator: Any) -> str:
    """Why an estimator of a third party will not be in a file once it is fitted; empty where it will.

    It is tried: a clone is fitted to a few made-up points, packed, made again from that, and asked again.

    Example:
        >>> from rlplay.models.unsupervised import KMeans
        >>> why_not_saved(KMeans(4))
        ''
    """
    from sklearn.base import clone, is_classifier

    try:
        described = describe(estimator)
    except CheckpointError as error:
        return error.cause
    if ":" not in described["model"] and type(estimator).__module__.partition(".")[0] in ("rlplay", "sklearn"):
        return ""  # held by tests
    x = np.random.default_rng(0).standard_normal((40, 4))
    y = np.arange(40) % 2 if _asked(is_classifier, estimator) else x[:, 0]
    arrays: dict[str, NDArray[Any]] = {}
    try:
        fitted = clone(estimator).fit(x, y)
        told = _answer(fitted, x)
    except Exception:  # not this shape of data: nothing is known
        return ""
    try:
        packed = pack(fitted, arrays, "")
        same = told is None or np.array_equal(told, np.asarray(_answer(_filled(clone(estimator), packed, arrays), x)))
    except CheckpointError as error:
        return error.cause
    except Exception:
        same = False
    return "" if same else f"what {type(estimator).__name__} fits is not in its public attributes"


def _asked(question: Any, estimator: Any) -> bool:
    try:
        return bool(question(estimator))
    except (AttributeError, TypeError):  # an estimator that says nothing about itself
        return False


def _answer(fitted: Any, x: NDArray[np.float64]) -> NDArray[Any] | None:
    """What a fitted estimator says of points [N, D]; None where it answers nothing about new points."""
    ask = getattr(fitted, "predict", None) or getattr(fitted, "transform", None)
    if getattr(fitted, "step_size_", None) == x.shape[1]:  # fitted on sequences of such steps
        x = x[:, None]
    return None if ask is None else np.asarray(ask(x))


def _packed(value: Any, arrays: dict[str, NDArray[Any]], name: str, place: str) -> Any:
    if isinstance(value, np.generic) and not isinstance(value, float):
        return {"scalar": value.item(), "dtype": str(value.dtype)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    if isinstance(value, np.ndarray) and value.dtype != object:
        arrays[name] = value
        # BLAS sums in another order where columns lie together: what is loaded has to lie as what was saved.
        return {"array": name, "order": "F"} if value.flags.f_contiguous and value.ndim > 1 else {"array": name}
    if isinstance(value, np.ndarray) and value.ndim == 1 and all(isinstance(one, str) for one in value):
        return {"texts": value.tolist()}  # classes and names of columns, as data frames give them
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
    if "number" in value:
        return float(value["number"])
    if "scalar" in value:
        return np.dtype(str(value["dtype"])).type(value["scalar"])
    if "array" in value:
        found = arrays[str(value["array"])]
        return np.asfortranarray(found) if value.get("order") == "F" and not found.flags.f_contiguous else found
    if "texts" in value:
        return np.array([str(one) for one in value["texts"]], dtype=object)
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
    if any(column.shape != (count,) for column in columns.values()):
        raise CheckpointError(f"a tree in the file has not {count} nodes in each of its arrays: refused")
    tree = Tree(int(n_features), np.array(n_classes, np.intp), int(n_outputs))
    nodes = np.zeros(count, dtype=tree.__getstate__()["nodes"].dtype)
    for field, column in columns.items():
        nodes[field] = column
    inner = nodes["left_child"] != -1  # scikit-learn's mark of a leaf
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
