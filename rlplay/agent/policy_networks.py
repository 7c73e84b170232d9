"""The two networks of an on-policy agent, a policy's and a value's, from its hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rlplay.errors import HyperparameterError, UsageError, require_memory
from rlplay.networks.contract import Kernel
from rlplay.networks.kernel import kernel
from rlplay.networks.layers import ACTIVATIONS, Conv2d, Layer, Linear, activation_layer, mlp, shapes_of
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
    kwargs = dict(given.get("policy_kwargs") or {})
    activation = str(kwargs.pop("activation_fn", given["activation"])).removeprefix("nn.").casefold()
    activation = activation.replace("leakyrelu", "leaky_relu")
    if activation not in ACTIVATIONS:
        raise HyperparameterError(f"{owner}: activation_fn={activation!r} is not one of {', '.join(ACTIVATIONS)}")
    arch = kwargs.pop("net_arch", given["net_arch"])
    arch = arch[0] if isinstance(arch, list) and arch and isinstance(arch[0], dict) else arch
    both = arch if isinstance(arch, dict) else {"pi": arch, "vf": arch}
    if set(both) != {"pi", "vf"}:
        raise HyperparameterError(f"{owner}: net_arch={arch!r} needs pi and vf, or one list for both")
    initialiser = "orthogonal" if kwargs.pop("ortho_init", True) else "torch"
    log_std_init = float(kwargs.pop("log_std_init", 0.0))
    threads = kwargs.pop("threads", 1)
    if not isinstance(threads, int) or not 1 <= threads <= 1024:
        raise HyperparameterError(f"{owner}: threads={threads!r} of policy_kwargs is not a whole number of 1 or more")
    if kwargs:
        raise HyperparameterError(
            f"{owner}: policy_kwargs has {', '.join(sorted(kwargs))}, which {owner} does not know",
            "It knows net_arch, activation_fn, ortho_init, log_std_init and, for network='torch', threads",
        )
    pi, vf = ([int(n) for n in both[name]] for name in ("pi", "vf"))
    return Options(pi, vf, activation, initialiser, log_std_init, threads)


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
    ours = network == "numpy" or isinstance(network, list)
    if ours and device == "cuda":
        raise UsageError(
            f"{owner}: device='cuda' asks for a GPU, and our own networks run on the CPU", "Take network='torch'"
        )
    made: list[Any] = []
    for hidden, width, gain in ((chosen.pi, outputs, 0.01), (chosen.vf, 1, 1.0)):
        if isinstance(network, list):
            layers = _on_top(network, shape or (size,), width, owner)
        else:
            layers = _layers(shape, size, hidden, width, chosen.activation)
        require_memory(
            f"{owner}: a network from {size:,} numbers over {hidden} units to {width:,} outputs",
            3 * sum(layer.size() for layer in layers),  # the draw, and parameters, gradient, optimiser in float32
            "Lower net_arch, or take an environment with smaller spaces",
        )  # fmt: skip
        parameters = initial_parameters(layers, rng, chosen.initialiser, gain).astype(np.float32)
        if ours:
            made.append(new_net(layers, parameters, rows, input_shape=shape, optimiser=name, **settings))
            continue
        from rlplay.networks import TorchNetwork

        settings["threads"] = chosen.threads
        if isinstance(network, str):
            made.append(
                TorchNetwork(
                    layers, input_shape=shape, parameters=parameters, device=device, optimiser=name, **settings
                )
            )
        else:
            from rlplay.networks.torch_state import with_outputs

            module = with_outputs(network, layers[-1], size, int(rng.integers(2**31)))
            made.append(TorchNetwork(module, device=device, optimiser=name, **settings))
    if ours:
        return Networks(made[0], made[1], kernel(layers))
    from rlplay.networks import torch_network

    return Networks(made[0], made[1], torch_network.KERNEL)


def _layers(shape: Any, size: int, hidden: Sequence[int], outputs: int, activation: str) -> list[Layer]:
    """A perceptron; in front of it, where observations are pictures, the convolutions of Mnih et al. 2015."""
    if shape is None:
        return mlp([size, *hidden, outputs], activation)
    layers: list[Layer] = []
    for filters, width, stride in ((32, 8, 4), (64, 4, 2), (64, 3, 1)):
        if min(shape[0], shape[1]) >= width:
            one = Conv2d(shape[2], filters, width, stride)
            layers += [one, activation_layer("relu")]
            shape = one.shape_after(shape)
    dense = [Linear(math.prod(shape), 512), activation_layer("relu"), Linear(512, outputs)]
    return [*layers, *dense]


def _on_top(hidden: list[Layer], shape: tuple[int, ...], outputs: int, owner: str) -> list[Layer]:
    """A user's layers with a linear one on top."""
    try:
        last = shapes_of(hidden, shape)[-1]
    except ValueError as error:
        raise HyperparameterError(
            f"{owner}: the layers of network= do not take observations of shape {shape}: {error}",
            f"Begin with Linear({math.prod(shape)}, ...) or a Conv2d of that many channels",
        ) from error
    return [*hidden, Linear(math.prod(last), outputs)]


__all__ = ["Networks", "Options", "new_networks", "options"]
