"""Ridge regression of rewards on contexts, a model an action, learned step by step.

    A_a = λ I + Σ x xᵀ        b_a = Σ r x        θ_a = A_a⁻¹ b_a        over the steps in which a was taken

The inverse is kept: A⁻¹ ← A⁻¹ - (A⁻¹ x)(A⁻¹ x)ᵀ / (1 + xᵀ A⁻¹ x).

Source: Li et al. 2010, algorithm 1; Sherman & Morrison 1950.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import SpaceError, require_memory

Array = NDArray[np.float64]
_LARGEST = 1024


class LinearModels(NamedTuple):
    """A model of D numbers for each of K actions.

    Attributes:
        inverse: A_a⁻¹, float64 [K, D, D].
        sums: b_a, float64 [K, D].
        theta: θ_a, float64 [K, D].

    Example:
        >>> models = new_linear_models(2, 3, 1.0)
        >>> learn_reward(models, np.array([1.0, 0.0, 0.0]), 1, 4.0)
        4.0
        >>> models.theta.tolist()
        [[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]
    """

    inverse: Array
    sums: Array
    theta: Array


def new_linear_models(actions: int, size: int, ridge: float) -> LinearModels:
    """Models of no step yet: A = λ I.

    Raises:
        SpaceError: contexts of more than 1,024 numbers: each step would be a million products an action.
        UsageError: models that this machine cannot hold.

    Example:
        >>> new_linear_models(2, 3, 1.0).inverse.shape
        (2, 3, 3)
    """
    way = 'Take features= of them, such as features="pca:32"'
    if size > _LARGEST:
        raise SpaceError(f"linear bandits keep a matrix of D by D numbers an action, and contexts have D={size:,}", way)
    require_memory(f"{actions:,} linear models of {size:,} numbers", 2 * actions * size * size, way)
    return LinearModels(
        np.tile(np.eye(size) / ridge, (actions, 1, 1)), np.zeros((actions, size)), np.zeros((actions, size))
    )


def learn_reward(models: LinearModels, x: Array, a: int, reward: float) -> float:
    """Take a step into the model of its action; returns what was not expected, r - θ_aᵀ x.

    Example:
        >>> models = new_linear_models(1, 1, 1.0)
        >>> learn_reward(models, np.array([1.0]), 0, 4.0), learn_reward(models, np.array([1.0]), 0, 4.0)
        (4.0, 2.0)
    """
    error = reward - float(models.theta[a] @ x)
    gain = models.inverse[a] @ x
    models.inverse[a] -= np.outer(gain, gain) / (1.0 + float(x @ gain))
    models.sums[a] += reward * x
    models.theta[a] = models.inverse[a] @ models.sums[a]
    return error


def widths(models: LinearModels, x: Array) -> Array:
    """√(xᵀ A_a⁻¹ x) of contexts [B, D], float64 [B, K].

    Example:
        >>> widths(new_linear_models(2, 1, 4.0), np.array([[3.0]])).tolist()
        [[1.5, 1.5]]
    """
    return np.sqrt(np.maximum(np.einsum("bi,kij,bj->bk", x, models.inverse, x), 0.0))


__all__ = ["LinearModels", "learn_reward", "new_linear_models", "widths"]
