"""Linear and ridge regression: the hyperplane with the smallest squared error.

Both have a closed form. With centred X and y (the intercept follows from the means), ridge regression adds α to the
diagonal, which shrinks the weights and makes the system solvable where columns depend on each other:

    minimise ‖y - X w‖² + α ‖w‖²        (Xᵀ X + α I) w = Xᵀ y

Linear regression is α = 0, solved by a singular value decomposition, which gives the shortest w where many are equal.

Source: Gauss 1809; Hoerl & Kennard 1970; Hastie, Tibshirani & Friedman 2009, sections 3.2 and 3.4. The twins are
`sklearn.linear_model.LinearRegression` and `sklearn.linear_model.Ridge`.

Shapes: X [N, D], y [N] or [N, K], w [D] or [K, D].
In reinforcement learning: values that are linear in features (LSTD, LSPI, fitted Q iteration), models of a world.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import scipy.linalg
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin

from rlplay.models.common import Floats, LinearAnswers, not_overflowed, point_weights, points_and_numbers, require


def centred(
    x: Floats, y: Floats, intercept: bool, weights: Floats | None = None
) -> tuple[Floats, Floats, Floats, Floats]:
    """Points and targets around their means, and the means; around 0 without an intercept.

    With weights [N] the means are weighted, and each row is multiplied by the root of its weight: its squared error
    then counts by the weight.

    Example:
        >>> x, y, x_mean, y_mean = centred(np.array([[1.0], [3.0]]), np.array([0.0, 4.0]), True)
        >>> x.tolist(), y.tolist(), x_mean.tolist(), y_mean.tolist()
        ([[-1.0], [1.0]], [-2.0, 2.0], [2.0], 2.0)
    """
    x_mean, y_mean = np.zeros(x.shape[1]), np.zeros(y.shape[1:])
    if intercept:
        x_mean, y_mean = np.average(x, axis=0, weights=weights), np.average(y, axis=0, weights=weights)
        x, y = x - x_mean, y - y_mean
    if weights is not None:
        root = np.sqrt(weights)
        x, y = x * root[:, None], y * (root if y.ndim == 1 else root[:, None])
    return x, y, x_mean, y_mean


def least_squares(x: Floats, y: Floats) -> Floats:
    """The shortest w that minimises ‖y - X w‖², by singular value decomposition; [D] or [D, K].

    Singular values that rounding alone explains count as 0.

    Example:
        >>> least_squares(np.array([[1.0], [2.0]]), np.array([2.0, 4.0])).round(6).tolist()
        [2.0]
    """
    return scipy.linalg.lstsq(x, y, cond=max(x.shape) * np.finfo(np.float64).eps, check_finite=False)[0]


def ridge(x: Floats, y: Floats, alpha: float) -> Floats:
    """The w that solves (Xᵀ X + α I) w = Xᵀ y, by Cholesky's factors; [D] or [D, K].

    With more columns than rows the same w is Xᵀ (X Xᵀ + α I)⁻¹ y, a smaller system.

    Example:
        >>> ridge(np.array([[1.0], [-1.0]]), np.array([1.0, -1.0]), 2.0).tolist()
        [0.5]
    """
    n, d = x.shape
    if alpha == 0:
        return least_squares(x, y)
    if d <= n:
        gram = x.T @ x
        gram[np.diag_indices(d)] += alpha
        return scipy.linalg.solve(gram, x.T @ y, assume_a="pos", check_finite=False)
    gram = x @ x.T
    gram[np.diag_indices(n)] += alpha
    return x.T @ scipy.linalg.solve(gram, y, assume_a="pos", check_finite=False)


@dataclass(eq=False, repr=False, kw_only=True)
class LinearRegression(LinearAnswers, MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Ordinary least squares.

    Args:
        fit_intercept: whether there is an intercept.

    Attributes:
        coef_: weights, float64 [D], or [K, D] for several targets.
        intercept_: float, or float64 [K].

    Example:
        >>> LinearRegression().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]).coef_.round(6).tolist()
        [2.0]
    """

    fit_intercept: bool = True

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find the weights; each squared error counts by its point's ``sample_weight`` [N]."""
        x, target = points_and_numbers(self, X, y, several=True)
        x, target, x_mean, y_mean = centred(x, target, self.fit_intercept, point_weights(self, x, sample_weight))
        weights = not_overflowed(self, least_squares(x, target))
        self.coef_, self.intercept_ = weights.T, y_mean - x_mean @ weights
        return self


@dataclass(eq=False, repr=False)
class Ridge(LinearAnswers, MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Least squares with a penalty on the squared length of the weights.

    Args:
        alpha: strength of the penalty, 0 or more.
        fit_intercept: whether there is an intercept; the intercept is not penalised.

    Attributes:
        coef_: weights, float64 [D], or [K, D] for several targets.
        intercept_: float, or float64 [K].

    Example:
        >>> Ridge(1.0).fit([[-1.0], [1.0]], [-1.0, 1.0]).coef_.round(6).tolist()
        [0.666667]
    """

    alpha: float = 1.0
    _: KW_ONLY
    fit_intercept: bool = True

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find the weights; each squared error counts by its point's ``sample_weight`` [N]."""
        require(self, alpha=(self.alpha >= 0, "a number of 0 or more"))
        x, target = points_and_numbers(self, X, y, several=True)
        x, target, x_mean, y_mean = centred(x, target, self.fit_intercept, point_weights(self, x, sample_weight))
        weights = not_overflowed(self, ridge(x, target, self.alpha))
        self.intercept_ = y_mean - x_mean @ weights
        self.coef_ = weights[:, 0] if weights.ndim == 2 and weights.shape[1] == 1 else weights.T  # as the twin
        return self
