"""Principal component analysis: the directions in which points vary most.

Centre the points; the right singular vectors of what remains are the directions, the singular values their strength:

    X - x̄ = U S Vᵀ        z = (x - x̄) V_K        variance of z_k = s_k² / (N - 1)

Whitening divides each z_k by its deviation, so that no direction outweighs another.

Three solvers find the directions: the decomposition itself; with many more points than columns, the eigenvectors of
(X - x̄)ᵀ(X - x̄), which is much smaller; and for few directions of wide data a random sample of the space that they
span, which needs a few products with X - x̄ only (`sampled`). ``auto`` takes what the twin takes.

Source: Pearson 1901; Hotelling 1933; Bishop 2006, section 12.1; Halko, Martinsson & Tropp 2011, algorithms 4.4 and 5.1.
The twin is `sklearn.decomposition.PCA`.

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
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from rlplay.compiled.cache import compiled
from rlplay.models.common import Floats, centred_product, new_points, require, scatter, training_points

SOLVERS = ("auto", "full", "covariance_eigh", "randomized")
_MORE = 10  # directions sampled beyond those that are wanted


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


def decomposed(apart: Floats) -> tuple[Floats, Floats]:
    """Singular values and directions of centred points [N, D], the strongest first; exact.

    Example:
        >>> strengths, directions = decomposed(np.array([[-1.0, 0.0], [1.0, 0.0]]))
        >>> strengths.round(4).tolist(), np.abs(directions[0]).tolist()
        ([1.4142, 0.0], [1.0, 0.0])
    """
    _, s, directions = scipy.linalg.svd(apart, full_matrices=False, check_finite=False)
    return s, directions


def from_covariance(x: Floats, mean: Floats) -> tuple[Floats, Floats]:
    """The same of X - x̄, from the eigenvectors of (X - x̄)ᵀ(X - x̄): s_k² are its eigenvalues.

    The mean is subtracted first: far from 0, XᵀX - N x̄ x̄ᵀ would be lost in rounding. A strength far below the first
    is not exact.

    Example:
        >>> strengths, directions = from_covariance(np.array([[-1.0, 0.0], [1.0, 0.0]]), np.zeros(2))
        >>> strengths.round(4).tolist(), np.abs(directions[0]).tolist()
        ([1.4142, 0.0], [1.0, 0.0])
    """
    squares, vectors = scipy.linalg.eigh(scatter(x, mean), check_finite=False)
    most = min(x.shape)
    return np.sqrt(np.maximum(squares[::-1], 0.0))[:most], vectors.T[::-1][:most].copy()


def sampled(apart: Floats, k: int, rng: np.random.RandomState) -> tuple[Floats, Floats]:
    """The first K of them, nearly: the decomposition within the space Q of random combinations of the points.

    Each product with XᵀX strengthens what is strong in Q; a few more directions than K are sampled.

    Example:
        >>> strengths, directions = sampled(np.array([[-1.0, 0.0], [1.0, 0.0]]), 1, np.random.RandomState(0))
        >>> strengths.round(4).tolist(), np.abs(directions).round(4).tolist()
        ([1.4142], [[1.0, 0.0]])
    """
    wide = apart.shape[0] < apart.shape[1]
    a = apart.T if wide else apart
    q = rng.normal(size=(a.shape[1], k + _MORE)).T  # a row a combination; products with few rows are the fastest
    for _ in range(7 if k < 0.1 * min(a.shape) else 4):
        q = _independent(_independent(q @ a.T) @ a)
    q = scipy.linalg.qr((q @ a.T).T, mode="economic", check_finite=False)[0]
    u, s, v = scipy.linalg.svd(q.T @ a, full_matrices=False, check_finite=False)
    return s[:k], (q @ u[:, :k]).T if wide else v[:k]


def _independent(rows: Floats) -> Floats:
    """Rows that span the same space, none nearly a multiple of another: L of the decomposition L U."""
    return scipy.linalg.lu(rows.T, permute_l=True, check_finite=False)[0].T


def chosen_solver(shape: tuple[int, int], n_components: Any) -> str:
    """The solver for N points of D numbers, by the twin's rules.

    Example:
        >>> chosen_solver((5000, 20), 2), chosen_solver((300, 100), 2), chosen_solver((2000, 2000), 2)
        ('covariance_eigh', 'full', 'randomized')
    """
    n, d = shape
    if d <= 1000 and n >= 10 * d:
        return "covariance_eigh"
    few = isinstance(n_components, int | np.integer) and 1 <= n_components < 0.8 * min(shape)
    return "randomized" if few and max(shape) > 500 else "full"


@dataclass(eq=False, repr=False)
class PCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Principal component analysis.

    Args:
        n_components: how many directions, K; a share of the variance in (0, 1); or None for all.
        whiten: whether codes have unit variance.
        svd_solver: ``"full"``, ``"covariance_eigh"``, ``"randomized"``, or ``"auto"`` for the one that suits the shape.
        random_state: of the randomized solver: a seed, a RandomState, or None.

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
    svd_solver: str = "auto"
    random_state: Any = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the directions of X [N, D].

        Raises:
            ValueError: one point only, NaN, or more components than the points or columns allow.
        """
        require(self, svd_solver=(self.svd_solver in SOLVERS, f"one of {', '.join(SOLVERS)}"))
        x = training_points(self, X, ensure_min_samples=2)
        self.mean_ = x.mean(axis=0)
        most = min(x.shape)
        solver = chosen_solver(x.shape, self.n_components) if self.svd_solver == "auto" else self.svd_solver
        if solver == "randomized":
            k, apart = self._count(most, np.zeros(0)), x - self.mean_
            s, directions = sampled(apart, k, check_random_state(self.random_state))
            total = float(np.vdot(apart, apart))
        else:
            s, directions = decomposed(x - self.mean_) if solver == "full" else from_covariance(x, self.mean_)
            total = float((s**2).sum())
            k = self._count(most, s**2 / total if total > 0 else np.zeros(most))
        directions, s = directions[:k], s[:k]
        largest = np.abs(directions).argmax(axis=1)
        self.components_ = directions * np.sign(directions[np.arange(k), largest])[:, None]
        self.n_components_, self.n_samples_, self.singular_values_ = k, len(x), s
        self.explained_variance_ = s**2 / (len(x) - 1)
        self.explained_variance_ratio_ = s**2 / total if total > 0 else np.zeros(k)
        left_out = max(total / (len(x) - 1) - self.explained_variance_.sum(), 0.0)
        self.noise_variance_ = left_out / (most - k) if k < most else 0.0
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """The codes of X, float64 [N, K]."""
        return centred_product(new_points(self, X), self.mean_, self.directions())

    def inverse_transform(self, Z: Any) -> NDArray[np.float64]:
        """The points of codes Z [N, K], float64 [N, D]; exact where all directions were kept."""
        check_is_fitted(self)
        scale = np.sqrt(self.explained_variance_) if self.whiten else 1.0
        return (np.asarray(Z) * scale) @ self.components_ + self.mean_

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """The logarithm of each point's density, [N], under the normal distribution that the directions describe.

        Its variances are those along the directions, and ``noise_variance_`` along all others (Bishop, section 12.2).

        Raises:
            ValueError: points do not vary along a direction, so that there is no density.
        """
        apart = new_points(self, X) - self.mean_
        (k, d), codes = self.components_.shape, apart @ self.components_.T
        variances = np.append(np.maximum(self.explained_variance_, self.noise_variance_), self.noise_variance_)
        if k == d:  # nothing is left over
            variances[-1] = 1.0
        if variances.min() <= 0.0:
            raise ValueError("PCA: points do not vary along a direction, so there is no density: keep fewer")
        over = np.maximum((apart**2).sum(axis=1) - (codes**2).sum(axis=1), 0.0) if k < d else 0.0
        square = (codes**2 / variances[:-1]).sum(axis=1) + over / variances[-1]
        volume = np.log(variances[:-1]).sum() + (d - k) * np.log(variances[-1]) + d * np.log(2 * np.pi)
        return -0.5 * (square + volume)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples`: searches choose ``n_components`` by it."""
        return float(self.score_samples(X).mean())

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

    def _count(self, most: int, share: Floats) -> int:
        """K, from a number, a share of the variance (of which ``share`` [K] are known), or None."""
        wanted = self.n_components
        if wanted is None:
            return most
        if isinstance(wanted, float | np.floating) and 0 < wanted < 1 and len(share) > 0:
            return min(int(np.searchsorted(share.cumsum(), wanted, side="right")) + 1, most)
        if wanted != int(wanted) or not 1 <= wanted <= most:
            raise ValueError(
                f"n_components={wanted!r} must be between 1 and min(n_samples, n_features)={most}, "
                "or, but for the randomized solver, a share between 0 and 1."
            )
        return int(wanted)
