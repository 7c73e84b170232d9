"""The layers of a network: ``[Linear(4, 64), Tanh(), Linear(64, 2)]``.

They are descriptions. `rlplay.networks.state` turns a list of them into a table over flat arrays, and the modules named
after them have the formulas.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from rlplay.networks import initialisers as init
from rlplay.networks.batch_renorm import KEPT
from rlplay.networks.memory import (  # fmt: skip
    BATCH_RENORM,
    CONV_2D,
    DROPOUT,
    LAST,
    LAYER_NORM,
    LEAKY_RELU,
    LINEAR,
    NARROW,
    RELU,
    REPEAT,
    SIGMOID,
    SILU,
    TANH,
)
from rlplay.networks.memory import GELU as GELU_KIND  # fmt: skip
from rlplay.networks.memory import GRU as GRU_KIND
from rlplay.networks.memory import LSTM as LSTM_KIND
from rlplay.networks.vectors import VECTOR

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """The description of a layer: its sizes, its parameters and its initial weights.

    Example:
        >>> layer = Linear(3, 2)
        >>> isinstance(layer, Layer), layer.size(), layer.shape_after((3,)), layer.shapes()
        (True, 8, (2,), {'weight': (3, 2), 'bias': (2,)})
    """

    kind: ClassVar[int]

    def takes(self) -> int | None:
        """How many numbers a row it takes; None for any."""
        return None

    def shape_after(self, shape: Shape) -> Shape:
        """The shape of a row of its output, from that of its input."""
        return shape

    def size(self) -> int:
        """How many parameters it has."""
        return 0

    def saved(self, shape: Shape) -> int:
        """Numbers a row that `backward` needs beside inputs and outputs."""
        return 0

    def kept(self, shape: Shape) -> int:
        """Numbers that `backward` needs of a batch as a whole."""
        return 0

    def state(self) -> int:
        """Numbers of its state, for each sequence."""
        return 0

    def work_size(self, shape: Shape, rows: int) -> int:
        """Numbers of working memory."""
        return 0

    def geometry(self, shape: Shape) -> Sequence[int]:
        """What else the functions of the layer must know: the last columns of the table."""
        return ()

    def shapes(self) -> dict[str, Shape]:
        """Its parameters in order, and their shapes."""
        return {}

    def initial(self, name: str, gain: float, rng: np.random.Generator) -> Any:
        """Initial parameters, [size]."""
        return np.zeros(0)

    def as_json(self) -> dict[str, Any]:
        """The layer as JSON values; see `from_json`."""
        return {"layer": type(self).__name__, **asdict(self)}


def _positive(layer: Layer, **numbers: int) -> None:
    for name, value in numbers.items():
        if not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{type(layer).__name__}: {name}={value!r} must be a whole number of 1 or more")


@dataclass(frozen=True)
class Linear(Layer):
    """y = x W + b: see `rlplay.networks.linear`.

    Example:
        >>> str(Linear(4, 64)), Linear(4, 64).size()
        ('Linear(4, 64)', 320)
    """

    n_in: int
    n_out: int
    kind = LINEAR

    def __post_init__(self) -> None:
        _positive(self, n_in=self.n_in, n_out=self.n_out)

    def __str__(self) -> str:
        return f"Linear({self.n_in}, {self.n_out})"

    def takes(self) -> int:
        return self.n_in

    def shape_after(self, shape: Shape) -> Shape:
        return (self.n_out,)

    def size(self) -> int:
        return (self.n_in + 1) * self.n_out

    def work_size(self, shape: Shape, rows: int) -> int:
        return self.n_in * self.n_out if self.n_out < NARROW else 0

    def shapes(self) -> dict[str, Shape]:
        return {"weight": (self.n_in, self.n_out), "bias": (self.n_out,)}

    def initial(self, name: str, gain: float, rng: np.random.Generator) -> Any:
        weights = init.weights(name, self.n_in, self.n_out, gain, rng)
        return init.flat(weights, init.biases(name, self.n_in, self.n_out, rng))


@dataclass(frozen=True)
class Conv2d(Layer):
    """A convolution over images [height, width, channels]: see `rlplay.networks.conv2d`.

    Example:
        >>> Conv2d(3, 16, 3, stride=2, padding=1).shape_after((84, 84, 3))
        (42, 42, 16)
    """

    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    kind = CONV_2D

    def __post_init__(self) -> None:
        _positive(self, in_channels=self.in_channels, out_channels=self.out_channels, kernel_size=self.kernel_size,
                  stride=self.stride)  # fmt: skip
        if self.padding < 0:
            raise ValueError(f"Conv2d: padding={self.padding!r} must be 0 or more")

    def __str__(self) -> str:
        return f"Conv2d({self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size})"

    def shape_after(self, shape: Shape) -> Shape:
        if len(shape) != 3 or shape[2] != self.in_channels:
            raise ValueError(f"takes images [height, width, {self.in_channels}]")
        sides = [(side + 2 * self.padding - self.kernel_size) // self.stride + 1 for side in shape[:2]]
        if min(sides) < 1:
            raise ValueError(f"has a window of {self.kernel_size} x {self.kernel_size}, larger than the image")
        return sides[0], sides[1], self.out_channels

    def _deep(self) -> int:
        return self.kernel_size**2 * self.in_channels

    def size(self) -> int:
        return (self._deep() + 1) * self.out_channels

    def work_size(self, shape: Shape, rows: int) -> int:
        after = self.shape_after(shape)
        return self._frame(shape) + self._deep() * (after[0] * after[1] + self.out_channels) + VECTOR

    def _frame(self, shape: Shape) -> int:
        """Numbers of an image with its padding, and a vector more."""
        return (shape[0] + 2 * self.padding) * (shape[1] + 2 * self.padding) * shape[2] + VECTOR

    def geometry(self, shape: Shape) -> Sequence[int]:
        after = self.shape_after(shape)
        return (*shape, self.kernel_size, self.stride, self.padding, after[0], after[1], self._frame(shape))

    def shapes(self) -> dict[str, Shape]:
        k = self.kernel_size
        return {"weight": (k, k, self.in_channels, self.out_channels), "bias": (self.out_channels,)}

    def initial(self, name: str, gain: float, rng: np.random.Generator) -> Any:
        fan_out = self.kernel_size**2 * self.out_channels
        weights = init.weights(name, self._deep(), self.out_channels, gain, rng, fan_out)
        return init.flat(weights, init.biases(name, self._deep(), self.out_channels, rng))


@dataclass(frozen=True)
class LayerNorm(Layer):
    """Rows of mean 0 and variance 1, scaled and shifted by learned numbers: see `rlplay.networks.layer_norm`.

    Example:
        >>> LayerNorm(64).size()
        128
    """

    n: int
    kind = LAYER_NORM

    def __post_init__(self) -> None:
        _positive(self, n=self.n)

    def __str__(self) -> str:
        return f"LayerNorm({self.n})"

    def takes(self) -> int:
        return self.n

    def size(self) -> int:
        return 2 * self.n

    def saved(self, shape: Shape) -> int:
        return 2

    def shapes(self) -> dict[str, Shape]:
        return {"weight": (self.n,), "bias": (self.n,)}

    def initial(self, name: str, gain: float, rng: np.random.Generator) -> Any:
        return init.flat(np.ones(self.n), np.zeros(self.n))


@dataclass(frozen=True)
class BatchRenorm(Layer):
    """Numbers of mean 0 and variance 1 over a batch, scaled and shifted: see `rlplay.networks.batch_renorm`.

    Example:
        >>> str(BatchRenorm(64)), BatchRenorm(64).size(), BatchRenorm(64).kept((64,))
        ('BatchRenorm(64)', 257, 384)
    """

    n: int
    kind = BATCH_RENORM

    def __post_init__(self) -> None:
        _positive(self, n=self.n)

    def __str__(self) -> str:
        return f"BatchRenorm({self.n})"

    def takes(self) -> int:
        return self.n

    def size(self) -> int:
        return 4 * self.n + 1

    def kept(self, shape: Shape) -> int:
        return KEPT * self.n

    def shapes(self) -> dict[str, Shape]:
        one = (self.n,)
        return {"weight": one, "bias": one, "running_mean": one, "running_var": one, "batches": (1,)}

    def initial(self, name: str, gain: float, rng: np.random.Generator) -> Any:
        return init.flat(np.ones(self.n), np.zeros(2 * self.n), np.ones(self.n), np.zeros(1))


@dataclass(frozen=True)
class Dropout(Layer):
    """Numbers of which a random part is 0 in training: see `rlplay.networks.dropout`.

    Not beside `Last` and `Repeat`. How large the part is says the caller who draws it.

    Example:
        >>> str(Dropout(64)), Dropout(64).size(), Dropout(64).saved((64,))
        ('Dropout(64)', 0, 64)
    """

    n: int
    kind = DROPOUT

    def __post_init__(self) -> None:
        _positive(self, n=self.n)

    def __str__(self) -> str:
        return f"Dropout({self.n})"

    def takes(self) -> int:
        return self.n

    def saved(self, shape: Shape) -> int:
        return self.n


@dataclass(frozen=True)
class _Recurrent(Layer):
    n_in: int
    n_hidden: int
    gates: ClassVar[int]

    def __post_init__(self) -> None:
        _positive(self, n_in=self.n_in, n_hidden=self.n_hidden)

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.n_in}, {self.n_hidden})"

    def takes(self) -> int:
        return self.n_in

    def shape_after(self, shape: Shape) -> Shape:
        return (self.n_hidden,)

    def size(self) -> int:
        return (self.n_in + self.n_hidden + 2) * self.gates * self.n_hidden

    def work_size(self, shape: Shape, rows: int) -> int:
        return self.gates * self.n_hidden * (self.n_hidden + 2 * rows + 1)

    def shapes(self) -> dict[str, Shape]:
        wide = self.gates * self.n_hidden
        return {"weight": (self.n_in, wide), "recurrent": (self.n_hidden, wide), "bias": (wide,), "bias_2": (wide,)}

    def initial(self, name: str, gain: float, rng: np.random.Generator) -> Any:
        h, wide = self.n_hidden, self.gates * self.n_hidden
        if name == "torch":
            return rng.uniform(-1.0, 1.0, self.size()) / math.sqrt(h)
        bound = math.sqrt(6.0 / (self.n_in + h))
        recurrent = [init.orthogonal(h, h, rng) for _ in range(self.gates)]
        bias = np.zeros(wide)
        if self.gates == 4:
            bias[h : 2 * h] = 1.0  # an LSTM begins by keeping (Jozefowicz, Zaremba & Sutskever 2015)
        return init.flat(
            rng.uniform(-bound, bound, (self.n_in, wide)), np.hstack(recurrent), bias, np.zeros(wide)
        )  # fmt: skip


@dataclass(frozen=True)
class LSTM(_Recurrent):
    """Long short-term memory over sequences: see `rlplay.networks.lstm`.

    Example:
        >>> LSTM(4, 8).size(), LSTM(4, 8).state()
        (448, 16)
    """

    kind, gates = LSTM_KIND, 4

    def saved(self, shape: Shape) -> int:
        return 9 * self.n_hidden

    def state(self) -> int:
        return 2 * self.n_hidden


@dataclass(frozen=True)
class GRU(_Recurrent):
    """A gated recurrent unit over sequences: see `rlplay.networks.gru`.

    Example:
        >>> GRU(4, 8).size(), GRU(4, 8).state()
        (336, 8)
    """

    kind, gates = GRU_KIND, 3

    def saved(self, shape: Shape) -> int:
        return 8 * self.n_hidden

    def state(self) -> int:
        return self.n_hidden


@dataclass(frozen=True)
class Last(Layer):
    """Of each sequence the last step only: [T * N, D] becomes [N, D].

    Example:
        >>> str(Last()), Last().size()
        ('Last()', 0)
    """

    kind = LAST

    def __str__(self) -> str:
        return "Last()"


@dataclass(frozen=True)
class Repeat(Layer):
    """Each row at every step of a sequence: [N, D] becomes [T * N, D].

    Example:
        >>> str(Repeat()), Repeat().size()
        ('Repeat()', 0)
    """

    kind = REPEAT

    def __str__(self) -> str:
        return "Repeat()"


@dataclass(frozen=True)
class Activation(Layer):
    """A function of each number by itself: see `rlplay.networks.activations`.

    Example:
        >>> isinstance(Tanh(), Activation), Tanh.name
        (True, 'tanh')
    """

    name: ClassVar[str]

    def __str__(self) -> str:
        return f"{type(self).__name__}()"


def _activation(class_name: str, name: str, kind: int) -> type[Activation]:
    doc = f"""The activation {name}: see `rlplay.networks.activations`.

    Example:
        >>> {class_name}().name, {class_name}().size()
        ({name!r}, 0)
    """
    return type(class_name, (Activation,), {"name": name, "kind": kind, "__module__": __name__, "__doc__": doc})


Tanh = _activation("Tanh", "tanh", TANH)
ReLU = _activation("ReLU", "relu", RELU)
LeakyReLU = _activation("LeakyReLU", "leaky_relu", LEAKY_RELU)
Sigmoid = _activation("Sigmoid", "sigmoid", SIGMOID)
SiLU = _activation("SiLU", "silu", SILU)
GELU = _activation("GELU", "gelu", GELU_KIND)
ACTIVATIONS: dict[str, type[Activation]] = {cls.name: cls for cls in (Tanh, ReLU, LeakyReLU, Sigmoid, SiLU, GELU)}


def activation_layer(name: str) -> Activation:
    """The layer of an activation's name.

    Raises:
        ValueError: no such activation.

    Example:
        >>> str(activation_layer("relu"))
        'ReLU()'
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation={name!r} must be one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def from_json(described: Any) -> Layer:
    """A layer from what `Layer.as_json` gave; a layer itself as it is.

    Raises:
        ValueError: no such layer, or numbers that it does not take.

    Example:
        >>> from_json(Linear(4, 2).as_json())
        Linear(n_in=4, n_out=2)
    """
    if isinstance(described, Layer):
        return described
    known = (Linear, Conv2d, LayerNorm, LSTM, GRU, Last, Repeat, *ACTIVATIONS.values())
    named = {cls.__name__: cls for cls in known}
    if not isinstance(described, dict) or described.get("layer") not in named:
        raise ValueError(f"{described!r} is none of our layers ({', '.join(named)})")
    numbers = {key: value for key, value in described.items() if key != "layer"}
    try:
        return named[described["layer"]](**numbers)
    except TypeError as error:
        raise ValueError(f"the layer {described['layer']}: {error}") from error


def mlp(sizes: Sequence[int], activation: str = "tanh") -> list[Layer]:
    """The layers of a multilayer perceptron: inputs, hidden layers, outputs; no activation behind the last.

    Example:
        >>> [str(layer) for layer in mlp([4, 64, 2])]
        ['Linear(4, 64)', 'Tanh()', 'Linear(64, 2)']
    """
    layers: list[Layer] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [Linear(n_in, n_out), activation_layer(activation)]
    return layers[:-1]


def shapes_of(layers: Sequence[Layer], input_shape: Shape | None = None) -> list[Shape]:
    """The shape of a row of the input and behind each layer.

    Raises:
        ValueError: layers that do not chain; both are named.

    Example:
        >>> shapes_of([Conv2d(1, 8, 3), ReLU(), Linear(288, 2)], (8, 8, 1))
        [(8, 8, 1), (6, 6, 8), (6, 6, 8), (2,)]
    """
    if not layers:
        raise ValueError("a network needs at least one layer, for example Linear(4, 2)")
    if input_shape is None:
        taken = next((one.takes() for one in layers if one.takes() is not None), None)
        if isinstance(layers[0], Conv2d) or taken is None:
            raise ValueError(f"layer 0 {layers[0]} needs input_shape, for example input_shape=(84, 84, 3)")
        input_shape = (taken,)
    shapes, before = [tuple(input_shape)], f"the input of shape {tuple(input_shape)}"
    for number, layer in enumerate(layers):
        shape, taken = shapes[-1], layer.takes()
        name = f"layer {number} {layer}"
        if taken is not None and taken != math.prod(shape):
            raise ValueError(f"{name} takes {taken} numbers a row, and {before} gives {math.prod(shape)}")
        try:
            shapes.append(layer.shape_after(shape))
        except ValueError as error:
            raise ValueError(f"{name} {error}, and {before} gives {list(shape)}") from None
        if not isinstance(layer, Activation | Last | Repeat):
            before = name
    return shapes
