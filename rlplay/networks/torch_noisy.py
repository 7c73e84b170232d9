"""Noisy weights over torch: drawn and learned by our own functions, and then handed to the module.

So the same stream of random numbers gives the same noise as it gives our networks; see `rlplay.networks.noisy`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled
from rlplay.networks import noisy as ours
from rlplay.networks.memory import Net
from rlplay.networks.noisy import NoisyWeights
from rlplay.networks.state import new_net
from rlplay.networks.torch_network import TorchNetwork


@compiled
def _perturb(net: Any, noisy: Any, rng: NDArray[np.uint64]) -> None:
    ours.perturb(net, noisy, rng)


@compiled
def _descend(net: Any, noisy: Any, learning_rate: float, max_grad_norm: float) -> float:
    return ours.descend_noisily(net, noisy, learning_rate, max_grad_norm)


def as_ours(net: TorchNetwork) -> Net:
    """One of our networks with the layers of torch's, made once: its parameters are those that were set last.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> as_ours(TorchNetwork([Linear(1, 1)], parameters=np.float32([2, 3]))).parameters.tolist()
        [2.0, 3.0]
    """
    if net.twin is None:
        assert net.layers is not None  # a module of the user's has no layers of ours
        net.twin = new_net(net.layers, net.parameters, 1, input_shape=net.shapes[0])
    return net.twin


def perturb(net: TorchNetwork, noisy: NoisyWeights, rng: NDArray[np.uint64]) -> None:
    """Draw new noise, and make the network's parameters from it.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> net = TorchNetwork([Linear(1, 1)], parameters=np.float32([2, 3]))
        >>> noisy = ours.new_noisy_weights(as_ours(net), 0.5)
        >>> perturb(net, noisy, np.arange(1, 5, dtype=np.uint64))
        >>> bool(np.allclose(net.parameters, [2 + 0.5 * noisy.noise[0], 3 + 0.5 * noisy.noise[1]]))
        True
    """
    twin = as_ours(net)
    _perturb(twin, noisy, rng)
    net.set_parameters(twin.parameters)


def descend_noisily(net: TorchNetwork, noisy: NoisyWeights, learning_rate: float, max_grad_norm: float) -> float:
    """A step of μ and σ down the gradient that is in the network; returns its length before it was cut.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> net = TorchNetwork([Linear(1, 1)], parameters=np.float32([2, 3]))
        >>> noisy = ours.new_noisy_weights(as_ours(net), 0.5, "sgd")
        >>> _ = net.forward(np.float32([[1]])), net.backward(np.float32([[1]]))
        >>> round(descend_noisily(net, noisy, 0.1, 0.0) ** 2, 5)  # 1² for each μ: there was no noise yet
        2.0
    """
    twin = as_ours(net)
    twin.gradient[:] = net.gradient
    return float(_descend(twin, noisy, learning_rate, max_grad_norm))
