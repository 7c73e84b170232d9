"""The memory of a network: a table of layers over flat arrays, which every layer's functions read and write.

A layer is a row of whole numbers: what it is, how many numbers a row of its input and output has, and where its
parameters, outputs and further memory begin in the flat arrays. So one compiled function runs every network, nothing is
allocated in a training step, and a network can be part of a native loop.

Rows are examples, or, in sequences of T steps, time-major: the rows of step 0, then those of step 1, ...
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.networks.optimisers import Optimiser

Floats = NDArray[Any]  # float32, or float64 on request

# Columns of the table of layers. The geometry is that of Conv2d.
KIND, IN, OUT, PARAMETERS, VALUES, SAVED, STATE = range(7)
HEIGHT, WIDTH, CHANNELS, KERNEL, STRIDE, PADDING, OUT_HEIGHT, OUT_WIDTH, FRAME = range(7, 16)
COLUMNS = 16

# Kinds of layers; the activations come first.
TANH, RELU, LEAKY_RELU, SIGMOID, SILU, GELU = range(6)
LINEAR, LAYER_NORM, CONV_2D, LSTM, GRU, LAST, REPEAT, DROPOUT, BATCH_RENORM = range(6, 15)

# Places in ``Net.sizes``.
ROWS, STEPS, BATCHES = 0, 1, 2

# Rows of ``Net.state``: where sequences begin, where they ended, and the gradients with respect to both.
INITIAL, FINAL, GRAD_FINAL, GRAD_INITIAL = range(4)


NARROW = 5  # outputs below which a linear layer is narrow


class Net(NamedTuple):
    """A network of L layers for at most N rows (sequences) of T steps; float arrays have one dtype.

    Attributes:
        layers: the table, int64 [L, COLUMNS].
        parameters: all weights and biases, layer by layer, [P].
        gradient: of the loss with respect to them, [P].
        values: each layer's outputs.
        gradients: with respect to the outputs of two neighbouring layers, [2, size of the widest].
        saved: what else `backward` needs of `forward`: gates, patches, means.
        state: of the recurrent layers: initial, final, and the gradients with respect to both, [4, S].
        lengths: steps of each sequence, int64 [N]; what comes after them is padding.
        starts: whether an episode begins with a row, so that nothing before it counts, bool [T * N]; [0] where
            sequences are not cut.
        sizes: N, the steps T of the sequences at hand, and whether batch renormalisation is in training, int64 [3].
        work: work space of the matrix products, and behind it of the current layer.
        one: the number 1, [1].
        optimiser: its kind, its settings and its running means.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Linear(2, 1)], np.float32([1, 2, 3]), 8)
        >>> net.layers[0, [KIND, IN, OUT]].tolist(), net.parameters.shape, net.values.shape, net.sizes.tolist()
        ([6, 2, 1], (3,), (8,), [8, 1, 0])
    """

    layers: NDArray[np.int64]
    parameters: Floats
    gradient: Floats
    values: Floats
    gradients: Floats
    saved: Floats
    state: Floats
    lengths: NDArray[np.int64]
    starts: NDArray[np.bool_]
    sizes: NDArray[np.int64]
    work: Floats
    one: Floats
    optimiser: Optimiser
