"""Kernel principal component analysis: directions of most variance in the space of a kernel.

Only inner products of centred points are needed; the eigenvectors of the centred kernel matrix are the codes:

    K̃ = (I - 1/N) K (I - 1/N) = A Λ Aᵀ,     z_k = √λ_k a_k,      for new points  z_k = k̃(x)ᵀ a_k / √λ_k

Source: Schölkopf, Smola & Müller 1998. The twin is `sklearn.decomposition.KernelPCA`.

Shapes: X [N, D], K [N, N], codes [N, K].
In reinforcement learning: features along the curved shape of the states that occur.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import scipy.linalg
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from rlplay.models.common import Floats, new_points, not_overflowed, require, training_points
from rlplay.models.kernels import check_kernel, gamma_of, gram


@dataclass(eq=False, repr=False)
class KernelPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Kernel principal component analysis.

    Args:
        n_components: how many directions, K; None for all with an eigenvalue above 0.
        kernel: one of `rlplay.models.kernels.KERNELS`.
        gamma: γ of the kernel; None for 1 / D.
        degree: of the polynomial kernel.
        coef0: c of the polynomial and the sigmoid kernel.

    Attributes:
        eigenvalues_: λ, float64 [K].
        eigenvectors_: A, float64 [N, K].
        X_fit_: the points, float64 [N, D].
        gamma_: γ as a number.

    Example:
        >>> x = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
        >>> codes = KernelPCA(1).fit(x).transform(x)
        >>> np.abs(codes).round(4).ravel().tolist()
        [1.4142, 0.0, 1.4142]
    """

    n_components: int | None = None
    _: KW_ONLY
    kernel: str = "linear"
    gamma: Any = None
    degree: float = 3
    coef0: float = 1.0

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the directions."""
        require(self, n_components=(self.n_components is None or self.n_components >= 1, "1 or more, or None"))
        check_kernel(self)
        self.X_fit_ = training_points(self, X)
        self.gamma_ = gamma_of(self, self.X_fit_)
        kernel = not_overflowed(self, self._gram(self.X_fit_))
        n = len(kernel)
        self.kernel_means_, self.kernel_mean_ = kernel.mean(axis=0), float(kernel.mean())
        kernel = kernel - self.kernel_means_ - self.kernel_means_[:, None] + self.kernel_mean_
        k = min(self.n_components or n, n)
        values, vectors = scipy.linalg.eigh(kernel, subset_by_index=(n - k, n - 1), check_finite=False)
        values, vectors = values[::-1], vectors[:, ::-1]
        values = np.where(values > 1e-12 * max(values[0], 1e-300), values, 0.0)
        if self.n_components is None:
            values, vectors = values[values > 0], vectors[:, values > 0]
        largest = np.abs(vectors).argmax(axis=0)
        signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
        self.eigenvalues_, self.eigenvectors_ = values, vectors * signs
        return self

    def transform(self, X: Any) -> Floats:
        """The codes of X, [N, K]."""
        x = new_points(self, X)
        kernel = self._gram(x)
        kernel = kernel - self.kernel_means_ - kernel.mean(axis=1, keepdims=True) + self.kernel_mean_
        scale = np.sqrt(self.eigenvalues_)
        return kernel @ (self.eigenvectors_ * np.where(scale > 0, 1.0 / np.where(scale > 0, scale, 1.0), 0.0))

    def _gram(self, x: Floats) -> Floats:
        """k(x_i, x_j) with the training points; a centred linear kernel is that of centred points, and rounds less."""
        known = self.X_fit_
        if self.kernel == "linear":
            middle = known.mean(axis=0)
            x, known = x - middle, known - middle
        return gram(self.kernel, x, known, self.gamma_, self.degree, self.coef0)

    @property
    def _n_features_out(self) -> int:
        return len(self.eigenvalues_)
