"""Neural networks: forward and hand-written backward passes over flat arrays, and the same over torch modules.

* ``layers``: the descriptions of layers: ``[Linear(4, 64), Tanh(), Linear(64, 2)]``.
* ``linear``, ``conv2d``, ``lstm``, ``gru``, ``layer_norm``, ``activations``: each forward rule with its backward rule.
* ``kernel``, ``state``, ``memory``: the compiled functions of a network, and its arrays.
* ``network``: the class `Network`. ``torch_network``: the same over torch.
* ``losses``, ``optimisers``, ``initialisers``, ``fisher``: what training needs.

A `Kernel` is a network as functions of its memory: an agent is written once over them, and takes ours or torch's.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rlplay.networks.layers import GELU as GELU
    from rlplay.networks.layers import GRU as GRU
    from rlplay.networks.layers import LSTM as LSTM
    from rlplay.networks.layers import Conv2d as Conv2d
    from rlplay.networks.layers import Last as Last
    from rlplay.networks.layers import LayerNorm as LayerNorm
    from rlplay.networks.layers import LeakyReLU as LeakyReLU
    from rlplay.networks.layers import Linear as Linear
    from rlplay.networks.layers import ReLU as ReLU
    from rlplay.networks.layers import Repeat as Repeat
    from rlplay.networks.layers import Sigmoid as Sigmoid
    from rlplay.networks.layers import SiLU as SiLU
    from rlplay.networks.layers import Tanh as Tanh
    from rlplay.networks.layers import mlp as mlp
    from rlplay.networks.network import Network as Network
    from rlplay.networks.torch_network import TorchNetwork as TorchNetwork


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
    arrays: Callable[..., dict[str, Any]]
    restore: Callable[..., None]


def __getattr__(name: str) -> Any:
    home = {"Network": "network", "TorchNetwork": "torch_network"}.get(name, "layers")
    module = importlib.import_module(f"rlplay.networks.{home}")
    if name.startswith("_") or not hasattr(module, name):
        raise AttributeError(f"module 'rlplay.networks' has no attribute {name!r}")
    return getattr(module, name)
