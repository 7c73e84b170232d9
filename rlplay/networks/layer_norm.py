"""Layer normalisation: each row is shifted and scaled to mean 0 and variance 1, then by learned numbers.

    forward    μ = mean(x)    σ² = mean((x - μ)²)    x̂ = (x - μ) / √(σ² + ε)    y = γ ⊙ x̂ + β
    backward   ∂γ = Σ_rows ∂y ⊙ x̂        ∂β = Σ_rows ∂y        ĝ = ∂y ⊙ γ
               ∂x = (ĝ - mean(ĝ) - x̂ mean(ĝ ⊙ x̂)) / √(σ² + ε)
    tangent    ẏ = γ ⊙ (ẋ - mean(ẋ) - x̂ mean(ẋ ⊙ x̂)) / √(σ² + ε) + γ̇ ⊙ x̂ + β̇

Source: Ba, Kiros & Hinton 2016. Parameters: γ [D], β [D]. Shapes: x, y [N, D].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rlplay.compiled.cache import in_place, reordered
from rlplay.networks.memory import OUT, PARAMETERS, SAVED, Floats, Net

EPSILON = 1e-5  # as torch.nn.LayerNorm


@reordered
def _mean(x: Floats, at: int, n: int) -> Any:
    total, row = x.dtype.type(0), x[at : at + n]
    for i in range(n):
        total += row[i]
    return total / x.dtype.type(n)


@reordered
def _variance(x: Floats, at: int, n: int, mean: Any) -> Any:
    total, row = x.dtype.type(0), x[at : at + n]
    for i in range(n):
        total += (row[i] - mean) * (row[i] - mean)
    return total / x.dtype.type(n)


@reordered
def _weighted_mean(g: Floats, g_at: int, x: Floats, x_at: int, mean: Any, scale: Any, n: int) -> Any:
    total, row, weights = x.dtype.type(0), x[x_at : x_at + n], g[g_at : g_at + n]
    for i in range(n):
        total += weights[i] * (row[i] - mean)
    return total * scale / x.dtype.type(n)


@in_place
def forward(layer: Any, net: Net, x: Floats, x_at: int, y: Floats, y_at: int, rows: int) -> None:
    """The normalised rows; each row's μ and 1/√(σ² + ε) are kept.

    Example:
        >>> from rlplay.networks.layers import LayerNorm
        >>> from rlplay.networks.state import new_net
        >>> net, y = new_net([LayerNorm(2)], np.float32([1, 1, 0, 0]), 1), np.empty(2, np.float32)
        >>> forward(net.layers[0], net, np.float32([1, 5]), 0, y, 0, 1)
        >>> y.astype(float).round(4).tolist()
        [-1.0, 1.0]
    """
    n, at, saved, p, kind = layer[OUT], layer[PARAMETERS], layer[SAVED], net.parameters, net.parameters.dtype.type
    for row in range(rows):
        here, there = x_at + row * n, y_at + row * n
        mean = _mean(x, here, n)
        scale = kind(1) / kind(np.sqrt(_variance(x, here, n, mean) + kind(EPSILON)))
        net.saved[saved + 2 * row], net.saved[saved + 2 * row + 1] = mean, scale
        gamma, beta, row_x, row_y = p[at : at + n], p[at + n : at + 2 * n], x[here : here + n], y[there : there + n]
        for i in range(n):
            row_y[i] = (row_x[i] - mean) * scale * gamma[i] + beta[i]


@in_place
def backward(
    layer: Any, net: Net, x: Floats, x_at: int, grad: Floats, grad_at: int, below: Floats, below_at: int, rows: int,
    to_input: bool,
) -> None:  # fmt: skip
    """The gradients with respect to γ, β and x.

    Example:
        >>> from rlplay.networks.layers import LayerNorm
        >>> from rlplay.networks.state import new_net
        >>> net, (y, below) = new_net([LayerNorm(2)], np.float32([1, 1, 0, 0]), 1), np.empty((2, 2), np.float32)
        >>> x, grad = np.float32([1, 5]), np.float32([1, 0])
        >>> forward(net.layers[0], net, x, 0, y, 0, 1)
        >>> backward(net.layers[0], net, x, 0, grad, 0, below, 0, 1, True)
        >>> net.gradient.astype(float).round(4).tolist()
        [-1.0, 0.0, 1.0, 0.0]
    """
    n, at, saved, p, to = layer[OUT], layer[PARAMETERS], layer[SAVED], net.parameters, net.gradient
    to[at : at + 2 * n] = 0
    to_gamma, to_beta, gamma = to[at : at + n], to[at + n : at + 2 * n], p[at : at + n]
    for row in range(rows):
        here, there, under = x_at + row * n, grad_at + row * n, below_at + row * n
        mean, scale = net.saved[saved + 2 * row], net.saved[saved + 2 * row + 1]
        given, row_x, g = grad[there : there + n], x[here : here + n], below[under : under + n]
        for i in range(n):
            to_gamma[i] += given[i] * (row_x[i] - mean) * scale
        for i in range(n):
            to_beta[i] += given[i]
        for i in range(n):
            g[i] = given[i] * gamma[i]  # ĝ
        _project(x, here, below, under, mean, scale, n)


@in_place
def _project(x: Floats, here: int, g: Floats, at: int, mean: Any, scale: Any, n: int) -> None:
    """g ← (g - mean(g) - x̂ mean(g ⊙ x̂)) / √(σ² + ε), in place."""
    shift, tilt = _mean(g, at, n), _weighted_mean(g, at, x, here, mean, scale, n)
    row_x, row_g = x[here : here + n], g[at : at + n]
    for i in range(n):
        row_g[i] = scale * (row_g[i] - shift - (row_x[i] - mean) * scale * tilt)


@in_place
def tangent(
    layer: Any, net: Net, x: Floats, x_at: int, dot: Floats, dot_at: int, direction: Floats, out: Floats, out_at: int,
    rows: int,
) -> None:  # fmt: skip
    """ẏ for a direction of the parameters and a direction ẋ of the inputs.

    Example:
        >>> from rlplay.networks.layers import LayerNorm
        >>> from rlplay.networks.state import new_net
        >>> net, (y, out) = new_net([LayerNorm(2)], np.float32([1, 1, 0, 0]), 1), np.empty((2, 2), np.float32)
        >>> x, direction = np.float32([1, 5]), np.float32([0, 0, 3, 0])
        >>> forward(net.layers[0], net, x, 0, y, 0, 1)
        >>> tangent(net.layers[0], net, x, 0, np.zeros(2, np.float32), 0, direction, out, 0, 1)
        >>> out.tolist()
        [3.0, 0.0]
    """
    n, at, saved, p = layer[OUT], layer[PARAMETERS], layer[SAVED], net.parameters
    for row in range(rows):
        here, there = x_at + row * n, out_at + row * n
        mean, scale = net.saved[saved + 2 * row], net.saved[saved + 2 * row + 1]
        for i in range(n):
            out[there + i] = dot[dot_at + row * n + i]
        _project(x, here, out, there, mean, scale, n)
        for i in range(n):
            normal = (x[here + i] - mean) * scale
            out[there + i] = p[at + i] * out[there + i] + direction[at + i] * normal + direction[at + n + i]
