"""Kernel ridge regression: ridge regression in the space of a kernel.

The weights are a sum over the points, w = Σ_i a_i φ(x_i), and only inner products are needed:

    (K + α I) a = y,      f(x) = Σ_i a_i k(x_i, x)

Where points count by weights w, K is scaled by √w_i √w_j, y and the solution by √w.

Source: Saunders, Gammerman & Vovk 1998; Bishop 2006, section 6.1. The twin is `sklearn.kernel_ridge.KernelRidge`.

Shapes: X [N, D], K [N, N], a [N] or [N, K]. The cost grows with N³: take Nystroem's features for many points.
In reinforcement learning: smooth values from few points.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import scipy.linalg
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin

from rlplay.errors import warn
from rlplay.models.common import Floats, new_points, not_overflowed, point_weights, points_and_numbers, require
from rlplay.models.kernels import check_kernel, gamma_of, gram


@dataclass(eq=False, repr=False)
class KernelRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge regression with a kernel.

    Args:
        alpha: strength of the penalty, above 0.
        kernel: one of `rlplay.models.kernels.KERNELS`.
        gamma: γ of the kernel; None for 1 / D.
        degree: of the polynomial kernel.
        coef0: c of the polynomial and the sigmoid kernel.

    Attributes:
        dual_coef_: a, float64 [N] or [N, K].
        X_fit_: the points, float64 [N, D].
        gamma_: γ as a number.

    Example:
        >>> x = np.linspace(0, 3, 30)[:, None]
        >>> model = KernelRidge(0.01, kernel="rbf").fit(x, np.sin(x[:, 0]))
        >>> model.predict([[1.5]]).round(1).tolist()
        [1.0]
    """

    alpha: float = 1.0
    _: KW_ONLY
    kernel: str = "linear"
    gamma: Any = None
    degree: float = 3
    coef0: float = 1.0

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Solve for a; each squared error counts by its point's ``sample_weight`` [N].

        Where K + α I is singular to rounding, a is the shortest least-squares solution, with a warning.
        """
        require(self, alpha=(self.alpha > 0, "above 0"))
        check_kernel(self)
        self.X_fit_, target = points_and_numbers(self, X, y, several=True)
        self.gamma_ = gamma_of(self, self.X_fit_)
        kernel = gram(self.kernel, self.X_fit_, self.X_fit_, self.gamma_, self.degree, self.coef0)
        weights = point_weights(self, self.X_fit_, sample_weight)
        if weights is not None:
            root = np.sqrt(weights)
            kernel *= np.outer(root, root)
            target = (target.T * root).T
        kernel[np.diag_indices(len(kernel))] += self.alpha
        try:
            self.dual_coef_ = scipy.linalg.solve(kernel, target, assume_a="pos", check_finite=False)
        except scipy.linalg.LinAlgError:
            words = f"K + alpha I is singular to rounding with the {self.kernel} kernel: least squares are solved. "
            warn(words + "A larger alpha, or columns around 0, avoid it.", UserWarning)
            self.dual_coef_ = scipy.linalg.lstsq(kernel, target, check_finite=False)[0]
        not_overflowed(self, self.dual_coef_)
        if weights is not None:
            self.dual_coef_ = (self.dual_coef_.T * root).T
        return self

    def predict(self, X: Any) -> Floats:
        """Σ_i a_i k(x_i, x), [N] or [N, K]."""
        x = new_points(self, X)
        return gram(self.kernel, x, self.X_fit_, self.gamma_, self.degree, self.coef0) @ self.dual_coef_
