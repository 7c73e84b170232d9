"""A normal distribution squashed into (-1, 1) by tanh: sampling, log-probabilities, and gradients through the sample.

A network gives a mean μ and a log σ for each of the A numbers of an action. With ε standard normal

    u = μ + σ ε        a = tanh u
    log π(a | s) = Σ_i { - ½ ε_i² - log σ_i - ½ log 2π - log(1 - a_i²) }
    log(1 - tanh² u) = 2 [log 2 - u - log(1 + e^{-2u})]        exact where 1 - a² has no digits left

An actor lowers L = 1/N Σ_n [α log π(a_n | s_n) - Q(s_n, a_n)] through its sample. With g = ∂Q/∂a, and since
∂ log(1 - tanh² u)/∂u = -2a:

    ∂L/∂μ_i     = 1/N d_i                   d_i = 2 α a_i - g_i (1 - a_i²)
    ∂L/∂log σ_i = 1/N [d_i σ_i ε_i - α]     0 where log σ_i was cut to its range

Source: Haarnoja et al. 2018, "Soft actor-critic algorithms and applications", equation 7 and appendix C. The range of
log σ, [-20, 2], is that of the authors' code and of Stable-Baselines3.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.compiled.pcg64 import normal

Floats = NDArray[np.float32]
LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0
_HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)
_LOG_2 = math.log(2.0)


@in_place
def cut_log_std(log_std: float) -> float:
    """log σ within its range.

    Example:
        >>> cut_log_std(5.0), cut_log_std(-1.0)
        (2.0, -1.0)
    """
    return min(max(log_std, LOG_STD_MIN), LOG_STD_MAX)


@in_place
def log_slope(u: float) -> float:
    """log(1 - tanh² u), by the softplus form.

    Example:
        >>> round(log_slope(1.0), 6) == round(math.log(1.0 - math.tanh(1.0) ** 2), 6), log_slope(50.0) < -98.0
        (True, True)
    """
    x = -2.0 * u
    softplus = max(x, 0.0) + math.log1p(math.exp(-abs(x)))
    return 2.0 * (_LOG_2 - u - softplus)


@in_place
def draw_noise(rng: NDArray[np.uint64], noise: Floats) -> None:
    """Standard normal numbers in place, [N, A].

    Example:
        >>> noise = np.zeros((500, 2), np.float32)
        >>> draw_noise(np.arange(1, 5, dtype=np.uint64), noise)
        >>> bool(abs(noise.mean()) < 0.1), bool(abs(noise.std() - 1) < 0.1)
        (True, True)
    """
    for i in range(noise.shape[0]):
        for j in range(noise.shape[1]):
            noise[i, j] = normal(rng)


@in_place
def squashed_sample(outputs: Floats, noise: Floats, actions: Floats, log_probs: Any) -> None:
    """The actions of some noise, and their log-probabilities.

    Args:
        outputs: means, then log σ, float32 [N, 2A].
        noise: standard normal numbers, or zeros for the means, float32 [N, A].
        actions: is filled, float32 [N, A].
        log_probs: is filled, float64 [N].

    Example:
        >>> actions, log_probs = np.zeros((1, 1), np.float32), np.zeros(1)
        >>> squashed_sample(np.float32([[0.0, 0.0]]), np.zeros((1, 1), np.float32), actions, log_probs)
        >>> actions.tolist(), round(float(log_probs[0]), 4)
        ([[0.0]], -0.9189)
    """
    size = noise.shape[1]
    for row in range(noise.shape[0]):
        log_prob = 0.0
        for i in range(size):
            log_std, e = cut_log_std(float(outputs[row, size + i])), float(noise[row, i])
            u = float(outputs[row, i]) + math.exp(log_std) * e
            actions[row, i] = math.tanh(u)
            log_prob -= 0.5 * e * e + log_std + _HALF_LOG_2_PI + log_slope(u)
        log_probs[row] = log_prob


@in_place
def squashed_gradient(
    outputs: Floats, noise: Floats, actions: Floats, action_gradient: Floats, temperature: float, grad: Floats
) -> None:
    """The gradient of L of the head of this file at the network's outputs.

    Args:
        outputs: means, then log σ, float32 [N, 2A].
        noise: of `squashed_sample`, float32 [N, A].
        actions: that it gave, float32 [N, A].
        action_gradient: ∂Q/∂a, float32 [N, A].
        temperature: α.
        grad: is filled, float32 [N, 2A].

    Example:
        >>> grad, one = np.zeros((1, 2), np.float32), np.ones((1, 1), np.float32)
        >>> squashed_gradient(np.zeros((1, 2), np.float32), one, 0.5 * one, 2.0 * one, 0.25, grad)
        >>> grad.tolist()  # d = 2 * 0.25 * 0.5 - 2 * 0.75 = -1.25
        [[-1.25, -1.5]]
    """
    rows, size = noise.shape
    for row in range(rows):
        for i in range(size):
            a, log_std = float(actions[row, i]), float(outputs[row, size + i])
            d = 2.0 * temperature * a - float(action_gradient[row, i]) * (1.0 - a * a)
            grad[row, i] = d / rows
            free = LOG_STD_MIN <= log_std <= LOG_STD_MAX
            grad[row, size + i] = (d * math.exp(log_std) * float(noise[row, i]) - temperature) / rows if free else 0.0
