"""Products with the Fisher matrix, for natural gradients, without computing the matrix.

    F = 1/N Σ_n J_nᵀ M_n J_n        F v = 1/N Σ_n J_nᵀ (M_n (J_n v))

J_n is the Jacobian of the outputs for row n, M_n the Fisher matrix of the distribution with these outputs: first the
tangent along v, then M, then a backward pass.

    categorical   M = diag(π) - π πᵀ,  π = softmax(y)
    Gaussian      M = diag(1 / σ²) for outputs that are means

The natural gradient solves F x = g; conjugate gradients need only products.

Source: Amari 1998; Kakade 2001; Pascanu & Bengio 2014; Schulman et al. 2015, appendix C; conjugate gradients:
Hestenes & Stiefel 1952.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
Metric = Callable[[Floats, Floats], Floats]


def categorical(outputs: Floats, moved: Floats) -> Floats:
    """M u for logits [N, K] and their movement u [N, K]: π ⊙ (u - π · u).

    Example:
        >>> categorical(np.zeros((1, 2)), np.array([[1.0, 0.0]])).tolist()
        [[0.25, -0.25]]
    """
    exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    return p * (moved - (p * moved).sum(axis=1, keepdims=True))


def gaussian(std: Any) -> Metric:
    """M u for means: u / σ², with σ [K] or a number.

    Example:
        >>> gaussian(0.5)(np.zeros((1, 1)), np.ones((1, 1))).tolist()
        [[4.0]]
    """
    return lambda outputs, moved: moved / np.asarray(std) ** 2


def product(network: Any, x: Floats, direction: Floats, metric: Metric = categorical, damping: float = 0.0) -> Floats:
    """(F + damping) v over a batch, [P], for a `Network` or a `TorchNetwork`; its gradient is overwritten.

    Args:
        network: whose outputs are the distribution's.
        x: the batch, [N, D].
        direction: v, [P].
        metric: ``metric(outputs, moved) -> M moved``, [N, K] each: `categorical`, or ``gaussian(std)``.
        damping: added to the diagonal.

    Example:
        >>> from rlplay.networks import Linear, Network
        >>> network, x = Network([Linear(1, 2)], seed=0), np.array([[1.0]])
        >>> product(network, x, np.array([1.0, 0.0, 0.0, 0.0]), gaussian(1.0)).tolist()
        [1.0, 0.0, 1.0, 0.0]
    """
    outputs = network.forward(x).copy()
    moved = metric(outputs, network.tangent(direction)) / len(outputs)
    network.backward(moved, to_input=False)
    return network.gradient + damping * direction


def natural_gradient(
    network: Any, x: Floats, gradient: Floats, metric: Metric = categorical, damping: float = 1e-3, n_steps: int = 10
) -> Floats:
    """(F + damping)⁻¹ g by at most ``n_steps`` steps of conjugate gradients, [P].

    Example:
        >>> from rlplay.networks import Linear, Network
        >>> network, x = Network([Linear(1, 1)], seed=0), np.array([[1.0], [-1.0]])
        >>> natural_gradient(network, x, np.array([2.0, 0.0]), gaussian(1.0), damping=0.0).round(4).tolist()
        [2.0, 0.0]
    """
    found = np.zeros(gradient.shape)
    residual = gradient.astype(np.float64)
    direction, size = residual.copy(), residual @ residual
    for _ in range(n_steps):
        if size < 1e-20:
            break
        moved = product(network, x, direction.astype(gradient.dtype), metric, damping).astype(np.float64)
        alpha = size / (direction @ moved)
        found += alpha * direction
        residual -= alpha * moved
        size, before = residual @ residual, size
        direction = residual + size / before * direction
    return found.astype(gradient.dtype)
