"""Decision trees (CART): questions about one feature at a time, the best question first.

From the root down, each node asks whether a feature lies below a threshold; feature and threshold are those that leave
the smallest squared error in the two halves, for classes the smallest Gini impurity
(`rlplay.models.supervised.trees` has the formula). A leaf answers with the mean of its points, or the shares of the
classes in it.

Source: Breiman, Friedman, Olshen & Stone 1984; Hastie, Tibshirani & Friedman 2009, section 9.2. The twins are
`sklearn.tree.DecisionTreeRegressor` and `sklearn.tree.DecisionTreeClassifier`.

Shapes: X [N, D], y [N]; the nodes are flat arrays.
In reinforcement learning: a value function one can read, a division of the state space (a leaf is a state), and a
policy in a few questions (imitation).
"""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from rlplay.models.common import points_and_classes, points_and_numbers
from rlplay.models.supervised.tree_models import ClassTrees, NumberTrees, grow_trees


class DecisionTreeRegressor(NumberTrees, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regression tree.

    Args:
        max_depth: most questions on the way to a leaf; None for any number.
        min_samples_split: fewest points of a node that is divided.
        min_samples_leaf: fewest points of a leaf.
        max_features: features that a split looks at: a number, a share, ``"sqrt"``, ``"log2"``, or None for all.
        random_state: a seed, a RandomState, or None: which of equally good splits is taken, and the features looked at.

    Attributes:
        trees_: the nodes (`rlplay.models.supervised.trees.Trees`).

    Example:
        >>> DecisionTreeRegressor().fit([[0.0], [1.0], [2.0]], [0.0, 0.0, 5.0]).predict([[1.4], [1.6]]).tolist()
        [0.0, 5.0]
    """

    def __init__(
        self, max_depth: int | None = None, *, min_samples_split: int = 2, min_samples_leaf: int = 1,
        max_features: Any = None, random_state: Any = None,
    ) -> None:  # fmt: skip
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Grow the tree on X [N, D] and y [N].

        Raises:
            ValueError: NaN, lengths that differ, or a parameter outside its range.
        """
        x, target = points_and_numbers(self, X, y)
        self.trees_ = grow_trees(self, x, target, 0, 1, "best")
        return self


class DecisionTreeClassifier(ClassTrees, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classification tree.

    Args:
        max_depth: most questions on the way to a leaf; None for any number.
        min_samples_split: fewest points of a node that is divided.
        min_samples_leaf: fewest points of a leaf.
        max_features: features that a split looks at: a number, a share, ``"sqrt"``, ``"log2"``, or None for all.
        random_state: a seed, a RandomState, or None: which of equally good splits is taken, and the features looked at.

    Attributes:
        classes_: the classes [K].
        trees_: the nodes (`rlplay.models.supervised.trees.Trees`).

    Example:
        >>> DecisionTreeClassifier().fit([[0.0], [1.0], [2.0]], ["a", "a", "b"]).predict([[1.4], [1.6]]).tolist()
        ['a', 'b']
    """

    def __init__(
        self, max_depth: int | None = None, *, min_samples_split: int = 2, min_samples_leaf: int = 1,
        max_features: Any = None, random_state: Any = None,
    ) -> None:  # fmt: skip
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Grow the tree on X [N, D] and the classes y [N].

        Raises:
            ValueError: NaN, one class only, or a parameter outside its range.
        """
        x, codes = points_and_classes(self, X, y)
        self.trees_ = grow_trees(self, x, codes, len(self.classes_), 1, "best")
        return self
