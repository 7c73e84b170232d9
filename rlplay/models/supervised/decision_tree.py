"""Decision trees (CART): questions about one feature at a time, the best question first.

From the root down, each node asks whether a feature is below a threshold. Feature and threshold are those that leave
the smallest squared error in the two halves, for classes the smallest Gini impurity
(`rlplay.models.supervised.tree_growth` has the formula). A leaf predicts the mean of its points, or the shares of the
classes in it.

Source: Breiman, Friedman, Olshen & Stone 1984; Hastie, Tibshirani & Friedman 2009, section 9.2. The twins are
`sklearn.tree.DecisionTreeRegressor` and `sklearn.tree.DecisionTreeClassifier`.

Shapes: X [N, D], y [N]; the nodes are flat arrays.
In reinforcement learning: a value function one can read, a division of the state space (a leaf is a state), and a
policy in a few questions (imitation).
"""

from __future__ import annotations

from dataclasses import dataclass

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from rlplay.models.supervised.tree_models import ClassTrees, NumberTrees


@dataclass(eq=False, repr=False)
class DecisionTreeRegressor(NumberTrees, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regression tree.

    Args:
        max_depth: most questions on the way to a leaf; None for no limit.
        random_state: a seed, a RandomState, or None: it decides among equally good splits, and which features are
            considered.

    The other arguments are those of `rlplay.models.supervised.tree_models.TreeParameters`.

    Attributes:
        trees_: the nodes (`rlplay.models.supervised.trees.Trees`).

    Example:
        >>> DecisionTreeRegressor().fit([[0.0], [1.0], [2.0]], [0.0, 0.0, 5.0]).predict([[1.4], [1.6]]).tolist()
        [0.0, 5.0]
    """

    max_depth: int | None = None


@dataclass(eq=False, repr=False)
class DecisionTreeClassifier(ClassTrees, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classification tree.

    Args:
        max_depth: most questions on the way to a leaf; None for no limit.
        random_state: a seed, a RandomState, or None: it decides among equally good splits, and which features are
            considered.

    The other arguments are those of `rlplay.models.supervised.tree_models.ClassTreeParameters`.

    Attributes:
        classes_: the classes [K].
        trees_: the nodes (`rlplay.models.supervised.trees.Trees`).

    Example:
        >>> DecisionTreeClassifier().fit([[0.0], [1.0], [2.0]], ["a", "a", "b"]).predict([[1.4], [1.6]]).tolist()
        ['a', 'b']
    """

    max_depth: int | None = None
