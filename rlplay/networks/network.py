"""A network of layers with hand-written backward passes, run by one compiled function over flat arrays.

    forward    h₀ = x        h_l = f_l(h_{l-1}; θ_l)
    backward   G_L = ∂loss/∂h_L        ∂θ_l, G_{l-1} from G_l by the rule of each layer, the last layer first
    tangent    ḣ₀ = 0        ḣ_l from ḣ_{l-1} and θ̇_l: how the outputs move when the parameters move along θ̇

Source: Rumelhart, Hinton & Williams 1986; Goodfellow, Bengio & Courville 2016, section 6.5; the tangent is the
R-operator of Pearlmutter 1994.

The functions work on the memory `rlplay.networks.memory.Net`, in compiled loops and from Python; the class `Network`
checks what it is given, makes the memory grow with the batch, and names things.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled, in_place
from rlplay.networks import Kernel, activations, conv2d, gru, layer_norm, linear, lstm, optimisers
from rlplay.networks.initialisers import gain_of
from rlplay.networks.layers import Activation, Layer, shapes_of
from rlplay.networks.matmul import ROOM
from rlplay.networks.memory import (
    COLUMNS,
    CONV_2D,
    FINAL,
    GELU,
    GRAD_FINAL,
    GRAD_INITIAL,
    GRU,
    INITIAL,
    KIND,
    LAST,
    LAYER_NORM,
    LINEAR,
    LSTM,
    OUT,
    REPEAT,
    ROWS,
    STEPS,
    VALUES,
    Floats,
    Net,
)  # fmt: skip
from rlplay.networks.optimisers import new_optimiser

_AT_A_TIME = 256  # rows that `predict` takes at a time: their outputs stay in the second cache
_RULES: dict[int, Any] = {LINEAR: linear, LAYER_NORM: layer_norm, CONV_2D: conv2d, LSTM: lstm, GRU: gru}


@in_place
def _no_forward(layer: Any, net: Net, x: Floats, x_at: int, y: Floats, y_at: int, rows: int) -> None:
    """In place of a kind of layer that a network does not have."""


@in_place
def _no_backward(
    layer: Any, net: Net, x: Floats, x_at: int, grad: Floats, grad_at: int, below: Floats, below_at: int, rows: int,
    to_input: bool,
) -> None:  # fmt: skip
    """In place of a kind of layer that a network does not have."""


@in_place
def _no_tangent(
    layer: Any, net: Net, x: Floats, x_at: int, dot: Floats, dot_at: int, direction: Floats, out: Floats, out_at: int,
    rows: int,
) -> None:  # fmt: skip
    """In place of a kind of layer that a network does not have."""


@in_place
def _spread(layer: Any, net: Net, x: Floats, x_at: int, y: Floats, y_at: int, rows: int) -> int:
    """`Last`, or `Repeat`; returns the rows of the output."""
    steps, wide = net.sizes[STEPS], layer[OUT]
    if layer[KIND] == LAST:
        size = rows // steps * wide
        for i in range(size):
            y[y_at + i] = x[x_at + (steps - 1) * size + i]
        return rows // steps
    size = rows * wide
    for t in range(steps):
        for i in range(size):
            y[y_at + t * size + i] = x[x_at + i]
    return rows * steps


@in_place
def _spread_back(layer: Any, net: Net, grad: Floats, grad_at: int, below: Floats, below_at: int, rows: int) -> int:
    """∂x of `Last` (zero but for the last step), or of `Repeat` (the sum over steps); returns the rows of the input."""
    steps, wide = net.sizes[STEPS], layer[OUT]
    if layer[KIND] == LAST:
        size = rows * wide
        below[below_at : below_at + (steps - 1) * size] = 0
        for i in range(size):
            below[below_at + (steps - 1) * size + i] = grad[grad_at + i]
        return rows * steps
    size = rows // steps * wide
    below[below_at : below_at + size] = 0
    for t in range(steps):
        for i in range(size):
            below[below_at + i] += grad[grad_at + t * size + i]
    return rows // steps


def kernel(layers: Sequence[Layer]) -> Kernel:
    """The functions for networks of such layers, compiled with the rules of their kinds (and linear ones) only."""
    return _kernel(frozenset(layer.kind for layer in layers) & frozenset(_RULES) | {LINEAR})


@cache
def _kernel(kinds: frozenset[int]) -> Kernel:
    def rules(name: str, absent: Any) -> list[Any]:
        return [getattr(module, name) if kind in kinds else absent for kind, module in _RULES.items()]

    linear_forward, norm_forward, conv_forward, lstm_forward, gru_forward = rules("forward", _no_forward)
    linear_backward, norm_backward, conv_backward, lstm_backward, gru_backward = rules("backward", _no_backward)
    linear_tangent, norm_tangent, conv_tangent, lstm_tangent, gru_tangent = rules("tangent", _no_tangent)

    @compiled
    def forward(net: Net, x: Floats) -> Floats:
        """The outputs for a batch [N, D], [N, K]; a view of the network's own memory, overwritten by the next call."""
        rows, h, at = x.shape[0], x.reshape(-1), 0
        for number in range(net.layers.shape[0]):
            layer = net.layers[number]
            kind, to = layer[KIND], layer[VALUES]
            if kind <= GELU:
                activations.forward(kind, h, at, net.values, to, rows * layer[OUT])
            elif kind == LINEAR:
                linear_forward(layer, net, h, at, net.values, to, rows)
            elif kind == LAYER_NORM:
                norm_forward(layer, net, h, at, net.values, to, rows)
            elif kind == CONV_2D:
                conv_forward(layer, net, h, at, net.values, to, rows)
            elif kind == LSTM:
                lstm_forward(layer, net, h, at, net.values, to, rows)
            elif kind == GRU:
                gru_forward(layer, net, h, at, net.values, to, rows)
            else:
                rows = _spread(layer, net, h, at, net.values, to, rows)
            h, at = net.values, to
        return net.values[at : at + rows * net.layers[-1, OUT]].reshape((rows, net.layers[-1, OUT]))

    @compiled
    def backward(net: Net, x: Floats, grad_output: Floats, to_input: bool = True) -> Floats:
        """The gradients after `forward` of the same batch: ∂θ into ``net.gradient``, ∂x returned, [N, D].

        With ``to_input=False`` the gradient with respect to x is not computed, and what is returned means nothing.
        """
        rows, grad, at = grad_output.shape[0], grad_output.reshape(-1), 0
        flat_x, width, other = x.reshape(-1), net.gradients.shape[0] // 2, 0
        for number in range(net.layers.shape[0] - 1, -1, -1):
            layer = net.layers[number]
            kind, y_at, wanted = layer[KIND], layer[VALUES], to_input or number > 0
            h, h_at = flat_x, 0
            if number > 0:
                h, h_at = net.values, net.layers[number - 1, VALUES]
            below, to = net.gradients, other * width
            if kind <= GELU:
                if number == net.layers.shape[0] - 1:  # what the caller gave stays as it is
                    copied, given = below[to : to + rows * layer[OUT]], grad[at : at + rows * layer[OUT]]
                    for i in range(rows * layer[OUT]):
                        copied[i] = given[i]
                    grad, at = below, to
                    other = 1 - other
                activations.backward(kind, h, h_at, net.values, y_at, grad, at, rows * layer[OUT])
                continue
            if kind == LINEAR:
                linear_backward(layer, net, h, h_at, grad, at, below, to, rows, wanted)
            elif kind == LAYER_NORM:
                norm_backward(layer, net, h, h_at, grad, at, below, to, rows, wanted)
            elif kind == CONV_2D:
                conv_backward(layer, net, h, h_at, grad, at, below, to, rows, wanted)
            elif kind == LSTM:
                lstm_backward(layer, net, h, h_at, grad, at, below, to, rows, wanted)
            elif kind == GRU:
                gru_backward(layer, net, h, h_at, grad, at, below, to, rows, wanted)
            else:
                rows = _spread_back(layer, net, grad, at, below, to, rows)
            grad, at = below, to
            other = 1 - other
        return grad[at : at + x.size].reshape(x.shape)

    @compiled
    def tangent(net: Net, x: Floats, direction: Floats) -> Floats:
        """How the outputs move, [N, K], when the parameters move along a direction [P]; after `forward` of x.

        A view of the network's own memory, overwritten by the next `tangent` or `backward`.
        """
        rows, h, at, width, other = x.shape[0], x.reshape(-1), 0, net.gradients.shape[0] // 2, 1
        dot, dot_at = net.gradients, 0
        net.gradients[: x.size] = 0
        for number in range(net.layers.shape[0]):
            layer = net.layers[number]
            kind, y_at = layer[KIND], layer[VALUES]
            out, to = net.gradients, other * width
            if kind <= GELU:
                activations.backward(kind, h, at, net.values, y_at, dot, dot_at, rows * layer[OUT])  # ẏ = f'(x) ⊙ ẋ
                h, at = net.values, y_at
                continue
            if kind == LINEAR:
                linear_tangent(layer, net, h, at, dot, dot_at, direction, out, to, rows)
            elif kind == LAYER_NORM:
                norm_tangent(layer, net, h, at, dot, dot_at, direction, out, to, rows)
            elif kind == CONV_2D:
                conv_tangent(layer, net, h, at, dot, dot_at, direction, out, to, rows)
            elif kind == LSTM:
                lstm_tangent(layer, net, h, at, dot, dot_at, direction, out, to, rows)
            elif kind == GRU:
                gru_tangent(layer, net, h, at, dot, dot_at, direction, out, to, rows)
            else:
                rows = _spread(layer, net, dot, dot_at, out, to, rows)
            h, at, dot, dot_at = net.values, y_at, out, to
            other = 1 - other
        return dot[dot_at : dot_at + rows * net.layers[-1, OUT]].reshape((rows, net.layers[-1, OUT]))

    @compiled
    def forward_row(net: Net, x: Floats) -> Floats:
        """The outputs for one row [D], [K]: the very numbers that the row has in a batch."""
        return forward(net, x.reshape((1, x.shape[0])))[0]

    @compiled
    def improve(net: Net, learning_rate: float, max_grad_norm: float) -> None:
        """One step of the optimiser against the gradient."""
        optimisers.improve(net.parameters, net.gradient, net.optimiser, learning_rate, max_grad_norm)

    @compiled
    def squared_length(net: Net) -> float:
        """Σ g² of the gradient."""
        return optimisers.squared_length(net.gradient)

    @compiled
    def shrink(net: Net, factor: float) -> None:
        """Scale the gradient."""
        scale = net.gradient.dtype.type(factor)
        for i in range(net.gradient.shape[0]):
            net.gradient[i] *= scale

    @compiled
    def predict(net: Net, x: Floats) -> Floats:
        """The outputs for a batch of any size, as a copy, [N, K]; for networks whose rows are examples."""
        out, most = np.empty((x.shape[0], net.layers[-1, OUT]), net.parameters.dtype), net.sizes[ROWS]
        for begin in range(0, x.shape[0], most):
            part = x[begin : begin + most]
            out[begin : begin + part.shape[0]] = forward(net, part)
        return out

    return Kernel(
        forward, forward_row, backward, improve, squared_length, shrink, predict, tangent, arrays, restore
    )  # fmt: skip


def arrays(net: Net) -> dict[str, NDArray[Any]]:
    """Architecture, parameters and optimiser, the network's own arrays."""
    optimiser = net.optimiser
    return {
        "layers": architecture(net), "parameters": net.parameters, "m": optimiser.m, "v": optimiser.v, "t": optimiser.t,
    }  # fmt: skip


def architecture(net: Net) -> NDArray[np.int64]:
    """What the layers are, without where their numbers lie: the same for networks of any number of rows."""
    return np.delete(net.layers, [3, 4, 5, 6], axis=1)


def restore(net: Net, values: Mapping[str, NDArray[Any]]) -> None:
    """Take the values of such arrays.

    Raises:
        ValueError: they are those of another architecture.
    """
    own = arrays(net)
    if "layers" in values and not np.array_equal(values["layers"], own["layers"]):
        raise ValueError(
            f"the weights are those of a network {described(values['layers'])}, and this one is "
            f"{described(own['layers'])}: take the same layers, or train anew"
        )
    for name, array in own.items():
        if values[name].shape != array.shape:
            raise ValueError(f"{name} has shape {values[name].shape}, and this network has {array.shape}")
        array[...] = values[name]


_KINDS = ("tanh", "relu", "leaky relu", "sigmoid", "silu", "gelu", "linear", "layer norm", "conv2d", "lstm", "gru",
          "last", "repeat")  # fmt: skip


def described(layers: NDArray[np.int64]) -> str:
    """The layers in words: ``4-linear-64-tanh-64-linear-2``."""
    parts = [str(layers[0][1])]
    for row in layers:
        kind = _KINDS[row[0]] if 0 <= row[0] < len(_KINDS) else "?"
        parts.append(kind if row[0] <= GELU else f"{kind}-{row[2]}")
    return "-".join(parts)


def initial_parameters(
    layers: Sequence[Layer], rng: np.random.Generator, initialiser: str = "orthogonal", last_gain: float = 1.0
) -> NDArray[np.float64]:
    """All initial parameters, layer by layer, [P]; the last layer that has any is scaled by ``last_gain``."""
    parts, last = [np.zeros(0)], max((i for i, one in enumerate(layers) if one.size()), default=-1)
    for number, layer in enumerate(layers):
        after = layers[number + 1] if number + 1 < len(layers) else None
        gain = gain_of(after.name if isinstance(after, Activation) else None, initialiser)
        parts.append(layer.initial(initialiser, last_gain if number == last else gain, rng))
    return np.concatenate(parts)


def new_net(
    layers: Sequence[Layer],
    parameters: Floats,
    rows: int,
    steps: int = 1,
    input_shape: tuple[int, ...] | None = None,
    optimiser: str = "adam",
    **settings: float,
) -> Net:
    """The memory of a network from its parameters [P], with room for ``rows`` examples, or sequences of ``steps``.

    Raises:
        ValueError: layers that do not chain, or another number of parameters than they have.
    """
    shapes, many, dtype = shapes_of(layers, input_shape), rows * steps, parameters.dtype
    table = np.zeros((len(layers), COLUMNS), np.int64)
    at_parameters = at_values = at_saved = at_state = 0
    for row, layer, before, after in zip(table, layers, shapes, shapes[1:], strict=False):
        given = layer.geometry(before)
        row[:7] = layer.kind, math.prod(before), math.prod(after), at_parameters, at_values, at_saved, at_state
        row[7 : 7 + len(given)] = given
        at_parameters += layer.size()
        at_values += many * math.prod(after)
        at_saved += many * layer.saved(before)
        at_state += rows * layer.state()
    if parameters.shape != (at_parameters,):
        raise ValueError(f"these layers have {at_parameters} parameters, and {parameters.shape} were given")
    widest = max(math.prod(shape) for shape in shapes)
    room = max(layer.room(shape, rows) for layer, shape in zip(layers, shapes, strict=False))
    return Net(
        layers=table,
        parameters=parameters.copy(),
        gradient=np.zeros_like(parameters),
        values=np.zeros(at_values, dtype),
        gradients=np.zeros(2 * many * widest, dtype),
        saved=np.zeros(max(at_saved, 1), dtype),
        state=np.zeros((4, max(at_state, 1)), dtype),
        lengths=np.full(rows, np.iinfo(np.int64).max),
        sizes=np.array([rows, steps], np.int64),
        room=np.zeros(ROOM + room, dtype),
        one=np.ones(1, dtype),
        optimiser=new_optimiser(at_parameters, optimiser, dtype, **settings),
    )


class Network:
    """A network of layers over flat arrays, with hand-written backward passes.

    Rows are examples [N, ...], or for recurrent layers sequences, time-major: [T, N, ...].

    Args:
        layers: what it is made of: ``[Linear(4, 64), Tanh(), Linear(64, 2)]``.
        input_shape: of one example where the first layer does not say it: (height, width, channels) of images.
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
        >>> network.forward(x).round(1).ravel().tolist()
        [0.0, 1.0, 1.0, 0.0]
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
        self.net = self._with_room(parameters.astype(self.dtype), 1, 1)
        self._x: Floats = np.zeros((0, 0), self.dtype)
        self._is_sequence = any(layer.kind in (LSTM, GRU, LAST) for layer in self.layers[: _first_repeat(self.layers)])

    def _with_room(self, parameters: Floats, rows: int, steps: int) -> Net:
        name, settings = self._optimiser
        return new_net(self.layers, parameters, rows, steps, self.shapes[0], name, **settings)

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
        self, x: Any, state: Floats | None = None, lengths: Any = None, steps: int | None = None
    ) -> NDArray[Any]:
        """The outputs for a batch, [N, K], or for sequences [T, N, ...], [T, N, K]; a view, soon overwritten.

        Args:
            x: the batch; sequences have one axis more.
            state: in which recurrent layers begin, [N, S]; zeros by default.
            lengths: steps of each sequence, [N]; what comes after them is padding.
            steps: of the sequences that a network with `Repeat` makes of examples.

        Raises:
            ValueError: x does not fit the first layer, or lengths lie outside the sequences.
        """
        given, wanted = np.asarray(x, self.dtype), self.shapes[0]
        lead = given.ndim - len(wanted)
        if lead != 1 + self._is_sequence or given.shape[lead:] != wanted:
            before = "[T, N" if self._is_sequence else "[N"
            raise ValueError(
                f"the network takes {before}, {', '.join(map(str, wanted))}] and was given {list(given.shape)}"
            )
        t = given.shape[0] if self._is_sequence else (steps or 1)
        n = given.shape[lead - 1]
        self._make_room(n, t)
        net = self.net
        net.sizes[STEPS] = t
        net.lengths[:] = t
        if lengths is not None:
            own = np.asarray(lengths, np.int64)
            if own.shape != (n,) or own.min() < 1 or own.max() > t:
                raise ValueError(f"lengths must be {n} whole numbers between 1 and {t}, the steps; got {lengths!r}")
            net.lengths[:n] = own
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
        n = len(self._x) // self.net.sizes[STEPS] if self._is_sequence else len(self._x)
        self._set_state(GRAD_FINAL, state_grad, n)
        below = self.kernel.backward(self.net, self._x, grad, to_input)
        return below.reshape(-1, n, *self.shapes[0]) if self._is_sequence else below.reshape(-1, *self.shapes[0])

    def tangent(self, direction: Floats) -> NDArray[Any]:
        """How the outputs move, [N, K], when the parameters move along a direction [P]; after `forward`."""
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
        most, n = int(self.net.sizes[ROWS]), len(self._x) // (self.net.sizes[STEPS] if self._is_sequence else 1)
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

    def _make_room(self, rows: int, steps: int) -> None:
        """Have room for so many rows and steps; what has been learned stays."""
        if rows <= self.net.sizes[ROWS] and rows * steps <= self._most:
            return
        old = self.net
        grown = self._with_room(old.parameters, max(rows, int(old.sizes[ROWS])), steps)
        self.net = grown._replace(parameters=old.parameters, gradient=old.gradient, optimiser=old.optimiser)

    @property
    def _most(self) -> int:
        return len(self.net.gradients) // (2 * max(math.prod(shape) for shape in self.shapes))

    def _gives_sequence(self) -> bool:
        return self._is_sequence and not any(layer.kind == LAST for layer in self.layers)

    def predict(self, x: Any) -> NDArray[Any]:
        """The outputs for a batch of examples of any size, as a copy, [N, K]."""
        given = np.ascontiguousarray(np.asarray(x, self.dtype).reshape(len(x), -1))
        self._make_room(min(len(given), _AT_A_TIME), 1)
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
