"""Supervised models from scratch, with scikit-learn's estimator API: their twins swap with them."""

from rlplay.models.supervised.decision_tree import DecisionTreeClassifier as DecisionTreeClassifier
from rlplay.models.supervised.decision_tree import DecisionTreeRegressor as DecisionTreeRegressor
from rlplay.models.supervised.extra_trees import ExtraTreesClassifier as ExtraTreesClassifier
from rlplay.models.supervised.extra_trees import ExtraTreesRegressor as ExtraTreesRegressor
