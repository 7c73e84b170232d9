"""Random forests: many trees, each grown on a sample of its own, averaged.

Each tree learns from N points drawn with replacement (the bootstrap), and each of its splits looks at some of the
features only. So the trees differ, and the mean of many different trees errs less than any of them:

    variance of the mean = ρ σ² + (1 - ρ) σ² / T

with the variance σ² of one tree and the correlation ρ between two, which both kinds of chance make small.

Source: Breiman 2001; Hastie, Tibshirani & Friedman 2009, section 15.2. The twins are
`sklearn.ensemble.RandomForestRegressor` and `sklearn.ensemble.RandomForestClassifier`.

Shapes: X [N, D], y [N]; the nodes of all trees are flat arrays.
In reinforcement learning: the value function of fitted Q iteration, models of a world.
"""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from rlplay.models.common import points_and_classes, points_and_numbers
from rlplay.models.supervised.tree_models import ClassTrees, NumberTrees, grow_trees


class RandomForestRegressor(NumberTrees, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A forest of regression trees.

    Args:
        n_estimators: how many trees.
        max_depth: most questions on the way to a leaf; None for any number.
        min_samples_split: fewest points of a node that is divided; more of them smooth.
        min_samples_leaf: fewest points of a leaf.
        max_features: features that a split looks at: a number, a share, ``"sqrt"``, ``"log2"``, or None for all.
        bootstrap: whether each tree learns from a sample drawn with replacement.
        random_state: a seed, a RandomState, or None.

    Attributes:
        trees_: the nodes of all trees (`rlplay.models.supervised.trees.Trees`).
    """

    def __init__(
        self, n_estimators: int = 100, *, max_depth: int | None = None, min_samples_split: int = 2,
        min_samples_leaf: int = 1, max_features: Any = None, bootstrap: bool = True, random_state: Any = None,
    ) -> None:  # fmt: skip
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.bootstrap = bootstrap
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Grow the trees on X [N, D] and y [N].

        Raises:
            ValueError: NaN, lengths that differ, or a parameter outside its range.
        """
        x, target = points_and_numbers(self, X, y)
        self.trees_ = grow_trees(self, x, target, 0, self.n_estimators, "best")
        return self


class RandomForestClassifier(ClassTrees, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A forest of classification trees.

    Args:
        n_estimators: how many trees.
        max_depth: most questions on the way to a leaf; None for any number.
        min_samples_split: fewest points of a node that is divided; more of them smooth.
        min_samples_leaf: fewest points of a leaf.
        max_features: features that a split looks at: a number, a share, ``"sqrt"``, ``"log2"``, or None for all.
        bootstrap: whether each tree learns from a sample drawn with replacement.
        random_state: a seed, a RandomState, or None.

    Attributes:
        classes_: the classes [K].
        trees_: the nodes of all trees (`rlplay.models.supervised.trees.Trees`).
    """

    def __init__(
        self, n_estimators: int = 100, *, max_depth: int | None = None, min_samples_split: int = 2,
        min_samples_leaf: int = 1, max_features: Any = "sqrt", bootstrap: bool = True, random_state: Any = None,
    ) -> None:  # fmt: skip
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.bootstrap = bootstrap
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Grow the trees on X [N, D] and the classes y [N].

        Raises:
            ValueError: NaN, lengths that differ, one class only, or a parameter outside its range.
        """
        x, codes = points_and_classes(self, X, y)
        self.trees_ = grow_trees(self, x, codes, len(self.classes_), self.n_estimators, "best")
        return self
