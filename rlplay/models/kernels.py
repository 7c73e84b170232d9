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

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

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
        return np.exp(-gamma * cdist(x, z, "cityblock"))
    if kernel == "cosine":
        x, z = unit_rows(x), unit_rows(z)
    return _from_products(kernel, x @ z.T, gamma, degree, coef0)


def power(x: Floats, degree: float) -> None:
    """x^degree in place; a small whole degree by multiplications, which are some 20 times as fast as `numpy.power`.

    Example:
        >>> x = np.array([-2.0, 3.0])
        >>> power(x, 3)
        >>> x.tolist()
        [-8.0, 27.0]
    """
    if degree not in range(1, 9):
        np.power(x, degree, out=x)
        return
    base = x.copy()
    for _ in range(int(degree) - 1):
        x *= base


def _from_products(kernel: str, products: Floats, gamma: float, degree: float, coef0: float) -> Floats:
    """The kernels that depend on x · z alone, in place of it."""
    if kernel in ("poly", "polynomial", "sigmoid"):
        products *= gamma
        products += coef0
    if kernel in ("poly", "polynomial"):
        power(products, degree)
    return np.tanh(products, out=products) if kernel == "sigmoid" else products


def similarity(
    kernel: str, z: Floats, gamma: float, degree: float = 3, coef0: float = 1.0
) -> Callable[[Floats], Floats]:
    """The function of x [N, D] that gives `gram` of x and z, [N, M], for many x: what they share is computed once.

    The exponent -γ ‖x - z‖² is [x, 1] · [2γ z, -γ ‖z‖²] - γ ‖x‖², around the mean of z.

    Example:
        >>> similar = similarity("rbf", np.array([[3.0, 4.0], [1.0, 2.0]]), 1.0)
        >>> similar(np.array([[1.0, 2.0]])).round(4).tolist()
        [[0.0003, 1.0]]
    """
    if kernel != "rbf":
        return lambda x: gram(kernel, x, z, gamma, degree, coef0)
    middle = z.mean(axis=0)
    apart = (z - middle).T
    right = np.vstack([2.0 * gamma * apart, -gamma * (apart * apart).sum(axis=0)])

    def similar(x: Floats) -> Floats:
        left = np.column_stack([x - middle, np.ones(len(x))])
        out = left @ right
        out -= gamma * (left[:, :-1] ** 2).sum(axis=1)[:, None]
        return np.exp(np.minimum(out, 0.0, out=out), out=out)

    return similar


def diagonal(kernel: str, x: Floats, gamma: float, degree: float = 3, coef0: float = 1.0) -> Floats:
    """k(x_i, x_i) of each point, [N].

    Example:
        >>> x = np.array([[1.0, 2.0], [0.0, 3.0]])
        >>> diagonal("linear", x, 1.0).tolist(), diagonal("rbf", x, 1.0).tolist()
        ([5.0, 9.0], [1.0, 1.0])
    """
    if kernel in ("rbf", "laplacian"):
        return np.ones(len(x))
    x = unit_rows(x) if kernel == "cosine" else x
    return _from_products(kernel, (x * x).sum(axis=1), gamma, degree, coef0)


def unit_rows(x: Floats) -> Floats:
    """Rows of length 1, [N, D]; a row of zeros stays as it is.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    length = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return x / np.where(length > 0, length, 1.0)
