"""A linear layer: every output is a weighted sum of the inputs.

    forward    y = x W + b
    backward   ∂W = xᵀ ∂y        ∂b = Σ_rows ∂y        ∂x = ∂y Wᵀ
    tangent    ẏ = ẋ W + x Ẇ + ḃ

Source: Rumelhart, Hinton & Williams 1986; Goodfellow, Bengio & Courville 2016, section 6.5.

Parameters: W [in, out], b [out]. Shapes: x [N, in], y [N, out].
"""

from __future__ import annotations

from typing import Any

from rlplay.compiled.cache import in_place, own_code, reordered
from rlplay.networks.matmul import ROOM, add_row, copy, product
from rlplay.networks.memory import IN, NARROW, OUT, PARAMETERS, Floats, Net


@in_place
def affine(
    net: Net, weights: int, bias: int, x: Floats, x_at: int, y: Floats, y_at: int, rows: int, n_in: int, n_out: int
) -> None:
    """y = x W + b with W and b at two places of the parameters; ``bias=-1`` for none.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net, y = new_net([Linear(2, 1)], np.float32([1, 2, 3]), 1), np.empty(1, np.float32)
        >>> affine(net, 0, 2, np.float32([10, 20]), 0, y, 0, 1, 2, 1)
        >>> y.tolist()
        [53.0]
    """
    p = net.parameters
    product(x, x_at, n_in, 1, p, weights, n_out, 1, y, y_at, n_out, p, bias, 0, rows, n_out, n_in, net.work)


@in_place
def weight_gradient(
    net: Net, place: int, x: Floats, x_at: int, g: Floats, g_at: int, rows: int, n_in: int, n_out: int
) -> None:
    """∂W = xᵀ g into the gradient.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Linear(2, 1)], np.zeros(3, np.float32), 1)
        >>> weight_gradient(net, 0, np.float32([10, 20]), 0, np.float32([0.5]), 0, 1, 2, 1)
        >>> net.gradient.tolist()
        [5.0, 10.0, 0.0]
    """
    to = net.gradient
    product(x, x_at, 1, n_in, g, g_at, n_out, 1, to, place, n_out, to, -1, 0, n_in, n_out, rows, net.work)


@in_place
def narrow_weight_gradient(
    net: Net, place: int, x: Floats, x_at: int, g: Floats, g_at: int, rows: int, n_in: int, n_out: int
) -> None:
    """∂W for a few outputs, computed as (∂W)ᵀ = gᵀ x in the work space, so that rows of x are whole vectors.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Linear(2, 1)], np.zeros(3, np.float32), 1)
        >>> narrow_weight_gradient(net, 0, np.float32([10, 20]), 0, np.float32([0.5]), 0, 1, 2, 1)
        >>> net.gradient.tolist()
        [5.0, 10.0, 0.0]
    """
    work, to = net.work, net.gradient
    product(g, g_at, 1, n_out, x, x_at, n_in, 1, work, ROOM, n_in, work, -1, 0, n_out, n_in, rows, work)
    for i in range(n_in):
        for j in range(n_out):
            to[place + i * n_out + j] = work[ROOM + j * n_in + i]


@in_place
def bias_gradient(net: Net, place: int, g: Floats, g_at: int, rows: int, n_out: int) -> None:
    """∂b = 1ᵀ G into the gradient.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Linear(2, 1)], np.zeros(3, np.float32), 2)
        >>> bias_gradient(net, 2, np.float32([0.5, 0.25]), 0, 2, 1)
        >>> net.gradient.tolist()
        [0.0, 0.0, 0.75]
    """
    to = net.gradient
    product(net.one, 0, 0, 0, g, g_at, n_out, 1, to, place, n_out, to, -1, 0, 1, n_out, rows, net.work)


@in_place
def input_gradient(
    net: Net, weights: int, g: Floats, g_at: int, below: Floats, below_at: int, rows: int, n_in: int, n_out: int
) -> None:
    """∂X = G Wᵀ.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net, below = new_net([Linear(2, 1)], np.float32([1, 2, 3]), 1), np.empty(2, np.float32)
        >>> input_gradient(net, 0, np.float32([0.5]), 0, below, 0, 1, 2, 1)
        >>> below.tolist()
        [0.5, 1.0]
    """
    p = net.parameters
    product(g, g_at, n_out, 1, p, weights, 1, n_out, below, below_at, n_in, p, -1, 0, rows, n_in, n_out, net.work)


@reordered
def dot(a: Floats, a_at: int, b: Floats, b_at: int, n: int) -> Any:
    """Σ a b over n numbers from two places of flat arrays.

    Example:
        >>> import numpy as np
        >>> dot(np.float32([1, 2, 3]), 1, np.float32([10, 20]), 0, 2)
        80.0
    """
    xs, ys, total = a[a_at : a_at + n], b[b_at : b_at + n], a.dtype.type(0)
    for i in range(n):
        total += xs[i] * ys[i]
    return total


@in_place
def narrow_affine(
    net: Net, weights: int, bias: int, x: Floats, x_at: int, y: Floats, y_at: int, rows: int, n_in: int, n_out: int
) -> None:
    """y = x W + b for a few outputs, each a dot product with a row of Wᵀ, which is copied to the work space.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net, y = new_net([Linear(2, 1)], np.float32([1, 2, 3]), 1), np.empty(1, np.float32)
        >>> narrow_affine(net, 0, 2, np.float32([10, 20]), 0, y, 0, 1, 2, 1)
        >>> y.tolist()
        [53.0]
    """
    p, work = net.parameters, net.work
    for i in range(n_in):
        for j in range(n_out):
            work[ROOM + j * n_in + i] = p[weights + i * n_out + j]
    for row in range(rows):
        for j in range(n_out):
            y[y_at + row * n_out + j] = p[bias + j] + dot(x, x_at + row * n_in, work, ROOM + j * n_in, n_in)


_SPARSE = 32  # a batch is sparse where each row has at most one number other than 0 in so many


@own_code
@in_place
def is_sparse(x: Floats, x_at: int, rows: int, n_in: int) -> bool:
    """Whether in each row almost all inputs are 0, as where states are one-hot: most of a product is then for nothing.

    Example:
        >>> import numpy as np
        >>> one_hot = np.eye(3, 64, dtype=np.float32).ravel()
        >>> is_sparse(one_hot, 0, 3, 64), is_sparse(np.ones(64, np.float32), 0, 1, 64)
        (True, False)
    """
    row, sparse = 0, n_in >= _SPARSE
    while sparse and row < rows:
        there, numbers = 0, x[x_at + row * n_in : x_at + (row + 1) * n_in]
        for k in range(n_in):
            there += numbers[k] != 0
        sparse = there * _SPARSE <= n_in
        row += 1
    return sparse


@own_code
@in_place
def add_rows(
    x: Floats, x_at: int, rows: int, n_in: int, a: Floats, a_at: int, a_row: int, a_k: int, out: Floats, out_at: int,
    out_row: int, out_k: int, columns: int,
) -> None:  # fmt: skip
    """For each input x[row, k] that is not 0 add it times the numbers at ``a_at + row a_row + k a_k`` to those there.

    Places of ``out`` are counted likewise. Sums are taken in the order of a product, fused, and so have its bits.

    Example:
        >>> import numpy as np
        >>> w, y = np.float32([1, 2, 3, 4]), np.zeros(2, np.float32)
        >>> add_rows(np.float32([0, 10]), 0, 1, 2, w, 0, 0, 2, y, 0, 2, 0, 2)  # y = x W
        >>> y.tolist()
        [30.0, 40.0]
    """
    for row in range(rows):
        there, first, numbers = 0, 0, x[x_at + row * n_in : x_at + (row + 1) * n_in]
        for k in range(n_in):  # where there is one alone, the sum of the places is its place
            there += numbers[k] != 0
            first += k * (numbers[k] != 0)
        for k in range(first if there == 1 else 0, first + 1 if there == 1 else n_in):
            if numbers[k] != 0:
                add_row(numbers[k], a, a_at + row * a_row + k * a_k, out, out_at + row * out_row + k * out_k, columns)


@in_place
def sparse_affine(
    net: Net, weights: int, bias: int, x: Floats, x_at: int, y: Floats, y_at: int, rows: int, n_in: int, n_out: int
) -> None:
    """y = x W + b from the inputs that are not 0: the bits of `affine`.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net, y = new_net([Linear(2, 1)], np.float32([1, 2, 3]), 1), np.empty(1, np.float32)
        >>> sparse_affine(net, 0, 2, np.float32([0, 20]), 0, y, 0, 1, 2, 1)
        >>> y.tolist()
        [43.0]
    """
    p = net.parameters
    for row in range(rows):
        copy(p, bias, n_out, y, y_at + row * n_out, n_out, 1, n_out)
    add_rows(x, x_at, rows, n_in, p, weights, 0, n_out, y, y_at, n_out, 0, n_out)


@in_place
def sparse_weight_gradient(
    net: Net, place: int, x: Floats, x_at: int, g: Floats, g_at: int, rows: int, n_in: int, n_out: int
) -> None:
    """∂W = xᵀ g into the gradient, from the inputs that are not 0: the bits of `weight_gradient`.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Linear(2, 1)], np.zeros(3, np.float32), 1)
        >>> sparse_weight_gradient(net, 0, np.float32([0, 20]), 0, np.float32([0.5]), 0, 1, 2, 1)
        >>> net.gradient.tolist()
        [0.0, 10.0, 0.0]
    """
    to = net.gradient[place : place + n_in * n_out]
    for i in range(n_in * n_out):
        to[i] = 0
    add_rows(x, x_at, rows, n_in, g, g_at, n_out, 0, to, 0, 0, n_out, n_out)


@in_place
def forward(layer: Any, net: Net, x: Floats, x_at: int, y: Floats, y_at: int, rows: int) -> None:
    """The outputs of a batch.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net, y = new_net([Linear(2, 1)], np.float32([1, 2, 3]), 1), np.empty(1, np.float32)
        >>> forward(net.layers[0], net, np.float32([10, 20]), 0, y, 0, 1)
        >>> y.tolist()
        [53.0]
    """
    n_in, n_out, at = layer[IN], layer[OUT], layer[PARAMETERS]
    if n_out < NARROW:
        narrow_affine(net, at, at + n_in * n_out, x, x_at, y, y_at, rows, n_in, n_out)
    elif is_sparse(x, x_at, rows, n_in):
        sparse_affine(net, at, at + n_in * n_out, x, x_at, y, y_at, rows, n_in, n_out)
    else:
        affine(net, at, at + n_in * n_out, x, x_at, y, y_at, rows, n_in, n_out)


@in_place
def backward(
    layer: Any, net: Net, x: Floats, x_at: int, grad: Floats, grad_at: int, below: Floats, below_at: int, rows: int,
    to_input: bool,
) -> None:  # fmt: skip
    """The gradients with respect to W, b and, with ``to_input``, x.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net, below = new_net([Linear(2, 1)], np.float32([1, 2, 3]), 1), np.empty(2, np.float32)
        >>> backward(net.layers[0], net, np.float32([10, 20]), 0, np.float32([0.5]), 0, below, 0, 1, True)
        >>> net.gradient.tolist(), below.tolist()
        ([5.0, 10.0, 0.5], [0.5, 1.0])
    """
    n_in, n_out, at = layer[IN], layer[OUT], layer[PARAMETERS]
    if n_out < NARROW:
        narrow_weight_gradient(net, at, x, x_at, grad, grad_at, rows, n_in, n_out)
    elif is_sparse(x, x_at, rows, n_in):
        sparse_weight_gradient(net, at, x, x_at, grad, grad_at, rows, n_in, n_out)
    else:
        weight_gradient(net, at, x, x_at, grad, grad_at, rows, n_in, n_out)
    bias_gradient(net, at + n_in * n_out, grad, grad_at, rows, n_out)
    if to_input:
        input_gradient(net, at, grad, grad_at, below, below_at, rows, n_in, n_out)


@in_place
def backward_to_input(
    layer: Any, net: Net, x: Floats, x_at: int, grad: Floats, grad_at: int, below: Floats, below_at: int, rows: int,
    to_input: bool,
) -> None:  # fmt: skip
    """The gradient with respect to x alone.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net, below = new_net([Linear(2, 1)], np.float32([1, 2, 3]), 1), np.empty(2, np.float32)
        >>> backward_to_input(net.layers[0], net, np.float32([10, 20]), 0, np.float32([0.5]), 0, below, 0, 1, True)
        >>> net.gradient.tolist(), below.tolist()
        ([0.0, 0.0, 0.0], [0.5, 1.0])
    """
    input_gradient(net, layer[PARAMETERS], grad, grad_at, below, below_at, rows, layer[IN], layer[OUT])


@in_place
def tangent(
    layer: Any, net: Net, x: Floats, x_at: int, dot: Floats, dot_at: int, direction: Floats, out: Floats, out_at: int,
    rows: int,
) -> None:  # fmt: skip
    """ẏ for a direction of the parameters and a direction ẋ of the inputs.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net, out = new_net([Linear(2, 1)], np.float32([1, 2, 3]), 1), np.empty(1, np.float32)
        >>> direction = np.float32([0, 1, 0])
        >>> tangent(net.layers[0], net, np.float32([10, 20]), 0, np.zeros(2, np.float32), 0, direction, out, 0, 1)
        >>> out.tolist()
        [20.0]
    """
    n_in, n_out, at = layer[IN], layer[OUT], layer[PARAMETERS]
    affine(net, at, -1, dot, dot_at, out, out_at, rows, n_in, n_out)
    product(
        x, x_at, n_in, 1, direction, at, n_out, 1, out, out_at, n_out, out, out_at, n_out, rows, n_out, n_in, net.work
    )
    for row in range(rows):
        for j in range(n_out):
            out[out_at + row * n_out + j] += direction[at + n_in * n_out + j]
