"""Forests: many different trees, averaged. Random forests sample the points, extra-trees draw the thresholds.

The mean of T trees errs less than one of them, the more they differ: with the variance σ² of one tree and the
correlation ρ between two,

    variance of the mean = ρ σ² + (1 - ρ) σ² / T

* A random forest grows each tree on N points drawn with replacement (the bootstrap), and each split considers some of
  the features only. Both make the correlation small.
* Extremely randomised trees draw one threshold a feature in each node, uniformly between the smallest and the largest
  value of its points, and keep the best of these splits (`rlplay.models.supervised.tree_growth` has the score).
  Nothing is sorted, so they grow fast; single trees are rough, their mean is smooth.

Source: Breiman 2001 and Hastie, Tibshirani & Friedman 2009, section 15.2 (random forests); Geurts, Ernst & Wehenkel
2006, table 1, and Ernst, Geurts & Wehenkel 2005 for fitted Q iteration (extra-trees). The twins are
`sklearn.ensemble.RandomForestRegressor`, `sklearn.ensemble.RandomForestClassifier`,
`sklearn.ensemble.ExtraTreesRegressor` and `sklearn.ensemble.ExtraTreesClassifier`.

Shapes: X [N, D], y [N]; the nodes of all trees are flat arrays.
In reinforcement learning: the value function of fitted Q iteration, models of the environment.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from rlplay.models.supervised.tree_models import ClassTrees, Kind, NumberTrees


@dataclass(eq=False, repr=False)
class RandomForestRegressor(NumberTrees, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A random forest of regression trees.

    Args:
        n_estimators: the number of trees.
        bootstrap: whether each tree learns from a sample drawn with replacement.

    The other arguments are those of `rlplay.models.supervised.tree_models.TreeParameters`.

    Attributes:
        trees_: the nodes of all trees (`rlplay.models.supervised.trees.Trees`).

    Example:
        >>> model = RandomForestRegressor(20, random_state=0).fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 0.0, 1.0, 1.0])
        >>> [round(float(value)) for value in model.predict([[0.0], [3.0]])]
        [0, 1]
    """

    n_estimators: int = 100
    _: KW_ONLY
    bootstrap: bool = True


@dataclass(eq=False, repr=False)
class RandomForestClassifier(ClassTrees, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A random forest of classification trees.

    Args:
        n_estimators: the number of trees.
        bootstrap: whether each tree learns from a sample drawn with replacement.

    The other arguments are those of `rlplay.models.supervised.tree_models.ClassTreeParameters`.

    Attributes:
        classes_: the classes [K].
        trees_: the nodes of all trees (`rlplay.models.supervised.trees.Trees`).

    Example:
        >>> model = RandomForestClassifier(20, random_state=0).fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.predict([[0.0], [3.0]]).tolist()
        ['a', 'b']
    """

    n_estimators: int = 100
    _: KW_ONLY
    max_features: Any = "sqrt"
    bootstrap: bool = True


@dataclass(eq=False, repr=False)
class ExtraTreesRegressor(NumberTrees, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Extremely randomised regression trees.

    Args:
        n_estimators: the number of trees.

    The other arguments are those of `rlplay.models.supervised.tree_models.TreeParameters`.

    Attributes:
        trees_: the nodes of all trees (`rlplay.models.supervised.trees.Trees`).

    Example:
        >>> model = ExtraTreesRegressor(10, random_state=0).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0])
        >>> model.predict([[2.0]]).tolist()
        [2.0]
    """

    splits: ClassVar[Kind] = "random"
    n_estimators: int = 100


@dataclass(eq=False, repr=False)
class ExtraTreesClassifier(ClassTrees, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Extremely randomised classification trees.

    Args:
        n_estimators: the number of trees.

    The other arguments are those of `rlplay.models.supervised.tree_models.ClassTreeParameters`.

    Attributes:
        classes_: the classes [K].
        trees_: the nodes of all trees (`rlplay.models.supervised.trees.Trees`).

    Example:
        >>> model = ExtraTreesClassifier(10, random_state=0).fit([[0.0], [1.0], [2.0]], ["a", "a", "b"])
        >>> model.predict([[2.0]]).tolist()
        ['b']
    """

    splits: ClassVar[Kind] = "random"
    n_estimators: int = 100
    _: KW_ONLY
    max_features: Any = "sqrt"
