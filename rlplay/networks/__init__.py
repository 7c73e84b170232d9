"""Neural networks: forward and hand-written backward passes over flat arrays, and the same over torch modules.

* ``layers``: the descriptions of layers: ``[Linear(4, 64), Tanh(), Linear(64, 2)]``.
* ``linear``, ``conv2d``, ``lstm``, ``gru``, ``layer_norm``, ``activations``: each forward rule with its backward rule.
* ``kernel``, ``state``, ``memory``: the compiled functions of a network, and its arrays.
* ``network``: the class `Network`. ``torch_network``: the same over torch.
* ``losses``, ``optimisers``, ``initialisers``, ``fisher``: what training needs.

A `Kernel` is a network as functions of its memory: an agent is written once over them, and takes ours or torch's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlplay.lazy import attach

if TYPE_CHECKING:
    from rlplay.networks.contract import Kernel as Kernel
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

__getattr__, __dir__, __all__ = attach(__name__, __file__)
