"""The state of a network: allocated from a list of layers, described, saved and restored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.networks.initialisers import gain_of
from rlplay.networks.layers import Activation, Layer, shapes_of
from rlplay.networks.matmul import ROOM
from rlplay.networks.memory import COLUMNS, GELU, Floats, Net
from rlplay.networks.optimisers import new_optimiser


def arrays(net: Net) -> dict[str, NDArray[Any]]:
    """Architecture, parameters and optimiser, the network's own arrays.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> sorted(arrays(new_net([Linear(2, 1)], np.zeros(3, np.float32), 1)))
        ['layers', 'm', 'parameters', 't', 'v']
    """
    optimiser = net.optimiser
    return {
        "layers": architecture(net), "parameters": net.parameters, "m": optimiser.m, "v": optimiser.v, "t": optimiser.t,
    }  # fmt: skip


def architecture(net: Net) -> NDArray[np.int64]:
    """What the layers are, without where their numbers lie: the same for networks of any number of rows.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> small, large = (new_net([Linear(2, 1)], np.zeros(3, np.float32), rows) for rows in (1, 100))
        >>> bool((architecture(small) == architecture(large)).all())
        True
    """
    return np.delete(net.layers, [3, 4, 5, 6], axis=1)


def restore(net: Net, values: Mapping[str, NDArray[Any]]) -> None:
    """Take the values of such arrays.

    Raises:
        ValueError: they are those of another architecture.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> one, other = (new_net([Linear(2, 1)], np.full(3, value, np.float32), 1) for value in (0, 5.0))
        >>> restore(one, arrays(other))
        >>> one.parameters.tolist()
        [5.0, 5.0, 5.0]
    """
    own = arrays(net)
    if "layers" in values and not np.array_equal(values["layers"], own["layers"]):
        raise ValueError(
            f"the weights are those of a network {described(values['layers'])}, and this one is "
            f"{described(own['layers'])}: take the same layers, or train anew"
        )
    for name, array in own.items():
        if values[name].shape != array.shape:
            raise ValueError(f"{name} has shape {values[name].shape}, and this network has {array.shape}")
        array[...] = values[name]


_KINDS = ("tanh", "relu", "leaky relu", "sigmoid", "silu", "gelu", "linear", "layer norm", "conv2d", "lstm", "gru",
          "last", "repeat", "dropout", "batch renorm")  # fmt: skip


def described(layers: NDArray[np.int64]) -> str:
    """The layers in words: ``4-linear-64-tanh-64-linear-2``.

    Example:
        >>> from rlplay.networks.layers import mlp
        >>> described(architecture(new_net(mlp([4, 8, 2]), np.zeros(58, np.float32), 1)))
        '4-linear-8-tanh-linear-2'
    """
    parts = [str(layers[0][1])]
    for row in layers:
        kind = _KINDS[row[0]] if 0 <= row[0] < len(_KINDS) else "?"
        parts.append(kind if row[0] <= GELU else f"{kind}-{row[2]}")
    return "-".join(parts)


def initial_parameters(
    layers: Sequence[Layer], rng: np.random.Generator, initialiser: str = "orthogonal", last_gain: float = 1.0
) -> NDArray[np.float64]:
    """All initial parameters, layer by layer, [P]; the last layer that has any is scaled by ``last_gain``.

    Example:
        >>> from rlplay.networks.layers import mlp
        >>> initial_parameters(mlp([4, 8, 2]), np.random.default_rng(0)).shape
        (58,)
    """
    parts, last = [np.zeros(0)], max((i for i, one in enumerate(layers) if one.size()), default=-1)
    for number, layer in enumerate(layers):
        after = layers[number + 1] if number + 1 < len(layers) else None
        gain = gain_of(after.name if isinstance(after, Activation) else None, initialiser)
        parts.append(layer.initial(initialiser, last_gain if number == last else gain, rng))
    return np.concatenate(parts)


def new_net(
    layers: Sequence[Layer],
    parameters: Floats,
    rows: int,
    steps: int = 1,
    input_shape: tuple[int, ...] | None = None,
    optimiser: str = "adam",
    cut: bool = False,
    **settings: float,
) -> Net:
    """The memory of a network from its parameters [P], for at most ``rows`` examples, or sequences of ``steps``.

    With ``cut`` episodes may begin within the sequences.

    Raises:
        ValueError: layers that do not chain, or another number of parameters than they have.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> net = new_net([Linear(2, 1)], np.float32([1, 2, 3]), rows=8)
        >>> net.parameters.tolist(), net.gradient.tolist(), net.values.shape
        ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], (8,))
    """
    shapes, many, dtype = shapes_of(layers, input_shape), rows * steps, parameters.dtype
    table = np.zeros((len(layers), COLUMNS), np.int64)
    at_parameters = at_values = at_saved = at_state = 0
    for row, layer, before, after in zip(table, layers, shapes, shapes[1:], strict=False):
        given = layer.geometry(before)
        row[:7] = layer.kind, math.prod(before), math.prod(after), at_parameters, at_values, at_saved, at_state
        row[7 : 7 + len(given)] = given
        at_parameters += layer.size()
        at_values += many * math.prod(after)
        at_saved += many * layer.saved(before) + layer.kept(before)
        at_state += rows * layer.state()
    if parameters.shape != (at_parameters,):
        raise ValueError(f"these layers have {at_parameters} parameters, and {parameters.shape} were given")
    widest = max(math.prod(shape) for shape in shapes)
    work = max(layer.work_size(shape, rows) for layer, shape in zip(layers, shapes, strict=False))
    return Net(
        layers=table,
        parameters=parameters.copy(),
        gradient=np.zeros_like(parameters),
        values=np.zeros(at_values, dtype),
        gradients=np.zeros(2 * many * widest, dtype),
        saved=np.zeros(max(at_saved, 1), dtype),
        state=np.zeros((4, max(at_state, 1)), dtype),
        lengths=np.full(rows, np.iinfo(np.int64).max),
        starts=np.zeros(many if cut else 0, np.bool_),
        sizes=np.array([rows, steps, 0], np.int64),
        work=np.zeros(ROOM + work, dtype),
        one=np.ones(1, dtype),
        optimiser=new_optimiser(at_parameters, optimiser, dtype, **settings),
    )
