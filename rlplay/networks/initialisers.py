"""Initial weights, scaled so that signals neither vanish nor explode through the layers.

    orthogonal  W = gain Q with QᵀQ = 1           rows (or columns) of a random rotation
    kaiming     W ~ N(0, gain² / fan_in)          variances stay the same forward
    xavier      W ~ U(±gain √(6 / (fan_in + fan_out)))        forward and backward alike
    torch       W, b ~ U(±1 / √fan_in)            what `torch.nn.Linear` does by itself

Biases are 0 otherwise. The gain compensates for the activation after the layer: √2 for those that cut off
the negative half, 5/3 for tanh (√2 where orthogonal, as is common in reinforcement learning), 1 for none.

Source: Saxe, McClelland & Ganguli 2014; He et al. 2015; Glorot & Bengio 2010; LeCun et al. 1998.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
INITIALISERS = ("orthogonal", "kaiming", "xavier", "torch")


def gain_of(activation: str | None, initialiser: str) -> float:
    """The gain of a layer that is followed by this activation, or by none.

    Example:
        >>> gain_of("relu", "kaiming") == math.sqrt(2), gain_of(None, "kaiming")
        (True, 1.0)
    """
    if activation is None or activation == "sigmoid":
        return 1.0
    return 5.0 / 3.0 if activation == "tanh" and initialiser != "orthogonal" else math.sqrt(2.0)


def orthogonal(n_in: int, n_out: int, rng: np.random.Generator) -> Floats:
    """A random matrix [in, out] whose columns, or rows where they are fewer, are orthonormal.

    Example:
        >>> q = orthogonal(3, 2, np.random.default_rng(0))
        >>> np.allclose(q.T @ q, np.eye(2))
        True
    """
    q, r = np.linalg.qr(rng.standard_normal((max(n_in, n_out), min(n_in, n_out))))
    q *= np.sign(np.diag(r))  # a unique decomposition, so that the weights are uniform over rotations
    return q if n_in >= n_out else q.T


def weights(name: str, n_in: int, n_out: int, gain: float, rng: np.random.Generator, fan_out: int = 0) -> Floats:
    """The initial weights [in, out] of a linear map.

    Raises:
        ValueError: no such initialiser.

    Example:
        >>> w = weights("xavier", 100, 100, 1.0, np.random.default_rng(0))
        >>> w.shape, bool(np.abs(w).max() <= math.sqrt(6 / 200))
        ((100, 100), True)
    """
    if name == "orthogonal":
        return gain * orthogonal(n_in, n_out, rng)
    if name == "kaiming":
        return rng.normal(0.0, gain / math.sqrt(n_in), (n_in, n_out))
    if name == "xavier":
        bound = gain * math.sqrt(6.0 / (n_in + (fan_out or n_out)))
        return rng.uniform(-bound, bound, (n_in, n_out))
    if name == "torch":
        return rng.uniform(-1.0, 1.0, (n_in, n_out)) / math.sqrt(n_in)
    raise ValueError(f"initialiser={name!r} must be one of {', '.join(INITIALISERS)}")


def biases(name: str, n_in: int, n_out: int, rng: np.random.Generator) -> Floats:
    """The initial biases [out].

    Example:
        >>> biases("orthogonal", 4, 2, np.random.default_rng(0)).tolist()
        [0.0, 0.0]
    """
    return rng.uniform(-1.0, 1.0, n_out) / math.sqrt(n_in) if name == "torch" else np.zeros(n_out)


def flat(*parts: Any) -> Floats:
    """Arrays of any shape one after the other, [P].

    Example:
        >>> flat(np.ones((2, 2)), np.zeros(1)).tolist()
        [1.0, 1.0, 1.0, 1.0, 0.0]
    """
    return np.concatenate([np.ravel(part) for part in parts])
