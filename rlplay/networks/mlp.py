"""A multilayer perceptron with a hand-written backward pass, over one flat float32 array of parameters.

Forward, layer by layer, the last one without activation:

    h₀ = x        z_l = h_{l-1} W_l + b_l        h_l = f(z_l)

Backward, from the gradient G_L of the loss with respect to the outputs (the chain rule read from the right):

    ∂W_l = h_{l-1}ᵀ G_l        ∂b_l = Σ_rows G_l        G_{l-1} = (G_l W_lᵀ) ⊙ f'(z_{l-1})

with f' from f's value: 1 - h² for tanh, [h > 0] for ReLU.

Source: Rumelhart, Hinton & Williams 1986; Goodfellow, Bengio & Courville 2016, section 6.5. The initial weights are
orthogonal (Saxe, McClelland & Ganguli 2014).

Shapes: N rows, sizes [L + 1] = inputs, hidden layers, outputs; the parameters hold W_1 [in, out], b_1 [out], W_2, ...
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled
from rlplay.networks import Kernel
from rlplay.networks.activations import tanh
from rlplay.networks.adam import Adam, adam_step, new_adam

TANH, RELU = 0, 1
ACTIVATIONS = {"tanh": TANH, "relu": RELU}


class MLP(NamedTuple):
    """The memory of a network of L layers for batches of at most N rows.

    Attributes:
        sizes: inputs, hidden layers, outputs, int64 [L + 1].
        parameters: all weights and biases, float32 [P].
        gradient: of the loss with respect to them, float32 [P].
        activation: `TANH` or `RELU`, int64 [1].
        outputs: room for each layer's output, float32 [L, N * widest].
        gradients: room for the gradients of two neighbouring layers, float32 [2, N * widest].
        optimiser: Adam's state.
    """

    sizes: NDArray[np.int64]
    parameters: NDArray[np.float32]
    gradient: NDArray[np.float32]
    activation: NDArray[np.int64]
    outputs: NDArray[np.float32]
    gradients: NDArray[np.float32]
    optimiser: Adam


def initial_parameters(sizes: Sequence[int], rng: np.random.Generator, last_gain: float = 1.0) -> NDArray[np.float32]:
    """Orthogonal weights, scaled by √2 in hidden layers and by ``last_gain`` in the last; biases 0. float32 [P]."""
    parts = []
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        normal = rng.standard_normal((max(n_in, n_out), min(n_in, n_out)))
        q, r = np.linalg.qr(normal)
        q *= np.sign(np.diag(r))  # a unique decomposition, so that the weights are uniform over rotations
        gain = last_gain if layer == len(sizes) - 2 else math.sqrt(2)
        parts += [gain * (q if n_in >= n_out else q.T).ravel(), np.zeros(n_out)]
    return np.concatenate(parts).astype(np.float32)


def new_mlp(sizes: Sequence[int], parameters: NDArray[np.float32], activation: str, rows: int) -> MLP:
    """A network from its parameters, with room for batches of ``rows``."""
    room = rows * max(sizes)
    return MLP(
        np.array(sizes, np.int64),
        parameters.copy(),
        np.zeros_like(parameters),
        np.array([ACTIVATIONS[activation]], np.int64),
        np.zeros((len(sizes) - 1, room), np.float32),
        np.zeros((2, room), np.float32),
        new_adam(parameters.size),
    )


@compiled
def _activate(z: NDArray[np.float32], activation: int) -> None:
    """Apply h = f(z) in place, z [N]."""
    if activation == TANH:
        tanh(z)
    else:
        for i in range(z.shape[0]):
            z[i] = max(z[i], np.float32(0.0))


@compiled
def forward(net: MLP, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The outputs for a batch, [N, K]; a view of the network's own room, overwritten by the next call."""
    rows, layers, place, h = x.shape[0], net.sizes.shape[0] - 1, 0, x
    for layer in range(layers):
        n_in, n_out = net.sizes[layer], net.sizes[layer + 1]
        weights = net.parameters[place : place + n_in * n_out].reshape((n_in, n_out))
        place += n_in * n_out
        flat = net.outputs[layer, : rows * n_out]
        z = flat.reshape((rows, n_out))
        np.dot(h, weights, z)
        for row in range(rows):
            for j in range(n_out):
                z[row, j] += net.parameters[place + j]
        if layer < layers - 1:
            _activate(flat, net.activation[0])
        place += n_out
        h = z
    return h


@compiled
def forward_row(net: MLP, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The outputs for one row, [K]: plain loops, which beat a call of BLAS on a single row."""
    layers, place, h = net.sizes.shape[0] - 1, 0, x
    for layer in range(layers):
        n_in, n_out = net.sizes[layer], net.sizes[layer + 1]
        bias, z = place + n_in * n_out, net.outputs[layer, :n_out]
        for j in range(n_out):
            z[j] = net.parameters[bias + j]
        for i in range(n_in):
            value, row = h[i], place + i * n_out
            for j in range(n_out):
                z[j] += value * net.parameters[row + j]
        if layer < layers - 1:
            _activate(z, net.activation[0])
        place, h = bias + n_out, z
    return h


@compiled
def backward(net: MLP, x: NDArray[np.float32], grad_output: NDArray[np.float32]) -> NDArray[np.float32]:
    """The gradients after `forward` of the same batch: ∂W and ∂b into ``net.gradient``, ∂x returned, [N, D]."""
    rows, layers, end, grad = x.shape[0], net.sizes.shape[0] - 1, net.parameters.shape[0], grad_output
    for layer in range(layers - 1, -1, -1):
        n_in, n_out = net.sizes[layer], net.sizes[layer + 1]
        start, bias = end - (n_in + 1) * n_out, end - n_out
        weights = net.parameters[start:bias].reshape((n_in, n_out))
        h = x if layer == 0 else net.outputs[layer - 1, : rows * n_in].reshape((rows, n_in))
        np.dot(h.T, grad, net.gradient[start:bias].reshape((n_in, n_out)))  # ∂W = hᵀ G
        for j in range(n_out):
            net.gradient[bias + j] = 0.0
        for row in range(rows):
            for j in range(n_out):
                net.gradient[bias + j] += grad[row, j]  # ∂b = Σ G
        grad_below = net.gradients[layer % 2, : rows * n_in].reshape((rows, n_in))
        np.dot(grad, weights.T, grad_below)  # G Wᵀ
        if layer > 0:
            if net.activation[0] == TANH:
                for row in range(rows):
                    for j in range(n_in):
                        grad_below[row, j] *= np.float32(1.0) - h[row, j] * h[row, j]
            else:
                for row in range(rows):
                    for j in range(n_in):
                        grad_below[row, j] *= np.float32(h[row, j] > 0.0)
        grad, end = grad_below, start
    return grad


@compiled
def improve(net: MLP, learning_rate: float, max_grad_norm: float) -> None:
    """One step of Adam against the gradient."""
    adam_step(net.parameters, net.gradient, net.optimiser, learning_rate, max_grad_norm)


@compiled
def predict(net: MLP, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The outputs for a batch of any size, row by row, as a copy, [N, K]."""
    out = np.empty((x.shape[0], net.sizes[-1]), np.float32)
    for row in range(x.shape[0]):
        out[row] = forward_row(net, x[row])
    return out


def arrays(net: MLP) -> dict[str, NDArray[Any]]:
    """Parameters and optimiser, the network's own arrays."""
    return {"parameters": net.parameters, **net.optimiser._asdict()}


def restore(net: MLP, values: dict[str, NDArray[Any]]) -> None:
    """Take the values of such arrays."""
    for name, array in arrays(net).items():
        array[...] = values[name]


KERNEL = Kernel(forward, forward_row, backward, improve, predict, arrays, restore)
