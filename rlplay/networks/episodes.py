"""Sequences in which episodes begin: before such a row the state of a recurrent layer is 0."""

from __future__ import annotations

from rlplay.compiled.cache import in_place
from rlplay.networks.memory import Floats, Net


@in_place
def begins(net: Net, row: int) -> bool:
    """Whether an episode begins with a row.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import GRU
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([GRU(1, 1)], np.zeros(12, np.float32), 1, steps=2, cut=True)
        >>> net.starts[1] = True
        >>> begins(net, 0), begins(net, 1)
        (False, True)
    """
    return net.starts.shape[0] > 0 and bool(net.starts[row])


@in_place
def any_begins(net: Net, t: int, n: int) -> bool:
    """Whether an episode begins at step t in one of N sequences.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import GRU
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([GRU(1, 1)], np.zeros(12, np.float32), 1, steps=2, cut=True)
        >>> net.starts[1] = True
        >>> any_begins(net, 0, 1), any_begins(net, 1, 1)
        (False, True)
    """
    if net.starts.shape[0] == 0:
        return False
    found = False
    for i in range(n):
        found = found or net.starts[t * n + i]
    return found


@in_place
def copy_unless_begun(net: Net, t: int, n: int, state: Floats, at: int, to: int, h: int) -> None:
    """A state [N, H] into the network's work space, with zeros where an episode begins at step t.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import GRU
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([GRU(1, 1)], np.zeros(12, np.float32), 1, steps=2, cut=True)
        >>> net.starts[1] = True
        >>> copy_unless_begun(net, 0, 1, np.ones(1, np.float32), 0, 0, 1)
        >>> float(net.work[0])
        1.0
        >>> copy_unless_begun(net, 1, 1, np.ones(1, np.float32), 0, 0, 1)
        >>> float(net.work[0])
        0.0
    """
    for i in range(n):
        for j in range(h):
            zero = net.work.dtype.type(0)
            net.work[to + i * h + j] = zero if net.starts[t * n + i] else state[at + i * h + j]


@in_place
def clear_begun(net: Net, first: int, n: int, array: Floats, at: int, width: int) -> None:
    """Zeros in the rows of an array [N, W] with which an episode begins; they are N rows of all from ``first`` on.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import GRU
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([GRU(1, 1)], np.zeros(12, np.float32), 1, steps=2, cut=True)
        >>> net.starts[1] = True
        >>> array = np.ones(2, np.float32)
        >>> clear_begun(net, 0, 2, array, 0, 1)
        >>> array.tolist()
        [1.0, 0.0]
    """
    if net.starts.shape[0] == 0:
        return
    for i in range(n):
        if net.starts[first + i]:
            for j in range(width):
                array[at + i * width + j] = array.dtype.type(0)


__all__ = ["any_begins", "begins", "clear_begun", "copy_unless_begun"]
