"""Supervised models from scratch, each beside its library twin, with scikit-learn's API."""

from rlplay.models.supervised.decision_tree import DecisionTreeRegressor
from rlplay.models.supervised.extra_trees import ExtraTreesRegressor

__all__ = ["DecisionTreeRegressor", "ExtraTreesRegressor"]
