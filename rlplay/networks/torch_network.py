"""The same networks as torch modules with the same methods: torch's autograd and optimisers, on any device.

A list of our layers becomes torch's own (`torch.nn.Linear`, `LSTM`, ...) with the same numbers; any other
`torch.nn.Module` is taken as it is. Only arrays of the inputs' and outputs' size are exchanged; the caller does not
depend on which network it has.
"""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import UsageError, missing
from rlplay.networks.contract import Kernel
from rlplay.networks.ensemble import EnsembleKernel
from rlplay.networks.layers import (
    GRU,
    LSTM,
    Activation,
    Conv2d,
    Dropout,
    Last,
    Layer,
    LayerNorm,
    Linear,
    Repeat,
    shapes_of,
)
from rlplay.networks.network import Network
from rlplay.networks.optimisers import OPTIMISERS
from rlplay.networks.state import architecture, described

try:
    import torch
except ImportError as error:
    raise missing("networks over torch", "torch", "torch") from error

Floats = NDArray[Any]
F = TypeVar("F", bound=Callable[..., Any])

_ACTIVATIONS: dict[str, Callable[[], torch.nn.Module]] = {
    "tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "leaky_relu": torch.nn.LeakyReLU, "sigmoid": torch.nn.Sigmoid,
    "silu": torch.nn.SiLU, "gelu": lambda: torch.nn.GELU(approximate="tanh"),
}  # fmt: skip
# Running means of the optimisers by our names, and of torch's states.
_MEANS = {
    "adam": {"m": "exp_avg", "v": "exp_avg_sq"}, "rmsprop": {"v": "square_avg"}, "momentum": {"m": "momentum_buffer"},
    "sgd": {},
}  # fmt: skip


def _in_its_threads(function: F) -> F:
    """A function of a `TorchNetwork` that runs in the network's own number of threads.

    Threads divide a sum, and its last digits depend on where: the machine's number of cores must not decide that.
    """

    @functools.wraps(function)
    def run(network: TorchNetwork, *given: Any, **named: Any) -> Any:
        before = torch.get_num_threads()
        if before == network.threads:
            return function(network, *given, **named)
        torch.set_num_threads(network.threads)
        try:
            return function(network, *given, **named)
        finally:
            torch.set_num_threads(before)

    return run  # type: ignore[return-value]


def device_of(name: str) -> torch.device:
    """The device of a name; ``"auto"`` is a GPU where there is one.

    Raises:
        UsageError: no such device, or a GPU that is not there.

    Example:
        >>> device_of("cpu")
        device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device={name!r} is no device", 'Take "cpu", "cuda", "cuda:1" or "auto"') from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            f"device={name!r} asks for a GPU, and torch sees none", 'Take device="cpu", or "auto" for whatever is there'
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device={name!r}: torch sees {torch.cuda.device_count()} GPUs", 'Take "cuda:0"')
    return device


class _Steps(torch.nn.Module):
    """Our layers one after the other; sequences are time-major."""

    def __init__(self, layers: Sequence[Layer], shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__()
        self.layers, self.shapes = list(layers), list(shapes)
        self.parts = torch.nn.ModuleList(_part(layer) for layer in layers)

    def forward(
        self, x: torch.Tensor, state: torch.Tensor | None, lengths: torch.Tensor, steps: int, sequence: bool,
        starts: NDArray[np.bool_] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
        finals, place = [], 0
        n = x.shape[1] if sequence else x.shape[0]
        for layer, part, shape in zip(self.layers, self.parts, self.shapes, strict=False):
            lead = x.shape[: 1 + sequence]
            if isinstance(layer, Conv2d):
                images = x.reshape(-1, *shape).permute(0, 3, 1, 2)
                x = part(images).permute(0, 2, 3, 1)
                x = x.reshape(*lead, *x.shape[1:])
            elif isinstance(layer, LSTM | GRU):
                wide = layer.state()
                begin = x.new_zeros(n, wide) if state is None else state[:, place : place + wide]
                place += wide
                x, final = _episodes(part, x.reshape(*lead, -1), begin, lengths, starts)
                finals.append(final)
            elif isinstance(layer, Last):
                x, sequence = x[-1], False
            elif isinstance(layer, Repeat):
                x, sequence = x[None].expand(steps, *x.shape), True
            else:
                x = part(x if isinstance(layer, Activation) else x.reshape(*lead, -1))
        return x, torch.cat(finals, dim=1) if finals else x.new_zeros(n, 0)


def _part(layer: Layer) -> torch.nn.Module:
    """Torch's module for one of our layers."""
    if isinstance(layer, Linear):
        return torch.nn.Linear(layer.n_in, layer.n_out)
    if isinstance(layer, Conv2d):
        return torch.nn.Conv2d(
            layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding
        )  # fmt: skip
    if isinstance(layer, Dropout):
        raise ValueError("Dropout has no twin over torch: what is dropped is drawn from a stream of ours")
    if isinstance(layer, LayerNorm):
        return torch.nn.LayerNorm(layer.n)
    if isinstance(layer, LSTM):
        return torch.nn.LSTM(layer.n_in, layer.n_hidden)
    if isinstance(layer, GRU):
        return torch.nn.GRU(layer.n_in, layer.n_hidden)
    return _ACTIVATIONS[layer.name]() if isinstance(layer, Activation) else torch.nn.Identity()


def _recurrent(
    part: torch.nn.Module, x: torch.Tensor, begin: torch.Tensor, lengths: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """All steps [T, N, H] and the final state [N, S]; after a sequence's own length its state stays as it is."""
    h = begin.shape[1] // 2
    first: Any = tuple(half[None].contiguous() for half in (begin[:, :h], begin[:, h:]))
    if isinstance(part, torch.nn.GRU):
        first = begin[None].contiguous()
    if int(lengths.min()) == x.shape[0]:
        out, last = part(x, first)
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)
        out, last = part(packed, first)
        out, _ = torch.nn.utils.rnn.pad_packed_sequence(out, total_length=x.shape[0])
        place = torch.minimum(torch.arange(x.shape[0], device=x.device)[:, None], lengths.to(x.device)[None] - 1)
        out = out.gather(0, place[:, :, None].expand_as(out))
    return out, torch.cat([one[0] for one in last], dim=1) if isinstance(last, tuple) else last[0]


def _episodes(
    part: torch.nn.Module, x: torch.Tensor, begin: torch.Tensor, lengths: torch.Tensor, starts: NDArray[np.bool_] | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same where episodes begin within the sequences, ``starts`` [T, N]: the state before is 0 there."""
    if starts is None or not starts.any():
        return _recurrent(part, x, begin, lengths)
    cuts = [0, *(np.flatnonzero(starts[1:].any(axis=1)) + 1).tolist(), len(starts)]
    outputs, state = [], begin
    for first, end in itertools.pairwise(cuts):
        state = state * torch.from_numpy(~starts[first]).to(x.device, x.dtype)[:, None]
        out, state = _recurrent(part, x[first:end], state, torch.full_like(lengths, end - first))
        outputs.append(out)
    return torch.cat(outputs), state


class TorchNetwork:
    """A network over torch, with the methods of `rlplay.networks.network.Network`.

    Args:
        layers: our layers, or any `torch.nn.Module` from [N, ...] to [N, K].
        input_shape: of one example where the first layer does not determine it: (height, width, channels) of images.
        parameters: [P] in our order; by default those that `Network` begins with from the same seed.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"`` for a GPU where there is one.
        dtype: ``"float32"`` or ``"float64"``.
        optimiser: ``"adam"``, ``"rmsprop"``, ``"momentum"`` or ``"sgd"``.
        threads: of torch on the CPU; another number gives other last digits, so the machine's cores do not decide it.
        initial: how the network begins: ``initialiser``, ``last_gain`` and ``seed`` of `Network`, and the optimiser's
            settings.

    Raises:
        UsageError: ``device`` is a GPU, and there is none.

    Example:
        >>> from rlplay.networks import Linear, TorchNetwork
        >>> network = TorchNetwork([Linear(2, 1)], seed=0)
        >>> network.forward(np.zeros((5, 2))).shape, network.backward(np.ones((5, 1))).shape, network.gradient.shape
        ((5, 1), (5, 2), (3,))
    """

    def __init__(
        self,
        layers: Sequence[Layer] | torch.nn.Module,
        *,
        input_shape: tuple[int, ...] | None = None,
        parameters: Floats | None = None,
        device: str = "cpu",
        dtype: Any = "float32",
        optimiser: str = "adam",
        threads: int = 1,
        **initial: Any,
    ) -> None:
        self.threads = threads
        self.device, self.dtype = device_of(device), np.dtype(dtype)
        self.layers: list[Layer] | None = None
        self._tensor_type = torch.float64 if self.dtype == np.float64 else torch.float32
        settings = {k: v for k, v in initial.items() if k not in ("initialiser", "last_gain", "seed")}
        if isinstance(layers, torch.nn.Module):
            self.module: torch.nn.Module = layers.to(self.device, self._tensor_type)
        else:
            self.layers = list(layers)
            self.shapes = shapes_of(self.layers, input_shape)
            self.module = _Steps(self.layers, self.shapes).to(self.device, self._tensor_type)
            begin = Network(layers, input_shape=input_shape, dtype=dtype, optimiser=optimiser, **initial)
            self.is_sequence = begin.is_sequence
            self._architecture = architecture(begin.net)
            self._set(self._tensors(), begin.parameters if parameters is None else parameters)
        self._name = optimiser
        self.optimiser = _optimiser(optimiser, self._tensors(), settings)
        self._fill_states()
        self._input = self._output = torch.zeros(0)
        self._call: Any = None
        self.sequences: Any = None  # states, starts and steps of the next ones, see `rlplay.networks.torch_recurrent`
        self.twin: Any = None  # one of our networks with the same layers, see `rlplay.networks.torch_noisy`
        self._final: torch.Tensor | None = None
        self._initial: torch.Tensor | None = None

    def _tensors(self) -> list[torch.nn.Parameter]:
        return list(self.module.parameters())

    def _fill_states(self) -> None:
        """As the first step would, so that they can be saved and loaded before it."""
        for parameter in self._tensors():
            state: dict[str, Any] = {name: torch.zeros_like(parameter) for name in _MEANS[self._name].values()}
            if self._name in ("adam", "rmsprop"):
                state["step"] = torch.zeros(())
            self.optimiser.state[parameter] = state
        self._steps_done = 0

    @property
    def parameters(self) -> Floats:
        """All weights and biases in our order, a copy, [P]."""
        return self._flat([p.detach() for p in self._tensors()])

    def set_parameters(self, flat: Floats) -> None:
        """Take all weights and biases in our order, [P]."""
        self._set(self._tensors(), flat)

    @property
    def gradient(self) -> Floats:
        """Of the loss with respect to the parameters, in our order, [P], after `backward`."""
        return self._flat([torch.zeros_like(p) if p.grad is None else p.grad for p in self._tensors()])

    @_in_its_threads
    def forward(
        self, x: Any, state: Floats | None = None, lengths: Any = None, steps: int | None = None,
        starts: NDArray[np.bool_] | None = None,
    ) -> NDArray[Any]:  # fmt: skip
        """The outputs for a batch: see `rlplay.networks.network.Network.forward`."""
        self._input = torch.from_numpy(np.array(x, self.dtype)).to(self.device).requires_grad_()
        if self.layers is None:
            self._output = self.module(self._input)
            self._call = None
            return self._output.detach().cpu().numpy()
        n = self._input.shape[1] if self.is_sequence else self._input.shape[0]
        t = self._input.shape[0] if self.is_sequence else (steps or 1)
        own = torch.as_tensor(np.full(n, t) if lengths is None else np.asarray(lengths, np.int64))
        begin = None
        if state is not None:
            begin = torch.from_numpy(np.array(state, self.dtype)).to(self.device).requires_grad_()
        self._initial = begin
        self._call = (begin, own, t, self.is_sequence, starts)
        self._output, self._final = self.module(self._input, *self._call)
        return self._output.detach().cpu().numpy()

    def forward_row(self, x: NDArray[Any]) -> NDArray[Any]:
        """The outputs for one row [D], [K]; `backward` cannot follow it."""
        return self.predict(x[None])[0]

    @_in_its_threads
    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        """The outputs for a batch of examples, [N, K]; `backward` cannot follow it."""
        with torch.no_grad():
            given = torch.from_numpy(np.asarray(x, self.dtype)).to(self.device)
            if self.layers is None:
                return self.module(given).cpu().numpy()
            return self.module(given, None, torch.ones(len(given), dtype=torch.int64), 1, False)[0].cpu().numpy()

    @_in_its_threads
    def backward(
        self, grad_output: Any, state_grad: Floats | None = None, to_input: bool = True
    ) -> NDArray[Any] | None:
        """The gradients after `forward`: see `rlplay.networks.network.Network.backward`."""
        self.optimiser.zero_grad()
        grad = torch.from_numpy(np.array(grad_output, self.dtype)).to(self.device).reshape(self._output.shape)
        outputs, grads = [self._output], [grad]
        if state_grad is not None:
            assert self._final is not None
            outputs.append(self._final)
            grads.append(torch.from_numpy(np.array(state_grad, self.dtype)).to(self.device))
        self._input.grad = None
        torch.autograd.backward(outputs, grads, retain_graph=True)  # until the next `forward`: products go back often
        return None if self._input.grad is None else self._input.grad.cpu().numpy()

    @_in_its_threads
    def input_gradient(self, grad_output: Any) -> NDArray[Any]:
        """The gradient with respect to x alone, after `forward`."""
        grad = torch.from_numpy(np.array(grad_output, self.dtype)).to(self.device).reshape(self._output.shape)
        return torch.autograd.grad(self._output, self._input, grad)[0].cpu().numpy()

    def add_to_gradient(self, more: Floats) -> None:
        """Add to the gradient, [P] in our order: that of a penalty."""
        self._set([p.grad for p in self._tensors() if p.grad is not None], self.gradient + more)

    def outputs(self) -> NDArray[Any]:
        """What the last `forward` gave."""
        return self._output.detach().cpu().numpy()

    def state(self) -> NDArray[Any]:
        """The state in which the last sequences ended, [N, S]."""
        assert self._final is not None
        return self._final.detach().cpu().numpy()

    def state_gradient(self) -> NDArray[Any]:
        """∂loss/∂(initial state) after `backward`, [N, S]."""
        assert self._initial is not None
        assert self._initial.grad is not None
        return self._initial.grad.cpu().numpy()

    @_in_its_threads
    def tangent(self, direction: Floats) -> NDArray[Any]:
        """How the outputs move, [N, K], when the parameters move along a direction [P]; after `forward`."""
        names = [name for name, _ in self.module.named_parameters()]
        moved = [torch.zeros_like(p) for p in self._tensors()]
        self._set(moved, np.asarray(direction, self.dtype))

        def outputs(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
            given = (self._input.detach(), *(self._call or ()))
            found = torch.func.functional_call(self.module, parameters, given)
            return found if self.layers is None else found[0]

        here = dict(zip(names, (p.detach() for p in self._tensors()), strict=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, of its first forward derivative
            with torch.backends.mkldnn.flags(enabled=False):  # whose LSTM knows no tangents
                _, dot = torch.func.jvp(outputs, (here,), (dict(zip(names, moved, strict=True)),))[:2]
        return dot.detach().cpu().numpy()

    @_in_its_threads
    def improve(self, learning_rate: float, max_grad_norm: float = 0.0) -> None:
        """One step of the optimiser; a gradient longer than ``max_grad_norm`` is scaled down first (0: never)."""
        if max_grad_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), max_grad_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.step()
        self._steps_done += 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Architecture, parameters and optimiser as flat arrays, named and laid out as `Network`'s."""
        states = [self.optimiser.state[p] for p in self._tensors()]
        found: dict[str, NDArray[Any]] = {} if self.layers is None else {"layers": self._architecture}
        found["parameters"] = self.parameters
        for ours in ("m", "v"):
            theirs = _MEANS[self._name].get(ours)
            found[ours] = self._flat([s[theirs] for s in states]) if theirs else np.zeros_like(found["parameters"])
        return {**found, "t": np.array([self._steps_done], np.int64)}

    def restore(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Take the values of such arrays.

        Raises:
            ValueError: they are those of another architecture.
        """
        own = self.arrays()
        if "layers" in own and "layers" in values and not np.array_equal(values["layers"], own["layers"]):
            raise ValueError(
                f"the weights are those of a network {described(values['layers'])}, and this one is "
                f"{described(own['layers'])}: take the same layers, or train anew"
            )
        if values["parameters"].shape != own["parameters"].shape:
            raise ValueError(
                f"parameters has shape {values['parameters'].shape}, and this network has {own['parameters'].shape}"
            )
        self._set(self._tensors(), values["parameters"])
        states = [self.optimiser.state[p] for p in self._tensors()]
        for ours, theirs in _MEANS[self._name].items():
            self._set([s[theirs] for s in states], values[ours])
        self._steps_done = int(values["t"][0])
        for state in states:
            if "step" in state:
                state["step"].fill_(self._steps_done)

    def _flat(self, tensors: Sequence[torch.Tensor]) -> Floats:
        """Tensors of torch's shapes as one array in our order: weights [in, out], where torch has [out, in]."""
        parts = [_turned(t).contiguous().reshape(-1).cpu().numpy() for t in tensors]
        return np.concatenate(parts) if parts else np.zeros(0, self.dtype)

    def _set(self, tensors: Sequence[torch.Tensor], flat: Floats) -> None:
        place = 0
        with torch.no_grad():
            for tensor in tensors:
                turned = _turned(tensor)
                values = np.asarray(flat[place : place + tensor.numel()], self.dtype).reshape(tuple(turned.shape))
                turned.copy_(torch.from_numpy(np.ascontiguousarray(values)))
                place += tensor.numel()


def _turned(tensor: torch.Tensor) -> torch.Tensor:
    """A view with our order of axes: [in, out], or [ky, kx, channel, filter]."""
    if tensor.ndim == 4:
        return tensor.permute(2, 3, 1, 0)
    return tensor.T if tensor.ndim == 2 else tensor


def _optimiser(name: str, parameters: list[torch.nn.Parameter], settings: dict[str, float]) -> torch.optim.Optimizer:
    if name not in OPTIMISERS:
        raise ValueError(f"optimiser={name!r} must be one of {', '.join(OPTIMISERS)}")
    given = {**OPTIMISERS[name][1], **settings}
    if name == "adam":
        return torch.optim.Adam(parameters, 0.0, betas=(given["beta_1"], given["beta_2"]), eps=given["eps"])
    if name == "rmsprop":
        return torch.optim.RMSprop(parameters, 0.0, alpha=given["alpha"], eps=given["eps"])
    return torch.optim.SGD(parameters, 0.0, momentum=given.get("momentum", 0.0))


@_in_its_threads
def _squared_length(net: TorchNetwork) -> float:
    return float(sum((p.grad**2).sum() for p in net._tensors() if p.grad is not None))


def _shrink(net: TorchNetwork, factor: float) -> None:
    for parameter in net._tensors():
        if parameter.grad is not None:
            parameter.grad.mul_(factor)


def _forward(net: TorchNetwork, x: Floats) -> Floats:
    return net.forward(x)


def _backward(net: TorchNetwork, x: Floats, grad_output: Floats, to_input: bool = True) -> Floats | None:
    return net.backward(grad_output, to_input=to_input)


def _input_gradient(net: TorchNetwork, x: Floats, grad_output: Floats) -> Floats:
    return net.input_gradient(grad_output)


def _tangent(net: TorchNetwork, x: Floats, direction: Floats) -> Floats:
    return net.tangent(direction)


def _blend(net: TorchNetwork, other: TorchNetwork, share: float) -> None:
    with torch.no_grad():
        for mine, theirs in zip(net._tensors(), other._tensors(), strict=True):
            mine.mul_(1.0 - share).add_(theirs, alpha=share)


def _move(net: TorchNetwork, origin: Floats, direction: Floats, length: float) -> None:
    net._set(net._tensors(), origin + length * direction)


KERNEL = Kernel(
    _forward, TorchNetwork.forward_row, _backward, TorchNetwork.improve, _squared_length, _shrink, TorchNetwork.predict,
    _tangent, _input_gradient, _blend, _move, TorchNetwork.arrays, TorchNetwork.restore,
)  # fmt: skip


class TorchEnsemble(NamedTuple):
    """Several networks over torch with the same layers and inputs, see `rlplay.networks.ensemble`.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> drawn = np.float32([[1, 2, 3], [4, 5, 6]])
        >>> twins = TorchEnsemble([TorchNetwork([Linear(2, 1)], parameters=one) for one in drawn])
        >>> ENSEMBLE.forward(twins, np.float32([[10, 20]])).ravel().tolist()
        [53.0, 146.0]
    """

    nets: list[TorchNetwork]


def _all_forward(ensemble: TorchEnsemble, x: Floats) -> Floats:
    return np.stack([net.forward(x) for net in ensemble.nets])


def _first_forward(ensemble: TorchEnsemble, x: Floats) -> Floats:
    return ensemble.nets[0].forward(x)[None]


def _all_backward(ensemble: TorchEnsemble, x: Floats, grad_output: Floats) -> None:
    for net, grad in zip(ensemble.nets, grad_output, strict=True):
        net.backward(grad, to_input=False)


def _all_input_gradient(ensemble: TorchEnsemble, x: Floats, grad_output: Floats) -> Floats:
    found = [net.input_gradient(grad) for net, grad in zip(ensemble.nets, grad_output, strict=False)]
    return np.sum(found, axis=0, dtype=found[0].dtype)


def _all_improve(ensemble: TorchEnsemble, learning_rate: float, max_grad_norm: float) -> None:
    for net in ensemble.nets:
        net.improve(learning_rate, max_grad_norm)


def _all_squared_length(ensemble: TorchEnsemble) -> float:
    return sum(_squared_length(net) for net in ensemble.nets)


def _all_blend(ensemble: TorchEnsemble, other: TorchEnsemble, share: float) -> None:
    for mine, theirs in zip(ensemble.nets, other.nets, strict=True):
        _blend(mine, theirs, share)


def _all_drop(ensemble: TorchEnsemble, p: float, rng: NDArray[np.uint64]) -> None:
    """Nothing: networks over torch have no dropout of ours."""


def _all_predict(ensemble: TorchEnsemble, x: Floats) -> Floats:
    return np.stack([net.predict(x) for net in ensemble.nets])


def _all_arrays(ensemble: TorchEnsemble) -> dict[str, NDArray[Any]]:
    found = [net.arrays() for net in ensemble.nets]
    joined = {name: np.concatenate([one[name] for one in found]) for name in ("parameters", "m", "v")}
    return {**{name: found[0][name] for name in found[0] if name not in joined}, **joined}


def _all_restore(ensemble: TorchEnsemble, values: Mapping[str, NDArray[Any]]) -> None:
    many = len(ensemble.nets)
    if np.size(values["parameters"]) != sum(len(net.parameters) for net in ensemble.nets):
        raise ValueError(f"{np.size(values['parameters'])} parameters are not those of these {many} networks")
    split = {name: np.split(np.asarray(values[name]), many) for name in ("parameters", "m", "v")}
    for i, net in enumerate(ensemble.nets):
        net.restore({**values, **{name: parts[i] for name, parts in split.items()}})


ENSEMBLE = EnsembleKernel(
    _all_forward, _first_forward, _all_backward, _all_input_gradient, _all_improve, _all_squared_length, _all_blend,
    _all_drop, _all_predict, _all_arrays, _all_restore,
)  # fmt: skip
