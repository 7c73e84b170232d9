"""The compiled functions of a network: forward, backward and tangent over its memory, layer by layer.

    forward    h₀ = x        h_l = f_l(h_{l-1}; θ_l)
    backward   G_L = ∂loss/∂h_L        ∂θ_l, G_{l-1} from G_l by the rule of each layer, the last layer first
    tangent    ḣ₀ = 0        ḣ_l from ḣ_{l-1} and θ̇_l: the change of the outputs when the parameters move along θ̇

Source: Rumelhart, Hinton & Williams 1986; Goodfellow, Bengio & Courville 2016, section 6.5; the tangent is the
R-operator of Pearlmutter 1994.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from rlplay.compiled.cache import compiled, in_place, own_code
from rlplay.networks import batch_renorm, conv2d, dropout, gru, layer_norm, linear, lstm, optimisers
from rlplay.networks.activations import activations
from rlplay.networks.contract import Kernel
from rlplay.networks.layers import Layer
from rlplay.networks.memory import (
    BATCH_RENORM,
    CONV_2D,
    DROPOUT,
    GELU,
    GRU,
    KIND,
    LAST,
    LAYER_NORM,
    LINEAR,
    LSTM,
    OUT,
    REPEAT,
    ROWS,
    STEPS,
    TANH,
    VALUES,
    Floats,
    Net,
)  # fmt: skip
from rlplay.networks.state import arrays, restore

_RULES: dict[int, Any] = {
    LINEAR: linear, LAYER_NORM: layer_norm, CONV_2D: conv2d, LSTM: lstm, GRU: gru, BATCH_RENORM: batch_renorm,
}  # fmt: skip


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


@in_place
def _no_spread(layer: Any, net: Net, x: Floats, x_at: int, y: Floats, y_at: int, rows: int) -> int:
    return rows


@in_place
def _no_spread_back(layer: Any, net: Net, grad: Floats, grad_at: int, below: Floats, below_at: int, rows: int) -> int:
    return rows


@in_place
def blend(net: Net, other: Net, share: float) -> None:
    """θ ← (1 - share) θ + share θ' with the parameters of another network of the same layers.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net, other = (new_net([Linear(1, 1)], np.float32([value, 0]), 1) for value in (0, 4))
        >>> blend(net, other, 0.25)
        >>> net.parameters.tolist()
        [1.0, 0.0]
    """
    kind = net.parameters.dtype.type
    kept, taken = kind(1.0 - share), kind(share)
    for i in range(net.parameters.shape[0]):
        net.parameters[i] = kept * net.parameters[i] + taken * other.parameters[i]


@in_place
def move(net: Net, origin: Floats, direction: Floats, length: float) -> None:
    """θ ← origin + length direction, [P] each; sums in the precision of the direction.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Linear(1, 1)], np.float32([1, 2]), 1)
        >>> move(net, np.float32([1, 2]), np.array([10.0, 20.0]), 0.5)
        >>> net.parameters.tolist()
        [6.0, 12.0]
    """
    for i in range(net.parameters.shape[0]):
        net.parameters[i] = origin[i] + length * direction[i]


def kernel(layers: Sequence[Layer]) -> Kernel:
    """The functions for networks of such layers, compiled with the rules of their kinds (and linear, tanh) only.

    Example:
        >>> from rlplay.networks.layers import Linear, Tanh
        >>> kernel([Linear(2, 3), Tanh()]) is kernel([Linear(5, 1)])
        True
    """
    kinds = frozenset(layer.kind for layer in layers)
    return _kernel(kinds | {LINEAR} if min(kinds) <= GELU else kinds | {LINEAR, TANH})


@cache
def _kernel(kinds: frozenset[int]) -> Kernel:
    def rules(name: str, absent: Any) -> list[Any]:
        return [getattr(module, name) if kind in kinds else absent for kind, module in _RULES.items()]

    linear_forward, norm_forward, conv_forward, lstm_forward, gru_forward, renorm_forward = rules(
        "forward", _no_forward
    )  # fmt: skip
    linear_backward, norm_backward, conv_backward, lstm_backward, gru_backward, renorm_backward = rules(
        "backward", _no_backward
    )  # fmt: skip
    linear_tangent, norm_tangent, conv_tangent, lstm_tangent, gru_tangent, renorm_tangent = rules(
        "tangent", _no_tangent
    )  # fmt: skip
    activate, activate_back = activations(frozenset(kind for kind in kinds if kind <= GELU))
    spreads = kinds & {LAST, REPEAT}
    spread, spread_back = (_spread, _spread_back) if spreads else (_no_spread, _no_spread_back)
    if DROPOUT in kinds:
        if spreads:
            raise ValueError("a network has Dropout, or Last and Repeat, and not both")
        spread, spread_back = dropout.forward, dropout.backward

    @own_code
    @compiled
    def forward(net: Net, x: Floats) -> Floats:
        """The outputs for a batch [N, D], [N, K]; a view of the network's own memory, overwritten by the next call."""
        rows, h, at = x.shape[0], x.reshape(-1), 0
        for number in range(net.layers.shape[0]):
            layer = net.layers[number]
            kind, to = layer[KIND], layer[VALUES]
            if kind <= GELU:
                activate(kind, h, at, net.values, to, rows * layer[OUT])
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
            elif kind == BATCH_RENORM:
                renorm_forward(layer, net, h, at, net.values, to, rows)
            else:
                rows = spread(layer, net, h, at, net.values, to, rows)
            h, at = net.values, to
        return net.values[at : at + rows * net.layers[-1, OUT]].reshape((rows, net.layers[-1, OUT]))

    def sweep_back(of_linear: Any) -> Any:
        @own_code
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
                    activate_back(kind, h, h_at, net.values, y_at, grad, at, rows * layer[OUT])
                    continue
                if kind == LINEAR:
                    of_linear(layer, net, h, h_at, grad, at, below, to, rows, wanted)
                elif kind == LAYER_NORM:
                    norm_backward(layer, net, h, h_at, grad, at, below, to, rows, wanted)
                elif kind == CONV_2D:
                    conv_backward(layer, net, h, h_at, grad, at, below, to, rows, wanted)
                elif kind == LSTM:
                    lstm_backward(layer, net, h, h_at, grad, at, below, to, rows, wanted)
                elif kind == GRU:
                    gru_backward(layer, net, h, h_at, grad, at, below, to, rows, wanted)
                elif kind == BATCH_RENORM:
                    renorm_backward(layer, net, h, h_at, grad, at, below, to, rows, wanted)
                else:
                    rows = spread_back(layer, net, grad, at, below, to, rows)
                grad, at = below, to
                other = 1 - other
            return grad[at : at + x.size].reshape(x.shape)

        return backward

    backward = sweep_back(linear_backward)
    backward_to_input = sweep_back(linear.backward_to_input)

    @compiled
    def input_gradient(net: Net, x: Floats, grad_output: Floats) -> Floats:
        """The gradient with respect to x, [N, D], after `forward` of x; what ``net.gradient`` holds means nothing."""
        return backward_to_input(net, x, grad_output, True)

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
                activate_back(kind, h, at, net.values, y_at, dot, dot_at, rows * layer[OUT])  # ẏ = f'(x) ⊙ ẋ
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
            elif kind == BATCH_RENORM:
                renorm_tangent(layer, net, h, at, dot, dot_at, direction, out, to, rows)
            else:
                rows = spread(layer, net, dot, dot_at, out, to, rows)
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
            outputs = forward(net, part)
            for i in range(part.shape[0]):
                for j in range(out.shape[1]):
                    out[begin + i, j] = outputs[i, j]
        return out

    return Kernel(
        forward, forward_row, backward, improve, squared_length, shrink, predict, tangent, input_gradient, blend,
        move, arrays, restore,
    )  # fmt: skip
