"""The same perceptron as a torch module, behind the same functions: torch's autograd and torch's Adam.

Only arrays of the inputs' and outputs' size go to and fro; an agent does not notice which network it has.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rlplay.networks import Kernel
from rlplay.networks.adam import BETA_1, BETA_2, EPSILON

_ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}


class TorchMLP:
    """A network of `torch.nn.Linear` layers.

    Attributes:
        module: the layers.
        adam: the optimiser over them.
    """

    def __init__(self, sizes: Sequence[int], parameters: NDArray[np.float32], activation: str) -> None:
        layers: list[torch.nn.Module] = []
        for n_in, n_out in itertools.pairwise(sizes):
            layers += [torch.nn.Linear(n_in, n_out), _ACTIVATIONS[activation]()]
        self.module = torch.nn.Sequential(*layers[:-1])
        self.adam = torch.optim.Adam(self.module.parameters(), lr=0.0, betas=(BETA_1, BETA_2), eps=EPSILON)
        for parameter in self.module.parameters():  # as Adam's first step would, so that they can be saved and loaded
            self.adam.state[parameter] = {
                "step": torch.zeros(()),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        self._set(list(self.module.parameters()), parameters)
        self._input = self._output = torch.zeros(0)

    def forward(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `rlplay.networks.Kernel`."""
        self._input = torch.from_numpy(x).requires_grad_()
        self._output = self.module(self._input)
        return self._output.detach().numpy()

    def forward_row(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `rlplay.networks.Kernel`."""
        with torch.no_grad():
            return self.module(torch.from_numpy(x)).numpy()

    def backward(self, x: NDArray[np.float32], grad_output: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `rlplay.networks.Kernel`."""
        self.adam.zero_grad()
        torch.autograd.backward(self._output, torch.from_numpy(grad_output))
        gradient = self._input.grad
        assert gradient is not None
        return gradient.numpy()

    def improve(self, learning_rate: float, max_grad_norm: float) -> None:
        """See `rlplay.networks.Kernel`."""
        if max_grad_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), max_grad_norm)
        for group in self.adam.param_groups:
            group["lr"] = learning_rate
        self.adam.step()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Parameters and optimiser as flat arrays, named and laid out as those of `rlplay.networks.mlp`."""
        states = [self.adam.state[p] for p in self.module.parameters()]
        return {
            "parameters": self._flat(list(self.module.parameters())),
            "m": self._flat([s["exp_avg"] for s in states]),
            "v": self._flat([s["exp_avg_sq"] for s in states]),
            "t": np.array([int(states[0]["step"])], np.int64),
        }

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take the values of such arrays."""
        states = [self.adam.state[p] for p in self.module.parameters()]
        self._set(list(self.module.parameters()), arrays["parameters"])
        self._set([s["exp_avg"] for s in states], arrays["m"])
        self._set([s["exp_avg_sq"] for s in states], arrays["v"])
        for state in states:
            state["step"].fill_(int(arrays["t"][0]))

    @staticmethod
    def _flat(tensors: list[torch.Tensor]) -> NDArray[np.float32]:
        """Weights as [in, out], where torch has [out, in], then biases."""
        return np.concatenate([t.detach().numpy().T.ravel() for t in tensors])

    @staticmethod
    def _set(tensors: list[torch.Tensor], flat: NDArray[np.float32]) -> None:
        place = 0
        with torch.no_grad():
            for tensor in tensors:
                values = flat[place : place + tensor.numel()].reshape(tuple(tensor.shape)[::-1]).T
                tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)))
                place += tensor.numel()


def _forward(net: TorchMLP, x: NDArray[np.float32]) -> NDArray[np.float32]:
    return net.forward(x)


def _forward_row(net: TorchMLP, x: NDArray[np.float32]) -> NDArray[np.float32]:
    return net.forward_row(x)


def _backward(net: TorchMLP, x: NDArray[np.float32], grad_output: NDArray[np.float32]) -> NDArray[np.float32]:
    return net.backward(x, grad_output)


def _improve(net: TorchMLP, learning_rate: float, max_grad_norm: float) -> None:
    net.improve(learning_rate, max_grad_norm)


KERNEL = Kernel(
    _forward, _forward_row, _backward, _improve, _forward_row, TorchMLP.arrays, TorchMLP.restore
)  # fmt: skip
