"""Supervised models from scratch, with scikit-learn's estimator API: their twins swap with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlplay.lazy import attach

if TYPE_CHECKING:
    from rlplay.models.supervised.decision_tree import DecisionTreeClassifier as DecisionTreeClassifier
    from rlplay.models.supervised.decision_tree import DecisionTreeRegressor as DecisionTreeRegressor
    from rlplay.models.supervised.elastic_net import ElasticNet as ElasticNet
    from rlplay.models.supervised.elastic_net import Lasso as Lasso
    from rlplay.models.supervised.forests import ExtraTreesClassifier as ExtraTreesClassifier
    from rlplay.models.supervised.forests import ExtraTreesRegressor as ExtraTreesRegressor
    from rlplay.models.supervised.forests import RandomForestClassifier as RandomForestClassifier
    from rlplay.models.supervised.forests import RandomForestRegressor as RandomForestRegressor
    from rlplay.models.supervised.gaussian_process import GaussianProcessRegressor as GaussianProcessRegressor
    from rlplay.models.supervised.gradient_boosting import (
        HistGradientBoostingClassifier as HistGradientBoostingClassifier,
    )
    from rlplay.models.supervised.gradient_boosting import (
        HistGradientBoostingRegressor as HistGradientBoostingRegressor,
    )
    from rlplay.models.supervised.kernel_ridge import KernelRidge as KernelRidge
    from rlplay.models.supervised.linear import LinearRegression as LinearRegression
    from rlplay.models.supervised.linear import Ridge as Ridge
    from rlplay.models.supervised.logistic import LogisticRegression as LogisticRegression
    from rlplay.models.supervised.naive_bayes import GaussianNB as GaussianNB
    from rlplay.models.supervised.neighbors import KNeighborsClassifier as KNeighborsClassifier
    from rlplay.models.supervised.neighbors import KNeighborsRegressor as KNeighborsRegressor
    from rlplay.models.supervised.polynomial import PolynomialFeatures as PolynomialFeatures
    from rlplay.models.supervised.sgd import Perceptron as Perceptron
    from rlplay.models.supervised.sgd import SGDClassifier as SGDClassifier
    from rlplay.models.supervised.sgd import SGDRegressor as SGDRegressor
    from rlplay.models.supervised.svm import SVC as SVC

__getattr__, __dir__, __all__ = attach(__name__, __file__)
