"""Gaussian process regression: a distribution over functions, with the uncertainty of each prediction.

Values at any points are taken to be jointly normal, with covariance k(x, z) = σ² exp(-‖x - z‖² / 2ℓ²) and noise of
variance ν on the targets. Given the points, the value at x* is normal with

    mean = k*ᵀ (K + ν I)⁻¹ y,       variance = k(x*, x*) - k*ᵀ (K + ν I)⁻¹ k*

both from one Cholesky factor L of K + ν I. The length ℓ, σ² and ν are those under which the data are likeliest:

    ln p(y) = -1/2 yᵀ a - Σ_i ln L_ii - N/2 ln 2π,      a = (K + ν I)⁻¹ y
    ∂ ln p / ∂θ = 1/2 tr((a aᵀ - (K + ν I)⁻¹) ∂K/∂θ)

found by L-BFGS in the logarithms of all three.

Source: Rasmussen & Williams 2006, algorithm 2.1 and equation 5.9. The twin is
`sklearn.gaussian_process.GaussianProcessRegressor` with ``ConstantKernel() * RBF() + WhiteKernel()``.

Shapes: X [N, D], K [N, N]; the cost grows with N³.
In reinforcement learning: values and models with their uncertainty (GPSarsa, Engel 2005); exploration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from rlplay.models.common import Floats, new_points, not_overflowed, points_and_numbers, require, squared_distances
from rlplay.models.lbfgs import minimise

_BOUNDS = (math.log(1e-5), math.log(1e5))


def minus_log_likelihood(logs: Floats, squares: Floats, y: Floats) -> tuple[float, Floats]:
    """-ln p(y) and its gradient in (ln ℓ, ln σ², ln ν); ``squares`` are ‖x_i - x_j‖² [N, N].

    Example:
        >>> squares = np.array([[0.0, 1.0], [1.0, 0.0]])
        >>> value, gradient = minus_log_likelihood(np.zeros(3), squares, np.array([1.0, -1.0]))
        >>> round(value, 4), gradient.shape
        (3.2004, (3,))
    """
    inside = np.clip(logs, *_BOUNDS)
    length, signal, noise = np.exp(inside)
    n = len(y)
    k = signal * np.exp(-0.5 * squares / length**2)
    covariance = k + noise * np.eye(n)
    lower, failed = scipy.linalg.lapack.dpotrf(covariance, lower=1)
    if failed:
        return np.inf, np.zeros(3)
    inverse, _ = scipy.linalg.lapack.dpotri(lower, lower=1)  # its lower half
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    a = inverse @ y
    value = 0.5 * y @ a + np.log(np.diagonal(lower)).sum() + 0.5 * n * math.log(2 * math.pi)
    inner = np.outer(a, a) - inverse
    slope = inner * k
    gradient = -0.5 * np.array([np.vdot(slope, squares) / length**2, slope.sum(), noise * np.trace(inner)])
    outside = logs - inside  # beyond the bounds a slope leads back
    return float(value + 10.0 * (outside**2).sum()), np.where(outside == 0, gradient, 20.0 * outside)


@dataclass(eq=False, repr=False, kw_only=True)
class GaussianProcessRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Gaussian process regression with a radial kernel.

    Args:
        length_scale: ℓ, where the search for it begins.
        signal: σ², where the search begins.
        noise: ν, where the search begins; what is added to the diagonal.
        optimize: whether ℓ, σ² and ν are fitted to the data.
        normalize_y: whether the targets are brought to mean 0 and deviation 1 first.
        max_iter: most steps of the search.

    Attributes:
        X_train_: the points, float64 [N, D].
        alpha_: a, float64 [N].
        L_: the Cholesky factor of K + ν I, float64 [N, N].
        length_scale_, signal_, noise_: what was found.
        n_iter_: steps of the search.
        log_marginal_likelihood_value_: ln p(y), of the normalised targets.

    Example:
        >>> x = np.linspace(0, 5, 25)[:, None]
        >>> model = GaussianProcessRegressor(noise=1e-4).fit(x, np.sin(x[:, 0]))
        >>> mean, deviation = model.predict([[2.5], [30.0]], return_std=True)
        >>> mean.round(1).tolist(), bool(deviation[0] < 0.05 < 0.5 < deviation[1])
        ([0.6, 0.0], True)
    """

    length_scale: float = 1.0
    signal: float = 1.0
    noise: float = 1e-2
    optimize: bool = True
    normalize_y: bool = False
    max_iter: int = 100

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from X [N, D] and y [N].

        Raises:
            ValueError: points so close to each other that their covariance is singular to rounding.
        """
        for name in ("length_scale", "signal", "noise"):
            require(self, **{name: (getattr(self, name) > 0, "above 0")})
        x, target = points_and_numbers(self, X, y)
        self.mean_ = float(target.mean()) if self.normalize_y else 0.0
        self.scale_ = (float(target.std()) or 1.0) if self.normalize_y else 1.0
        target = (target - self.mean_) / self.scale_
        squares = squared_distances(x, x)
        np.fill_diagonal(squares, 0.0)
        logs, self.n_iter_ = np.log([self.length_scale, self.signal, self.noise]), 1
        if self.optimize:

            def objective(theta: Floats) -> tuple[float, Floats]:
                return minus_log_likelihood(theta, squares, target)

            logs, steps = minimise(objective, logs, max_iter=self.max_iter, tol=1e-5)
            logs, self.n_iter_ = np.clip(logs, *_BOUNDS), max(steps, 1)
        self.length_scale_, self.signal_, self.noise_ = (float(v) for v in np.exp(logs))
        k = self.signal_ * np.exp(-0.5 * squares / self.length_scale_**2)
        k[np.diag_indices(len(k))] += self.noise_
        try:
            self.X_train_, self.L_ = x, scipy.linalg.cholesky(k, lower=True, check_finite=False)
        except scipy.linalg.LinAlgError as error:
            raise ValueError(
                f"The covariance of the {len(x)} points is singular to rounding with noise={self.noise_:g}. Take a "
                "larger noise, or leave out points that occur twice."
            ) from error
        self.alpha_ = not_overflowed(self, scipy.linalg.cho_solve((self.L_, True), target, check_finite=False))
        self.log_marginal_likelihood_value_ = float(
            -0.5 * target @ self.alpha_ - np.log(np.diagonal(self.L_)).sum() - 0.5 * len(x) * math.log(2 * math.pi)
        )
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The mean [N]; with ``return_std`` also the deviation of the value without noise, [N]."""
        x = new_points(self, X)
        k = self.signal_ * np.exp(-0.5 * squared_distances(x, self.X_train_) / self.length_scale_**2)
        mean = k @ self.alpha_ * self.scale_ + self.mean_
        if not return_std:
            return mean
        half = scipy.linalg.solve_triangular(self.L_, k.T, lower=True, check_finite=False)
        variance: NDArray[np.float64] = np.maximum(self.signal_ - (half * half).sum(axis=0), 0.0)
        return mean, np.sqrt(variance) * self.scale_
