"""What an agent knows of a network: its functions, whether ours run it or torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Kernel(NamedTuple):
    """A network as functions; ``net`` is its memory, N rows, D inputs, K outputs, all float32.

    Attributes:
        forward: ``forward(net, x [N, D]) -> [N, K]``; what `backward` needs is kept in ``net``.
        forward_row: ``forward_row(net, x [D]) -> [K]`` for one row; `backward` cannot follow it.
        backward: ``backward(net, x [N, D], grad_output [N, K]) -> grad_input [N, D]``; the gradient with respect to
            the parameters is then in ``net``.
        improve: ``improve(net, learning_rate, max_grad_norm)``: one step of the optimiser against that gradient, which
            is scaled down first where its length exceeds ``max_grad_norm`` (0: never).
        squared_length: ``squared_length(net)`` of the gradient.
        shrink: ``shrink(net, factor)`` scales the gradient.
        predict: ``predict(net, x [N, D]) -> [N, K]``, a copy, the same numbers as `forward_row` gives row by row.
        tangent: ``tangent(net, x [N, D], direction [P]) -> [N, K]``, how the outputs move when the parameters move
            along a direction; after `forward` of the same batch.
        input_gradient: ``input_gradient(net, x [N, D], grad_output [N, K]) -> [N, D]``, without the gradient with
            respect to the parameters, which is cheaper; what was there of it is lost.
        blend: ``blend(net, other, share)``: the parameters become (1 - share) times what they are and share times
            those of another network of the same layers.
        move: ``move(net, origin [P], direction [P], length)``: the parameters become origin + length direction.
        arrays: ``arrays(net)``, parameters and optimiser by name: parameters, m, v, t.
        restore: ``restore(net, arrays)`` takes such arrays.

    Example:
        >>> from rlplay.networks import Linear
        >>> from rlplay.networks.kernel import kernel
        >>> from rlplay.networks.state import new_net
        >>> import numpy as np
        >>> net = new_net([Linear(2, 1)], np.array([1, 2, 3], np.float32), 1)
        >>> kernel([Linear(2, 1)]).forward(net, np.array([[10, 20]], np.float32)).tolist()
        [[53.0]]
    """

    forward: Callable[..., Any]
    forward_row: Callable[..., Any]
    backward: Callable[..., Any]
    improve: Callable[..., None]
    squared_length: Callable[..., float]
    shrink: Callable[..., None]
    predict: Callable[..., Any]
    tangent: Callable[..., Any]
    input_gradient: Callable[..., Any]
    blend: Callable[..., None]
    move: Callable[..., None]
    arrays: Callable[..., dict[str, Any]]
    restore: Callable[..., None]
