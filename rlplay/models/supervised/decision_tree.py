"""Decision tree for regression (CART): questions about one feature at a time, the best question first.

From the root down, each node asks whether a feature lies below a threshold; feature and threshold are those that leave
the smallest squared error in the two halves (`rlplay.models.supervised.trees` has the formula). A leaf answers with the
mean of its points.

Source: Breiman, Friedman, Olshen & Stone 1984; Hastie, Tibshirani & Friedman 2009, section 9.2.2. The twin is
`sklearn.tree.DecisionTreeRegressor`.

In reinforcement learning: a value function one can read, and a division of the state space (a leaf is a state).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from rlplay.models.supervised.trees import Trees, check, grow, join, leaves_of, predict_row_of, predict_rows
from rlplay.seeding import stream

_NO_LIMIT = 2**31


def count_features(max_features: Any, n_features: int) -> int:
    """How many features a split looks at, from a number, a share, ``"sqrt"``, ``"log2"`` or None for all."""
    if max_features is None:
        return n_features
    if max_features in ("sqrt", "log2"):
        return max(1, int(np.sqrt(n_features) if max_features == "sqrt" else np.log2(n_features)))
    if isinstance(max_features, float | np.floating) and 0 < max_features <= 1:
        return max(1, int(max_features * n_features))
    if isinstance(max_features, int | np.integer) and 1 <= max_features <= n_features:
        return int(max_features)
    raise ValueError(f"max_features={max_features!r} is not in [1, {n_features}], a share, 'sqrt', 'log2' or None.")


def grow_trees(model: Any, x: NDArray[np.float64], y: NDArray[np.float64], count: int, random_splits: bool) -> Trees:
    """The trees of a model with CART's parameters, each with random numbers of its own.

    Raises:
        ValueError: a parameter outside its range.
    """
    depth = _NO_LIMIT if model.max_depth is None else model.max_depth
    if depth < 1 or model.min_samples_split < 2 or model.min_samples_leaf < 1 or count < 1:
        raise ValueError(
            f"max_depth={model.max_depth!r}, min_samples_split={model.min_samples_split!r}, "
            f"min_samples_leaf={model.min_samples_leaf!r} should be at least 1, 2 and 1, with at least one tree."
        )
    looked_at = count_features(model.max_features, x.shape[1])
    seed = check_random_state(model.random_state).randint(2**31 - 1)
    rngs = [stream(seed, f"tree {tree}") for tree in range(count)]
    split, leaf = int(model.min_samples_split), int(model.min_samples_leaf)
    grown: list[tuple[NDArray[Any], ...]] = [
        grow(x, y, int(depth), split, leaf, looked_at, random_splits, rng) for rng in rngs
    ]
    return join(grown)


class DecisionTreeRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regression tree.

    Args:
        max_depth: most questions on the way to a leaf; None for any number.
        min_samples_split: fewest points of a node that is divided.
        min_samples_leaf: fewest points of a leaf.
        max_features: features that a split looks at: a number, a share, ``"sqrt"``, ``"log2"``, or None for all.
        random_state: a seed, a RandomState, or None; used where not all features are looked at.

    Attributes:
        trees_: the nodes (`rlplay.models.supervised.trees.Trees`).

    Example:
        >>> DecisionTreeRegressor().fit([[0.0], [1.0], [2.0]], [0.0, 0.0, 5.0]).predict([[1.4], [1.6]]).tolist()
        [0.0, 5.0]
    """

    def __init__(
        self,
        max_depth: int | None = None,
        *,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_features: Any = None,
        random_state: Any = None,
    ) -> None:
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's name
        """Grow the tree on X [N, D] and y [N].

        Raises:
            ValueError: NaN, lengths that differ, or a parameter outside its range.
        """
        x, target = validate_data(self, X, y, dtype=np.float64, order="C", y_numeric=True)
        self.trees_ = grow_trees(self, x, np.asarray(target, np.float64), 1, random_splits=False)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """The mean of the leaf of each point, float64 [N]."""
        check_is_fitted(self)
        return predict_rows(self.trees_, validate_data(self, X, dtype=np.float64, order="C", reset=False))

    def apply(self, X: Any) -> NDArray[np.int64]:  # noqa: N803
        """The leaf of each point as the number of its node, int64 [N]."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, order="C", reset=False)
        return leaves_of(self.trees_, x)[:, 0]

    def row_function(self, method: str) -> tuple[Any, tuple[Any, ...]]:
        """The compiled function of one row for ``predict`` (`rlplay.estimators.RowFunction`)."""
        return predict_row_of, tuple(self.trees_)

    def check_fitted(self) -> None:
        """Refuse trees, read from a file, whose nodes lead outside them."""
        check(self.trees_, self.n_features_in_)
