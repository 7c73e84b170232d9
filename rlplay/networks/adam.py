"""Adam (Kingma & Ba 2015, algorithm 1), over flat arrays.

m ← β₁ m + (1 - β₁) g          v ← β₂ v + (1 - β₂) g²
θ ← θ - α (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class Adam(NamedTuple):
    """The state of the optimiser for P parameters.

    Attributes:
        m: running mean of the gradient, float32 [P].
        v: running mean of its square, float32 [P].
        t: steps done, int64 [1].
    """

    m: NDArray[np.float32]
    v: NDArray[np.float32]
    t: NDArray[np.int64]


def new_adam(size: int) -> Adam:
    """The state before the first step."""
    return Adam(np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros(1, np.int64))


@compiled
def adam_step(
    parameters: NDArray[np.float32],
    gradient: NDArray[np.float32],
    state: Adam,
    learning_rate: float,
    max_grad_norm: float,
) -> None:
    """One step, in place; the gradient is scaled to ``max_grad_norm`` where it is longer (0: never)."""
    state.t[0] += 1
    scale = np.float32(1.0)
    if max_grad_norm > 0.0:
        length = math.sqrt(np.sum(gradient * gradient))
        scale = np.float32(min(1.0, max_grad_norm / (length + 1e-6)))
    beta_1, beta_2, one = np.float32(BETA_1), np.float32(BETA_2), np.float32(1.0)
    rate = np.float32(learning_rate / (1.0 - BETA_1 ** state.t[0]))
    correction = np.float32(1.0 / math.sqrt(1.0 - BETA_2 ** state.t[0]))
    for i in range(parameters.shape[0]):
        g = gradient[i] * scale
        state.m[i] = beta_1 * state.m[i] + (one - beta_1) * g
        state.v[i] = beta_2 * state.v[i] + (one - beta_2) * g * g
        parameters[i] -= rate * state.m[i] / (np.sqrt(state.v[i]) * correction + np.float32(EPSILON))
