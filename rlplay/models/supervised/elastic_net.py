"""Lasso and elastic net: linear regression that sets weights to exactly zero.

The absolute values in the penalty have a kink at 0, where the weights of useless columns stay:

    minimise  1/2N ‖y - X w - b‖² + α ρ ‖w‖₁ + α (1 - ρ)/2 ‖w‖²

Coordinate descent solves for one weight at a time, the others held; each has a closed form, with r the residual
without column j and S the soft threshold S(z, t) = sign(z) max(|z| - t, 0):

    w_j ← S(x_jᵀ r, N α ρ) / (x_jᵀ x_j + N α (1 - ρ))

It stops when the duality gap, how far the objective can still be from its minimum, is below ``tol`` ‖y‖².

Source: Tibshirani 1996; Zou & Hastie 2005; Friedman, Hastie & Tibshirani 2010. The twins are
`sklearn.linear_model.Lasso` and `sklearn.linear_model.ElasticNet`.

Shapes: X [N, D], y [N], w [D].
In reinforcement learning: which of many features a value depends on.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning

from rlplay.compiled.cache import compiled, in_place, reordered
from rlplay.errors import warn
from rlplay.models.common import Floats, LinearAnswers, not_overflowed, point_weights, points_and_numbers, require
from rlplay.models.supervised.linear import centred


@in_place
def soft_threshold(z: float, t: float) -> float:
    """S(z, t) = sign(z) max(|z| - t, 0).

    Example:
        >>> soft_threshold(3.0, 1.0), soft_threshold(-0.5, 1.0) == 0.0
        (2.0, True)
    """
    return np.sign(z) * max(abs(z) - t, 0.0)


@compiled
def duality_gap(x: Floats, y: Floats, w: Floats, residual: Floats, l1: float, l2: float) -> float:
    """How far the objective N/2 (...) at w can be from its minimum; ``x`` is [D, N], a row a column of X.

    Example:
        >>> x, y, w = np.array([[1.0, -1.0]]), np.array([1.0, -1.0]), np.array([1.0])
        >>> duality_gap(x, y, w, y - w @ x, 0.0, 0.0)
        0.0
    """
    largest = 0.0
    for j in range(w.shape[0]):
        largest = max(largest, abs(x[j] @ residual - l2 * w[j]))
    squared = residual @ residual
    scale = 1.0 if largest <= l1 else l1 / largest
    gap = 0.5 * squared * (1.0 + scale * scale) if scale < 1.0 else squared
    return gap + l1 * np.abs(w).sum() - scale * (residual @ y) + 0.5 * l2 * (1.0 + scale * scale) * (w @ w)


@reordered
def one_pass(x: Floats, w: Floats, residual: Floats, norms: Floats, l1: float, l2: float) -> tuple[float, float]:
    """Solve for each weight once, in place; returns the greatest change and the greatest weight.

    The two sums over the points are written out: in any order, they are vector instructions.

    Example:
        >>> x, w, residual = np.array([[1.0, -1.0]]), np.zeros(1), np.array([2.0, -2.0])
        >>> one_pass(x, w, residual, np.array([2.0]), 1.0, 0.0), residual.tolist()
        ((1.5, 1.5), [0.5, -0.5])
    """
    change, largest = 0.0, 0.0
    for j in range(w.shape[0]):
        if norms[j] == 0.0:
            continue
        old, along = w[j], 0.0
        for i in range(residual.shape[0]):
            along += x[j, i] * residual[i]
        w[j] = soft_threshold(along + norms[j] * old, l1) / (norms[j] + l2)
        step = old - w[j]
        if step != 0.0:
            for i in range(residual.shape[0]):
                residual[i] += step * x[j, i]
        change, largest = max(change, abs(step)), max(largest, abs(w[j]))
    return change, largest


@compiled
def coordinate_descent(
    x: Floats, y: Floats, w: Floats, l1: float, l2: float, max_iter: int, tol: float
) -> tuple[int, float]:
    """Solve in place for w [D]; ``x`` is [D, N]. Returns passes over the weights and the duality gap at the end.

    Example:
        >>> w = np.zeros(1)
        >>> passes, gap = coordinate_descent(np.array([[1.0, -1.0]]), np.array([2.0, -2.0]), w, 1.0, 0.0, 100, 1e-6)
        >>> w.round(6).tolist()
        [1.5]
    """
    residual = y - w @ x
    norms = np.empty(w.shape[0])
    for j in range(w.shape[0]):
        norms[j] = x[j] @ x[j]
    gap, target = np.inf, tol * (y @ y)
    for iteration in range(max_iter):
        change, largest = one_pass(x, w, residual, norms, l1, l2)
        if largest == 0.0 or change <= tol * largest or iteration == max_iter - 1:
            gap = duality_gap(x, y, w, residual, l1, l2)
            if gap <= target:
                return iteration + 1, gap
    return max_iter, gap


def solve(model: Any, X: Any, y: Any, l1_ratio: float, sample_weight: Any = None) -> None:
    """Fit a model with the parameters of the elastic net.

    Example:
        >>> model = Lasso(0.5)
        >>> solve(model, [[1.0], [-1.0]], [2.0, -2.0], 1.0)
        >>> model.coef_.round(6).tolist()
        [1.5]
    """
    require(
        model,
        alpha=(model.alpha >= 0, "a number of 0 or more"),
        max_iter=(model.max_iter >= 1, "1 or more"),
        tol=(model.tol >= 0, "0 or more"),
    )
    x, target = points_and_numbers(model, X, y)
    weight = point_weights(model, x, sample_weight)
    if weight is not None:
        weight = weight * (len(x) / weight.sum())  # they sum to N, and only their ratios count
    x, target, x_mean, y_mean = centred(x, target, model.fit_intercept, weight)
    n, weights = len(x), np.zeros(x.shape[1])
    l1, l2 = model.alpha * l1_ratio * n, model.alpha * (1.0 - l1_ratio) * n
    columns = np.ascontiguousarray(x.T)
    model.n_iter_, gap = coordinate_descent(columns, target, weights, l1, l2, int(model.max_iter), float(model.tol))
    model.dual_gap_ = gap / n
    if gap > model.tol * (target @ target):
        warn(
            f"{type(model).__name__} did not converge in {model.max_iter} iterations: the duality gap is "
            f"{model.dual_gap_:.3g}. Give more iterations, scale the columns, or take a larger alpha.",
            ConvergenceWarning,
        )
    model.coef_, model.intercept_ = not_overflowed(model, weights), float(y_mean - x_mean @ weights)


@dataclass(eq=False, repr=False)
class ElasticNet(LinearAnswers, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Linear regression with a penalty on both the absolute and the squared weights.

    Args:
        alpha: strength of the penalty, 0 or more.
        l1_ratio: ρ, the share of the absolute values, from 0 to 1.
        fit_intercept: whether there is an intercept b.
        max_iter: most passes over the weights.
        tol: duality gap at which it stops, as a share of ‖y‖².

    Attributes:
        coef_: weights, float64 [D].
        intercept_: float.
        n_iter_: passes made.
        dual_gap_: the duality gap at the end, over N.

    Example:
        >>> model = ElasticNet(0.1).fit([[0.0, 1.0], [1.0, 1.0], [2.0, 0.0]], [0.0, 1.0, 2.0])
        >>> model.coef_[0].round(2), (model.coef_ != 0).tolist()
        (np.float64(0.86), [True, False])
    """

    alpha: float = 1.0
    _: KW_ONLY
    l1_ratio: float = 0.5
    fit_intercept: bool = True
    max_iter: int = 1000
    tol: float = 1e-4

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find the weights; each squared error counts by its point's ``sample_weight`` [N], relative to the others."""
        require(self, l1_ratio=(0 <= self.l1_ratio <= 1, "a number from 0 to 1"))
        solve(self, X, y, self.l1_ratio, sample_weight)
        return self


@dataclass(eq=False, repr=False)
class Lasso(LinearAnswers, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Linear regression with a penalty on the absolute weights: the elastic net with ρ = 1.

    Args:
        alpha: strength of the penalty, 0 or more.
        fit_intercept: whether there is an intercept b.
        max_iter: most passes over the weights.
        tol: duality gap at which it stops, as a share of ‖y‖².

    Attributes:
        coef_: weights, float64 [D]; many are exactly 0.
        intercept_: float.
        n_iter_: passes made.
        dual_gap_: the duality gap at the end, over N.

    Example:
        >>> (Lasso(0.1).fit([[0.0, 1.0], [1.0, 1.0], [2.0, 0.0]], [0.0, 1.0, 2.0]).coef_ != 0).tolist()
        [True, False]
    """

    alpha: float = 1.0
    _: KW_ONLY
    fit_intercept: bool = True
    max_iter: int = 1000
    tol: float = 1e-4

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find the weights; each squared error counts by its point's ``sample_weight`` [N], relative to the others."""
        solve(self, X, y, 1.0, sample_weight)
        return self
