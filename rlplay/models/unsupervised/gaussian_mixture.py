"""Gaussian mixture: soft clusters, each a normal distribution with its own covariance.

    p(x) = Σ_k π_k N(x; μ_k, Σ_k)

Expectation and maximisation alternate; neither lowers the likelihood. With r_ik the probability that point i came
from component k, N_k = Σ_i r_ik:

    E:  r_ik = π_k N(x_i; μ_k, Σ_k) / Σ_j π_j N(x_i; μ_j, Σ_j)
    M:  π_k = N_k / N,   μ_k = Σ_i r_ik x_i / N_k,   Σ_k = Σ_i r_ik (x_i - μ_k)(x_i - μ_k)ᵀ / N_k + ε I

Σ_k is the component's own (``"full"``), the same for all (``"tied"``: Σ_k N_k Σ_k / N), diagonal (``"diag"``), or one
variance for all columns (``"spherical"``: the mean of the diagonal). Far from 0 squares lose their differences to
rounding, so all is computed around the points' mean.

Source: Dempster, Laird & Rubin 1977; Bishop 2006, section 9.2. The twin is `sklearn.mixture.GaussianMixture`.

Shapes: X [N, D], means [K, D], r [N, K], covariances [K, D, D] (``"full"``), [D, D] (``"tied"``), [K, D] (``"diag"``)
or [K] (``"spherical"``).
In reinforcement learning: soft aggregation of states, memberships as features (Agostini & Celaya 2010).
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from rlplay.errors import warn
from rlplay.models.common import Floats, new_points, not_overflowed, require, training_points
from rlplay.models.unsupervised.k_means import KMeans, nearest_labels

KINDS = {"full": 3, "tied": 2, "diag": 2, "spherical": 1}  # dimensions of the covariances


def precision_factors(covariances: Floats) -> Floats:
    """Factors P with P Pᵀ = Σ⁻¹ of each component, [K, D, D], or 1 / √Σ for diagonals, [K, D].

    Raises:
        ValueError: a covariance that is not positive definite: a component that collapsed.

    Example:
        >>> precision_factors(np.array([[4.0, 0.25]])).tolist(), precision_factors(np.array([[[4.0]]])).tolist()
        ([[0.5, 2.0]], [[[0.5]]])
    """
    if covariances.ndim == 2:
        if (covariances <= 0).any():
            raise ValueError("Fitting the mixture model failed because a component collapsed. Decrease the number of "
                             "components, or increase reg_covar.")  # fmt: skip
        return 1.0 / np.sqrt(covariances)
    factors, identity = np.empty_like(covariances), np.eye(covariances.shape[1])
    for k, covariance in enumerate(covariances):
        try:
            lower = scipy.linalg.cholesky(covariance, lower=True, check_finite=False)
        except scipy.linalg.LinAlgError as error:
            raise ValueError("Fitting the mixture model failed because a component collapsed. Decrease the number of "
                             "components, or increase reg_covar.") from error  # fmt: skip
        factors[k] = scipy.linalg.solve_triangular(lower, identity, lower=True, check_finite=False).T
    return factors


def log_densities(x: Floats, means: Floats, factors: Floats) -> Floats:
    """ln N(x_i; μ_k, Σ_k), [N, K].

    Example:
        >>> log_densities(np.array([[0.0]]), np.array([[0.0], [1.0]]), np.ones((2, 1))).round(4).tolist()
        [[-0.9189, -1.4189]]
    """
    n, d = x.shape
    middle = means.mean(axis=0)
    x, means = x - middle, means - middle
    if factors.ndim == 2:
        precisions = factors**2
        squares = (x * x) @ precisions.T - 2.0 * (x @ (means * precisions).T) + (means**2 * precisions).sum(axis=1)
        return -0.5 * (d * math.log(2 * math.pi) + squares) + np.log(factors).sum(axis=1)
    out = np.empty((n, len(means)))
    for k in range(len(means)):
        y = x @ factors[k]
        y -= means[k] @ factors[k]
        out[:, k] = np.einsum("ij,ij->i", y, y)
        out[:, k] = -0.5 * (d * math.log(2 * math.pi) + out[:, k]) + np.log(np.diagonal(factors[k])).sum()
    return out


def expectation(x: Floats, weights: Floats, means: Floats, factors: Floats) -> tuple[float, Floats]:
    """The mean of ln p(x), and r [N, K].

    Example:
        >>> mean, r = expectation(np.array([[0.0]]), np.array([0.5, 0.5]), np.array([[-1.0], [1.0]]), np.ones((2, 1)))
        >>> r.tolist()
        [[0.5, 0.5]]
    """
    logs = log_densities(x, means, factors)
    with np.errstate(divide="ignore"):
        logs += np.log(weights)
    highest = logs.max(axis=1, keepdims=True)
    shares = np.exp(logs - highest, out=logs)
    total = shares.sum(axis=1, keepdims=True)
    shares /= total
    return float((np.log(total) + highest).mean()), shares


def maximisation(x: Floats, r: Floats, kind: str, floor: float) -> tuple[Floats, Floats, Floats]:
    """π [K], μ [K, D] and Σ, one for each component whatever the kind: [K, D, D], or diagonals [K, D].

    The points are those around their mean.

    Example:
        >>> weights, means, covariances = maximisation(np.array([[0.0], [4.0]]), np.eye(2), "diag", 0.1)
        >>> weights.round(6).tolist(), means.round(6).tolist(), covariances.round(6).tolist()
        ([0.5, 0.5], [[0.0], [4.0]], [[0.1], [0.1]])
    """
    counts = r.sum(axis=0) + 10 * np.finfo(np.float64).eps
    means = r.T @ x / counts[:, None]
    if kind in ("diag", "spherical"):
        covariances = np.maximum(r.T @ (x * x) / counts[:, None] - means**2, 0.0) + floor
        if kind == "spherical":
            covariances[:] = covariances.mean(axis=1, keepdims=True)
        return counts / len(x), means, covariances
    covariances = np.empty((len(means), x.shape[1], x.shape[1]))
    for k in range(len(means)):
        apart = x - means[k]
        covariances[k] = (r[:, k, None] * apart).T @ apart / counts[k]
        covariances[k].flat[:: x.shape[1] + 1] += floor
    if kind == "tied":
        covariances[:] = np.tensordot(counts / counts.sum(), covariances, 1)
    return counts / len(x), means, covariances


@dataclass(eq=False, repr=False)
class GaussianMixture(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """A mixture of normal distributions, learned by expectation and maximisation.

    It begins with a step M from k-means' clusters, or from the points nearest to each of ``means_init``; the weights,
    means and precisions that are given replace what this finds. (The twin takes k-means' clusters even beside
    ``means_init``, whatever their order, so its first covariances are others; with all three both begin alike.)

    Args:
        n_components: how many, K.
        covariance_type: ``"full"``, ``"tied"``, ``"diag"`` or ``"spherical"``.
        tol: gain of the mean log-likelihood at which it stops.
        reg_covar: ε, added to every variance.
        max_iter: most rounds.
        n_init: starts, of which the one with the highest likelihood is kept.
        weights_init: π to begin with, [K].
        means_init: μ to begin with, [K, D].
        precisions_init: Σ⁻¹ to begin with, in the shape of ``covariances_``.
        random_state: a seed, a RandomState, or None.

    Attributes:
        weights_: π, float64 [K].
        means_: μ, float64 [K, D].
        covariances_: Σ, float64 [K, D, D], [D, D], [K, D] or [K].
        precisions_cholesky_: factors of their inverses.
        converged_, n_iter_: whether and after how many rounds it stopped.
        lower_bound_: the mean log-likelihood of the points.

    Example:
        >>> x = np.concatenate([np.linspace(-6, -4, 20), np.linspace(4, 6, 20)])[:, None]
        >>> model = GaussianMixture(2, random_state=0).fit(x)
        >>> sorted(model.means_.round(2).ravel().tolist()), model.weights_.round(2).tolist()
        ([-5.0, 5.0], [0.5, 0.5])
    """

    n_components: int = 1
    _: KW_ONLY
    covariance_type: str = "full"
    tol: float = 1e-3
    reg_covar: float = 1e-6
    max_iter: int = 100
    n_init: int = 1
    weights_init: Any = None
    means_init: Any = None
    precisions_init: Any = None
    random_state: Any = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the components of X [N, D]."""
        require(
            self,
            n_components=(self.n_components >= 1, "1 or more"),
            covariance_type=(self.covariance_type in KINDS, f"one of {', '.join(KINDS)}"),
            tol=(self.tol >= 0, "0 or more"),
            reg_covar=(self.reg_covar >= 0, "0 or more"),
            max_iter=(self.max_iter >= 1, "1 or more"),
            n_init=(self.n_init >= 1, "1 or more"),
        )
        x = training_points(self, X, ensure_min_samples=2)
        if len(x) < self.n_components:
            raise ValueError(f"Expected n_samples >= n_components but got n_components = {self.n_components}, "
                             f"n_samples = {len(x)}")  # fmt: skip
        middle = x.mean(axis=0)
        x, rng, best = x - middle, check_random_state(self.random_state), None
        for _ in range(self.n_init):
            found = self._climb(x, *self._first(x, middle, rng))
            if best is None or found[0] > best[0]:
                best = found
        assert best is not None
        self.lower_bound_, self.weights_, means, covariances, self.converged_, self.n_iter_ = best
        not_overflowed(self, covariances)
        self.means_, self.covariances_ = means + middle, self._own(covariances)
        self.precisions_cholesky_ = self._own(precision_factors(covariances))
        if not self.converged_:
            warn("GaussianMixture did not converge. Try different init parameters, or increase max_iter, tol, "
                          "or check for degenerate data.", ConvergenceWarning)  # fmt: skip
        return self

    def _own(self, each: Floats) -> Floats:
        """Arrays of all components in the shape of the covariance type: [D, D] where tied, [K] where spherical."""
        return {"tied": each[0], "spherical": each[..., 0]}.get(self.covariance_type, each)

    def _each(self, own: Floats) -> Floats:
        """The other way: [K, D, D], or diagonals [K, D]."""
        shape = (self.n_components, self.n_features_in_)
        if self.covariance_type == "spherical":
            return np.ascontiguousarray(np.broadcast_to(own[:, None], shape))
        return np.ascontiguousarray(np.broadcast_to(own, (*shape, shape[1]))) if self.covariance_type == "tied" else own

    def _first(self, x: Floats, middle: Floats, rng: np.random.RandomState) -> tuple[Floats, Floats, Floats]:
        """π, μ and Σ to begin with, for points around their mean."""
        means = self._given("means_init", 2) - middle if self.means_init is not None else None
        if means is None or self.weights_init is None or self.precisions_init is None:
            clusters = nearest_labels(x, means) if means is not None else KMeans(
                self.n_components, random_state=rng
            ).fit(x).labels_  # fmt: skip
            start = maximisation(x, np.eye(self.n_components)[clusters], self.covariance_type, self.reg_covar)
        else:
            start = (np.zeros(0),) * 3
        weights = start[0] if self.weights_init is None else self._given("weights_init", 1)
        if self.precisions_init is None:
            covariances = start[2]
        else:
            precisions: Any = self._each(self._given("precisions_init", KINDS[self.covariance_type]))
            covariances = 1.0 / precisions if precisions.ndim == 2 else np.linalg.inv(precisions)
        return weights / weights.sum(), start[1] if means is None else means, covariances

    def _given(self, name: str, dimensions: int) -> Floats:
        """An argument as an array of the shape that it needs, [K] and [D] in turns."""
        k, d = self.n_components, self.n_features_in_
        shape = (d, d) if name == "precisions_init" and self.covariance_type == "tied" else (k, d, d)[:dimensions]
        value = np.asarray(getattr(self, name), np.float64)
        if value.shape != shape:
            raise ValueError(f"{name} has shape {value.shape} and should have {shape}.")
        return value

    def _climb(
        self, x: Floats, weights: Floats, means: Floats, covariances: Floats
    ) -> tuple[float, Floats, Floats, Floats, bool, int]:
        bound, converged, iteration = -np.inf, False, 0
        for iteration in range(1, self.max_iter + 1):  # noqa: B007 - the number of rounds is reported
            before = bound
            bound, r = expectation(x, weights, means, precision_factors(covariances))
            weights, means, covariances = maximisation(x, r, self.covariance_type, self.reg_covar)
            if abs(bound - before) < self.tol:
                converged = True
                break
        return bound, weights, means, covariances, converged, iteration

    def predict_proba(self, X: Any) -> Floats:
        """r, the probability of each component, [N, K]."""
        x = new_points(self, X)
        return expectation(x, self.weights_, self.means_, self._each(self.precisions_cholesky_))[1]

    def predict(self, X: Any) -> NDArray[np.int64]:
        """The most probable component of each point, int64 [N]."""
        return self.predict_proba(X).argmax(axis=1)

    def fit_predict(self, X: Any, y: Any = None) -> NDArray[np.int64]:
        """The same for the points that are learned from."""
        return self.fit(X).predict(X)

    def score_samples(self, X: Any) -> Floats:
        """ln p(x) of each point, float64 [N]."""
        x = new_points(self, X)
        with np.errstate(divide="ignore"):
            logs = log_densities(x, self.means_, self._each(self.precisions_cholesky_)) + np.log(self.weights_)
        highest = logs.max(axis=1)
        return np.log(np.exp(logs - highest[:, None]).sum(axis=1)) + highest

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of ln p(x)."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1) -> tuple[Floats, NDArray[np.int64]]:
        """Points drawn from the mixture, [N, D], and their components, int64 [N]."""
        rng = check_random_state(self.random_state)
        labels = np.sort(rng.choice(self.n_components, size=n_samples, p=self.weights_))
        noise = rng.normal(size=(n_samples, self.means_.shape[1]))
        for k in range(self.n_components):
            mine = labels == k
            spread = self._each(self.covariances_)[k]
            noise[mine] = (
                noise[mine] * np.sqrt(spread) if spread.ndim == 1 else noise[mine] @ np.linalg.cholesky(spread).T
            )
        return self.means_[labels] + noise, labels
