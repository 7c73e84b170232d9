"""What trees and forests share: their arguments, growing one tree or many, and their predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from rlplay.models.common import (
    LogProbabilities,
    new_points,
    point_weights,
    points_and_classes,
    points_and_numbers,
    require,
)
from rlplay.models.supervised.tree_growth import Growth, grow_randomly, grow_sorted, repeated
from rlplay.models.supervised.trees import (
    Floats,
    Trees,
    check,
    join,
    leaf_row_of,
    leaves_of,
    predict_row_of,
    predict_rows,
)
from rlplay.seeding import stream

_NO_LIMIT = 2**31
Kind = Literal["best", "random"]


@dataclass(eq=False, repr=False, kw_only=True)
class TreeParameters:
    """The keyword arguments that every tree and forest takes.

    Args:
        max_depth: most questions on the way to a leaf; None for no limit.
        min_samples_split: fewest points of a node that is split; more of them smooth.
        min_samples_leaf: fewest points of a leaf.
        min_weight_fraction_leaf: least share of all weights in a leaf, from 0 to 0.5.
        max_features: features that a split considers: a number, a share, ``"sqrt"``, ``"log2"``, or None for all.
        random_state: a seed, a RandomState, or None.

    Example:
        >>> TreeParameters(max_depth=3).max_depth, TreeParameters().min_samples_leaf
        (3, 1)
    """

    max_depth: int | None = None
    min_samples_split: int = 2
    min_samples_leaf: int = 1
    min_weight_fraction_leaf: float = 0.0
    max_features: Any = None
    random_state: Any = None


def count_features(model: Any, n_features: int) -> int:
    """The number of features that a split considers, from a number, a share, ``"sqrt"``, ``"log2"`` or None for all.

    Raises:
        ValueError: ``max_features`` is none of those.

    Example:
        >>> [count_features(TreeParameters(max_features=wanted), 9) for wanted in ("sqrt", 0.5, 2, None)]
        [3, 4, 2, 9]
    """
    wanted = model.max_features
    if wanted is None:
        return n_features
    if wanted in ("sqrt", "log2"):
        return max(1, int(np.sqrt(n_features) if wanted == "sqrt" else np.log2(n_features)))
    if isinstance(wanted, float | np.floating) and 0 < wanted <= 1:
        return max(1, int(wanted * n_features))
    if isinstance(wanted, int | np.integer) and 1 <= wanted <= n_features:
        return int(wanted)
    raise ValueError(f"max_features={wanted!r} is not in [1, {n_features}], a share, 'sqrt', 'log2' or None.")


def grow_trees(model: Any, x: Floats, target: NDArray[Any], n_classes: int = 0, weights: Floats | None = None) -> Trees:
    """The trees of a model, each with its own random stream.

    Args:
        model: ``n_estimators`` trees, or one. Splits are ``model.splits``: best or random. With ``model.bootstrap``
            each tree learns from its own sample.
        x: the points, float64 [N, D].
        target: numbers, float64 [N], or classes, int64 [N].
        n_classes: K; 0 for numbers.
        weights: how much each point counts, float64 [N]; with ``model.bootstrap`` how likely it is drawn.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> from rlplay.models.supervised import DecisionTreeRegressor
        >>> x, y = np.array([[0.0], [1.0], [2.0]]), np.array([0.0, 0.0, 5.0])
        >>> trees = grow_trees(DecisionTreeRegressor(), x, y)
        >>> trees.threshold[0], trees.value.ravel().round(2).tolist()
        (np.float64(1.5), [1.67, 0.0, 5.0])
    """
    count = getattr(model, "n_estimators", 1)
    require(
        model,
        max_depth=(model.max_depth is None or model.max_depth >= 1, "1 or more, or None"),
        min_samples_split=(model.min_samples_split >= 2, "2 or more"),
        min_samples_leaf=(model.min_samples_leaf >= 1, "1 or more"),
        min_weight_fraction_leaf=(0 <= model.min_weight_fraction_leaf <= 0.5, "a share from 0 to 0.5"),
        **({"n_estimators": (count >= 1, "1 or more")} if hasattr(model, "n_estimators") else {}),
    )
    bootstrap = getattr(model, "bootstrap", False)
    if weights is not None and not bootstrap and (weights == 0).any():
        x, target, weights = x[weights > 0], target[weights > 0], weights[weights > 0]
    factors = np.zeros(0) if weights is None or bootstrap else weights
    lightest, least = model.min_weight_fraction_leaf * (factors.sum() or len(x)), int(model.min_samples_leaf)
    if len(factors) == 0:
        least = max(least, int(np.ceil(lightest)))
    depth = _NO_LIMIT if model.max_depth is None else int(model.max_depth)
    growth = Growth(depth, int(model.min_samples_split), least, count_features(model, x.shape[1]), float(lightest))
    y = np.zeros(0) if n_classes else np.ascontiguousarray(target, np.float64)
    codes = np.ascontiguousarray(target, np.int64) if n_classes else np.zeros(0, np.int64)
    seed = check_random_state(model.random_state).randint(2**31 - 1)
    rngs = [stream(seed, f"tree {tree}") for tree in range(count)]
    outputs = max(n_classes, 1)
    columns = np.ascontiguousarray(x.T)
    if model.splits == "random":
        return join(grow_randomly(columns, y, codes, factors, outputs, growth, rng) for rng in rngs)
    order = np.argsort(columns, axis=1).astype(np.int32)
    if not bootstrap:
        return join(grow_sorted(columns, order.copy(), y, codes, factors, outputs, growth, rng) for rng in rngs)
    draws = np.random.default_rng(seed)
    n, likely = len(x), None if weights is None else weights / weights.sum()
    chosen = (draws.integers(n, size=n) if likely is None else draws.choice(n, n, p=likely) for _ in rngs)
    samples = (np.bincount(one, minlength=n) for one in chosen)
    return join(
        grow_sorted(columns, repeated(order, sample), y, codes, factors, outputs, growth, rng)
        for sample, rng in zip(samples, rngs, strict=True)
    )


class TreeAnswers(TreeParameters):
    """The predictions of a fitted model with ``trees_``; a mixin.

    Example:
        >>> from rlplay.models.supervised import DecisionTreeRegressor
        >>> model = DecisionTreeRegressor().fit([[0.0], [1.0], [2.0]], [0.0, 0.0, 5.0])
        >>> isinstance(model, TreeAnswers), model.apply([[0.5], [2.0]]).tolist()
        (True, [1, 2])
    """

    splits: ClassVar[Kind] = "best"
    trees_: Trees
    n_features_in_: int

    def _means(self, X: Any) -> Floats:
        """The mean over the trees, [N, K]."""
        x = new_points(self, X, ensure_all_finite="allow-nan")
        return predict_rows(self.trees_, x)

    def apply(self, X: Any) -> NDArray[np.int64]:
        """The leaf of each point as the number of its node, int64 [N], or [N, T] for several trees."""
        x = new_points(self, X, ensure_all_finite="allow-nan")
        leaves = leaves_of(self.trees_, x)
        return leaves if hasattr(self, "n_estimators") else leaves[:, 0]

    def __sklearn_tags__(self) -> Any:
        """Missing values are taken."""
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.allow_nan = True
        return tags

    def check_fitted(self) -> None:
        """Refuse trees, read from a file, whose nodes have children outside them.

        Raises:
            ValueError: such trees.
        """
        check(self.trees_, self.n_features_in_)


class NumberTrees(TreeAnswers):
    """Regression by trees; a mixin.

    Example:
        >>> from rlplay.models.supervised import RandomForestRegressor
        >>> issubclass(RandomForestRegressor, NumberTrees)
        True
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the trees on X [N, D], where NaN is a missing value, and y [N]; each point counts by its weight [N].

        Raises:
            ValueError: infinity, lengths that differ, or an argument outside its range.
        """
        x, target = points_and_numbers(self, X, y, ensure_all_finite="allow-nan")
        self.trees_ = grow_trees(self, x, target, weights=point_weights(self, x, sample_weight))
        return self

    def predict(self, X: Any) -> Floats:
        """The mean of the leaves of each point, float64 [N]."""
        return self._means(X)[:, 0]

    def sample_function(self, method: str) -> tuple[Any, tuple[Any, ...]]:
        """The compiled function of one sample for ``predict`` or ``apply`` (a `SampleFunction`)."""
        return (leaf_row_of if method == "apply" else predict_row_of), tuple(self.trees_)


@dataclass(eq=False, repr=False, kw_only=True)
class ClassTreeParameters(TreeParameters):
    """The keyword arguments that every tree and forest of classes takes.

    Args:
        class_weight: how much a point counts by class, ``"balanced"`` for N / (K N_k), or None.

    Example:
        >>> ClassTreeParameters(class_weight="balanced").class_weight
        'balanced'
    """

    class_weight: Any = None


class ClassTrees(LogProbabilities, ClassTreeParameters, TreeAnswers):
    """Classification by trees; a mixin.

    Example:
        >>> from rlplay.models.supervised import ExtraTreesClassifier
        >>> issubclass(ExtraTreesClassifier, ClassTrees)
        True
    """

    classes_: NDArray[Any]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the trees on X [N, D], where NaN is a missing value, and the classes y [N].

        Each point counts by its weight [N] times its class's.

        Raises:
            ValueError: infinity, lengths that differ, or an argument outside its range.
        """
        x, codes = points_and_classes(self, X, y, fewest=1, ensure_all_finite="allow-nan")
        weights = point_weights(self, x, sample_weight, codes)
        self.trees_ = grow_trees(self, x, codes, len(self.classes_), weights)
        return self

    def predict_proba(self, X: Any) -> Floats:
        """The share of each class in the leaves of each point, float64 [N, K]."""
        return self._means(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """The class with the greatest share, [N]."""
        shares = self._means(X)
        return self.classes_[shares.argmax(axis=1)]
