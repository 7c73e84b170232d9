"""Estimators in agents: compiled sample functions of fitted ones, seeded clones, and what kind an estimator is."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled, in_place
from rlplay.errors import HyperparameterError


class SampleFunction(NamedTuple):
    """A fitted model as a compiled function of one row, without validation.

    Attributes:
        function: ``function(codes, x [D]) -> value``, or ``function(codes, x [D], out [F])`` for a transformer.
        codes: what was fitted, as a tuple of arrays.
    """

    function: Callable[..., Any]
    codes: tuple[Any, ...]


@in_place
def _identity(codes: Any, x: NDArray[np.float64], out: NDArray[Any]) -> None:
    """The sample function of a transformer that gives what it gets."""
    for d in range(x.shape[0]):
        out[d] = x[d]


def sample_function(estimator: Any, method: str) -> SampleFunction | None:
    """The compiled sample function of a fitted estimator's ``predict`` or ``transform``, if it offers one.

    An estimator offers it by ``sample_function(method)``, returning function and codes, or None.
    """
    if method == "transform" and type(estimator).__name__ == "FunctionTransformer" and estimator.func is None:
        return SampleFunction(_identity, ())
    export = getattr(estimator, "sample_function", None)
    found = export(method) if export is not None else None
    return None if found is None else SampleFunction(*found)


@cache
def over_batch(function: Callable[..., Any]) -> Callable[..., NDArray[np.float64]]:
    """A compiled sample function of ``predict`` over a batch: ``(codes, x [B, D]) -> float64 [B]``."""

    @compiled
    def rows(codes: Any, x: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.empty(x.shape[0])
        for i in range(x.shape[0]):
            out[i] = function(codes, x[i])
        return out

    return rows


def seeded(estimator: Any, rng: np.random.Generator) -> Any:
    """An unfitted clone that draws from a seed of its own wherever the user set none.

    Example:
        >>> from rlplay.models.unsupervised import KMeans
        >>> rng = np.random.default_rng(0)
        >>> seeded(KMeans(4), rng).random_state is None, seeded(KMeans(4, random_state=3), rng).random_state
        (False, 3)
    """
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
    """The last step of a pipeline; any other estimator itself.

    Example:
        >>> from sklearn.pipeline import make_pipeline
        >>> from rlplay.models.unsupervised import KMeans, StandardScaler
        >>> type(final_step(make_pipeline(StandardScaler(), KMeans(4)))).__name__
        'KMeans'
    """
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
