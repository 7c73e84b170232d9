"""Principal component analysis: the directions in which points vary most.

Centre the points; the right singular vectors of what remains are the directions, the singular values their strength:

    X - x̄ = U S Vᵀ        z = (x - x̄) V_K        variance of z_k = s_k² / (N - 1)

Whitening divides each z_k by its deviation, so that no direction outweighs another.

Source: Pearson 1901; Hotelling 1933; Bishop 2006, section 12.1. The twin is `sklearn.decomposition.PCA`.

Shapes: N points of D numbers, X [N, D], components V_Kᵀ [K, D], codes z [N, K]. Signs are chosen so that the largest
entry of each direction is positive, as the twin does.
In reinforcement learning: whitened features, and a picture of a state space in two dimensions.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from rlplay.compiled.cache import compiled
from rlplay.models.common import new_points, training_points


@compiled
def project(
    mean: NDArray[np.float64], directions: NDArray[np.float64], x: NDArray[np.float64], out: NDArray[np.float32]
) -> None:
    """z = (x - x̄) V of one point, into ``out`` [K]; whitened where the directions are: the sample function.

    Example:
        >>> out = np.empty(1, np.float32)
        >>> project(np.array([1.0, 1.0]), np.array([[1.0, 0.0]]), np.array([3.0, 5.0]), out)
        >>> out.tolist()
        [2.0]
    """
    for k in range(directions.shape[0]):
        total = 0.0
        for d in range(x.shape[0]):
            total += (x[d] - mean[d]) * directions[k, d]
        out[k] = total


@compiled
def _project_row(codes: Any, x: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    project(codes[0], codes[1], x, out)


def principal(x: NDArray[np.float64], mean: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Singular values and directions of X - x̄, the strongest first.

    With many more points than columns they come from the eigenvectors of (X - x̄)ᵀ(X - x̄), which is much smaller. The
    mean is subtracted first: far from 0, XᵀX - N x̄ x̄ᵀ would be lost in rounding.

    Example:
        >>> x = np.array([[-1.0, 0.0], [1.0, 0.0]])
        >>> strengths, directions = principal(x, x.mean(axis=0))
        >>> strengths.round(4).tolist(), np.abs(directions[0]).tolist()
        ([1.4142, 0.0], [1.0, 0.0])
    """
    n, d = x.shape
    apart = x - mean
    if d > 1000 or n < 10 * d:
        _, s, directions = scipy.linalg.svd(apart, full_matrices=False, check_finite=False)
        return s, directions
    squares, vectors = scipy.linalg.eigh(apart.T @ apart, check_finite=False)
    return np.sqrt(np.maximum(squares[::-1], 0.0)), vectors.T[::-1].copy()


@dataclass(eq=False, repr=False)
class PCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Principal component analysis.

    Args:
        n_components: how many directions, K; a share of the variance in (0, 1); or None for all.
        whiten: whether codes have unit variance.

    Attributes:
        components_: directions, the strongest first, float64 [K, D].
        explained_variance_: variance along each, float64 [K].
        explained_variance_ratio_: the same as a share of the whole.
        singular_values_: float64 [K].
        mean_: float64 [D].
        noise_variance_: mean variance of the directions that were left out.
        n_components_: K.

    Example:
        >>> points = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
        >>> PCA(1).fit(points).explained_variance_ratio_.round(6).tolist()
        [1.0]
    """

    n_components: int | float | None = None
    _: KW_ONLY
    whiten: bool = False

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the directions of X [N, D].

        Raises:
            ValueError: one point only, NaN, or more components than the points or columns allow.
        """
        x = training_points(self, X, ensure_min_samples=2)
        self.mean_ = x.mean(axis=0)
        s, directions = principal(x, self.mean_)
        largest = np.abs(directions).argmax(axis=1)
        directions *= np.sign(directions[np.arange(len(directions)), largest])[:, None]
        variance = s**2 / (len(x) - 1)
        share = variance / variance.sum() if variance.sum() > 0 else np.zeros_like(variance)
        k = self._count(len(s), x.shape, share)
        self.n_components_, self.n_samples_ = k, len(x)
        self.components_, self.singular_values_ = directions[:k], s[:k]
        self.explained_variance_, self.explained_variance_ratio_ = variance[:k], share[:k]
        self.noise_variance_ = float(variance[k:].mean()) if k < len(s) else 0.0
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """The codes of X, float64 [N, K]."""
        x = new_points(self, X)
        return (x - self.mean_) @ self.directions().T

    def inverse_transform(self, Z: Any) -> NDArray[np.float64]:
        """The points of codes Z [N, K], float64 [N, D]; exact where all directions were kept."""
        check_is_fitted(self)
        scale = np.sqrt(self.explained_variance_) if self.whiten else 1.0
        return (np.asarray(Z) * scale) @ self.components_ + self.mean_

    def directions(self) -> NDArray[np.float64]:
        """The directions, divided by their deviation where whitened, float64 [K, D]."""
        if not self.whiten:
            return self.components_
        deviation = np.sqrt(self.explained_variance_)
        return self.components_ / np.maximum(deviation, np.finfo(np.float64).eps)[:, None]

    def sample_function(self, method: str) -> tuple[Any, tuple[Any, ...]]:
        """The compiled function of one row for ``transform`` (`rlplay.approximation.estimators.SampleFunction`)."""
        return _project_row, (self.mean_, np.ascontiguousarray(self.directions()))

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def _count(self, most: int, shape: tuple[int, ...], share: NDArray[np.float64]) -> int:
        wanted = self.n_components
        if wanted is None:
            return most
        if isinstance(wanted, float | np.floating) and 0 < wanted < 1:
            return min(int(np.searchsorted(share.cumsum(), wanted, side="right")) + 1, most)
        if wanted != int(wanted) or not 1 <= wanted <= most:
            raise ValueError(
                f"n_components={wanted!r} must be between 1 and min(n_samples, n_features)={min(shape)}, "
                "or a share between 0 and 1."
            )
        return int(wanted)
