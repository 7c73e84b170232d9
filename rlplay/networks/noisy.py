"""Noisy weights: a network whose linear layers have a mean and a deviation for each weight, and explore by themselves.

    w = μ + σ ⊙ ε        ∂L/∂μ = ∂L/∂w        ∂L/∂σ = ∂L/∂w ⊙ ε

with noise that is a product of two vectors a layer, ε_ij = f(ε_i) f(ε_j) and f(ε_j) for the bias, f(x) = sgn(x) √|x| of
standard normal numbers. So the network itself stays as it is: its parameters are made from μ, σ and ε, and its gradient
is handed on to both.

Source: Fortunato et al. 2018, "Noisy networks for exploration", equations 8 to 11 and section 3.2 (initial values).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.compiled.pcg64 import normal
from rlplay.networks.memory import IN, KIND, LINEAR, OUT, PARAMETERS, Floats, Net
from rlplay.networks.optimisers import Optimiser, improve, new_optimiser, squared_length


class NoisyWeights(NamedTuple):
    """Mean and deviation of the P parameters of a network; deviations of what is no linear layer are 0.

    Attributes:
        parameters: μ and behind it σ, [2 P].
        gradient: of the loss with respect to them, [2 P].
        noise: ε, [P].
        vectors: room for the two vectors of a layer, [widest in + widest out].
        optimiser: of both.

    Example:
        >>> new_noisy_weights(None, 0.5).parameters.shape
        (0,)
    """

    parameters: Floats
    gradient: Floats
    noise: Floats
    vectors: NDArray[np.float64]
    optimiser: Optimiser


def new_noisy_weights(net: Net | None, sigma: float, optimiser: str = "adam", **settings: float) -> NoisyWeights:
    """Weights around those of a network, with σ = sigma / √(inputs of the layer); of None, nothing.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Linear(4, 1)], np.arange(5, dtype=np.float32), 1)
        >>> new_noisy_weights(net, 0.5).parameters.tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0, 0.25, 0.25, 0.25, 0.25, 0.25]
    """
    if net is None:
        nothing = np.zeros(0, np.float32)
        return NoisyWeights(nothing, nothing, nothing, np.zeros(0), new_optimiser(0, optimiser, **settings))
    size = len(net.parameters)
    deviation = np.zeros_like(net.parameters)
    for layer in net.layers:
        if layer[KIND] == LINEAR:
            at, n_in, n_out = layer[PARAMETERS], layer[IN], layer[OUT]
            deviation[at : at + (n_in + 1) * n_out] = sigma / math.sqrt(n_in)
    return NoisyWeights(
        np.concatenate([net.parameters, deviation]),
        np.zeros(2 * size, net.parameters.dtype),
        np.zeros(size, net.parameters.dtype),
        np.zeros(int(net.layers[:, IN].max() + net.layers[:, OUT].max())),
        new_optimiser(2 * size, optimiser, net.parameters.dtype, **settings),
    )


@in_place
def _factor(rng: NDArray[np.uint64]) -> float:
    """f(ε) of a standard normal number."""
    x = normal(rng)
    return math.sqrt(x) if x > 0.0 else -math.sqrt(-x)


@in_place
def perturb(net: Any, noisy: Any, rng: NDArray[np.uint64]) -> None:
    """Draw new noise, and make the network's parameters from it.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Linear(1, 1)], np.float32([2, 3]), 1)
        >>> noisy = new_noisy_weights(net, 0.5)
        >>> perturb(net, noisy, np.arange(1, 5, dtype=np.uint64))
        >>> bool(np.allclose(net.parameters, [2 + 0.5 * noisy.noise[0], 3 + 0.5 * noisy.noise[1]]))
        True
    """
    noise, vectors, size = noisy.noise, noisy.vectors, noisy.noise.shape[0]
    for number in range(net.layers.shape[0]):
        if net.layers[number, KIND] != LINEAR:
            continue
        n_in, n_out, at = net.layers[number, IN], net.layers[number, OUT], net.layers[number, PARAMETERS]
        for i in range(n_in + n_out):
            vectors[i] = _factor(rng)
        for i in range(n_in):
            for j in range(n_out):
                noise[at + i * n_out + j] = vectors[i] * vectors[n_in + j]
        for j in range(n_out):
            noise[at + n_in * n_out + j] = vectors[n_in + j]
    for p in range(size):
        net.parameters[p] = noisy.parameters[p] + noisy.parameters[size + p] * noise[p]


@in_place
def descend_noisily(net: Any, noisy: Any, learning_rate: float, max_grad_norm: float) -> float:
    """A step of μ and σ down the gradient that is in the network; returns its length before it was cut.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Linear(1, 1)], np.float32([2, 3]), 1)
        >>> noisy = new_noisy_weights(net, 0.5, "sgd")
        >>> noisy.noise[:], net.gradient[:] = [2, 1], [1, 0]
        >>> round(descend_noisily(net, noisy, 0.1, 0.0) ** 2, 5)  # 1² for μ and (1 · 2)² for σ
        5.0
        >>> [round(value, 4) for value in noisy.parameters.tolist()]
        [1.9, 3.0, 0.3, 0.5]
    """
    size = noisy.noise.shape[0]
    for p in range(size):
        noisy.gradient[p] = net.gradient[p]
        noisy.gradient[size + p] = net.gradient[p] * noisy.noise[p]
    length = math.sqrt(squared_length(noisy.gradient))
    improve(noisy.parameters, noisy.gradient, noisy.optimiser, learning_rate, max_grad_norm)
    return length


@in_place
def blend_noisy(noisy: Any, other: Any, share: float) -> None:
    """(1 - share) times its μ and σ, and share times those of others.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> one = new_noisy_weights(new_net([Linear(1, 1)], np.float32([0, 0]), 1), 0.5)
        >>> other = new_noisy_weights(new_net([Linear(1, 1)], np.float32([4, 8]), 1), 1.0)
        >>> blend_noisy(one, other, 0.25)
        >>> one.parameters.tolist()
        [1.0, 2.0, 0.625, 0.625]
    """
    kept, taken = np.float32(1.0 - share), np.float32(share)
    for p in range(noisy.parameters.shape[0]):
        noisy.parameters[p] = kept * noisy.parameters[p] + taken * other.parameters[p]
