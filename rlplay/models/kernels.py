"""Kernels: the similarity of two points, as an inner product in a feature space that is never computed.

    linear     k(x, z) = x · z
    rbf        k(x, z) = exp(-γ ‖x - z‖²)
    poly       k(x, z) = (γ x · z + c)^degree             (also named polynomial)
    sigmoid    k(x, z) = tanh(γ x · z + c)                (no inner product for all γ and c)
    laplacian  k(x, z) = exp(-γ ‖x - z‖₁)
    cosine     k(x, z) = x · z / (‖x‖ ‖z‖)

Source: Aizerman 1964; Schölkopf & Smola 2002. The twin is `sklearn.metrics.pairwise.pairwise_kernels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics.pairwise import manhattan_distances

from rlplay.models.common import Floats, require, squared_distances

KERNELS = ("linear", "rbf", "poly", "polynomial", "sigmoid", "laplacian", "cosine")


def gamma_of(model: Any, x: Floats) -> float:
    """γ: a number, or ``"scale"``, 1 / (D var(X)), or ``"auto"`` or None, 1 / D.

    Example:
        >>> from rlplay.models.supervised import SVC
        >>> x = np.array([[0.0, 2.0], [2.0, 0.0]])
        >>> gamma_of(SVC(gamma="scale"), x), gamma_of(SVC(gamma="auto"), x), gamma_of(SVC(gamma=3), x)
        (0.5, 0.5, 3.0)
    """
    if model.gamma == "scale":
        variance = float(x.var())
        return 1.0 / (x.shape[1] * variance) if variance > 0 else 1.0
    if model.gamma in (None, "auto"):
        return 1.0 / x.shape[1]
    return float(model.gamma)


def check_kernel(model: Any) -> None:
    """Refuse a kernel that is not known and a γ that is not above 0.

    Example:
        >>> from rlplay.models.supervised import SVC
        >>> check_kernel(SVC(kernel="rbf"))
    """
    named = model.gamma in (None, "scale", "auto")
    require(
        model,
        kernel=(model.kernel in KERNELS, f"one of {', '.join(KERNELS)}"),
        gamma=(named or (not isinstance(model.gamma, str) and model.gamma > 0), "above 0, 'scale' or 'auto'"),
    )


def gram(kernel: str, x: Floats, z: Floats, gamma: float, degree: float = 3, coef0: float = 1.0) -> Floats:
    """k(x_i, z_j) for all pairs, [N, M].

    Example:
        >>> x, z = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [1.0, 2.0]])
        >>> gram("linear", x, z, 1.0).tolist(), gram("rbf", x, z, 1.0).round(4).tolist()
        ([[11.0, 5.0]], [[0.0003, 1.0]])
    """
    if kernel == "rbf":
        out = squared_distances(x, z)
        out *= -gamma
        return np.exp(out, out=out)
    if kernel == "laplacian":
        return np.exp(-gamma * manhattan_distances(x, z))
    if kernel == "cosine":
        x, z = unit_rows(x), unit_rows(z)
    out = x @ z.T
    if kernel in ("poly", "polynomial", "sigmoid"):
        out *= gamma
        out += coef0
    if kernel in ("poly", "polynomial"):
        np.power(out, degree, out=out)
    return np.tanh(out, out=out) if kernel == "sigmoid" else out


def unit_rows(x: Floats) -> Floats:
    """Rows of length 1, [N, D]; a row of zeros stays as it is.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    length = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return x / np.where(length > 0, length, 1.0)
