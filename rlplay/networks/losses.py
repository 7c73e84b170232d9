"""Losses, and their gradients with respect to the outputs of a network, where every backward pass begins.

    squared error   L = 1/N Σ_n ½ Σ_k (y - t)²           ∂L/∂y = (y - t) / N
    huber           L = 1/N Σ ½ d² for |d| ≤ 1, else |d| - ½            ∂L/∂y = clip(d, -1, 1) / N,  d = y - t
    cross entropy   L = -1/N Σ_n log softmax(y_n)[c_n]   ∂L/∂y = (softmax(y) - onehot(c)) / N
    bernoulli       L = -1/N Σ [t log σ(y) + (1 - t) log(1 - σ(y))]     ∂L/∂y = (σ(y) - t) / N

Every row has a weight (1, or 0 for padding), and N is the sum of the weights.

Source: Goodfellow, Bengio & Courville 2016, section 6.2; Huber 1964.

Shapes: outputs y [N, K], targets t [N, K] (classes: [N, 1], the number of the class), weights [N], gradient [N, K].
"""

from __future__ import annotations

import math

from rlplay.compiled.cache import in_place
from rlplay.networks.memory import Floats

SQUARED, HUBER, CROSS_ENTROPY, BERNOULLI = range(4)
LOSSES = {"squared_error": SQUARED, "huber": HUBER, "cross_entropy": CROSS_ENTROPY, "bernoulli": BERNOULLI}


@in_place
def _softmax_row(y: Floats, target: int, gradient: Floats, factor: float) -> float:
    """-log softmax(y)[c] of one row and its gradient, times a factor; the largest is subtracted: nothing overflows."""
    largest, total = y[0], 0.0
    for k in range(1, y.shape[0]):
        largest = max(largest, y[k])
    for k in range(y.shape[0]):
        gradient[k] = math.exp(y[k] - largest)
        total += gradient[k]
    for k in range(y.shape[0]):
        gradient[k] *= factor / total
    gradient[target] -= factor
    return math.log(total) - (y[target] - largest)


@in_place
def loss(kind: int, outputs: Floats, targets: Floats, weights: Floats, gradient: Floats) -> float:
    """The loss of a batch; its gradient with respect to the outputs is written into ``gradient`` [N, K].

    Example:
        >>> import numpy as np
        >>> gradient = np.empty((1, 2), np.float32)
        >>> outputs, targets, weights = np.float32([[1, 2]]), np.float32([[0, 2]]), np.float32([1])
        >>> loss(SQUARED, outputs, targets, weights, gradient), gradient.tolist()
        (0.5, [[1.0, 0.0]])
    """
    total, many = 0.0, 0.0
    for row in range(outputs.shape[0]):
        many += weights[row]
    for row in range(outputs.shape[0]):
        factor, lost = weights[row] / many, 0.0
        if kind == CROSS_ENTROPY:
            lost = _softmax_row(outputs[row], int(targets[row, 0]), gradient[row], factor)
        elif kind == SQUARED:
            for k in range(outputs.shape[1]):
                d = outputs[row, k] - targets[row, k]
                lost += 0.5 * d * d
                gradient[row, k] = d * factor
        elif kind == HUBER:
            for k in range(outputs.shape[1]):
                d = outputs[row, k] - targets[row, k]
                lost += 0.5 * d * d if abs(d) <= 1.0 else abs(d) - 0.5
                gradient[row, k] = min(max(d, -1.0), 1.0) * factor
        else:
            for k in range(outputs.shape[1]):
                y = outputs[row, k]
                lost += max(y, 0.0) - y * targets[row, k] + math.log1p(math.exp(-abs(y)))
                gradient[row, k] = (1.0 / (1.0 + math.exp(-y)) - targets[row, k]) * factor
        total += factor * lost
    return total


def loss_kind(name: str) -> int:
    """The number of a loss's name.

    Raises:
        ValueError: no such loss.

    Example:
        >>> loss_kind("huber") == HUBER
        True
    """
    if name not in LOSSES:
        raise ValueError(f"loss={name!r} must be one of {', '.join(LOSSES)}")
    return LOSSES[name]
