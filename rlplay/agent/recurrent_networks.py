"""Networks with a memory, from an agent's hyperparameters; see `rlplay.networks.recurrent`."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from rlplay.agent.network_optimisers import optimiser_of
from rlplay.agent.policy_networks import is_ours, kernel_of, layers_of, new_network, on_top, options
from rlplay.agent.value_networks import value_layers
from rlplay.agent.vector_agent import VectorAgent
from rlplay.errors import HyperparameterError
from rlplay.hyperparameters.idle import LSTM_POLICIES
from rlplay.networks.contract import Kernel
from rlplay.networks.layers import GRU, LSTM, Layer, Linear, mlp
from rlplay.networks.recurrent import RecurrentKernel, RecurrentNet, recurrent_kernel
from rlplay.seeding import generator

CELLS: dict[str, type[LSTM] | type[GRU]] = {"lstm": LSTM, "gru": GRU}
CRITIC_MEMORIES = ("own", "shared", "none")
DEFAULT_SIZE = 64  # of recurrent_size


class Recurrence(NamedTuple):
    """What hyperparameters say of the memory.

    Attributes:
        cell: ``lstm`` or ``gru``.
        size: its units H.
        critic: ``own``, ``shared``, or ``none`` for a value of what is seen now alone.

    Example:
        >>> recurrence({"recurrent": "gru", "recurrent_size": 32, "critic_memory": "own"}, "PPO")
        Recurrence(cell='gru', size=32, critic='own')
    """

    cell: str
    size: int
    critic: str


def recurrence(given: dict[str, Any], owner: str) -> Recurrence | None:
    """The memory that hyperparameters ask for; None for none.

    RL Zoo's files of sb3-contrib's RecurrentPPO ask for an LSTM by their ``policy`` and say the rest in
    ``policy_kwargs``: lstm_hidden_size (256 if not), n_lstm_layers, enable_critic_lstm and shared_lstm.

    Raises:
        HyperparameterError: settings of a memory without one, or that exclude each other.

    Example:
        >>> zoo = {"recurrent": None, "policy": "MlpLstmPolicy", "recurrent_size": 64, "critic_memory": "own"}
        >>> recurrence({**zoo, "policy_kwargs": {"enable_critic_lstm": False}}, "PPO")
        Recurrence(cell='lstm', size=256, critic='none')
        >>> recurrence({"recurrent": None}, "PPO") is None
        True
    """
    kwargs = given.get("policy_kwargs") or {}
    named = [
        name for name in ("lstm_hidden_size", "n_lstm_layers", "enable_critic_lstm", "shared_lstm") if name in kwargs
    ]
    by_policy = given.get("policy") in LSTM_POLICIES
    cell = given.get("recurrent") or ("lstm" if by_policy else None)
    if cell is None:
        if named:
            raise HyperparameterError(
                f"{owner}: policy_kwargs has {', '.join(named)}, and {owner} has no memory", 'Take recurrent="lstm"'
            )
        return None
    if kwargs.get("n_lstm_layers", 1) != 1:
        raise HyperparameterError(
            f"{owner}: n_lstm_layers={kwargs['n_lstm_layers']!r} of policy_kwargs is not 1",
            "Take a larger lstm_hidden_size",
        )
    by_name = by_policy and given.get("recurrent") is None and given["recurrent_size"] == DEFAULT_SIZE
    size = kwargs.get("lstm_hidden_size", 256 if by_name else given["recurrent_size"])
    if type(size) is not int or not 1 <= size <= 4096:
        raise HyperparameterError(
            f"{owner}: lstm_hidden_size={size!r} of policy_kwargs is not a whole number, 1 to 4096"
        )
    critic = given["critic_memory"]
    if "enable_critic_lstm" in kwargs or "shared_lstm" in kwargs:
        enabled, shared = bool(kwargs.get("enable_critic_lstm", True)), bool(kwargs.get("shared_lstm", False))
        if enabled and shared and "enable_critic_lstm" in kwargs:
            raise HyperparameterError(
                f"{owner}: shared_lstm and enable_critic_lstm of policy_kwargs exclude each other", "Take one of them"
            )
        critic = "shared" if shared else "own" if enabled else "none"
    return Recurrence(cell, size, critic)


class RecurrentNetworks(NamedTuple):
    """Both networks, the functions of their parts, and those that a step and an update take.

    Example:
        >>> given = {"net_arch": [8], "activation": "tanh", "network": "numpy"}
        >>> memory, rng = Recurrence("lstm", 4, "shared"), np.random.default_rng(0)
        >>> found = new_recurrent_networks(given, memory, None, 3, 2, ("adam", {}), rng, (2, 2, 5, 1), "PPO")
        >>> isinstance(found, RecurrentNetworks), bool(found.value.shares)
        (True, True)
    """

    policy: RecurrentNet
    value: RecurrentNet
    kernel: Kernel
    step_kernel: RecurrentKernel


def new_recurrent_networks(
    given: dict[str, Any], memory: Recurrence, picture: tuple[int, ...] | None, size: int, outputs: int,
    optimiser: tuple[str, dict[str, Any]], rng: np.random.Generator, sizes: tuple[int, int, int, int], owner: str,
) -> RecurrentNetworks:  # fmt: skip
    """Both networks; see `rlplay.agent.policy_networks.new_networks`.

    Args:
        given: hyperparameters, with ``network`` and ``device``.
        memory: of which kind.
        picture: height, width and channels where the networks see pictures, or None.
        size: numbers that the networks see of each.
        outputs: of the policy's network; the value's has one.
        optimiser: its name and settings.
        rng: draws the initial weights.
        sizes: environments, sequences seen at a time at most, steps of one, and windows of a rollout.
        owner: who asks, for errors.

    Raises:
        HyperparameterError: a torch module of the user's.

    Example:
        >>> given = {"net_arch": [8], "activation": "tanh", "network": "numpy"}
        >>> memory, rng = Recurrence("gru", 4, "own"), np.random.default_rng(0)
        >>> found = new_recurrent_networks(given, memory, None, 3, 2, ("adam", {}), rng, (2, 2, 5, 1), "PPO")
        >>> found.policy.state.shape, found.policy.kept.shape
        ((2, 4), (1, 2, 4))
    """
    network, device, chosen = given["network"], given.get("device", "auto"), options(given, owner)
    if not isinstance(network, str | list):
        raise HyperparameterError(
            f"{owner}: recurrent={memory.cell!r} does not go behind a torch module of yours",
            'Take network="torch", or hidden layers of ours',
        )
    n_envs, sequences, steps, windows = sizes
    shape = picture if picture is not None and size == math.prod(picture) else None
    if isinstance(network, list):
        *front, last = on_top(network, shape or (size,), 1, owner)
    else:
        *front, last = layers_of(shape, size, [], 1, chosen.activation)
    width = last.takes() or size

    def core(cell: Layer) -> list[Layer]:
        return [*front, cell]

    remembering, blind = core(CELLS[memory.cell](width, memory.size)), core(Linear(width, memory.size))
    tops = [mlp([memory.size, *hidden, k], chosen.activation) for hidden, k in ((chosen.pi, outputs), (chosen.vf, 1))]

    def made(layers: list[Layer], gain: float, many: tuple[int, int], picture: Any) -> Any:
        return new_network(
            "numpy" if isinstance(network, list) else network, layers, picture, (chosen.initialiser, gain), many[0],
            optimiser, (device, chosen.threads), rng, owner, steps=many[1],
        )  # fmt: skip

    def net(of: Any, top: list[Layer], gain: float, shares: bool, state: int) -> RecurrentNet:
        return RecurrentNet(
            of, made(top, gain, (sequences * steps, 0), None), shares, np.zeros((n_envs, state), np.float32),
            np.zeros((windows, n_envs, state), np.float32), steps,
        )  # fmt: skip

    many, state = (sequences, steps), remembering[-1].state()
    policy = net(made(remembering, 1.0, many, shape), tops[0], 0.01, False, state)
    if memory.critic == "shared":
        value = net(policy.core, tops[1], 1.0, True, 0)
    elif memory.critic == "none":
        value = net(made(blind, 1.0, many, shape), tops[1], 1.0, False, 0)
    else:
        value = net(made(remembering, 1.0, many, shape), tops[1], 1.0, False, state)
    kernel = kernel_of(network, [*remembering, *tops[0], *tops[1]])
    return RecurrentNetworks(policy, value, kernel, recurrent_functions(kernel, over_torch=not is_ours(network)))


def recurrent_functions(kernel: Kernel, *, over_torch: bool) -> RecurrentKernel:
    """The functions of whole networks over those of their parts.

    Example:
        >>> from rlplay.networks.kernel import kernel
        >>> isinstance(recurrent_functions(kernel([GRU(1, 1)]), over_torch=False), RecurrentKernel)
        True
    """
    if not over_torch:
        return recurrent_kernel(kernel)
    from rlplay.networks.torch_recurrent import RECURRENT

    return RECURRENT


def recurrent_value_networks(
    agent: VectorAgent, cell: str, units: int, top: list[Layer], count: int, sizes: tuple[int, int]
) -> tuple[list[RecurrentNet], Kernel]:
    """So many networks with a memory and the same weights, and the functions of their parts.

    Args:
        agent: its network, device and seed are read.
        cell: ``lstm`` or ``gru``.
        units: of the memory.
        top: the layers on it.
        count: how many.
        sizes: sequences seen at a time at most, and their steps.

    Raises:
        HyperparameterError: a torch module of the user's, or layers that do not take the observations.

    Example:
        >>> from agents import RecurrentDQN
        >>> agent = RecurrentDQN("CartPole-v1", buffer_size=100, seed=0)
        >>> twins, _ = recurrent_value_networks(agent, "gru", 8, [Linear(8, 2)], 2, (4, 10))
        >>> twins[0].state.shape, (twins[0].core.parameters == twins[1].core.parameters).all()
        ((1, 8), np.True_)
    """
    given, name, size = agent.hyperparameters, type(agent).__name__, agent.encoder.size
    network: Any = given["network"]
    if not isinstance(network, str | list):
        raise HyperparameterError(
            f"{name}: recurrent={cell!r} does not go behind a torch module of yours",
            'Take network="torch", or hidden layers of ours',
        )
    made_of = value_layers(agent, 1, hidden=[])
    front = made_of.layers[:-1]
    core: list[Layer] = [*front, CELLS[cell](made_of.layers[-1].takes() or size, units)]
    found = []
    for _ in range(count):
        rng = generator(agent.seed, "weights")
        of, on = [
            new_network(network if isinstance(network, str) else "numpy", layers, shape, ("torch", 1.0), rows,
                        optimiser_of(agent), (given["device"], made_of.threads), rng, name, steps=steps)
            for layers, shape, rows, steps in ((core, made_of.shape, *sizes), (top, None, math.prod(sizes), 0))
        ]  # fmt: skip
        n = len(agent.running_envs())
        state = core[-1].state()
        now, kept = np.zeros((n, state), np.float32), np.zeros((0, n, state), np.float32)
        found.append(RecurrentNet(of, on, False, now, kept, sizes[1]))
    return found, kernel_of(network, [*core, *top])


__all__ = [
    "CELLS", "CRITIC_MEMORIES", "Recurrence", "RecurrentNetworks", "new_recurrent_networks",
    "recurrence", "recurrent_functions", "recurrent_value_networks",
]  # fmt: skip
