"""Long short-term memory: gates decide what a cell stores, keeps and outputs.

    forward    [i f g o] = x_t W + h_{t-1} U + b + b'        i, f, o ← σ(·)        g ← tanh(·)
               c_t = f ⊙ c_{t-1} + i ⊙ g                     h_t = o ⊙ tanh(c_t)

    backward, from t = T to 1, with δh = ∂y_t + what comes from step t + 1:
               δo = δh ⊙ tanh(c_t)                           δc ← δc + δh ⊙ o ⊙ (1 - tanh²(c_t))
               δi = δc ⊙ g        δf = δc ⊙ c_{t-1}          δg = δc ⊙ i        δc_{t-1} = δc ⊙ f
               G_t = [δi i(1-i)   δf f(1-f)   δg (1-g²)   δo o(1-o)]            δh_{t-1} = G_t Uᵀ
               ∂W = Σ_t x_tᵀ G_t        ∂U = Σ_t h_{t-1}ᵀ G_t        ∂b = ∂b' = Σ G_t        ∂x_t = G_t Wᵀ

    tangent    the forward lines, differentiated along a direction of all parameters and inputs.

After a sequence's own length its state stays as it is, so that the last state is that of its last step. Where an
episode begins within a sequence, h_{t-1} = c_{t-1} = 0, and nothing goes back to step t - 1.

Source: Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000 (the forget gate); the order of the gates and
the two biases are those of `torch.nn.LSTM`.

Parameters: W [in, 4H], U [H, 4H], b [4H], b' [4H]. Shapes: x [T * N, in], y [T * N, H], time-major; state h, c [N, H].
"""

from __future__ import annotations

from typing import Any

from rlplay.compiled.cache import in_place
from rlplay.networks.activations import sigmoid_of, tanh_of
from rlplay.networks.episodes import any_begins, begins, clear_begun, copy_unless_begun
from rlplay.networks.linear import affine, bias_gradient, input_gradient, weight_gradient
from rlplay.networks.matmul import ROOM, product, transpose
from rlplay.networks.memory import (
    FINAL,
    GRAD_FINAL,
    GRAD_INITIAL,
    IN,
    INITIAL,
    OUT,
    PARAMETERS,
    ROWS,
    SAVED,
    STATE,
    STEPS,
    VALUES,
    Floats,
    Net,
)  # fmt: skip


@in_place
def forward(layer: Any, net: Net, x: Floats, x_at: int, y: Floats, y_at: int, rows: int) -> None:
    """All steps of N sequences, from the initial state; the final one is kept.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import LSTM
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([LSTM(1, 1)], np.zeros(16, np.float32), 1, steps=2)
        >>> net.sizes[1], net.state[INITIAL] = 2, 1.0
        >>> forward(net.layers[0], net, np.zeros(2, np.float32), 0, net.values, 0, 2)
        >>> net.values.astype(float).round(3).tolist(), net.state[FINAL].astype(float).round(3).tolist()
        ([0.231, 0.122], [0.122, 0.25])
    """
    n_in, h, steps, work, p = layer[IN], layer[OUT], net.sizes[STEPS], net.work, net.parameters
    n, gates, cells = rows // steps, layer[SAVED], layer[SAVED] + rows * 4 * h
    recurrent, bias = layer[PARAMETERS] + n_in * 4 * h, layer[PARAMETERS] + (n_in + h) * 4 * h
    for j in range(4 * h):
        work[ROOM + j] = p[bias + j] + p[bias + 4 * h + j]
    product(x, x_at, n_in, 1, p, layer[PARAMETERS], 4 * h, 1, net.saved, gates, 4 * h, work, ROOM, 0, rows, 4 * h, n_in,
            work)  # fmt: skip
    hidden, hidden_at = net.state[INITIAL], layer[STATE]
    cell, cell_at = net.state[INITIAL], layer[STATE] + net.sizes[ROWS] * h
    for t in range(steps):
        at = gates + t * n * 4 * h
        if any_begins(net, t, n):
            kept = ROOM + 4 * h
            copy_unless_begun(net, t, n, hidden, hidden_at, kept, h)
            copy_unless_begun(net, t, n, cell, cell_at, kept + n * h, h)
            hidden, hidden_at, cell, cell_at = work, kept, work, kept + n * h
        product(hidden, hidden_at, h, 1, p, recurrent, 4 * h, 1, net.saved, at, 4 * h, net.saved, at, 4 * h, n, 4 * h,
                h, work)  # fmt: skip
        y_t, cell_t = y_at + t * n * h, cells + t * n * h
        for row in range(n):
            g = at + row * 4 * h
            if t < net.lengths[row]:
                _step(net.saved, g, cell, cell_at + row * h, cell_t + row * h, y, y_t + row * h, h)
            else:
                for j in range(h):
                    net.saved[cell_t + row * h + j] = cell[cell_at + row * h + j]
                    y[y_t + row * h + j] = hidden[hidden_at + row * h + j]
        hidden, hidden_at, cell, cell_at = y, y_t, net.saved, cell_t
    for i in range(n * h):
        net.state[FINAL, layer[STATE] + i] = hidden[hidden_at + i]
        net.state[FINAL, layer[STATE] + net.sizes[ROWS] * h + i] = cell[cell_at + i]


@in_place
def _step(saved: Floats, g: int, cell: Floats, cell_at: int, new: int, y: Floats, y_at: int, h: int) -> None:
    """The gates, c_t = f ⊙ c_{t-1} + i ⊙ g and h_t = o ⊙ tanh(c_t), of one row."""
    i, f, candidate, o = (
        saved[g : g + h], saved[g + h : g + 2 * h], saved[g + 2 * h : g + 3 * h], saved[g + 3 * h : g + 4 * h],
    )  # fmt: skip
    before, after, shown = cell[cell_at : cell_at + h], saved[new : new + h], y[y_at : y_at + h]
    both = saved[g : g + 2 * h]
    for j in range(2 * h):
        both[j] = sigmoid_of(both[j])
    for j in range(h):
        candidate[j] = tanh_of(candidate[j])
    for j in range(h):
        o[j] = sigmoid_of(o[j])
    for j in range(h):
        after[j] = f[j] * before[j] + i[j] * candidate[j]
    for j in range(h):
        shown[j] = o[j] * tanh_of(after[j])


@in_place
def _step_back(
    saved: Floats, g: int, c: int, cell: Floats, cell_at: int, grad: Floats, grad_at: int, dh: Floats, dh_at: int,
    dc: Floats, dc_at: int, to: int, h: int,
) -> None:  # fmt: skip
    """G_t and δc_{t-1} of one row; δh is taken in and set to 0, since it comes anew from G_t."""
    one = saved.dtype.type(1)
    i, f, candidate, o = (
        saved[g : g + h], saved[g + h : g + 2 * h], saved[g + 2 * h : g + 3 * h], saved[g + 3 * h : g + 4 * h],
    )  # fmt: skip
    to_i, to_f, to_new, to_o = (
        saved[to : to + h], saved[to + h : to + 2 * h], saved[to + 2 * h : to + 3 * h], saved[to + 3 * h : to + 4 * h],
    )  # fmt: skip
    now, before = saved[c : c + h], cell[cell_at : cell_at + h]
    delta, delta_c, given = dh[dh_at : dh_at + h], dc[dc_at : dc_at + h], grad[grad_at : grad_at + h]
    for j in range(h):
        to_f[j] = tanh_of(now[j])  # for the next two loops
    for j in range(h):
        delta[j] += given[j]
        to_o[j] = delta[j] * to_f[j] * o[j] * (one - o[j])
    for j in range(h):
        delta_c[j] += delta[j] * o[j] * (one - to_f[j] * to_f[j])
    for j in range(h):
        to_i[j] = delta_c[j] * candidate[j] * i[j] * (one - i[j])
    for j in range(h):
        to_new[j] = delta_c[j] * i[j] * (one - candidate[j] * candidate[j])
    for j in range(h):
        to_f[j] = delta_c[j] * before[j] * f[j] * (one - f[j])
    for j in range(h):
        delta_c[j] *= f[j]
        delta[j] = saved.dtype.type(0)


@in_place
def backward(
    layer: Any, net: Net, x: Floats, x_at: int, grad: Floats, grad_at: int, below: Floats, below_at: int, rows: int,
    to_input: bool,
) -> None:  # fmt: skip
    """Back through time; takes the gradient of the final state in, and leaves that of the initial one.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import LSTM
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([LSTM(1, 1)], np.zeros(16, np.float32), 1)
        >>> x, grad, below = np.ones((3, 1), np.float32)
        >>> forward(net.layers[0], net, x, 0, net.values, 0, 1)
        >>> backward(net.layers[0], net, x, 0, grad, 0, below, 0, 1, True)
        >>> net.gradient[:4].tolist()
        [0.0, 0.0, 0.25, 0.0]
    """
    n_in, h, steps, work, p = layer[IN], layer[OUT], net.sizes[STEPS], net.work, net.parameters
    n, gates, cells, y_at = rows // steps, layer[SAVED], layer[SAVED] + rows * 4 * h, layer[VALUES]
    deltas, weights = cells + rows * h, layer[PARAMETERS]
    recurrent, bias = weights + n_in * 4 * h, weights + (n_in + h) * 4 * h
    dh, dh_at, dc_at = net.state[GRAD_INITIAL], layer[STATE], layer[STATE] + net.sizes[ROWS] * h
    for i in range(n * h):
        dh[dh_at + i] = net.state[GRAD_FINAL, dh_at + i]
        dh[dc_at + i] = net.state[GRAD_FINAL, dc_at + i]
    transpose(p, recurrent, 4 * h, work, ROOM, h, h, 4 * h)  # Uᵀ, once for all steps
    nothing = ROOM + 4 * h * h
    for j in range(h):
        work[nothing + j] = work.dtype.type(0)
    for t in range(steps - 1, -1, -1):
        to = deltas + t * n * 4 * h
        cell, cell_at = net.saved, cells + (t - 1) * n * h
        if t == 0:
            cell, cell_at = net.state[INITIAL], layer[STATE] + net.sizes[ROWS] * h
        for row in range(n):
            g, c, here = gates + (t * n + row) * 4 * h, cells + (t * n + row) * h, grad_at + (t * n + row) * h
            if t < net.lengths[row]:
                before, before_at = cell, cell_at + row * h
                if begins(net, t * n + row):
                    before, before_at = work, nothing
                _step_back(net.saved, g, c, before, before_at, grad, here, dh, dh_at + row * h, dh, dc_at + row * h,
                           to + row * 4 * h, h)  # fmt: skip
            else:
                for j in range(h):
                    dh[dh_at + row * h + j] += grad[here + j]
                for j in range(4 * h):
                    net.saved[to + row * 4 * h + j] = net.saved.dtype.type(0)
        product(net.saved, to, 4 * h, 1, work, ROOM, h, 1, dh, dh_at, h, dh, dh_at, h, n, h, 4 * h, work)  # += G_t Uᵀ
        clear_begun(net, t * n, n, dh, dh_at, h)
        clear_begun(net, t * n, n, dh, dc_at, h)
    hidden, later = net.values, rows - n
    weight_gradient(net, weights, x, x_at, net.saved, deltas, rows, n_in, 4 * h)
    bias_gradient(net, bias, net.saved, deltas, rows, 4 * h)
    bias_gradient(net, bias + 4 * h, net.saved, deltas, rows, 4 * h)
    if to_input:
        input_gradient(net, weights, net.saved, deltas, below, below_at, rows, n_in, 4 * h)
    clear_begun(net, 0, rows, net.saved, deltas, 4 * h)  # h_{t-1} = 0 there
    weight_gradient(net, recurrent, net.state[INITIAL], layer[STATE], net.saved, deltas, n, h, 4 * h)
    if later > 0:
        product(hidden, y_at, 1, h, net.saved, deltas + n * 4 * h, 4 * h, 1, net.gradient, recurrent, 4 * h,
                net.gradient, recurrent, 4 * h, h, 4 * h, later, work)  # fmt: skip


@in_place
def tangent(
    layer: Any, net: Net, x: Floats, x_at: int, dot: Floats, dot_at: int, direction: Floats, out: Floats, out_at: int,
    rows: int,
) -> None:  # fmt: skip
    """ẏ after `forward`, for directions of the parameters and, ẋ, of the inputs; the initial state is fixed.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import LSTM
        >>> from rlplay.networks.state import new_net
        >>> net, out = new_net([LSTM(1, 1)], np.zeros(16, np.float32), 1), np.zeros(1, np.float32)
        >>> forward(net.layers[0], net, np.ones(1, np.float32), 0, net.values, 0, 1)
        >>> direction = np.eye(16, dtype=np.float32)[2]
        >>> tangent(net.layers[0], net, np.ones(1, np.float32), 0, np.zeros(1, np.float32), 0, direction, out, 0, 1)
        >>> out.tolist()
        [0.25]
    """
    n_in, h, steps, work, one = layer[IN], layer[OUT], net.sizes[STEPS], net.work, net.saved.dtype.type(1)
    n, gates, cells, y_at = rows // steps, layer[SAVED], layer[SAVED] + rows * 4 * h, layer[VALUES]
    weights, wide = layer[PARAMETERS], 4 * h
    recurrent, bias, pre, c_dot = weights + n_in * wide, weights + (n_in + h) * wide, ROOM, ROOM + n * wide
    for i in range(n * h):
        work[c_dot + i] = net.saved.dtype.type(0)
    for t in range(steps):
        affine(net, weights, -1, dot, dot_at + t * n * n_in, work, pre, n, n_in, wide)
        product(x, x_at + t * n * n_in, n_in, 1, direction, weights, wide, 1, work, pre, wide, work, pre, wide, n, wide,
                n_in, work)  # fmt: skip
        hidden, hidden_at = net.values, y_at + (t - 1) * n * h
        cell, cell_at = net.saved, cells + (t - 1) * n * h
        if t == 0:
            hidden, hidden_at = net.state[INITIAL], layer[STATE]
            cell, cell_at = net.state[INITIAL], layer[STATE] + net.sizes[ROWS] * h
        product(
            hidden, hidden_at, h, 1, direction, recurrent, wide, 1, work, pre, wide, work, pre, wide, n, wide, h, work
        )
        if t > 0:
            product(out, out_at + (t - 1) * n * h, h, 1, net.parameters, recurrent, wide, 1, work, pre, wide, work, pre,
                    wide, n, wide, h, work)  # fmt: skip
        for row in range(n):
            g, a, here = gates + (t * n + row) * wide, pre + row * wide, out_at + (t * n + row) * h
            for j in range(h):
                if t >= net.lengths[row]:
                    out[here + j] = out[here - n * h + j]
                    continue
                i, f, new, o = (
                    net.saved[g + j],
                    net.saved[g + h + j],
                    net.saved[g + 2 * h + j],
                    net.saved[g + 3 * h + j],
                )
                b, b_2 = bias + j, bias + wide + j
                i_dot = work[a + j] + direction[b] + direction[b_2]
                f_dot = work[a + h + j] + direction[b + h] + direction[b_2 + h]
                new_dot = work[a + 2 * h + j] + direction[b + 2 * h] + direction[b_2 + 2 * h]
                o_dot = work[a + 3 * h + j] + direction[b + 3 * h] + direction[b_2 + 3 * h]
                previous, shown = cell[cell_at + row * h + j], tanh_of(net.saved[cells + (t * n + row) * h + j])
                change = (
                    f * work[c_dot + row * h + j] + previous * f * (one - f) * f_dot
                    + new * i * (one - i) * i_dot + i * (one - new * new) * new_dot
                )  # fmt: skip
                work[c_dot + row * h + j] = change
                out[here + j] = shown * o * (one - o) * o_dot + o * (one - shown * shown) * change
