"""Dropout: in training a random part of the numbers is 0, and the others are larger by as much.

    forward    y = x ⊙ (1 - d)        d = 1 with probability p, else - p / (1 - p); 0 where nothing is drawn
    backward   ∂x = ∂y ⊙ (1 - d)

d lies in ``net.saved`` and is drawn by `draw_drops` before a forward pass, from a stream of the caller's; the passes
themselves draw nothing. Zeros, as a network begins with, drop nothing: so it predicts.

Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", section 4, with the
factor in training and not in prediction.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.compiled.pcg64 import random
from rlplay.networks.memory import DROPOUT, KIND, OUT, SAVED, Floats, Net


@in_place
def forward(layer: Any, net: Net, x: Floats, x_at: int, y: Floats, y_at: int, rows: int) -> int:
    """x ⊙ (1 - d); returns the rows, which stay as many.

    Example:
        >>> from rlplay.networks.layers import Dropout
        >>> from rlplay.networks.state import new_net
        >>> net, y = new_net([Dropout(2)], np.zeros(0, np.float32), 1), np.empty(2, np.float32)
        >>> net.saved[:] = [1, -0.25]
        >>> forward(net.layers[0], net, np.float32([4, 4]), 0, y, 0, 1), y.tolist()
        (1, [0.0, 5.0])
    """
    n, at, one = rows * layer[OUT], layer[SAVED], x.dtype.type(1)
    xs, ys, drops = x[x_at : x_at + n], y[y_at : y_at + n], net.saved[at : at + n]
    for i in range(n):
        ys[i] = xs[i] * (one - drops[i])
    return rows


@in_place
def backward(layer: Any, net: Net, grad: Floats, grad_at: int, below: Floats, below_at: int, rows: int) -> int:
    """∂y ⊙ (1 - d); returns the rows.

    Example:
        >>> from rlplay.networks.layers import Dropout
        >>> from rlplay.networks.state import new_net
        >>> net, below = new_net([Dropout(2)], np.zeros(0, np.float32), 1), np.empty(2, np.float32)
        >>> net.saved[:] = [1, -0.25]
        >>> backward(net.layers[0], net, np.float32([4, 4]), 0, below, 0, 1), below.tolist()
        (1, [0.0, 5.0])
    """
    return forward(layer, net, grad, grad_at, below, below_at, rows)


@in_place
def draw_drops(net: Net, rows: int, p: float, rng: NDArray[np.uint64]) -> None:
    """Draw d of all dropout layers of a network for so many rows; with p = 0 nothing is dropped.

    The distances between dropped numbers are drawn, so what is seldom dropped costs little.

    Example:
        >>> from rlplay.networks.layers import Dropout
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Dropout(100)], np.zeros(0, np.float32), 50)
        >>> draw_drops(net, 50, 0.2, np.arange(1, 5, dtype=np.uint64))
        >>> sorted(set(net.saved.tolist())), bool(abs((net.saved == 1).mean() - 0.2) < 0.02)
        ([-0.25, 1.0], True)
    """
    for number in range(net.layers.shape[0]):
        if net.layers[number, KIND] == DROPOUT:
            n, at = rows * net.layers[number, OUT], net.layers[number, SAVED]
            drops = net.saved[at : at + n]
            kept = net.saved.dtype.type(-p / (1.0 - p))
            for i in range(n):
                drops[i] = kept
            if p > 0.0:
                place = int(math.log(1.0 - random(rng)) / math.log(1.0 - p))
                while place < n:
                    drops[place] = 1
                    place += 1 + int(math.log(1.0 - random(rng)) / math.log(1.0 - p))
