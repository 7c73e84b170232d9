"""A network with a memory: a core that sees sequences of observations, and a perceptron on its hidden numbers.

    h_t = core(x_t, state_{t-1})        y_t = top(h_t)

Episodes begin within sequences, and no sequence is padded: before the first step of an episode the state is 0
(`rlplay.networks.episodes`). Rows are time-major, as in a rollout: step t of sequence i is row t N + i.

Source: Hausknecht & Stone 2015; Bakker 2001. Sequences are cut as in Ni et al. 2022, section 4.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled
from rlplay.networks.contract import Kernel
from rlplay.networks.memory import FINAL, GRU, INITIAL, KIND, LSTM, OUT, ROWS, STATE, STEPS, VALUES


class RecurrentNet(NamedTuple):
    """A network with a memory, and where it stands in each of N environments.

    Attributes:
        core: from D numbers to H, with one recurrent layer, the last; or with none, then nothing is remembered.
        top: from H numbers to K.
        shares: whether the core is another network's: that one runs it first, and alone it changes it.
        state: the state before the next step of each environment, float32 [N, S].
        kept: the states in which the windows of the rollout began, float32 [W, N, S].
        window: steps of a window.

    Example:
        >>> from rlplay.networks.layers import GRU, Linear
        >>> from rlplay.networks.state import new_net
        >>> core, top = (new_net([one], np.zeros(one.size(), np.float32), 2) for one in (GRU(3, 4), Linear(4, 1)))
        >>> net = RecurrentNet(core, top, False, np.zeros((2, 4), np.float32), np.zeros((1, 2, 4), np.float32), 8)
        >>> net.state.shape
        (2, 4)
    """

    core: Any
    top: Any
    shares: bool
    state: NDArray[np.float32]
    kept: NDArray[np.float32]
    window: int


class RecurrentKernel(NamedTuple):
    """The functions of a `RecurrentNet`, as those of `rlplay.networks.contract.Kernel`, and two more.

    Attributes:
        forward: ``forward(net, x [T * N, D]) -> [T * N, K]``, after `begin`.
        backward: ``backward(net, x, grad_output, to_input)``; what it returns means nothing.
        improve, squared_length, shrink: of core and top together.
        begin: ``begin(net, states [N, S], starts [T * N], steps)``: the states in which sequences begin, and with which
            rows episodes do; [0] for none but the first.
        end: ``end(net, states [N, S])`` takes the states in which they ended.

    Example:
        >>> from rlplay.networks.kernel import kernel
        >>> from rlplay.networks.layers import GRU
        >>> isinstance(recurrent_kernel(kernel([GRU(1, 1)])), RecurrentKernel)
        True
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    improve: Callable[..., None]
    squared_length: Callable[..., float]
    shrink: Callable[..., None]
    begin: Callable[..., None]
    end: Callable[..., None]


@cache
def recurrent_kernel(kernel: Kernel) -> RecurrentKernel:
    """The functions over those of our networks; core and top have one kernel.

    Example:
        >>> from rlplay.networks.kernel import kernel
        >>> from rlplay.networks.layers import GRU, Linear
        >>> from rlplay.networks.state import new_net
        >>> layers = [GRU(1, 1), Linear(1, 1)]
        >>> core, top = (new_net([one], np.ones(one.size(), np.float32), 1, 2, cut=True) for one in layers)
        >>> net = RecurrentNet(core, top, False, np.ones((1, 1), np.float32), np.zeros((1, 1, 1), np.float32), 2)
        >>> functions, x = recurrent_kernel(kernel(layers)), np.zeros((2, 1), np.float32)
        >>> functions.begin(net, net.state, np.zeros(2, np.bool_), 2)
        >>> functions.forward(net, x).shape
        (2, 1)
    """
    core_forward, core_backward, improve_one = kernel.forward, kernel.backward, kernel.improve
    squared_length_of, shrink_one = kernel.squared_length, kernel.shrink

    @compiled
    def forward(net: RecurrentNet, x: Any) -> Any:
        """The outputs, [T * N, K]."""
        core, rows = net.core, x.shape[0]
        if not net.shares:
            core_forward(core, x)
        at, h = core.layers[-1, VALUES], core.layers[-1, OUT]
        return core_forward(net.top, core.values[at : at + rows * h].reshape((rows, h)))

    @compiled
    def backward(net: RecurrentNet, x: Any, grad_output: Any, to_input: bool) -> None:
        """The gradients after `forward` of the same rows."""
        core, rows = net.core, x.shape[0]
        at, h = core.layers[-1, VALUES], core.layers[-1, OUT]
        hidden = core.values[at : at + rows * h].reshape((rows, h))
        grad = core_backward(net.top, hidden, grad_output, not net.shares)
        if not net.shares:
            core_backward(core, x, grad, False)

    @compiled
    def improve(net: RecurrentNet, learning_rate: float, max_grad_norm: float) -> None:
        """One step of the optimiser; a gradient of both together that is longer than the limit is scaled down first."""
        if max_grad_norm > 0.0:
            length = np.sqrt(squared_length(net))
            if length > max_grad_norm:
                shrink(net, max_grad_norm / (length + 1e-6))
        improve_one(net.top, learning_rate, 0.0)
        if not net.shares:
            improve_one(net.core, learning_rate, 0.0)

    @compiled
    def squared_length(net: RecurrentNet) -> float:
        """Σ g² of the gradient."""
        total = squared_length_of(net.top)
        return total if net.shares else total + squared_length_of(net.core)

    @compiled
    def shrink(net: RecurrentNet, factor: float) -> None:
        """Scale the gradient."""
        shrink_one(net.top, factor)
        if not net.shares:
            shrink_one(net.core, factor)

    return RecurrentKernel(forward, backward, improve, squared_length, shrink, begin, end)


@compiled
def begin(net: RecurrentNet, states: Any, starts: Any, steps: int) -> None:
    """See `RecurrentKernel`.

    Example:
        >>> from rlplay.networks.layers import GRU, Linear
        >>> from rlplay.networks.state import new_net
        >>> layers = GRU(1, 1), Linear(1, 1)
        >>> core, top = (new_net([one], np.ones(one.size(), np.float32), 1, 2, cut=True) for one in layers)
        >>> net = RecurrentNet(core, top, False, np.ones((1, 1), np.float32), np.zeros((1, 1, 1), np.float32), 2)
        >>> begin(net, net.state, np.array([False, True]), 2)
        >>> core.starts[:2].tolist()
        [False, True]
    """
    core, h = net.core, net.core.layers[-1, OUT]
    core.sizes[STEPS] = steps
    if net.shares or not (core.layers[-1, KIND] == LSTM or core.layers[-1, KIND] == GRU):
        return
    for i in range(starts.shape[0]):
        core.starts[i] = starts[i]
    for i in range(starts.shape[0], core.starts.shape[0]):
        core.starts[i] = False
    for i in range(states.shape[0]):
        for k in range(states.shape[1]):
            core.state[INITIAL, core.layers[-1, STATE] + ((k // h) * core.sizes[ROWS] + i) * h + k % h] = states[i, k]


@compiled
def end(net: RecurrentNet, states: Any) -> None:
    """See `RecurrentKernel`.

    Example:
        >>> from rlplay.networks.kernel import kernel
        >>> from rlplay.networks.layers import GRU, Linear
        >>> from rlplay.networks.state import new_net
        >>> layers = [GRU(1, 1), Linear(1, 1)]
        >>> core, top = (new_net([one], np.zeros(one.size(), np.float32), 1, 2, cut=True) for one in layers)
        >>> net = RecurrentNet(core, top, False, np.ones((1, 1), np.float32), np.zeros((1, 1, 1), np.float32), 2)
        >>> begin(net, net.state, np.zeros(1, np.bool_), 1)
        >>> _ = recurrent_kernel(kernel(layers)).forward(net, np.zeros((1, 1), np.float32))
        >>> end(net, net.state)  # a gate of 1/2 keeps half of what was there
        >>> net.state.tolist()
        [[0.5]]
    """
    core, h = net.core, net.core.layers[-1, OUT]
    for i in range(states.shape[0]):
        for k in range(states.shape[1]):
            states[i, k] = core.state[FINAL, core.layers[-1, STATE] + ((k // h) * core.sizes[ROWS] + i) * h + k % h]


__all__ = ["RecurrentKernel", "RecurrentNet", "begin", "end", "recurrent_kernel"]
