"""State-dependent exploration: noise that is a linear function of the policy's last hidden layer, drawn now and then.

With h the L units that the policy's last layer takes, means μ and a matrix E of noise with entries E_ji ~ N(0, σ_ji²):

    a = μ + h E        so that        a_i ~ N(μ_i, s_i²),  s_i² = Σ_j h_j² σ_ji² + ε

E is drawn at the start of a rollout, and every ``sample_freq`` steps of it: between draws the same state has the same
noise, which makes exploration smooth. log σ is learned by the gradient of log π; h is not (it counts as given):

    ∂ log π/∂μ_i = z_i / s_i        ∂ log π/∂ log σ_ji = (z_i² - 1) h_j² σ_ji² / s_i²        z = (a - μ) / s

A policy's outputs are then [μ, h] side by side, [N, A + L] with L of A or more, and its spread is log σ, [L A], a row
after the other.

Source: Rückstieß, Felder & Schmidhuber 2008; Raffin, Kober & Stulp 2022, "Smooth exploration for robotic reinforcement
learning"; ε = 1e-6 and the times of the draws as in Stable-Baselines3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled, in_place
from rlplay.compiled.pcg64 import normal
from rlplay.functional.distributions import Head, native_gaussian
from rlplay.networks.contract import Kernel
from rlplay.networks.memory import IN, OUT, VALUES

Floats = NDArray[np.float32]
_EPSILON = 1e-6
_HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)


class StateNoise(NamedTuple):
    """The matrices of noise of N environments.

    Attributes:
        matrices: E of each, float32 [N, L, A]; [0, 0, 0] without state-dependent exploration.
        sample_freq: steps of a rollout between draws; 0 for one draw a rollout.

    Example:
        >>> from agents import A2C
        >>> noise = A2C("Pendulum-v1", n_envs=2, net_arch=[8], use_sde=True, seed=0).memory.noise
        >>> noise.matrices.shape, noise.sample_freq
        ((2, 8, 1), 0)
    """

    matrices: Floats
    sample_freq: int


@cache
def with_latents(kernel: Kernel) -> Kernel:
    """A kernel whose outputs have the inputs of the last layer beside them, [N, K + L]; gradients are those of K.

    Example:
        >>> from rlplay.networks.kernel import kernel
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Linear(2, 1)], np.float32([1, 2, 3]), 1)
        >>> with_latents(kernel([Linear(2, 1)])).forward(net, np.float32([[10, 20]])).tolist()
        [[53.0, 10.0, 20.0]]
    """
    forward_alone, backward_alone, tangent_alone = kernel.forward, kernel.backward, kernel.tangent

    @compiled
    def forward(net: Any, x: Floats) -> Floats:
        outputs, size = forward_alone(net, x), net.layers[-1, IN]
        rows, wide = outputs.shape
        joined, below = np.empty((rows, wide + size), np.float32), net.layers.shape[0] - 2
        for row in range(rows):
            for i in range(wide):
                joined[row, i] = outputs[row, i]
            for j in range(size):
                joined[row, wide + j] = (
                    x[row, j] if below < 0 else net.values[net.layers[below, VALUES] + row * size + j]
                )
        return joined

    @compiled
    def backward(net: Any, x: Floats, grad_output: Floats, to_input: bool = True) -> Floats:
        wide = net.layers[-1, OUT]
        return backward_alone(net, x, np.ascontiguousarray(grad_output[:, :wide]), to_input)

    @compiled
    def tangent(net: Any, x: Floats, direction: Floats) -> Floats:
        moved = tangent_alone(net, x, direction)
        joined = np.zeros((moved.shape[0], moved.shape[1] + net.layers[-1, IN]), np.float32)
        joined[:, : moved.shape[1]] = moved
        return joined

    return kernel._replace(forward=forward, backward=backward, tangent=tangent)


@in_place
def draw_matrices(matrices: Floats, log_std: Floats, rng: NDArray[np.uint64]) -> None:
    """A new matrix of noise for each environment, in place, [N, L, A].

    Example:
        >>> matrices = np.zeros((100, 4, 1), np.float32)
        >>> draw_matrices(matrices, np.zeros(4, np.float32), np.arange(1, 5, dtype=np.uint64))
        >>> bool(abs(matrices.std() - 1.0) < 0.1)
        True
    """
    n, units, size = matrices.shape
    for k in range(n):
        for j in range(units):
            for i in range(size):
                matrices[k, j, i] = math.exp(log_std[j * size + i]) * normal(rng)


@in_place
def add_noise(outputs: Floats, matrices: Floats, actions: Floats) -> None:
    """a = μ + h E, each row by the matrix of its environment, [N, A].

    Example:
        >>> actions = np.zeros((1, 1), np.float32)
        >>> add_noise(np.float32([[1, 2, 3]]), np.float32([[[10], [100]]]), actions)  # 1 + 2 · 10 + 3 · 100
        >>> actions.tolist()
        [[321.0]]
    """
    n, units, size = matrices.shape
    for k in range(n):
        for i in range(size):
            total = float(outputs[k, i])
            for j in range(units):
                total += outputs[k, size + j] * matrices[k, j, i]
            actions[k, i] = total


@in_place
def variance(outputs: Floats, row: int, log_std: Floats, i: int, size: int) -> float:
    """s_i² of a row."""
    total = _EPSILON
    for j in range(log_std.shape[0] // size):
        h = outputs[row, size + j]
        total += h * h * math.exp(2.0 * log_std[j * size + i])
    return total


@in_place
def log_probs(outputs: Floats, log_std: Floats, actions: Floats, grad: Floats, log_probs: Any, entropies: Any) -> None:
    """log π(a) = - Σ_i [½ z_i² + log s_i + ½ log 2π];  H = Σ_i [log s_i + ½ + ½ log 2π]."""
    size = actions.shape[1]
    for row in range(outputs.shape[0]):
        log_prob, entropy = 0.0, 0.0
        for i in range(size):
            s2 = variance(outputs, row, log_std, i, size)
            gap, log_s = actions[row, i] - outputs[row, i], 0.5 * math.log(s2)
            log_prob -= 0.5 * gap * gap / s2 + log_s + _HALF_LOG_2_PI
            entropy += log_s + 0.5 + _HALF_LOG_2_PI
        log_probs[row], entropies[row] = log_prob, entropy


@in_place
def gradient(
    outputs: Floats, log_std: Floats, actions: Floats, weights: Any, entropy_coef: float, grad: Floats,
    grad_spread: Floats,
) -> None:  # fmt: skip
    """∂L/∂μ and ∂L/∂log σ of the head of this file, L = - 1/N Σ [w log π + c H]; 0 for h."""
    size, rows = actions.shape[1], outputs.shape[0]
    for k in range(log_std.shape[0]):
        grad_spread[k] = 0.0
    for row in range(rows):
        for i in range(size):
            s2 = variance(outputs, row, log_std, i, size)
            gap = actions[row, i] - outputs[row, i]
            grad[row, i] = -weights[row] * gap / (s2 * rows)
            pull = (weights[row] * (gap * gap / s2 - 1.0) + entropy_coef) / (s2 * rows)
            for j in range(log_std.shape[0] // size):
                h = outputs[row, size + j]
                grad_spread[j * size + i] -= pull * h * h * math.exp(2.0 * log_std[j * size + i])
        for j in range(size, outputs.shape[1]):
            grad[row, j] = 0.0


@in_place
def divergence(old_outputs: Floats, old_log_std: Floats, outputs: Floats, log_std: Floats) -> float:
    """Mean over the batch of KL(π_old ‖ π), as of normal distributions."""
    total, rows = 0.0, outputs.shape[0]
    size = _actions_of(outputs, log_std)
    for row in range(rows):
        for i in range(size):
            old, new = variance(old_outputs, row, old_log_std, i, size), variance(outputs, row, log_std, i, size)
            gap = old_outputs[row, i] - outputs[row, i]
            total += (0.5 * math.log(new / old) + 0.5 * (old + gap * gap) / new - 0.5) / rows
    return total


@in_place
def _actions_of(outputs: Floats, log_std: Floats) -> int:
    """A, from A + L columns and L A numbers; L is not smaller than A."""
    wide = outputs.shape[1]
    for size in range(1, wide):
        if size * (wide - size) == log_std.shape[0]:
            return size
    return 0


@in_place
def fisher(
    outputs: Floats, log_std: Floats, moved: Floats, direction: NDArray[np.float64], grad_spread: Floats
) -> None:
    """M u = u / (s² N) for means; for log σ, with v_ji = h_j² σ_ji² / s_i², 2/N Σ_n v (v · direction)."""
    size, rows = _actions_of(outputs, log_std), outputs.shape[0]
    units = log_std.shape[0] // size
    for k in range(log_std.shape[0]):
        grad_spread[k] = 0.0
    for row in range(rows):
        for i in range(size):
            s2, along = variance(outputs, row, log_std, i, size), 0.0
            moved[row, i] /= s2 * rows
            for j in range(units):
                h = outputs[row, size + j]
                along += h * h * math.exp(2.0 * log_std[j * size + i]) / s2 * direction[j * size + i]
            for j in range(units):
                h = outputs[row, size + j]
                grad_spread[j * size + i] += 2.0 * along * h * h * math.exp(2.0 * log_std[j * size + i]) / (s2 * rows)


def _no_sample(outputs: Floats, spread: Floats, rng: NDArray[np.uint64], action: Floats) -> None:
    """Actions are drawn for all environments at once, see `add_noise`."""


STATE_DEPENDENT = Head(_no_sample, native_gaussian, log_probs, gradient, divergence, fisher)


def deviations(outputs: NDArray[np.float64], log_std: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """s of a batch, [B, A].

    Example:
        >>> deviations(np.array([[0.0, 3.0, 4.0]]), np.zeros(2), 1).round(4).tolist()
        [[5.0]]
    """
    squares = np.exp(2.0 * log_std.reshape(-1, size))
    found: Callable[..., Any] = np.sqrt
    return found(outputs[:, size:] ** 2 @ squares + _EPSILON)


__all__ = ["STATE_DEPENDENT", "StateNoise", "add_noise", "deviations", "draw_matrices", "with_latents"]
