"""Feature maps: an unsupervised model between the observation and the agent, and when it is fitted.

A map warms up (random play is only watched), is fitted, and then stays as it is, or is fitted again every so many
steps on the newest observations; `rlplay.approximation.feature_encoder` does that in an agent.

Any transformer or clusterer with scikit-learn's API will do, ours, scikit-learn's or your own. One that is fitted
already is taken as it is and never warmed up.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from rlplay.approximation.encodings import (
    ENCODINGS,
)
from rlplay.approximation.estimators import final_step, is_fitted
from rlplay.approximation.packing import describe
from rlplay.errors import HyperparameterError, one_line
from rlplay.spaces.observations import VectorView

# What text may say of a map beside its estimator's parameters.
OPTIONS = ("warm_up", "refit_every", "sample_size", "standardize", "encoding", "online")


class FeatureMap:
    """A transformer or clusterer with a schedule.

    Args:
        estimator: any object with ``fit`` and ``transform`` or ``predict``; cloned, unless it is fitted.
        warm_up: observations to see before the first fit; they count as timesteps.
        refit_every: timesteps between later fits; None to stay as it is.
        sample_size: the newest observations that a fit sees.
        standardize: whether each number is shifted and scaled to mean 0 and deviation 1 first, since distances mean
            nothing between metres and radians; a fitted estimator is given what the environment gives.
        encoding: what a clusterer hands on: its label, one-hot, the distances to its centres, or their triangle
            (`rlplay.approximation.encodings`); ``"auto"`` is what ``transform`` gives, one-hot where there is none, and
            the label for agents with tables.
        n_states: how many leaves a tree has; found out from a fitted one, and kept for its file.
        online: whether later fits go on from the one before by ``partial_fit``, so that nothing moves far.

    A basis (TileCoding, FourierBasis, RBFGrid) with ``bounds``, or without over an observation space that has bounds,
    is laid over them as they are and is ready at once; so is what has nothing to fit (``"identity"``: observations as
    they are).

    Example:
        >>> from rlplay.models.unsupervised import KMeans
        >>> plan = FeatureMap(KMeans(4), warm_up=100, refit_every=1000)
        >>> plan.warm_up, plan.refit_every, plan.describe()["model"]
        (100, 1000, 'k-means')
    """

    def __init__(
        self,
        estimator: Any,
        *,
        warm_up: int = 2000,
        refit_every: int | None = None,
        sample_size: int = 10_000,
        standardize: bool = True,
        encoding: str = "auto",
        online: bool = False,
        n_states: int | None = None,
    ) -> None:
        if isinstance(estimator, type) or not hasattr(estimator, "fit"):
            raise HyperparameterError(
                f"features={estimator!r} is no estimator: it has no fit",
                "Give an instance such as KMeans(64), sklearn.decomposition.PCA(4), or a pipeline",
            )
        if not any(hasattr(estimator, name) for name in ("transform", "predict", "apply")):
            raise HyperparameterError(
                f"features={type(estimator).__name__} has neither transform nor predict",
                "Give a transformer (PCA, StandardScaler) or a clusterer (KMeans, GaussianMixture)",
            )
        if hasattr(final_step(estimator), "follower") and not hasattr(estimator, "transform"):
            raise HyperparameterError(
                f"features={type(estimator).__name__} follows what came before, and a feature map sees one observation",
                "Give it as memory: rlplay.make(env, memory='hidden-markov-model:6'), or --memory",
            )
        for name, value, least in (
            ("warm_up", warm_up, 2),
            ("sample_size", sample_size, 2),
            ("refit_every", refit_every, 1),
        ):
            if value is not None and not (isinstance(value, int | np.integer) and value >= least):
                raise HyperparameterError(f"features: {name}={value!r} is not a whole number of {least} or more")
        if encoding not in ENCODINGS:
            raise HyperparameterError(f"features: encoding={encoding!r} is not one of {', '.join(ENCODINGS)}")
        if online and not hasattr(final_step(estimator), "partial_fit"):
            raise HyperparameterError(
                f"features: {type(estimator).__name__} has no partial_fit and cannot learn online",
                "Take MiniBatchKMeans or IncrementalPCA, or refit_every without online",
            )
        if encoding == "triangle" and not hasattr(estimator, "transform"):
            name = type(estimator).__name__
            raise HyperparameterError(f"features: {name} gives no distances for encoding='triangle'")
        self.encoding, self.online = encoding, bool(online)
        tree = final_step(estimator)
        self.n_states = leaves(tree) if is_tree(tree) and is_fitted(estimator) else n_states
        self.estimator = estimator
        self.warm_up, self.sample_size = int(warm_up), int(sample_size)
        self.refit_every = None if refit_every is None else int(refit_every)
        self.standardize = bool(standardize)

    def describe(self) -> dict[str, Any]:
        """The map as JSON values, unfitted."""
        options = {
            "warm_up": self.warm_up,
            "refit_every": self.refit_every,
            "sample_size": self.sample_size,
            "standardize": self.standardize,
            "encoding": self.encoding,
            "online": self.online,
            **({"n_states": self.n_states} if self.n_states is not None else {}),
        }
        return {**describe(self.estimator), **options}

    def __repr__(self) -> str:
        refit = f", refit_every={self.refit_every}" if self.refit_every else ""
        return f"FeatureMap({self.estimator!r}, warm_up={self.warm_up}{refit})"

    def laid_over(self, space: gym.Space[Any]) -> Any:
        """The estimator; a basis without bounds is laid over those of the observations, and is fitted then."""
        return _laid_over(self.estimator, space)


def as_feature_map(value: Any) -> FeatureMap | None:
    """A feature map from what a user gives: a map, an estimator, text (``k-means:64,refit_every=10000``) or JSON.

    Raises:
        HyperparameterError: nothing that can be taken for one.
        UnknownNameError: text that names no known model.

    Example:
        >>> plan = as_feature_map("k-means:4,warm_up=100")
        >>> plan.estimator.n_clusters, plan.warm_up, as_feature_map(None)
        (4, 100, None)
    """
    from rlplay.approximation.packing import build
    from rlplay.models.names import parse

    if value is None or isinstance(value, FeatureMap):
        return value
    options: dict[str, Any] = {}
    if isinstance(value, str):
        value, options = parse(value, OPTIONS)
    elif isinstance(value, dict) and "model" in value:
        options = {k: v for k, v in value.items() if k not in ("model", "params")}
        value = build({k: v for k, v in value.items() if k in ("model", "params")})
    try:
        return FeatureMap(value, **options)
    except TypeError as error:
        raise HyperparameterError(f"features: {one_line(error)}") from error


def _laid_over(estimator: Any, space: gym.Space[Any]) -> Any:
    """A basis without bounds, laid over those of the observations; any other estimator as it is."""
    from sklearn.base import clone

    if fits_nothing(estimator):
        return clone(estimator).fit(np.zeros((1, VectorView(space, "features").size)))
    if not hasattr(estimator, "bounds") or is_fitted(estimator) or not isinstance(space, gym.spaces.Box):
        return estimator
    own = estimator.bounds
    bounds = np.asarray(np.stack([space.low.ravel(), space.high.ravel()]) if own is None else own, np.float64)
    if own is None and not (np.isfinite(bounds).all() and (np.abs(bounds) < 1e6).all()):
        return estimator
    try:
        return clone(estimator).set_params(bounds=bounds).fit(bounds)
    except ValueError as error:
        raise HyperparameterError(f"features={type(estimator).__name__}: {one_line(error)}") from error


def fits_nothing(estimator: Any) -> bool:
    """Whether an estimator says that it need not be fitted, by scikit-learn's tags."""
    from sklearn.utils import get_tags

    return hasattr(estimator, "__sklearn_tags__") and not get_tags(estimator).requires_fit


def leaves(tree: Any) -> int:
    """How many nodes a fitted tree has, by which its leaves are numbered."""
    return int(tree.tree_.node_count) if hasattr(tree, "tree_") else len(tree.trees_.feature)


def is_tree(estimator: Any) -> bool:
    """Whether states are numbered by its leaves."""
    return (
        hasattr(estimator, "apply") and not hasattr(estimator, "estimators_") and not hasattr(estimator, "n_estimators")
    )
