"""Independent component analysis: separate signals that were mixed linearly.

Sums of independent signals are closer to a normal distribution than the signals. So, after whitening, the directions in
which the data are least normal are the signals. FastICA finds them by a fixed point, for all directions at once:

    W ← E[g(W z) zᵀ] - diag(E[g'(W z)]) W,      W ← (W Wᵀ)^{-1/2} W,       g = tanh

Source: Hyvärinen & Oja 2000. The twin is `sklearn.decomposition.FastICA`.

Shapes: X [N, D], whitened z [K, N], W [K, K].
In reinforcement learning: features that vary independently of each other.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import scipy.linalg
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from rlplay.errors import warn
from rlplay.models.common import Floats, new_points, require, training_points


def decorrelated(w: Floats) -> Floats:
    """(W Wᵀ)^{-1/2} W: the nearest matrix with orthogonal rows.

    Example:
        >>> decorrelated(np.array([[2.0, 0.0], [0.0, 0.5]])).round(6).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    values, vectors = scipy.linalg.eigh(w @ w.T)
    return (vectors / np.sqrt(np.maximum(values, 1e-300))) @ vectors.T @ w


@dataclass(eq=False, repr=False)
class FastICA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Independent component analysis.

    Args:
        n_components: how many signals, K; None for as many as the points and columns allow.
        max_iter: most steps of the fixed point.
        tol: change of direction at which it stops.
        w_init: W to begin with, [K, K]; None draws one.
        random_state: a seed, a RandomState, or None.

    Attributes:
        components_: the unmixing matrix, float64 [K, D].
        mixing_: the mixing matrix, float64 [D, K].
        mean_: float64 [D].
        n_iter_: steps made.

    Example:
        >>> signals = np.random.default_rng(0).uniform(-1, 1, (2000, 2))
        >>> found = FastICA(random_state=0).fit_transform(signals @ [[1.0, 0.5], [0.5, 1.0]])
        >>> similar = np.abs(np.corrcoef(signals.T, found.T)[:2, 2:])
        >>> bool((similar.max(axis=0) > 0.99).all())
        True
    """

    n_components: int | None = None
    _: KW_ONLY
    max_iter: int = 200
    tol: float = 1e-4
    w_init: Any = None
    random_state: Any = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the signals.

        Raises:
            ValueError: all points are equal.
        """
        require(self, max_iter=(self.max_iter >= 1, "1 or more"), tol=(self.tol > 0, "above 0"))
        x = training_points(self, X, ensure_min_samples=2)
        n, most = len(x), min(x.shape)
        k = min(self.n_components or most, most)
        self.mean_ = x.mean(axis=0)
        if (x == x[0]).all():
            raise ValueError(f"FastICA: all {n} samples are equal, so there are no signals to separate.")
        u, s, _ = scipy.linalg.svd((x - self.mean_).T, full_matrices=False, check_finite=False)
        u *= np.sign(u[0])
        s = np.maximum(s, np.finfo(np.float64).eps * s[0] if s[0] > 0 else 1.0)
        whiten = (u / s).T[:k]
        z = whiten @ (x - self.mean_).T * np.sqrt(n)
        rng = check_random_state(self.random_state)
        w = rng.normal(size=(k, k)) if self.w_init is None else np.array(self.w_init, np.float64)
        if w.shape != (k, k):
            raise ValueError(f"w_init has shape {w.shape} and should have {(k, k)}.")
        w, change = decorrelated(w), np.inf
        self.n_iter_ = 0
        while change >= self.tol and self.n_iter_ < self.max_iter:
            g = np.tanh(w @ z)
            new = decorrelated(g @ z.T / n - (1.0 - g * g).mean(axis=1)[:, None] * w)
            change = float(np.abs(np.abs((new * w).sum(axis=1)) - 1.0).max())
            w, self.n_iter_ = new, self.n_iter_ + 1
        if change >= self.tol:
            words = "FastICA did not converge. Consider increasing tolerance or the maximum number of iterations."
            warn(words, ConvergenceWarning)
        unmix = w @ whiten
        deviation = ((x - self.mean_) @ unmix.T).std(axis=0)
        self.components_ = unmix / np.where(deviation > 0, deviation, 1.0)[:, None]
        self.mixing_ = np.linalg.pinv(self.components_)
        return self

    def transform(self, X: Any) -> Floats:
        """The signals of X, each with unit variance, [N, K]."""
        x = new_points(self, X)
        return (x - self.mean_) @ self.components_.T

    def inverse_transform(self, Z: Any) -> Floats:
        """The mixture of signals Z [N, K], [N, D]."""
        return np.asarray(Z, np.float64) @ self.mixing_.T + self.mean_

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)
