"""A network of layers with hand-written backward passes, over flat arrays.

`rlplay.networks.kernel` has the compiled functions and their formulas, `rlplay.networks.memory.Net` their arrays. The
class `Network` checks its inputs, enlarges the memory with the batch, and names the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.networks.kernel import kernel
from rlplay.networks.layers import Layer, shapes_of
from rlplay.networks.memory import (
    FINAL,
    GRAD_FINAL,
    GRAD_INITIAL,
    GRU,
    INITIAL,
    LAST,
    LSTM,
    REPEAT,
    ROWS,
    STEPS,
    Floats,
    Net,
)  # fmt: skip
from rlplay.networks.state import arrays, initial_parameters, new_net, restore

_AT_A_TIME = 256  # rows that `predict` takes at a time: their outputs stay in the second cache


class Network:
    """A network of layers over flat arrays, with hand-written backward passes.

    Rows are examples [N, ...], or for recurrent layers sequences, time-major: [T, N, ...].

    Args:
        layers: what it is made of: ``[Linear(4, 64), Tanh(), Linear(64, 2)]``.
        input_shape: of one example where the first layer does not determine it: (height, width, channels) of images.
        dtype: ``"float32"`` or ``"float64"``.
        initialiser: ``"orthogonal"``, ``"kaiming"``, ``"xavier"`` or ``"torch"`` (`rlplay.networks.initialisers`).
        last_gain: scale of the last layer's initial weights.
        optimiser: ``"adam"``, ``"rmsprop"``, ``"momentum"`` or ``"sgd"`` (`rlplay.networks.optimisers`).
        seed: of the initial weights: a number, a Generator, or None.
        settings: of the optimiser: ``beta_1=0.5``.

    Example:
        >>> from rlplay.networks import Linear, Network, Tanh
        >>> network = Network([Linear(2, 8), Tanh(), Linear(8, 1)], seed=0)
        >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
        >>> for _ in range(300):
        ...     error = network.forward(x) - [[0], [1], [1], [0]]
        ...     _ = network.backward(error)
        ...     network.improve(0.05)
        >>> (network.forward(x) > 0.5).ravel().tolist()
        [False, True, True, False]
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        input_shape: tuple[int, ...] | None = None,
        dtype: Any = "float32",
        initialiser: str = "orthogonal",
        last_gain: float = 1.0,
        optimiser: str = "adam",
        seed: Any = None,
        **settings: float,
    ) -> None:
        self.layers, self.dtype = list(layers), np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype={dtype!r} must be float32 or float64")
        self.shapes = shapes_of(self.layers, input_shape)
        parameters = initial_parameters(self.layers, np.random.default_rng(seed), initialiser, last_gain)
        self._optimiser = (optimiser, settings)
        self.kernel = kernel(self.layers)
        self.net = self._allocate(parameters.astype(self.dtype), 1, 1)
        self._x: Floats = np.zeros((0, 0), self.dtype)
        self.is_sequence = any(layer.kind in (LSTM, GRU, LAST) for layer in self.layers[: _first_repeat(self.layers)])

    def _allocate(self, parameters: Floats, rows: int, steps: int) -> Net:
        name, settings = self._optimiser
        cut = any(layer.kind in (LSTM, GRU) for layer in self.layers)
        return new_net(self.layers, parameters, rows, steps, self.shapes[0], name, cut, **settings)

    @property
    def parameters(self) -> Floats:
        """All weights and biases, layer by layer, [P]; change them in place."""
        return self.net.parameters

    @property
    def gradient(self) -> Floats:
        """Of the loss with respect to the parameters, [P], after `backward`."""
        return self.net.gradient

    def named(self) -> dict[str, Floats]:
        """Each parameter by the number of its layer and its name, as a view: ``"0.weight"``."""
        found, place = {}, 0
        for number, layer in enumerate(self.layers):
            for name, shape in layer.shapes().items():
                size = math.prod(shape)
                found[f"{number}.{name}"] = self.parameters[place : place + size].reshape(shape)
                place += size
        return found

    def forward(
        self, x: Any, state: Floats | None = None, lengths: Any = None, steps: int | None = None, starts: Any = None
    ) -> NDArray[Any]:
        """The outputs for a batch, [N, K], or for sequences, [T, N, K]; a view that the next call overwrites.

        Args:
            x: the batch; sequences have one axis more.
            state: in which recurrent layers begin, [N, S]; zeros by default.
            lengths: steps of each sequence, [N]; what comes after them is padding.
            steps: of the sequences that a network with `Repeat` makes of examples.
            starts: whether an episode begins with a step, so that the state before it is 0, bool [T, N].

        Raises:
            ValueError: x does not fit the first layer, or lengths lie outside the sequences.
        """
        given, wanted = np.asarray(x, self.dtype), self.shapes[0]
        lead = given.ndim - len(wanted)
        if lead != 1 + self.is_sequence or given.shape[lead:] != wanted:
            before = "[T, N" if self.is_sequence else "[N"
            raise ValueError(
                f"the network takes {before}, {', '.join(map(str, wanted))}] and was given {list(given.shape)}"
            )
        t = given.shape[0] if self.is_sequence else (steps or 1)
        n = given.shape[lead - 1]
        self._reserve(n, t)
        net = self.net
        net.sizes[STEPS] = t
        net.lengths[:] = t
        if lengths is not None:
            own = np.asarray(lengths, np.int64)
            if own.shape != (n,) or own.min() < 1 or own.max() > t:
                raise ValueError(f"lengths must be {n} whole numbers between 1 and {t}, the steps; got {lengths!r}")
            net.lengths[:n] = own
        net.starts[: t * n] = False if starts is None else np.asarray(starts, bool).reshape(-1)
        self._set_state(INITIAL, state, n)
        self._x = np.ascontiguousarray(given.reshape(-1, math.prod(wanted)))
        out = self.kernel.forward(net, self._x)
        return out.reshape(-1, n, out.shape[1]) if len(out) == t * n and (t > 1 or self._gives_sequence()) else out

    def backward(
        self, grad_output: Any, state_grad: Floats | None = None, to_input: bool = True
    ) -> NDArray[Any] | None:
        """The gradients after `forward`: with respect to the parameters in ``gradient``, with respect to x returned.

        Args:
            grad_output: ∂loss/∂outputs, of the outputs' shape.
            state_grad: ∂loss/∂(final state), [N, S]; zeros by default.
            to_input: whether ∂x is wanted; the first layer is cheaper without.
        """
        out = self.shapes[-1]
        grad = np.ascontiguousarray(np.asarray(grad_output, self.dtype).reshape(-1, math.prod(out)))
        n = len(self._x) // self.net.sizes[STEPS] if self.is_sequence else len(self._x)
        self._set_state(GRAD_FINAL, state_grad, n)
        below = self.kernel.backward(self.net, self._x, grad, to_input)
        return below.reshape(-1, n, *self.shapes[0]) if self.is_sequence else below.reshape(-1, *self.shapes[0])

    def tangent(self, direction: Floats) -> NDArray[Any]:
        """The change of the outputs, [N, K], when the parameters move along a direction [P]; after `forward`."""
        return self.kernel.tangent(self.net, self._x, np.ascontiguousarray(direction, self.dtype)).copy()

    def improve(self, learning_rate: float, max_grad_norm: float = 0.0) -> None:
        """One step of the optimiser; a gradient longer than ``max_grad_norm`` is scaled down first (0: never)."""
        self.kernel.improve(self.net, float(learning_rate), float(max_grad_norm))

    def add_to_gradient(self, more: Floats) -> None:
        """Add to the gradient, [P]: that of a penalty."""
        self.net.gradient[:] += more

    def state(self) -> NDArray[Any]:
        """The state in which the last sequences ended, of all recurrent layers, [N, S]."""
        return self._state(FINAL)

    def state_gradient(self) -> NDArray[Any]:
        """∂loss/∂(initial state) after `backward`, [N, S]."""
        return self._state(GRAD_INITIAL)

    def _state(self, which: int) -> NDArray[Any]:
        most, n = int(self.net.sizes[ROWS]), len(self._x) // (self.net.sizes[STEPS] if self.is_sequence else 1)
        return np.concatenate([part.reshape(most, -1)[:n] for part in self._states(which)], axis=1)

    def _states(self, which: int) -> list[Floats]:
        """Views of the state of each recurrent layer, one for h and one for c."""
        most, at, found = int(self.net.sizes[ROWS]), 0, []
        for layer in self.layers:
            for _ in range(2 if layer.kind == LSTM else 1 if layer.kind == GRU else 0):
                size = most * math.prod(layer.shape_after(()))
                found.append(self.net.state[which, at : at + size])
                at += size
        return found

    def _set_state(self, which: int, values: Floats | None, n: int) -> None:
        if values is None:
            self.net.state[which] = 0
            return
        most, place = int(self.net.sizes[ROWS]), 0
        given = np.asarray(values, self.dtype)
        parts = [part.reshape(most, -1) for part in self._states(which)]
        wide = sum(part.shape[1] for part in parts)
        if given.shape != (n, wide):
            raise ValueError(f"the state of this network is {[n, wide]}, and {list(given.shape)} was given")
        for part in parts:
            part[:n] = given[:, place : place + part.shape[1]]
            place += part.shape[1]

    def _reserve(self, rows: int, steps: int) -> None:
        """Enlarge the memory to so many rows and steps; parameters, gradient and optimiser stay."""
        if rows <= self.net.sizes[ROWS] and rows * steps <= self._most:
            return
        old = self.net
        grown = self._allocate(old.parameters, max(rows, int(old.sizes[ROWS])), steps)
        self.net = grown._replace(parameters=old.parameters, gradient=old.gradient, optimiser=old.optimiser)

    @property
    def _most(self) -> int:
        return len(self.net.gradients) // (2 * max(math.prod(shape) for shape in self.shapes))

    def _gives_sequence(self) -> bool:
        return self.is_sequence and not any(layer.kind == LAST for layer in self.layers)

    def predict(self, x: Any) -> NDArray[Any]:
        """The outputs for a batch of examples of any size, as a copy, [N, K]."""
        given = np.ascontiguousarray(np.asarray(x, self.dtype).reshape(len(x), -1))
        self._reserve(min(len(given), _AT_A_TIME), 1)
        return self.kernel.predict(self.net, given)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Architecture, parameters and optimiser as arrays, for a file."""
        return {name: array.copy() for name, array in arrays(self.net).items()}

    def restore(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Take such arrays.

        Raises:
            ValueError: they are those of another architecture.
        """
        restore(self.net, values)


def _first_repeat(layers: Sequence[Layer]) -> int:
    return next((i for i, layer in enumerate(layers) if layer.kind == REPEAT), len(layers))
