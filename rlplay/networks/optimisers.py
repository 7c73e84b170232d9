"""Optimisers over flat arrays: one step along the gradient g, at learning rate α.

    sgd       θ ← θ - α g
    momentum  m ← μ m + g                     θ ← θ - α m
    rmsprop   v ← ρ v + (1 - ρ) g²            θ ← θ - α g / (√v + ε)
    adam      m ← β₁ m + (1 - β₁) g           v ← β₂ v + (1 - β₂) g²
              θ ← θ - α (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)

Before the step a gradient that is longer than ``max_grad_norm`` is scaled down to it.

Source: Robbins & Monro 1951; Polyak 1964; Hinton 2012, lecture 6e (RMSProp); Kingma & Ba 2015, algorithm 1 (Adam);
Pascanu, Mikolov & Bengio 2013 (the length of gradients). As `torch.optim` has them, with the same defaults.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place, reordered

Floats = NDArray[Any]
SGD, MOMENTUM, RMSPROP, ADAM = range(4)
# The settings and the defaults of each: μ; ρ, ε; β₁, β₂, ε.
OPTIMISERS: dict[str, tuple[int, dict[str, float]]] = {
    "sgd": (SGD, {}),
    "momentum": (MOMENTUM, {"momentum": 0.9}),
    "rmsprop": (RMSPROP, {"alpha": 0.99, "eps": 1e-8}),
    "adam": (ADAM, {"beta_1": 0.9, "beta_2": 0.999, "eps": 1e-8}),
}
_CLIP_EPSILON = 1e-6  # as torch.nn.utils.clip_grad_norm_


class Optimiser(NamedTuple):
    """The state of an optimiser for P parameters.

    Attributes:
        kind: one of ``SGD``, ``MOMENTUM``, ``RMSPROP``, ``ADAM``, int64 [1].
        settings: its numbers in the order of `OPTIMISERS`, float64 [3].
        m: running mean of the gradient, [P].
        v: running mean of its square, [P].
        t: steps done, int64 [1].

    Example:
        >>> new_optimiser(3).t.tolist(), new_optimiser(3).m.shape
        ([0], (3,))
    """

    kind: NDArray[np.int64]
    settings: NDArray[np.float64]
    m: Floats
    v: Floats
    t: NDArray[np.int64]


def new_optimiser(size: int, name: str = "adam", dtype: Any = np.float32, **settings: float) -> Optimiser:
    """The state before the first step, for ``size`` parameters.

    Raises:
        ValueError: no such optimiser, or a setting that it does not have.

    Example:
        >>> state = new_optimiser(3, "momentum", momentum=0.5)
        >>> bool(state.kind[0] == MOMENTUM), state.settings.tolist()
        (True, [0.5, 0.0, 0.0])
    """
    if name not in OPTIMISERS:
        raise ValueError(f"optimiser={name!r} must be one of {', '.join(OPTIMISERS)}")
    kind, defaults = OPTIMISERS[name]
    if unknown := set(settings) - set(defaults):
        raise ValueError(f"{name} has no setting {sorted(unknown)[0]!r}: it has {', '.join(defaults) or 'none'}")
    numbers = np.zeros(3)
    numbers[: len(defaults)] = list({**defaults, **settings}.values())
    return Optimiser(
        np.array([kind]), numbers, np.zeros(size, dtype), np.zeros(size, dtype), np.zeros(1, np.int64)
    )  # fmt: skip


@reordered
def squared_length(values: Floats) -> float:
    """Σ g².

    Example:
        >>> squared_length(np.float32([3, 4]))
        25.0
    """
    total = values.dtype.type(0)
    for i in range(values.shape[0]):
        total += values[i] * values[i]
    return total


@in_place
def clip(gradient: Floats, max_grad_norm: float) -> float:
    """Scale the gradient to ``max_grad_norm`` where it is longer (0: never); returns its length before.

    Example:
        >>> gradient = np.float32([3, 4])
        >>> clip(gradient, 1.0), bool(np.allclose(gradient, [0.6, 0.8]))
        (5.0, True)
    """
    length = math.sqrt(squared_length(gradient))
    if max_grad_norm > 0.0 and length > max_grad_norm:
        scale = gradient.dtype.type(max_grad_norm / (length + _CLIP_EPSILON))
        for i in range(gradient.shape[0]):
            gradient[i] *= scale
    return length


# Where a gradient stays 0, as behind a unit of ReLU that is never active, its means shrink until they are subnormal:
# with those a processor computes a hundred times as slowly. What is smaller than these is 0: beside ε it did not count.
_LEAST_MEAN, _LEAST_SQUARE = 2.0**-100, 2.0**-126


@in_place
def _kept(value: Any, least: Any) -> Any:
    """A running mean, and 0 where it is too small to count."""
    return value if abs(value) > least else type(value)(0)


@in_place
def _adam(parameters: Floats, gradient: Floats, m: Floats, v: Floats, numbers: Any, rate: float, t: int) -> None:
    kind = parameters.dtype.type
    beta_1, beta_2, epsilon, one = kind(numbers[0]), kind(numbers[1]), kind(numbers[2]), kind(1)
    alpha = kind(rate / (1.0 - numbers[0] ** t))
    correction = kind(1.0 / math.sqrt(1.0 - numbers[1] ** t))
    least, least_square = kind(_LEAST_MEAN), kind(_LEAST_SQUARE)
    for i in range(parameters.shape[0]):
        g = gradient[i]
        m[i] = _kept(beta_1 * m[i] + (one - beta_1) * g, least)
        v[i] = _kept(beta_2 * v[i] + (one - beta_2) * g * g, least_square)
        parameters[i] -= alpha * m[i] / (np.sqrt(v[i]) * correction + epsilon)


@in_place
def improve(
    parameters: Floats, gradient: Floats, optimiser: Optimiser, learning_rate: float, max_grad_norm: float
) -> None:
    """One step, in place; the gradient is scaled to ``max_grad_norm`` first where it is longer (0: never).

    Example:
        >>> parameters = np.float32([1])
        >>> improve(parameters, np.float32([10]), new_optimiser(1, "adam", np.float32), 0.1, 0.0)
        >>> round(float(parameters[0]), 4)
        0.9
    """
    optimiser.t[0] += 1
    if max_grad_norm > 0.0:
        clip(gradient, max_grad_norm)
    kind, numbers, m, v = optimiser.kind[0], optimiser.settings, optimiser.m, optimiser.v
    alpha, one = parameters.dtype.type(learning_rate), parameters.dtype.type(1)
    least, least_square = parameters.dtype.type(_LEAST_MEAN), parameters.dtype.type(_LEAST_SQUARE)
    if kind == ADAM:
        _adam(parameters, gradient, m, v, numbers, learning_rate, optimiser.t[0])
    elif kind == SGD:
        for i in range(parameters.shape[0]):
            parameters[i] -= alpha * gradient[i]
    elif kind == MOMENTUM:
        mu = parameters.dtype.type(numbers[0])
        for i in range(parameters.shape[0]):
            m[i] = _kept(mu * m[i] + gradient[i], least)
            parameters[i] -= alpha * m[i]
    else:
        rho, epsilon = parameters.dtype.type(numbers[0]), parameters.dtype.type(numbers[1])
        for i in range(parameters.shape[0]):
            v[i] = _kept(rho * v[i] + (one - rho) * gradient[i] * gradient[i], least_square)
            parameters[i] -= alpha * gradient[i] / (np.sqrt(v[i]) + epsilon)
