"""Policies over actions: sampling, log-probabilities, and the gradient of the policy loss at a network's outputs.

The loss of a batch of N steps with weights w (advantages) and an entropy bonus c:

    L = - 1/N Σ_n [w_n log π(a_n | s_n) + c H(π(· | s_n))]

Both heads have the same functions, so that an agent is written once for all actions. ``outputs`` is what the network
gives, float32 [K] or [N, K]; an action is stored as float32 [A]. ``spread`` is float32:

    categorical   the number of choices of each part of the action: [n] for Discrete, the nvec of MultiDiscrete, twos
                  for MultiBinary; the outputs are the logits of all parts, one after the other
    Gaussian      log σ of each number of the action, learned beside the network; the outputs are the means

Source: Williams 1992; Sutton & Barto 2e, section 13.7 (Gaussian), exercise 13.3 (softmax).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled, in_place
from rlplay.compiled.pcg64 import normal, random

Floats = NDArray[np.float32]
_HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)


class Head(NamedTuple):
    """A policy over a network's outputs.

    Attributes:
        sample: ``sample(outputs [K], spread, rng, action [A])`` draws an action into ``action``.
        native: ``native(action [A])``, the action as a rule hands it to the environment.
        log_probs: ``log_probs(outputs [N, K], spread, actions [N, A], grad [N, K], log_probs [N], entropies [N])``
            fills the last three; ``grad`` with what `gradient` needs.
        gradient: ``gradient(outputs [N, K], spread, actions [N, A], weights [N], entropy_coef, grad [N, K],
            grad_spread)`` fills the gradients of the loss above; after `log_probs` of the same batch.
        divergence: ``divergence(old_outputs [N, K], old_spread, outputs [N, K], spread) -> float``, the mean over the
            batch of KL(π_old ‖ π).
        fisher: ``fisher(outputs [N, K], spread, moved [N, K], direction, grad_spread)`` turns a movement of the outputs
            into F times it, in place, and the movement ``direction`` of log σ into ``grad_spread``; F is the mean
            Fisher matrix over the batch.

    Example:
        >>> logits, choices = np.array([0.0, 40.0], np.float32), np.array([2.0], np.float32)
        >>> action, rng = np.zeros(1, np.float32), np.arange(1, 5, dtype=np.uint64)
        >>> CATEGORICAL.sample(logits, choices, rng, action)
        >>> CATEGORICAL.native(action)
        1
    """

    sample: Callable[..., None]
    native: Callable[..., Any]
    log_probs: Callable[..., None]
    gradient: Callable[..., None]
    divergence: Callable[..., float]
    fisher: Callable[..., None]


@in_place
def sample_categorical(logits: Floats, choices: Floats, rng: NDArray[np.uint64], action: Floats) -> None:
    """Draw each part from the softmax of its logits by one uniform number; the largest is subtracted first."""
    at = 0
    for part in range(choices.shape[0]):
        n = int(choices[part])
        largest, total = logits[at], 0.0
        for a in range(1, n):
            largest = max(largest, logits[at + a])
        for a in range(n):
            total += math.exp(logits[at + a] - largest)
        u, chosen = random(rng) * total, n - 1
        for a in range(n):
            u -= math.exp(logits[at + a] - largest)
            if u < 0.0:
                chosen = a
                break
        action[part] = chosen
        at += n


@in_place
def native_categorical(action: Floats) -> int:
    """The number of the action."""
    return int(action[0])


@in_place
def log_probs_categorical(
    logits: Floats, choices: Floats, actions: Floats, grad: Floats, log_probs: Any, entropies: Any
) -> None:
    """log π(a) = Σ_parts z_a - log Σ_b e^{z_b},  H = Σ_parts [log Σ_b e^{z_b} - Σ_b π(b) z_b]; grad gets π."""
    for row in range(logits.shape[0]):
        at, log_prob, entropy = 0, 0.0, 0.0
        for part in range(choices.shape[0]):
            n = int(choices[part])
            largest, total, mean = logits[row, at], 0.0, 0.0
            for a in range(1, n):
                largest = max(largest, logits[row, at + a])
            for a in range(n):
                e = math.exp(logits[row, at + a] - largest)
                grad[row, at + a] = e
                total += e
            for a in range(n):
                p = grad[row, at + a] / total
                grad[row, at + a] = p
                mean += p * (logits[row, at + a] - largest)
            log_prob += logits[row, at + int(actions[row, part])] - largest - math.log(total)
            entropy += math.log(total) - mean
            at += n
        log_probs[row], entropies[row] = log_prob, entropy


@in_place
def gradient_categorical(
    logits: Floats, choices: Floats, actions: Floats, weights: Any, entropy_coef: float, grad: Floats,
    grad_spread: Floats,
) -> None:  # fmt: skip
    """∂L/∂z_b = 1/N {w [π(b) - 1(b = a)] + c π(b) [log π(b) + H]} for the logits of each part."""
    rows = logits.shape[0]
    for row in range(rows):
        at, w = 0, weights[row]
        for part in range(choices.shape[0]):
            n, chosen = int(choices[part]), int(actions[row, part])
            entropy = 0.0
            if entropy_coef != 0.0:
                for b in range(n):
                    entropy -= grad[row, at + b] * math.log(grad[row, at + b] + 1e-30)
            for b in range(n):
                p = grad[row, at + b]
                found = w * (p - 1.0) if b == chosen else w * p
                if entropy_coef != 0.0:
                    found += entropy_coef * p * (math.log(p + 1e-30) + entropy)
                grad[row, at + b] = found / rows
            at += n


@in_place
def _log_total(logits: Floats, row: int, at: int, n: int) -> float:
    """log Σ_b e^{z_b} over a part."""
    largest, total = logits[row, at], 0.0
    for b in range(1, n):
        largest = max(largest, logits[row, at + b])
    for b in range(n):
        total += math.exp(logits[row, at + b] - largest)
    return largest + math.log(total)


@in_place
def divergence_categorical(old_logits: Floats, old_choices: Floats, logits: Floats, choices: Floats) -> float:
    """Mean over the batch of Σ_parts Σ_b π_old(b) [log π_old(b) - log π(b)]."""
    mean, rows = 0.0, logits.shape[0]
    for row in range(rows):
        at = 0
        for part in range(choices.shape[0]):
            n = int(choices[part])
            old, new = _log_total(old_logits, row, at, n), _log_total(logits, row, at, n)
            for b in range(n):
                log_old = old_logits[row, at + b] - old
                p = math.exp(log_old)
                if p > 0.0:  # not of what a mask forbids
                    mean += p * (log_old - logits[row, at + b] + new) / rows
            at += n
    return mean


@in_place
def fisher_categorical(
    logits: Floats, choices: Floats, moved: Floats, direction: NDArray[np.float64], grad_spread: Floats
) -> None:
    """M u = π ⊙ (u - π · u) / N for the logits of each part."""
    rows = logits.shape[0]
    for row in range(rows):
        at = 0
        for part in range(choices.shape[0]):
            n, mean = int(choices[part]), 0.0
            total = _log_total(logits, row, at, n)
            for b in range(n):
                mean += math.exp(logits[row, at + b] - total) * moved[row, at + b]
            for b in range(n):
                moved[row, at + b] = math.exp(logits[row, at + b] - total) * (moved[row, at + b] - mean) / rows
            at += n


@in_place
def sample_gaussian(mean: Floats, log_std: Floats, rng: NDArray[np.uint64], action: Floats) -> None:
    """a = μ + σ ε with ε standard normal, each dimension by itself."""
    for i in range(mean.shape[0]):
        action[i] = mean[i] + math.exp(log_std[i]) * normal(rng)


@compiled  # it returns an array
def native_gaussian(action: Floats) -> Floats:
    """The action itself; the environment's bounds are the caller's business."""
    return action


@in_place
def log_probs_gaussian(
    mean: Floats, log_std: Floats, actions: Floats, grad: Floats, log_probs: Any, entropies: Any
) -> None:
    """log π(a) = - Σ_i [½ z_i² + log σ_i + ½ log 2π], z = (a - μ)/σ;  H = Σ_i [log σ_i + ½ + ½ log 2π]; grad gets z."""
    entropy = 0.0
    for i in range(log_std.shape[0]):
        entropy += log_std[i] + 0.5 + _HALF_LOG_2_PI
    for row in range(mean.shape[0]):
        log_prob = 0.0
        for i in range(log_std.shape[0]):
            z = (actions[row, i] - mean[row, i]) / math.exp(log_std[i])
            grad[row, i] = z
            log_prob -= 0.5 * z * z + log_std[i] + _HALF_LOG_2_PI
        log_probs[row], entropies[row] = log_prob, entropy


@in_place
def gradient_gaussian(
    mean: Floats, log_std: Floats, actions: Floats, weights: Any, entropy_coef: float, grad: Floats,
    grad_spread: Floats,
) -> None:  # fmt: skip
    """∂L/∂μ = - 1/N w (a - μ) / σ²,  ∂L/∂log σ = - 1/N Σ w [((a - μ) / σ)² - 1] - c."""
    rows = mean.shape[0]
    for i in range(log_std.shape[0]):
        std, total = math.exp(log_std[i]), 0.0
        for row in range(rows):
            z = grad[row, i]
            total -= weights[row] * (z * z - 1.0)
            grad[row, i] = -weights[row] * z / (std * rows)
        grad_spread[i] = total / rows - entropy_coef


@in_place
def divergence_gaussian(old_mean: Floats, old_log_std: Floats, mean: Floats, log_std: Floats) -> float:
    """Mean over the batch of Σ_i [log σ - log σ_old + (σ_old² + (μ_old - μ)²) / 2σ² - ½]."""
    total, rows = 0.0, mean.shape[0]
    for i in range(log_std.shape[0]):
        variance, old_variance = math.exp(2.0 * log_std[i]), math.exp(2.0 * old_log_std[i])
        total += log_std[i] - old_log_std[i] + 0.5 * old_variance / variance - 0.5
        for row in range(rows):
            total += 0.5 * (old_mean[row, i] - mean[row, i]) ** 2 / (variance * rows)
    return total


@in_place
def fisher_gaussian(
    mean: Floats, log_std: Floats, moved: Floats, direction: NDArray[np.float64], grad_spread: Floats
) -> None:
    """M u = u / (σ² N) for means, and 2 v for log σ."""
    rows = mean.shape[0]
    for i in range(log_std.shape[0]):
        scale = math.exp(-2.0 * log_std[i]) / rows
        for row in range(rows):
            moved[row, i] *= scale
        grad_spread[i] = 2.0 * direction[i]


CATEGORICAL = Head(
    sample_categorical, native_categorical, log_probs_categorical, gradient_categorical, divergence_categorical,
    fisher_categorical,
)  # fmt: skip
GAUSSIAN = Head(
    sample_gaussian, native_gaussian, log_probs_gaussian, gradient_gaussian, divergence_gaussian, fisher_gaussian
)
