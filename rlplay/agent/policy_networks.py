"""The two networks of an on-policy agent, a policy's and a value's, from its hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rlplay.agent.network_optimisers import OPTIMISER_WORDS
from rlplay.agent.saving import LOADING
from rlplay.errors import HyperparameterError, UsageError, require_memory
from rlplay.hyperparameters.domains import Choice, Range, Sizes
from rlplay.networks.contract import Kernel
from rlplay.networks.kernel import kernel
from rlplay.networks.layers import (
    ACTIVATIONS,
    Activation,
    Conv2d,
    Layer,
    LayerNorm,
    Linear,
    activation_layer,
    mlp,
    shapes_of,
)
from rlplay.networks.state import initial_parameters, new_net


class Options(NamedTuple):
    """What RL Zoo's ``policy_kwargs`` and the hyperparameters say of the networks.

    Example:
        >>> Options([64], [32], "tanh", "orthogonal", 0.0).vf
        [32]
    """

    pi: list[int]
    vf: list[int]
    activation: str
    initialiser: str
    log_std_init: float
    threads: int = 1


def options(given: dict[str, Any], owner: str) -> Options:
    """The networks' settings.

    Raises:
        HyperparameterError: a setting that does not exist; names those that do.

    Example:
        >>> given = {"net_arch": [64], "activation": "tanh", "policy_kwargs": {"net_arch": {"pi": [16], "vf": [8]}}}
        >>> chosen = options(given, "PPO")
        >>> chosen.pi, chosen.vf, chosen.activation
        ([16], [8], 'tanh')
    """
    known = ("ortho_init", "log_std_init", "lstm_hidden_size", "n_lstm_layers", "enable_critic_lstm", "shared_lstm",
             *OPTIMISER_WORDS)  # fmt: skip
    arch, activation, threads, rest = network_options(given, owner, ("pi", "vf"), known)
    initialiser = "orthogonal" if rest.get("ortho_init", True) else "torch"
    return Options(arch["pi"], arch["vf"], activation, initialiser, float(rest.get("log_std_init", 0.0)), threads)


_UNITS = Sizes("units of the hidden layers")
_KINDS: dict[str, Range | Choice] = {  # of what policy_kwargs may say beside layers and optimisers
    "log_std_init": Range("log σ at the start", -20, 20),
    **dict.fromkeys(
        ("ortho_init", "enable_critic_lstm", "shared_lstm", "with_bias", "squash_output", "use_expln"),
        Choice("whether it is so", (True, False)),
    ),
}


def network_options(
    given: dict[str, Any], owner: str, parts: Sequence[str], more: Sequence[str] = ()
) -> tuple[dict[str, list[int]], str, int, dict[str, Any]]:
    """What the hyperparameters and RL Zoo's ``policy_kwargs`` say of networks.

    Args:
        given: hyperparameters with net_arch and activation, and policy_kwargs where there are any.
        owner: who asks, for errors.
        parts: the networks by name, each of which may have an architecture of its own.
        more: further settings that policy_kwargs may have.

    Returns:
        The hidden layers of each part, the activation, torch's threads, and the further settings that were given.

    Raises:
        HyperparameterError: a setting that does not exist; names those that do.

    Example:
        >>> network_options({"net_arch": [64], "activation": "relu"}, "DQN", ("q",))
        ({'q': [64]}, 'relu', 1, {})
    """
    kwargs = dict(given.get("policy_kwargs") or {})
    activation = str(kwargs.pop("activation_fn", given["activation"])).removeprefix("nn.").casefold()
    activation = activation.replace("leakyrelu", "leaky_relu")
    if activation not in ACTIVATIONS:
        raise HyperparameterError(
            f"{owner}: activation_fn={activation!r} is not one of {', '.join(ACTIVATIONS)}",
            "Take one of these; Stable-Baselines3's own agents have others: agents.sb3, --algo sb3/...",
        )
    arch = kwargs.pop("net_arch", given["net_arch"])
    arch = arch[0] if isinstance(arch, list) and arch and isinstance(arch[0], dict) else arch
    each: dict[str, Any] = arch if isinstance(arch, dict) else dict.fromkeys(parts, arch)
    if set(each) != set(parts):
        listed = f"{' and '.join(parts)}, or one list for both" if len(parts) > 1 else "to be a list"
        raise HyperparameterError(f"{owner}: net_arch={arch!r} needs {listed}")
    threads = kwargs.pop("threads", 1)
    if not isinstance(threads, int) or not 1 <= threads <= 1024:
        raise HyperparameterError(f"{owner}: threads={threads!r} of policy_kwargs is not a whole number of 1 or more")
    rest = {name: kwargs.pop(name) for name in more if name in kwargs}
    for name in rest.keys() & _KINDS.keys():
        _KINDS[name].check(owner, f"policy_kwargs: {name}", rest[name])
    if kwargs:
        raise HyperparameterError(
            f"{owner}: policy_kwargs has {', '.join(sorted(kwargs))}, which {owner} does not know",
            f"It knows {', '.join(('net_arch', 'activation_fn', *more))} and, for network='torch', threads",
        )
    return {name: _UNITS.check(owner, "net_arch", each[name]) for name in parts}, activation, threads, rest


class Networks(NamedTuple):
    """A policy's network, a value's, and the functions that work on both.

    Example:
        >>> given = {"net_arch": [8], "activation": "tanh", "network": "numpy"}
        >>> rng = np.random.default_rng(0)
        >>> networks = new_networks(given, None, 3, 2, ("adam", {}), rng, 4, "PPO")
        >>> networks.kernel.forward(networks.policy, np.zeros((4, 3), np.float32)).shape
        (4, 2)
    """

    policy: Any
    value: Any
    kernel: Kernel


def new_networks(
    given: dict[str, Any], picture: tuple[int, ...] | None, size: int, outputs: int,
    optimiser: tuple[str, dict[str, Any]], rng: np.random.Generator, rows: int, owner: str,
) -> Networks:  # fmt: skip
    """Both networks.

    Args:
        given: hyperparameters, with ``network`` and ``device``.
        picture: height, width and channels where the networks see pictures, which get convolutions in front, or None.
        size: numbers that the networks see of each.
        outputs: of the policy's network; the value's has one.
        optimiser: its name and settings.
        rng: draws the initial weights.
        rows: how many rows they see at a time.
        owner: who asks, for errors.

    Raises:
        HyperparameterError: a network of the user's that does not take ``size`` numbers.
        UsageError: a GPU for networks that run on the CPU.

    Example:
        >>> given = {"net_arch": [8], "activation": "tanh", "network": "numpy"}
        >>> rng = np.random.default_rng(0)
        >>> networks = new_networks(given, None, 3, 2, ("adam", {}), rng, 4, "PPO")
        >>> networks.kernel.forward(networks.value, np.zeros((4, 3), np.float32)).shape
        (4, 1)
    """
    network, device = given["network"], given.get("device", "auto")
    settings, name = dict(optimiser[1]), optimiser[0]
    shape = picture if picture is not None and size == math.prod(picture) else None
    chosen = options(given, owner)
    made: list[Any] = []
    for hidden, width, gain in ((chosen.pi, outputs, 0.01), (chosen.vf, 1, 1.0)):
        if isinstance(network, list):
            layers = on_top(network, shape or (size,), width, owner)
        else:
            layers = layers_of(shape, size, hidden, width, chosen.activation)
        made.append(
            new_network(network, layers, shape, (chosen.initialiser, gain), rows, (name, settings),
                        (device, chosen.threads), rng, owner)
        )  # fmt: skip
    return Networks(made[0], made[1], kernel_of(network, layers))


def is_ours(network: Any) -> bool:
    """Whether networks are our own, not torch's.

    Example:
        >>> is_ours("numpy"), is_ours([Linear(4, 8)]), is_ours("torch")
        (True, True, False)
    """
    return isinstance(network, list) or (isinstance(network, str) and network == "numpy")


def kernel_of(network: Any, layers: list[Layer]) -> Kernel:
    """The functions of networks of such layers, ours or torch's.

    Example:
        >>> layers = mlp([2, 1], "relu")
        >>> net = new_net(layers, np.float32([1, 2, 3]), 1)
        >>> kernel_of("numpy", layers).forward(net, np.float32([[10, 20]])).tolist()  # 1 · 10 + 2 · 20 + 3
        [[53.0]]
    """
    if is_ours(network):
        return kernel(layers)
    from rlplay.networks import torch_network

    return torch_network.KERNEL


def new_network(
    network: Any, layers: list[Layer], shape: tuple[int, ...] | None, initial: tuple[str, float], rows: int,
    optimiser: tuple[str, dict[str, Any]], torchs: tuple[str, int], rng: np.random.Generator, owner: str,
    steps: int = 0,
) -> Any:  # fmt: skip
    """One network, ours or torch's.

    Args:
        network: ``"numpy"``, ``"torch"``, our hidden layers, or a torch module, on which a linear layer is put.
        layers: what it consists of; of a torch module only the last one counts.
        shape: of a picture, or None.
        initial: how weights are drawn, and what those of the last layer are multiplied by.
        rows: how many it sees at a time.
        optimiser: its name and settings.
        torchs: torch's device and number of threads.
        rng: draws the initial weights.
        owner: who asks, for errors.
        steps: of the sequences that it sees, in which episodes may begin; 0 where rows are examples.

    Raises:
        HyperparameterError: a module of the user's that does not take these observations.
        UsageError: a GPU for networks that run on the CPU; a network that this machine cannot hold.

    Example:
        >>> layers, rng = mlp([3, 8, 2], "tanh"), np.random.default_rng(0)
        >>> net = new_network("numpy", layers, None, ("torch", 1.0), 4, ("adam", {}), ("auto", 1), rng, "DQN")
        >>> net.parameters.shape  # 3 · 8 + 8 + 8 · 2 + 2
        (50,)
    """
    require_memory(
        f"{owner}: a network from {layers[0].takes() or math.prod(shape or (1,)):,} numbers over "
        f"{[layer.n_out for layer in layers[:-1] if isinstance(layer, Linear)]} units to "
        f"{getattr(layers[-1], 'n_out', 0):,} outputs",
        3 * sum(layer.size() for layer in layers),  # the draw, and parameters, gradient, optimiser in float32
        "Lower net_arch, or take an environment with smaller spaces",
    )
    (name, settings), (device, threads) = optimiser, torchs
    if is_ours(network) and device == "cuda":
        raise UsageError(
            f"{owner}: device='cuda' asks for a GPU, and our own networks run on the CPU", "Take network='torch'"
        )
    if LOADING.get():
        parameters = np.zeros(sum(layer.size() for layer in layers), np.float32)
    else:
        parameters = initial_parameters(layers, rng, *initial).astype(np.float32)
    if is_ours(network):
        return new_net(layers, parameters, rows, max(steps, 1), shape, name, cut=steps > 0, **settings)
    from rlplay.networks import TorchNetwork

    torch_settings = {**settings, "threads": threads}
    if isinstance(network, str):
        return TorchNetwork(
            layers, input_shape=shape, parameters=parameters, device=device, optimiser=name, **torch_settings
        )
    from rlplay.networks.torch_state import with_outputs

    size = layers[0].takes() or math.prod(shape or (1,))
    module = with_outputs(network, layers[-1], size, int(rng.integers(2**31)))
    return TorchNetwork(module, device=device, optimiser=name, **torch_settings)


def layers_of(shape: Any, size: int, hidden: Sequence[int], outputs: int, activation: str) -> list[Layer]:
    """A perceptron; in its place, where observations are pictures, the convolutions of Mnih et al. 2015.

    Pictures that are too small for them, with a side below 36, get the one of MinAtar's agents (Young & Tian 2019).

    Example:
        >>> [str(layer) for layer in layers_of(None, 4, [64], 2, "tanh")]
        ['Linear(4, 64)', 'Tanh()', 'Linear(64, 2)']
        >>> [layer.n_out for layer in layers_of((84, 84, 4), 28224, [64], 6, "relu") if isinstance(layer, Linear)]
        [512, 6]
        >>> [str(layer) for layer in layers_of((10, 10, 4), 400, [64], 3, "relu")][:4]
        ['Conv2d(4, 16, kernel_size=3)', 'ReLU()', 'Linear(1024, 128)', 'ReLU()']
    """
    if shape is None:
        return mlp([size, *hidden, outputs], activation)
    layers: list[Layer] = []
    small = min(shape[0], shape[1]) < 36
    windows, units = ([(16, 3, 1)], 128) if small else ([(32, 8, 4), (64, 4, 2), (64, 3, 1)], 512)
    for filters, width, stride in windows:
        if min(shape[0], shape[1]) >= width:
            one = Conv2d(shape[2], filters, width, stride)
            layers += [one, activation_layer("relu")]
            shape = one.shape_after(shape)
    return [*layers, Linear(math.prod(shape), units), activation_layer("relu"), Linear(units, outputs)]


def with_layer_norm(layers: Sequence[Layer]) -> list[Layer]:
    """Layer normalisation between each hidden linear layer and its activation.

    Example:
        >>> [str(layer) for layer in with_layer_norm(mlp([4, 64, 2], "relu"))]
        ['Linear(4, 64)', 'LayerNorm(64)', 'ReLU()', 'Linear(64, 2)']
    """
    found: list[Layer] = []
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        found.append(layer)
        if isinstance(layer, Linear) and isinstance(after, Activation):
            found.append(LayerNorm(layer.n_out))
    return found


def on_top(hidden: list[Layer], shape: tuple[int, ...], outputs: int, owner: str) -> list[Layer]:
    """A user's layers with a linear one on top.

    Example:
        >>> [str(layer) for layer in on_top([Linear(4, 8), activation_layer("relu")], (4,), 2, "DQN")]
        ['Linear(4, 8)', 'ReLU()', 'Linear(8, 2)']
    """
    try:
        last = shapes_of(hidden, shape)[-1]
    except ValueError as error:
        raise HyperparameterError(
            f"{owner}: the layers of network= do not take observations of shape {shape}: {error}",
            f"Begin with Linear({math.prod(shape)}, ...) or a Conv2d of that many channels",
        ) from error
    return [*hidden, Linear(math.prod(last), outputs)]


__all__ = [
    "Networks", "Options", "is_ours", "kernel_of", "layers_of", "network_options", "new_network", "new_networks",
    "on_top", "options", "with_layer_norm",
]  # fmt: skip
