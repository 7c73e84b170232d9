"""Random Fourier features and Nystroem's: a kernel as finitely many features, for linear models of many points.

Random Fourier: the radial kernel is a mean over random waves (Bochner), so a few of them give it approximately:

    exp(-γ ‖x - z‖²) ≈ φ(x) · φ(z),     φ_j(x) = √(2/F) cos(w_j · x + b_j),   w_j ~ N(0, 2γ I),  b_j ~ U(0, 2π)

Nystroem: a few landmark points represent all, φ(x) = k(x, Z) k(Z, Z)^{-1/2}, which is exact at those points.

Source: Rahimi & Recht 2007; Williams & Seeger 2001. The twins are `sklearn.kernel_approximation.RBFSampler` and
`sklearn.kernel_approximation.Nystroem`.

Shapes: X [N, D], waves [D, F], landmarks Z [F, D], features [N, F].
In reinforcement learning: features for linear values, learned online.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state

from rlplay.compiled.cache import compiled
from rlplay.models.common import Floats, new_points, require, training_points
from rlplay.models.kernels import check_kernel, gamma_of, gram


@compiled
def _wave_row(codes: Any, x: Floats, out: NDArray[np.float32]) -> None:
    weights, offset = codes
    scale = math.sqrt(2.0 / offset.shape[0])
    for f in range(offset.shape[0]):
        total = offset[f]
        for d in range(x.shape[0]):
            total += x[d] * weights[d, f]
        out[f] = scale * math.cos(total)


@dataclass(eq=False, repr=False)
class RandomFourierFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Random waves that approximate the radial kernel.

    Args:
        gamma: γ of the kernel: a number, or ``"scale"``.
        n_components: how many waves, F.
        random_state: a seed, a RandomState, or None.

    Attributes:
        random_weights_: w, float64 [D, F].
        random_offset_: b, float64 [F].

    Example:
        >>> waves = RandomFourierFeatures(1.0, n_components=2000, random_state=0).fit([[0.0]])
        >>> a, b = waves.transform([[0.0], [1.0]])
        >>> bool(abs(a @ b - np.exp(-1)) < 0.05)
        True
    """

    gamma: Any = 1.0
    _: KW_ONLY
    n_components: int = 100
    random_state: Any = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Draw the waves for X's columns."""
        require(self, n_components=(self.n_components >= 1, "1 or more"),
                gamma=(self.gamma == "scale" or self.gamma > 0, "above 0, or 'scale'"))  # fmt: skip
        x, rng = training_points(self, X), check_random_state(self.random_state)
        gamma = gamma_of(self, x)
        self.random_weights_ = math.sqrt(2.0 * gamma) * rng.normal(size=(x.shape[1], self.n_components))
        self.random_offset_ = rng.uniform(0.0, 2.0 * math.pi, size=self.n_components)
        return self

    def transform(self, X: Any) -> Floats:
        """The waves at X, [N, F]."""
        x = new_points(self, X)
        waves = x @ self.random_weights_
        waves += self.random_offset_
        np.cos(waves, out=waves)
        waves *= math.sqrt(2.0 / self.n_components)
        return waves

    def sample_function(self, method: str) -> Any:
        """The compiled function of one row for ``transform`` (`rlplay.approximation.estimators.SampleFunction`)."""
        return _wave_row, (self.random_weights_, self.random_offset_)

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components)


@dataclass(eq=False, repr=False)
class Nystroem(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A kernel through a few landmark points.

    Args:
        kernel: one of `rlplay.models.kernels.KERNELS`.
        gamma: γ of the kernel; None for 1 / D.
        degree: of the polynomial kernel.
        coef0: c of the polynomial and the sigmoid kernel.
        n_components: the number of landmarks, F.
        random_state: a seed, a RandomState, or None.

    Attributes:
        components_: the landmarks Z, float64 [F, D].
        component_indices_: their numbers, int64 [F].
        normalization_: k(Z, Z)^{-1/2}, float64 [F, F].
        gamma_: γ as a number.

    Example:
        >>> x = np.linspace(0, 3, 20)[:, None]
        >>> features = Nystroem(gamma=1.0, n_components=20, random_state=0).fit_transform(x)
        >>> bool(abs(features[0] @ features[5] - np.exp(-((x[0, 0] - x[5, 0]) ** 2))) < 1e-3)
        True
    """

    kernel: str = "rbf"
    _: KW_ONLY
    gamma: Any = None
    degree: float = 3
    coef0: float = 1.0
    n_components: int = 100
    random_state: Any = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Choose the points from X [N, D]."""
        require(self, n_components=(self.n_components >= 1, "1 or more"))
        check_kernel(self)
        x, rng = training_points(self, X), check_random_state(self.random_state)
        self.gamma_ = gamma_of(self, x)
        self.component_indices_ = rng.permutation(len(x))[: min(self.n_components, len(x))]
        self.components_ = x[self.component_indices_]
        kernel = gram(self.kernel, self.components_, self.components_, self.gamma_, self.degree, self.coef0)
        u, s, v = scipy.linalg.svd(kernel, check_finite=False)
        self.normalization_ = (u / np.sqrt(np.maximum(s, 1e-12))) @ v
        return self

    def transform(self, X: Any) -> Floats:
        """k(X, Z) k(Z, Z)^{-1/2}, [N, F]."""
        x = new_points(self, X)
        kernel = gram(self.kernel, x, self.components_, self.gamma_, self.degree, self.coef0)
        return kernel @ self.normalization_.T

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)
