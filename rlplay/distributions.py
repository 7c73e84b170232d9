"""Policies over actions: sampling, and the gradient of the policy loss with respect to a network's outputs.

The loss of a batch of N steps with weights w (advantages) and an entropy bonus c:

    L = - 1/N Σ_n [w_n log π(a_n | s_n) + c H(π(· | s_n))]

Both heads have the same four functions, so that an agent is written once for Discrete and Box actions. ``outputs`` is
what the network gives, float32 [K] or [N, K]; ``log_std`` is the Gaussian's own parameter, float32 [K], unused and
empty for the categorical; an action is stored as float32 [A].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled
from rlplay.compiled.pcg64 import normal, random


class Head(NamedTuple):
    """A policy over a network's outputs.

    Attributes:
        sample: ``sample(outputs [K], log_std, rng, action [A])`` draws an action into ``action``.
        native: ``native(action [A])``, the action as a rule hands it to the environment.
        gradient: ``gradient(outputs [N, K], log_std, actions [N, A], weights [N], entropy_coef, grad [N, K],
            grad_log_std [K])`` fills the two gradients of the loss above.
    """

    sample: Callable[..., None]
    native: Callable[..., Any]
    gradient: Callable[..., None]


@compiled
def softmax(logits: NDArray[np.float32], probabilities: NDArray[np.float64]) -> None:
    """π(a) = exp(z_a) / Σ_b exp(z_b), shifted by the largest z so that nothing overflows; shapes [A]."""
    largest = logits[0]
    for a in range(1, logits.shape[0]):
        largest = max(largest, logits[a])
    total = 0.0
    for a in range(logits.shape[0]):
        probabilities[a] = math.exp(logits[a] - largest)
        total += probabilities[a]
    for a in range(logits.shape[0]):
        probabilities[a] /= total


@compiled
def sample_categorical(
    logits: NDArray[np.float32], log_std: NDArray[np.float32], rng: NDArray[np.uint64], action: NDArray[np.float32]
) -> None:
    """Draw from the softmax of the logits by one uniform number."""
    probabilities = np.empty(logits.shape[0])
    softmax(logits, probabilities)
    u, chosen = random(rng), logits.shape[0] - 1
    for a in range(logits.shape[0]):
        u -= probabilities[a]
        if u < 0.0:
            chosen = a
            break
    action[0] = chosen


@compiled
def native_categorical(action: NDArray[np.float32]) -> int:
    """The number of the action."""
    return int(action[0])


@compiled
def gradient_categorical(
    logits: NDArray[np.float32],
    log_std: NDArray[np.float32],
    actions: NDArray[np.float32],
    weights: NDArray[np.float64],
    entropy_coef: float,
    grad: NDArray[np.float32],
    grad_log_std: NDArray[np.float32],
) -> None:
    """∂L/∂z_b = 1/N {w [π(b) - 1(b = a)] + c π(b) [log π(b) + H]}."""
    n, n_actions = logits.shape
    probabilities = np.empty(n_actions)
    for row in range(n):
        softmax(logits[row], probabilities)
        entropy = 0.0
        for b in range(n_actions):
            entropy -= probabilities[b] * math.log(probabilities[b] + 1e-30)
        for b in range(n_actions):
            p = probabilities[b]
            chosen = 1.0 if b == int(actions[row, 0]) else 0.0
            bonus = entropy_coef * p * (math.log(p + 1e-30) + entropy)
            grad[row, b] = (weights[row] * (p - chosen) + bonus) / n


@compiled
def sample_gaussian(
    mean: NDArray[np.float32], log_std: NDArray[np.float32], rng: NDArray[np.uint64], action: NDArray[np.float32]
) -> None:
    """A = μ + σ ε with ε standard normal, each dimension by itself."""
    for i in range(mean.shape[0]):
        action[i] = mean[i] + math.exp(log_std[i]) * normal(rng)


@compiled
def native_gaussian(action: NDArray[np.float32]) -> NDArray[np.float32]:
    """The action itself; the environment's bounds are the caller's business."""
    return action


@compiled
def gradient_gaussian(
    mean: NDArray[np.float32],
    log_std: NDArray[np.float32],
    actions: NDArray[np.float32],
    weights: NDArray[np.float64],
    entropy_coef: float,
    grad: NDArray[np.float32],
    grad_log_std: NDArray[np.float32],
) -> None:
    """∂L/∂μ = - 1/N w (a - μ) / σ²,  ∂L/∂log σ = - 1/N Σ w [((a - μ) / σ)² - 1] - c."""
    n, size = mean.shape
    for i in range(size):
        std, total = math.exp(log_std[i]), 0.0
        for row in range(n):
            z = (actions[row, i] - mean[row, i]) / std
            grad[row, i] = -weights[row] * z / (std * n)
            total -= weights[row] * (z * z - 1.0)
        grad_log_std[i] = total / n - entropy_coef


CATEGORICAL = Head(sample_categorical, native_categorical, gradient_categorical)
GAUSSIAN = Head(sample_gaussian, native_gaussian, gradient_gaussian)
