"""Neural networks for agents: forward and hand-written backward passes over flat float32 arrays, and a torch twin.

A kernel (`Kernel`) is a network as functions of its memory. `rlplay.networks.mlp` has them compiled, over arrays;
`rlplay.networks.torch_mlp` has the same over a torch module. An agent is written once and takes either.
"""

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
        improve: ``improve(net, learning_rate, max_grad_norm)``: one step of Adam against that gradient, which is
            scaled down first where its length exceeds ``max_grad_norm`` (0: never).
        predict: ``predict(net, x [N, D]) -> [N, K]``, a copy, the same numbers as `forward_row` gives row by row.
        arrays: ``arrays(net)``, parameters and optimiser by name: parameters, m, v, t.
        restore: ``restore(net, arrays)`` takes such arrays.
    """

    forward: Callable[..., Any]
    forward_row: Callable[..., Any]
    backward: Callable[..., Any]
    improve: Callable[..., None]
    predict: Callable[..., Any]
    arrays: Callable[..., dict[str, Any]]
    restore: Callable[..., None]
