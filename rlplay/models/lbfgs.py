"""L-BFGS: minimise a smooth function of many numbers with the curvature that its last steps have shown.

Newton's step -H⁻¹ g needs the curvature H; here H⁻¹ is known only through the last m pairs of steps s = Δx and changes
of the gradient y = Δg, and two loops over them give its product with g (Nocedal & Wright 2006, algorithm 7.4). A line
search finds a length along the step that lowers the function enough and flattens its slope (the Wolfe conditions,
algorithms 3.5 and 3.6).

A price λ_i |x_i| has a kink at 0. Between two kinks it is linear, so each step stays among the signs that it begins
with: what would change its sign becomes 0, and leaves it again only where the slope is steeper than the price (OWL-QN).

Source: Liu & Nocedal 1989; Nocedal & Wright 2006, sections 3.5 and 7.2; Andrew & Gao 2007. The twin
is `scipy.optimize.minimize`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlplay.models.common import Floats

Objective = Callable[[Floats], tuple[float, Floats]]
_ENOUGH, _FLATTER = 1e-4, 0.9  # Wolfe's two constants


def direction(gradient: Floats, pairs: list[tuple[Floats, Floats]]) -> Floats:
    """-H⁻¹ g by the two loops; the oldest pair is first.

    Example:
        >>> step = np.array([1.0, 0.0])
        >>> direction(np.array([4.0, 2.0]), [(step, 2 * step)]).tolist()
        [-2.0, -1.0]
    """
    q, alphas = gradient.copy(), []
    for s, y in reversed(pairs):
        alpha = (s @ q) / (s @ y)
        q -= alpha * y
        alphas.append(alpha)
    if pairs:
        s, y = pairs[-1]
        q *= (s @ y) / (y @ y)
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        q += (alpha - (y @ q) / (s @ y)) * s
    return -q


def line_search(
    f: Objective, x: Floats, value: float, gradient: Floats, step: Floats, length: float
) -> tuple[float, float, Floats] | None:
    """A length along the step that keeps Wolfe's conditions, with value and gradient there; None for none.

    Example:
        >>> def square(x):
        ...     return float(x @ x), 2 * x
        >>> x = np.array([1.0])
        >>> length, value, gradient = line_search(square, x, 1.0, 2 * x, -2 * x, 0.5)
        >>> length, value
        (0.5, 0.0)
    """
    slope = float(gradient @ step)
    low, high = 0.0, np.inf
    for _ in range(40):
        new_value, new_gradient = f(x + length * step)
        if not np.isfinite(new_value) or new_value > value + _ENOUGH * length * slope:
            high = length
        elif float(new_gradient @ step) < _FLATTER * slope:
            low = length
        else:
            return length, new_value, new_gradient
        length = (low + high) / 2 if np.isfinite(high) else 2 * length
        if high - low < 1e-16 * max(high, 1.0):
            break
    return None


def minimise(
    f: Objective, x: Floats, *, max_iter: int = 100, tol: float = 1e-4, memory: int = 10
) -> tuple[Floats, int]:
    """The x at which no component of the gradient is above ``tol``, or the last one; and the iterations.

    Args:
        f: value and gradient [D] at x [D].
        x: where to begin.
        max_iter: most steps.
        tol: largest component of the gradient at which it stops.
        memory: m, how many pairs are kept.

    Example:
        >>> def bowl(x):
        ...     return float(((x - 3) ** 2).sum()), 2 * (x - 3)
        >>> x, steps = minimise(bowl, np.zeros(2))
        >>> x.round(6).tolist()
        [3.0, 3.0]
    """
    value, gradient = f(x)
    pairs: list[tuple[Floats, Floats]] = []
    for iteration in range(max_iter):
        if np.abs(gradient).max() <= tol:
            return x, iteration
        step = direction(gradient, pairs)
        if gradient @ step >= 0:  # rounding has spoilt the pairs
            pairs.clear()
            step = -gradient
        found = line_search(f, x, value, gradient, step, 1.0 if pairs else min(1.0, 1.0 / np.abs(gradient).sum()))
        if found is None:
            return x, iteration
        length, value, new_gradient = found
        s, y = length * step, new_gradient - gradient
        if s @ y > 1e-10 * (y @ y):
            pairs = [*pairs, (s, y)][-memory:]
        x, gradient = x + s, new_gradient
    return x, max_iter


def minimise_with_l1(
    f: Objective, x: Floats, price: Floats, *, max_iter: int = 100, tol: float = 1e-4, memory: int = 10
) -> tuple[Floats, int]:
    """The x that minimises f(x) + Σ_i λ_i |x_i|, with many components exactly 0; and the iterations.

    Args:
        f: value and gradient [D] of the smooth part at x [D].
        x: where to begin.
        price: λ, 0 or more, [D].
        max_iter: most steps.
        tol: largest slope at which it stops.
        memory: how many pairs are kept.

    Example:
        >>> def bowl(x):
        ...     return float(((x - [3, 0.2]) ** 2).sum()), 2 * (x - [3, 0.2])
        >>> x, steps = minimise_with_l1(bowl, np.zeros(2), np.ones(2))
        >>> x.round(6).tolist()
        [2.5, 0.0]
    """
    value, gradient = f(x)
    value += float(price @ np.abs(x))
    pairs: list[tuple[Floats, Floats]] = []
    for iteration in range(max_iter):
        signed = gradient + price * np.sign(x)
        at_kink = np.sign(gradient) * np.maximum(np.abs(gradient) - price, 0.0)
        slope = np.where(x == 0, at_kink, signed)  # of f and the price together
        if np.abs(slope).max() <= tol:
            return x, iteration
        step = direction(slope, pairs)
        step[step * slope > 0] = 0.0
        signs = np.where(x == 0, -np.sign(slope), np.sign(x))
        length = 1.0 if pairs else min(1.0, 1.0 / np.abs(slope).sum())
        for _ in range(60):
            there = x + length * step
            there[there * signs <= 0] = 0.0
            new_value, new_gradient = f(there)
            new_value += float(price @ np.abs(there))
            if new_value <= value + _ENOUGH * float(slope @ (there - x)) and (there != x).any():
                break
            length /= 2
        else:
            if not pairs:
                return x, iteration
            pairs = []  # rounding has spoilt them
            continue
        s, y = there - x, new_gradient - gradient
        if s @ y > 1e-10 * (y @ y):
            pairs = [*pairs, (s, y)][-memory:]
        x, value, gradient = there, new_value, new_gradient
    return x, max_iter
