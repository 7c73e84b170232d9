"""Extremely randomised trees for regression: many trees with random thresholds, averaged.

Each node draws one threshold a feature, uniformly between the smallest and the largest value of its points, and keeps
the feature whose draw divides best (`rlplay.models.supervised.trees` has the score). Single trees are rough; their mean
is smooth, and no sorting makes them quick to grow.

Source: Geurts, Ernst & Wehenkel 2006, table 1; Ernst, Geurts & Wehenkel 2005 for fitted Q iteration. The twin is
`sklearn.ensemble.ExtraTreesRegressor`.

In reinforcement learning: the value function of fitted Q iteration.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from rlplay.models.supervised.decision_tree import grow_trees
from rlplay.models.supervised.trees import check, leaves_of, predict_row_of, predict_rows


class ExtraTreesRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A forest of extremely randomised regression trees.

    Args:
        n_estimators: how many trees.
        max_depth: most questions on the way to a leaf; None for any number.
        min_samples_split: fewest points of a node that is divided; more of them smooth.
        min_samples_leaf: fewest points of a leaf.
        max_features: features that a split looks at: a number, a share, ``"sqrt"``, ``"log2"``, or None for all.
        random_state: a seed, a RandomState, or None.

    Attributes:
        trees_: the nodes of all trees (`rlplay.models.supervised.trees.Trees`).

    Example:
        >>> model = ExtraTreesRegressor(10, random_state=0).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0])
        >>> model.predict([[2.0]]).tolist()
        [2.0]
    """

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_features: Any = None,
        random_state: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's name
        """Grow the trees on X [N, D] and y [N], each on all points.

        Raises:
            ValueError: NaN, lengths that differ, or a parameter outside its range.
        """
        x, target = validate_data(self, X, y, dtype=np.float64, order="C", y_numeric=True)
        self.trees_ = grow_trees(self, x, np.asarray(target, np.float64), self.n_estimators, random_splits=True)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """The mean over the trees, float64 [N]."""
        check_is_fitted(self)
        return predict_rows(self.trees_, validate_data(self, X, dtype=np.float64, order="C", reset=False))

    def apply(self, X: Any) -> NDArray[np.int64]:  # noqa: N803
        """The leaf of each point in each tree as the number of its node, int64 [N, T]."""
        check_is_fitted(self)
        return leaves_of(self.trees_, validate_data(self, X, dtype=np.float64, order="C", reset=False))

    def row_function(self, method: str) -> tuple[Any, tuple[Any, ...]]:
        """The compiled function of one row for ``predict`` (`rlplay.estimators.RowFunction`)."""
        return predict_row_of, tuple(self.trees_)

    def check_fitted(self) -> None:
        """Refuse trees, read from a file, whose nodes lead outside them."""
        check(self.trees_, self.n_features_in_)
