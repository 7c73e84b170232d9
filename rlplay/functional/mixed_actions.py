"""Policies over actions that have finite parts and numbers beside each other, such as a gear and a throttle.

The parts are independent given the state: the finite ones are categorical, the numbers are normal, and

    log π(a | s) = Σ_parts log π_p(a_p | s) + Σ_i log N(a_i; μ_i(s), σ_i²)        H = Σ_parts H_p + Σ_i H_i

A network's outputs are the logits of all finite parts, one after the other, and behind them the means; an action is
kept in the same order, float32 [P + A], and ``spread`` is log σ, [A]. Divergence and Fisher matrix are sums too.

Source: Fan, Su, Zhang & Yu 2019, "Hybrid actor-critic reinforcement learning in parameterized action space".
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled
from rlplay.functional.distributions import CATEGORICAL, GAUSSIAN, Head, native_gaussian

Floats = NDArray[np.float32]


@cache
def mixed_head(sizes: tuple[int, ...]) -> Head:
    """The policy over finite parts of these sizes, followed by numbers.

    Example:
        >>> head, action, rng = mixed_head((2,)), np.zeros(2, np.float32), np.arange(1, 5, dtype=np.uint64)
        >>> head.sample(np.float32([0, 40, 3]), np.float32([-20]), rng, action)  # nearly sure of 1, and of 3.0
        >>> action.round(3).tolist()
        [1.0, 3.0]
    """
    n_parts, n_logits = len(sizes), sum(sizes)
    sample_parts, sample_numbers = CATEGORICAL.sample, GAUSSIAN.sample
    log_probs_of_parts, log_probs_of_numbers = CATEGORICAL.log_probs, GAUSSIAN.log_probs
    gradient_of_parts, gradient_of_numbers = CATEGORICAL.gradient, GAUSSIAN.gradient
    divergence_of_parts, divergence_of_numbers = CATEGORICAL.divergence, GAUSSIAN.divergence
    fisher_of_parts, fisher_of_numbers = CATEGORICAL.fisher, GAUSSIAN.fisher

    @compiled
    def choices() -> Floats:
        found = np.empty(n_parts, np.float32)
        for part, size in enumerate(sizes):
            found[part] = size
        return found

    @compiled
    def sample(outputs: Floats, spread: Floats, rng: NDArray[np.uint64], action: Floats) -> None:
        sample_parts(outputs, choices(), rng, action)
        sample_numbers(outputs[n_logits:], spread, rng, action[n_parts:])

    @compiled
    def log_probs(
        outputs: Floats, spread: Floats, actions: Floats, grad: Floats, log_probs: Any, entropies: Any
    ) -> None:
        rows = outputs.shape[0]
        also, more = np.empty(rows), np.empty(rows)
        log_probs_of_parts(outputs, choices(), actions, grad, log_probs, entropies)
        log_probs_of_numbers(outputs[:, n_logits:], spread, actions[:, n_parts:], grad[:, n_logits:], also, more)
        for row in range(rows):
            log_probs[row] += also[row]
            entropies[row] += more[row]

    @compiled
    def gradient(
        outputs: Floats, spread: Floats, actions: Floats, weights: Any, entropy_coef: float, grad: Floats,
        grad_spread: Floats,
    ) -> None:  # fmt: skip
        gradient_of_parts(outputs, choices(), actions, weights, entropy_coef, grad, grad_spread)
        gradient_of_numbers(
            outputs[:, n_logits:], spread, actions[:, n_parts:], weights, entropy_coef, grad[:, n_logits:], grad_spread
        )

    @compiled
    def divergence(old_outputs: Floats, old_spread: Floats, outputs: Floats, spread: Floats) -> float:
        parts = divergence_of_parts(old_outputs, choices(), outputs, choices())
        return parts + divergence_of_numbers(old_outputs[:, n_logits:], old_spread, outputs[:, n_logits:], spread)

    @compiled
    def fisher(
        outputs: Floats, spread: Floats, moved: Floats, direction: NDArray[np.float64], grad_spread: Floats
    ) -> None:
        fisher_of_parts(outputs, choices(), moved, direction, grad_spread)
        fisher_of_numbers(outputs[:, n_logits:], spread, moved[:, n_logits:], direction, grad_spread)

    return Head(sample, native_gaussian, log_probs, gradient, divergence, fisher)


__all__ = ["mixed_head"]
