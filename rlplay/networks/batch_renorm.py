"""Batch renormalisation: each number is shifted and scaled by what a batch, or many before it, say of its mean.

    batch      μ = mean(x)   V = 1/(N-1) Σ (x - μ)²   m = μ - d √V / r   v = V / r²      in training
               r = clip(√(V + ε) / √(V̄ + ε), 1/3, 3)   d = clip((μ - μ̄) / √(V̄ + ε), -5, 5)
               μ̄ ← μ̄ + η (μ - μ̄)   V̄ ← V̄ + η (V - V̄)
    else       m = μ̄   v = V̄
    forward    x̂ = (x - m) / √(v + ε)   y = γ ⊙ x̂ + β
    backward   ∂γ = Σ_rows ∂y ⊙ x̂   ∂β = Σ_rows ∂y   ĝ = ∂y ⊙ γ   s = 1/√(v + ε)
               ∂x = s ĝ - c₀ Σ ĝ + (x - μ) (c₁ Σ ĝ - c₂ Σ ĝ (x - m))
               c₀ = s/N   c₁ = s d / (r √V (N-1))   c₂ = s³ / (r² (N-1))      in training, r and d as constants; else 0
    tangent    ẏ = γ ⊙ s ẋ + γ̇ ⊙ x̂ + β̇                                        not in training

During the first `WARM_UP` batches r = 1 and d = 0, which is batch normalisation. Whether a forward pass is one of
training says `use_batch`; a network begins without, and so it acts.

The running moments μ̄, V̄ and the number of batches lie among the parameters, with a gradient of 0: an optimiser leaves
them, and a file, a target and a copy of the network have them.

Source: Ioffe 2017, "Batch renormalization", section 3; as sb3-contrib's CrossQ has it. Parameters: γ [D], β [D], μ̄ [D],
V̄ [D], batches [1]. Shapes: x, y [N, D].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rlplay.compiled.cache import in_place
from rlplay.networks.memory import BATCHES, OUT, PARAMETERS, SAVED, Floats, Net

EPSILON, MOMENTUM, WARM_UP = 1e-3, 0.01, 100_000
MOST_SCALE, MOST_SHIFT = 3.0, 5.0
KEPT = 6  # arrays [D] that `backward` needs: m, s, μ, c₀, c₁, c₂


@in_place
def use_batch(net: Net, yes: bool) -> None:
    """Whether forward passes from now on are of training: normalised by the batch, with the running moments moved.

    Example:
        >>> from rlplay.networks.layers import BatchRenorm
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([BatchRenorm(1)], np.float32([1, 0, 0, 1, 0]), 2)
        >>> use_batch(net, True)
        >>> net.sizes.tolist()
        [2, 1, 1]
    """
    net.sizes[BATCHES] = 1 if yes else 0


@in_place
def _moments(net: Net, at: int, saved: int, x: Floats, x_at: int, rows: int, n: int) -> None:
    """m, s, μ, c₀, c₁ and c₂ of a batch, and the running moments moved towards it."""
    p, kept, kind = net.parameters, net.saved, net.parameters.dtype.type
    means, variances, batches = p[at + 2 * n : at + 3 * n], p[at + 3 * n : at + 4 * n], at + 4 * n
    shift, scale, mean = kept[saved : saved + n], kept[saved + n : saved + 2 * n], kept[saved + 2 * n : saved + 3 * n]
    variance = kept[saved + 3 * n : saved + 4 * n]  # V, until c₀ takes its place
    mean[:] = 0
    variance[:] = 0
    for row in range(rows):
        row_x = x[x_at + row * n : x_at + (row + 1) * n]
        for i in range(n):
            mean[i] += row_x[i]
    for i in range(n):
        mean[i] /= kind(rows)
    for row in range(rows):
        row_x = x[x_at + row * n : x_at + (row + 1) * n]
        for i in range(n):
            variance[i] += (row_x[i] - mean[i]) * (row_x[i] - mean[i])
    warm = p[batches] > WARM_UP
    for i in range(n):
        v = float(variance[i]) / max(rows - 1, 1)
        r, d = 1.0, 0.0
        if warm:
            known = np.sqrt(float(variances[i]) + EPSILON)
            r = min(max(np.sqrt(v + EPSILON) / known, 1.0 / MOST_SCALE), MOST_SCALE)
            d = min(max((float(mean[i]) - float(means[i])) / known, -MOST_SHIFT), MOST_SHIFT)
        s = 1.0 / np.sqrt(v / (r * r) + EPSILON)
        shift[i], scale[i] = mean[i] - d * np.sqrt(v) / r, s
        variance[i] = s / rows
        kept[saved + 4 * n + i] = s * d / (r * np.sqrt(v) * max(rows - 1, 1)) if v > 0.0 else 0.0
        kept[saved + 5 * n + i] = s * s * s / (r * r * max(rows - 1, 1))
        means[i] += kind(MOMENTUM) * (mean[i] - means[i])
        variances[i] += kind(MOMENTUM * (v - float(variances[i])))
    p[batches] += kind(1)


@in_place
def forward(layer: Any, net: Net, x: Floats, x_at: int, y: Floats, y_at: int, rows: int) -> None:
    """The normalised rows; what `backward` needs of the batch is kept.

    Example:
        >>> from rlplay.networks.layers import BatchRenorm
        >>> from rlplay.networks.state import new_net
        >>> net, y = new_net([BatchRenorm(1)], np.float32([1, 0, 0, 1, 0]), 2), np.empty(2, np.float32)
        >>> use_batch(net, True)
        >>> forward(net.layers[0], net, np.float32([1, 5]), 0, y, 0, 2)
        >>> y.round(3).tolist(), net.parameters[2:].round(3).tolist()
        ([-0.7070000171661377, 0.7070000171661377], [0.029999999329447746, 1.0700000524520874, 1.0])
    """
    n, at, saved, p, kept = layer[OUT], layer[PARAMETERS], layer[SAVED], net.parameters, net.saved
    if net.sizes[BATCHES] == 1:
        _moments(net, at, saved, x, x_at, rows, n)
    else:
        for i in range(n):
            kept[saved + i] = p[at + 2 * n + i]
            kept[saved + n + i] = 1.0 / np.sqrt(float(p[at + 3 * n + i]) + EPSILON)
        kept[saved + 2 * n : saved + KEPT * n] = 0
    gamma, beta, shift, scale = (
        p[at : at + n], p[at + n : at + 2 * n], kept[saved : saved + n], kept[saved + n : saved + 2 * n],
    )  # fmt: skip
    for row in range(rows):
        row_x, row_y = x[x_at + row * n : x_at + (row + 1) * n], y[y_at + row * n : y_at + (row + 1) * n]
        for i in range(n):
            row_y[i] = (row_x[i] - shift[i]) * scale[i] * gamma[i] + beta[i]


@in_place
def backward(
    layer: Any, net: Net, x: Floats, x_at: int, grad: Floats, grad_at: int, below: Floats, below_at: int, rows: int,
    to_input: bool,
) -> None:  # fmt: skip
    """The gradients with respect to γ, β and x.

    Example:
        >>> from rlplay.networks.layers import BatchRenorm
        >>> from rlplay.networks.state import new_net
        >>> net, (y, below) = new_net([BatchRenorm(1)], np.float32([1, 0, 0, 1, 0]), 2), np.empty((2, 2), np.float32)
        >>> x = np.float32([1, 5])
        >>> forward(net.layers[0], net, x, 0, y, 0, 2)
        >>> backward(net.layers[0], net, x, 0, np.float32([1, 2]), 0, below, 0, 2, True)
        >>> net.gradient.round(2).tolist(), below.round(2).tolist()  # not in training: a line through 0
        ([10.989999771118164, 3.0, 0.0, 0.0, 0.0], [1.0, 2.0])
    """
    n, at, saved, p, to, kept = layer[OUT], layer[PARAMETERS], layer[SAVED], net.parameters, net.gradient, net.saved
    to[at : at + 4 * n + 1] = 0
    to_gamma, to_beta, gamma = to[at : at + n], to[at + n : at + 2 * n], p[at : at + n]
    shift, scale, mean = kept[saved : saved + n], kept[saved + n : saved + 2 * n], kept[saved + 2 * n : saved + 3 * n]
    for row in range(rows):
        given, row_x = grad[grad_at + row * n : grad_at + (row + 1) * n], x[x_at + row * n : x_at + (row + 1) * n]
        for i in range(n):
            to_gamma[i] += given[i] * (row_x[i] - shift[i]) * scale[i]
        for i in range(n):
            to_beta[i] += given[i]
    if not to_input:
        return
    c_0, c_1 = kept[saved + 3 * n : saved + 4 * n], kept[saved + 4 * n : saved + 5 * n]
    c_2 = kept[saved + 5 * n : saved + 6 * n]
    for row in range(rows):
        given, row_x = grad[grad_at + row * n : grad_at + (row + 1) * n], x[x_at + row * n : x_at + (row + 1) * n]
        under = below[below_at + row * n : below_at + (row + 1) * n]
        for i in range(n):  # Σ ĝ = γ ∂β and Σ ĝ (x - m) = γ ∂γ / s
            tilt = c_1[i] * to_beta[i] - c_2[i] * to_gamma[i] / scale[i]
            under[i] = gamma[i] * (scale[i] * given[i] - c_0[i] * to_beta[i] + (row_x[i] - mean[i]) * tilt)


@in_place
def tangent(
    layer: Any, net: Net, x: Floats, x_at: int, dot: Floats, dot_at: int, direction: Floats, out: Floats, out_at: int,
    rows: int,
) -> None:  # fmt: skip
    """ẏ for a direction of the parameters and a direction ẋ of the inputs, where the moments are the running ones.

    Example:
        >>> from rlplay.networks.layers import BatchRenorm
        >>> from rlplay.networks.state import new_net
        >>> net, (y, out) = new_net([BatchRenorm(1)], np.float32([1, 0, 0, 1, 0]), 2), np.empty((2, 2), np.float32)
        >>> x, direction = np.float32([1, 5]), np.float32([0, 3, 0, 0, 0])
        >>> forward(net.layers[0], net, x, 0, y, 0, 2)
        >>> tangent(net.layers[0], net, x, 0, np.zeros(2, np.float32), 0, direction, out, 0, 2)
        >>> out.tolist()
        [3.0, 3.0]
    """
    n, at, saved, p, kept = layer[OUT], layer[PARAMETERS], layer[SAVED], net.parameters, net.saved
    for row in range(rows):
        for i in range(n):
            here, scale = row * n + i, kept[saved + n + i]
            normal = (x[x_at + here] - kept[saved + i]) * scale
            out[out_at + here] = (
                p[at + i] * scale * dot[dot_at + here] + direction[at + i] * normal + direction[at + n + i]
            )
