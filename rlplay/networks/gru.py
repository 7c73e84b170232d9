"""Gated recurrent unit: a state that is partly kept and partly replaced.

    forward    [r z] = σ(x_t [W_r W_z] + b_rz + h_{t-1} [U_r U_z] + b'_rz)        q = h_{t-1} U_n + b'_n
               n = tanh(x_t W_n + b_n + r ⊙ q)                                    h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}

    backward, from t = T to 1, with δh = ∂y_t + what comes from step t + 1:
               δz = δh ⊙ (h_{t-1} - n) z(1-z)        δn = δh ⊙ (1 - z) ⊙ (1 - n²)
               δr = δn ⊙ q r(1-r)                    δq = δn ⊙ r
               G_t = [δr δz δn] (of x_t)             G'_t = [δr δz δq] (of h_{t-1})
               δh_{t-1} = δh ⊙ z + G'_t Uᵀ           ∂x_t = G_t Wᵀ
               ∂W = Σ_t x_tᵀ G_t        ∂U = Σ_t h_{t-1}ᵀ G'_t        ∂b = Σ G_t        ∂b' = Σ G'_t

    tangent    the forward lines, differentiated along a direction of all parameters and inputs.

After a sequence's own length its state stays as it is, so that the last state is that of its last step. Where an
episode begins within a sequence, h_{t-1} = 0, and nothing goes back to step t - 1.

Source: Cho et al. 2014; the order of the gates, the two biases and the place of r are those of `torch.nn.GRU`.

Parameters: W [in, 3H], U [H, 3H], b [3H], b' [3H]. Shapes: x [T * N, in], y [T * N, H], time-major; state h [N, H].
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
        >>> from rlplay.networks.layers import GRU
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([GRU(1, 1)], np.zeros(12, np.float32), 1, steps=2)
        >>> net.sizes[1], net.state[INITIAL] = 2, 1.0
        >>> y = np.empty(2, np.float32)
        >>> forward(net.layers[0], net, np.zeros(2, np.float32), 0, y, 0, 2)
        >>> y.tolist()
        [0.5, 0.25]
    """
    n_in, h, steps, work, wide = layer[IN], layer[OUT], net.sizes[STEPS], net.work, 3 * layer[OUT]
    n, gates, candidates, at = rows // steps, layer[SAVED], layer[SAVED] + rows * 3 * layer[OUT], layer[PARAMETERS]
    recurrent, bias = at + n_in * wide, at + (n_in + h) * wide
    affine(net, at, bias, x, x_at, net.saved, gates, rows, n_in, wide)
    hidden, hidden_at = net.state[INITIAL], layer[STATE]
    for t in range(steps):
        if any_begins(net, t, n):
            kept = ROOM + n * wide
            copy_unless_begun(net, t, n, hidden, hidden_at, kept, h)
            hidden, hidden_at = work, kept
        affine(net, recurrent, bias + wide, hidden, hidden_at, work, ROOM, n, h, wide)
        y_t = y_at + t * n * h
        for row in range(n):
            g, q = gates + (t * n + row) * wide, candidates + (t * n + row) * h
            u, before, here = ROOM + row * wide, hidden_at + row * h, y_t + row * h
            if t < net.lengths[row]:
                _step(net.saved, g, q, work, u, hidden, before, y, here, h)
            else:
                for j in range(h):
                    y[here + j] = hidden[before + j]
        hidden, hidden_at = y, y_t
    for i in range(n * h):
        net.state[FINAL, layer[STATE] + i] = hidden[hidden_at + i]


@in_place
def _step(
    saved: Floats, g: int, q: int, work: Floats, u: int, hidden: Floats, before: int, y: Floats, here: int, h: int
) -> None:
    """The gates and the new state of one row."""
    one = saved.dtype.type(1)
    gates, r, z, new = saved[g : g + 2 * h], saved[g : g + h], saved[g + h : g + 2 * h], saved[g + 2 * h : g + 3 * h]
    from_h, kept, from_h_new = work[u : u + 2 * h], saved[q : q + h], work[u + 2 * h : u + 3 * h]
    previous, shown = hidden[before : before + h], y[here : here + h]
    for j in range(2 * h):
        gates[j] = sigmoid_of(gates[j] + from_h[j])
    for j in range(h):
        kept[j] = from_h_new[j]
    for j in range(h):
        new[j] = tanh_of(new[j] + r[j] * kept[j])
    for j in range(h):
        shown[j] = (one - z[j]) * new[j] + z[j] * previous[j]


@in_place
def _step_back(
    saved: Floats, g: int, q: int, hidden: Floats, before: int, grad: Floats, here: int, dh: Floats, dh_at: int, to:
    int, to_q: int, h: int,
) -> None:  # fmt: skip
    """G_t, δq and the part of δh_{t-1} that passes by the gates, of one row."""
    one = saved.dtype.type(1)
    r, z, new, kept = saved[g : g + h], saved[g + h : g + 2 * h], saved[g + 2 * h : g + 3 * h], saved[q : q + h]
    to_r, to_z, to_new, to_kept = (
        saved[to : to + h], saved[to + h : to + 2 * h], saved[to + 2 * h : to + 3 * h], saved[to_q : to_q + h],
    )  # fmt: skip
    previous, given, delta = hidden[before : before + h], grad[here : here + h], dh[dh_at : dh_at + h]
    for j in range(h):
        delta[j] += given[j]
    for j in range(h):
        to_new[j] = delta[j] * (one - z[j]) * (one - new[j] * new[j])
    for j in range(h):
        to_z[j] = delta[j] * (previous[j] - new[j]) * z[j] * (one - z[j])
    for j in range(h):
        to_r[j] = to_new[j] * kept[j] * r[j] * (one - r[j])
    for j in range(h):
        to_kept[j] = to_new[j] * r[j]
    for j in range(h):
        delta[j] *= z[j]


@in_place
def backward(
    layer: Any, net: Net, x: Floats, x_at: int, grad: Floats, grad_at: int, below: Floats, below_at: int, rows: int,
    to_input: bool,
) -> None:  # fmt: skip
    """Back through time; takes the gradient of the final state in, and leaves that of the initial one.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import GRU
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([GRU(1, 1)], np.zeros(12, np.float32), 1)
        >>> x, grad, below = np.ones((3, 1), np.float32)
        >>> forward(net.layers[0], net, x, 0, net.values, 0, 1)
        >>> backward(net.layers[0], net, x, 0, grad, 0, below, 0, 1, True)
        >>> net.gradient[:3].tolist(), net.state[GRAD_INITIAL].tolist()
        ([0.0, 0.0, 0.5], [0.5])
    """
    n_in, h, steps, work, p = layer[IN], layer[OUT], net.sizes[STEPS], net.work, net.parameters
    wide, n, at, y_at = 3 * layer[OUT], rows // net.sizes[STEPS], layer[PARAMETERS], layer[VALUES]
    gates, candidates = layer[SAVED], layer[SAVED] + rows * wide
    deltas, deltas_q = candidates + rows * h, candidates + rows * h + rows * wide
    recurrent, bias = at + n_in * wide, at + (n_in + h) * wide
    dh, dh_at = net.state[GRAD_INITIAL], layer[STATE]
    for i in range(n * h):
        dh[dh_at + i] = net.state[GRAD_FINAL, dh_at + i]
    transpose(p, recurrent, wide, work, ROOM, h, h, wide)  # Uᵀ, once for all steps
    nothing = ROOM + h * wide
    for j in range(h):
        work[nothing + j] = work.dtype.type(0)
    for t in range(steps - 1, -1, -1):
        hidden, hidden_at = net.values, y_at + (t - 1) * n * h
        if t == 0:
            hidden, hidden_at = net.state[INITIAL], layer[STATE]
        to, to_q = deltas + t * n * wide, deltas_q + t * n * h
        for row in range(n):
            g, q, here = gates + (t * n + row) * wide, candidates + (t * n + row) * h, grad_at + (t * n + row) * h
            if t < net.lengths[row]:
                before, before_at = hidden, hidden_at + row * h
                if begins(net, t * n + row):
                    before, before_at = work, nothing
                _step_back(net.saved, g, q, before, before_at, grad, here, dh, dh_at + row * h, to + row * wide,
                           to_q + row * h, h)  # fmt: skip
            else:
                for j in range(h):
                    dh[dh_at + row * h + j] += grad[here + j]
                    net.saved[to_q + row * h + j] = net.saved.dtype.type(0)
                for j in range(wide):
                    net.saved[to + row * wide + j] = net.saved.dtype.type(0)
        product(net.saved, to, wide, 1, work, ROOM, h, 1, dh, dh_at, h, dh, dh_at, h, n, h, 2 * h, work)
        product(net.saved, to_q, h, 1, work, ROOM + 2 * h * h, h, 1, dh, dh_at, h, dh, dh_at, h, n, h, h, work)
        clear_begun(net, t * n, n, dh, dh_at, h)
    weight_gradient(net, at, x, x_at, net.saved, deltas, rows, n_in, wide)
    bias_gradient(net, bias, net.saved, deltas, rows, wide)
    if to_input:
        input_gradient(net, at, net.saved, deltas, below, below_at, rows, n_in, wide)
    _recurrent_gradient(layer, net, deltas, wide, 2 * h, recurrent, bias + wide, rows)
    _recurrent_gradient(layer, net, deltas_q, h, h, recurrent + 2 * h, bias + wide + 2 * h, rows)


@in_place
def _recurrent_gradient(
    layer: Any, net: Net, g: int, g_row: int, columns: int, place: int, bias: int, rows: int
) -> None:  # fmt: skip
    """∂U = Σ_t h_{t-1}ᵀ G'_t and ∂b' = Σ G'_t, for some of the columns of U."""
    h, n, to, work = layer[OUT], rows // net.sizes[STEPS], net.gradient, net.work
    product(net.one, 0, 0, 0, net.saved, g, g_row, 1, to, bias, 3 * h, to, -1, 0, 1, columns, rows, work)
    clear_begun(net, 0, rows, net.saved, g, g_row)  # h_{t-1} = 0 there
    product(
        net.state[INITIAL], layer[STATE], 1, h, net.saved, g, g_row, 1, to, place, 3 * h, to, -1, 0, h, columns, n, work
    )
    if rows > n:
        product(net.values, layer[VALUES], 1, h, net.saved, g + n * g_row, g_row, 1, to, place, 3 * h, to, place, 3 *
                h, h, columns, rows - n, work)  # fmt: skip


@in_place
def tangent(
    layer: Any, net: Net, x: Floats, x_at: int, dot: Floats, dot_at: int, direction: Floats, out: Floats, out_at: int,
    rows: int,
) -> None:  # fmt: skip
    """ẏ after `forward`, for directions of the parameters and, ẋ, of the inputs; the initial state is fixed.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import GRU
        >>> from rlplay.networks.state import new_net
        >>> net, out = new_net([GRU(1, 1)], np.zeros(12, np.float32), 1), np.zeros(1, np.float32)
        >>> forward(net.layers[0], net, np.ones(1, np.float32), 0, net.values, 0, 1)
        >>> direction = np.eye(12, dtype=np.float32)[2]
        >>> tangent(net.layers[0], net, np.ones(1, np.float32), 0, np.zeros(1, np.float32), 0, direction, out, 0, 1)
        >>> out.tolist()
        [0.5]
    """
    n_in, h, steps, work, one = layer[IN], layer[OUT], net.sizes[STEPS], net.work, net.saved.dtype.type(1)
    wide, n, at, y_at = 3 * layer[OUT], rows // net.sizes[STEPS], layer[PARAMETERS], layer[VALUES]
    gates, candidates = layer[SAVED], layer[SAVED] + rows * wide
    recurrent, bias, of_x, of_h = at + n_in * wide, at + (n_in + h) * wide, ROOM, ROOM + n * wide
    for t in range(steps):
        affine(net, at, -1, dot, dot_at + t * n * n_in, work, of_x, n, n_in, wide)
        product(x, x_at + t * n * n_in, n_in, 1, direction, at, wide, 1, work, of_x, wide, work, of_x, wide, n, wide,
                n_in, work)  # fmt: skip
        hidden, hidden_at = net.values, y_at + (t - 1) * n * h
        if t == 0:
            hidden, hidden_at = net.state[INITIAL], layer[STATE]
        product(hidden, hidden_at, h, 1, direction, recurrent, wide, 1, work, of_h, wide, work, -1, 0, n, wide, h, work)
        if t > 0:
            product(out, out_at + (t - 1) * n * h, h, 1, net.parameters, recurrent, wide, 1, work, of_h, wide, work,
                    of_h, wide, n, wide, h, work)  # fmt: skip
        for row in range(n):
            g, q, here = gates + (t * n + row) * wide, candidates + (t * n + row) * h, out_at + (t * n + row) * h
            a, u = of_x + row * wide, of_h + row * wide
            for j in range(h):
                before = out[here - n * h + j] if t > 0 else net.saved.dtype.type(0)
                if t >= net.lengths[row]:
                    out[here + j] = before
                    continue
                r, z, new = net.saved[g + j], net.saved[g + h + j], net.saved[g + 2 * h + j]
                r_dot = r * (one - r) * (work[a + j] + direction[bias + j] + work[u + j] + direction[bias + wide + j])
                z_dot = work[a + h + j] + direction[bias + h + j] + work[u + h + j] + direction[bias + wide + h + j]
                z_dot *= z * (one - z)
                q_dot = work[u + 2 * h + j] + direction[bias + wide + 2 * h + j]
                n_dot = work[a + 2 * h + j] + direction[bias + 2 * h + j] + r_dot * net.saved[q + j] + r * q_dot
                n_dot *= one - new * new
                out[here + j] = (one - z) * n_dot - z_dot * new + z_dot * hidden[hidden_at + row * h + j] + z * before
