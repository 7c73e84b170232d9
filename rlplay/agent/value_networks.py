"""Networks of action values, from an agent's observations to one output or several an action."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.network_optimisers import OPTIMISER_WORDS, optimiser_of
from rlplay.agent.policy_networks import is_ours, kernel_of, layers_of, network_options, new_network, on_top
from rlplay.agent.vector_agent import VectorAgent
from rlplay.functional.value_heads import cut_streams
from rlplay.networks.contract import Kernel
from rlplay.networks.layers import Layer, Linear
from rlplay.networks.memory import IN, OUT, PARAMETERS, Net
from rlplay.networks.noisy import descend_noisily, perturb
from rlplay.seeding import generator


class ValueLayers(NamedTuple):
    """What a network of action values is made of.

    Attributes:
        layers: from an observation to the outputs.
        shape: of a picture, where observations are pictures, else None.
        threads: torch's.

    Example:
        >>> ValueLayers([Linear(4, 2)], None, 1).layers[-1].n_out
        2
    """

    layers: list[Layer]
    shape: tuple[int, ...] | None
    threads: int


def value_layers(agent: VectorAgent, outputs: int, hidden: Sequence[int] | None = None) -> ValueLayers:
    """The layers of an agent's network, as its net_arch, activation, policy_kwargs and network say.

    Args:
        agent: whose hyperparameters are read.
        outputs: of the last layer.
        hidden: units of the hidden layers in place of those of net_arch.

    Raises:
        HyperparameterError: a setting that does not exist, or layers that do not take the observations.

    Example:
        >>> from agents import DQN
        >>> agent = DQN("CartPole-v1", net_arch=[8], buffer_size=100, seed=0)
        >>> [str(layer) for layer in value_layers(agent, 2).layers]
        ['Linear(4, 8)', 'ReLU()', 'Linear(8, 2)']
    """
    name, size, picture = type(agent).__name__, agent.encoder.size, agent.encoder.view.picture
    network: Any = agent.hyperparameters["network"]
    shape = picture if picture is not None and size == math.prod(picture) else None
    arch, activation, threads, _ = network_options(agent.hyperparameters, name, ("q",), OPTIMISER_WORDS)
    if isinstance(network, list):
        return ValueLayers(on_top(network, shape or (size,), outputs, name), shape, threads)
    units = arch["q"] if hidden is None else hidden
    return ValueLayers(layers_of(shape, size, units, outputs, activation), shape, threads)


def value_networks(
    agent: VectorAgent, made_of: ValueLayers, count: int, rows: int, seed: str = "weights"
) -> tuple[list[Any], Kernel]:  # fmt: skip
    """So many networks of the same weights, and their functions.

    Args:
        agent: its network, device and seed are read.
        made_of: their layers.
        count: how many.
        rows: how many they see at a time.
        seed: the purpose of the random numbers that weights are drawn with.

    Raises:
        UsageError: a GPU for networks that run on the CPU; networks that this machine cannot hold.

    Example:
        >>> from agents import DQN
        >>> agent = DQN("CartPole-v1", net_arch=[8], buffer_size=100, seed=0)
        >>> twins, _ = value_networks(agent, value_layers(agent, 2), 2, 32)
        >>> (twins[0].parameters == twins[1].parameters).all()
        np.True_
    """
    given, (layers, shape, threads), optimiser = agent.hyperparameters, made_of, optimiser_of(agent)
    made = [
        new_network(given["network"], layers, shape, ("torch", 1.0), rows, optimiser, (given["device"], threads),
                    generator(agent.seed, seed), type(agent).__name__)
        for _ in range(count)
    ]  # fmt: skip
    return made, kernel_of(given["network"], layers)


def q_network(agent: Any, outputs: int, count: int, seed: str = "weights") -> tuple[list[Any], Kernel]:
    """Both in one: networks of the same weights for batches of an off-policy agent.

    Example:
        >>> from agents import CQL
        >>> twins, kernel = q_network(CQL("CartPole-v1", net_arch=[4], seed=0), 2, 2)
        >>> len(twins), twins[0].parameters.shape
        (2, (30,))
    """
    return value_networks(agent, value_layers(agent, outputs), count, agent.network_rows(), seed)


def two_streams(made_of: ValueLayers) -> tuple[ValueLayers, int]:
    """Layers whose last hidden one is doubled, for the streams of v̂ and â, and the units of the first stream.

    Example:
        >>> layers, split = two_streams(ValueLayers([Linear(4, 8), Linear(8, 2), Linear(2, 3)], None, 1))
        >>> [str(layer) for layer in layers.layers], split
        (['Linear(4, 16)', 'Linear(8, 2)', 'Linear(16, 3)'], 8)
    """
    *before, last, activation, head = made_of.layers
    assert isinstance(last, Linear)
    assert isinstance(head, Linear)
    both = [Linear(last.n_in, 2 * last.n_out), activation, Linear(2 * last.n_out, head.n_out)]
    return made_of._replace(layers=[*before, *both]), last.n_out


def part_streams(net: Any, network: Any, split: int, n_atoms: int) -> None:
    """No weight of the last layer joins the streams: not now, and over torch not by learning.

    Example:
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Linear(2, 3)], np.ones(9, np.float32), 1)
        >>> part_streams(net, "numpy", 1, 1)
        >>> net.parameters.tolist()  # weights [2, 3], and biases
        [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    if is_ours(network):
        last = net.layers[-1]
        cut_streams(net.parameters, last[PARAMETERS], last[IN], last[OUT], split, n_atoms)
        return
    weight = net.module.parts[-1].weight  # [outputs, width]
    joined = np.ones(weight.numel(), np.float32)
    cut_streams(joined, 0, weight.shape[1], weight.shape[0], split, n_atoms)
    kept = weight.new_tensor(joined.reshape(weight.shape[1], weight.shape[0]).T.copy())
    weight.data.mul_(kept)
    weight.register_hook(lambda gradient: gradient * kept)


def noisy_functions(over_torch: bool) -> tuple[Callable[..., None], Callable[..., float]]:
    """`perturb` and `descend_noisily` of our networks, or of torch's.

    Example:
        >>> noisy_functions(False) == (perturb, descend_noisily)
        True
    """
    if not over_torch:
        return perturb, descend_noisily
    from rlplay.networks import torch_noisy

    return torch_noisy.perturb, torch_noisy.descend_noisily


def as_ours(net: Any) -> Net:
    """A network itself, or the twin of torch's.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Linear(1, 1)], np.float32([2, 3]), 1)
        >>> as_ours(net) is net
        True
    """
    if isinstance(net, Net):
        return net
    from rlplay.networks import torch_noisy

    return torch_noisy.as_ours(net)


def set_parameters(net: Any, flat: NDArray[np.float32]) -> None:
    """Give a network, ours or torch's, parameters in our order, [P].

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Linear(1, 1)], np.float32([2, 3]), 1)
        >>> set_parameters(net, np.float32([4, 5]))
        >>> net.parameters.tolist()
        [4.0, 5.0]
    """
    if isinstance(net, Net):
        net.parameters[:] = flat
    else:
        net.set_parameters(flat)


__all__ = [
    "ValueLayers", "as_ours", "noisy_functions", "part_streams", "q_network", "set_parameters", "two_streams",
    "value_layers", "value_networks",
]  # fmt: skip
