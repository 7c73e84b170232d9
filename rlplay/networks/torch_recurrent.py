"""The functions of a network with a memory over torch, see `rlplay.networks.recurrent`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rlplay.networks.recurrent import RecurrentKernel, RecurrentNet
from rlplay.networks.torch_network import KERNEL, TorchNetwork


def _forward(net: RecurrentNet, x: Any) -> Any:
    core: TorchNetwork = net.core
    if not net.shares:
        if core.is_sequence:
            states, starts, steps = core.sequences
            core.forward(x.reshape(steps, -1, x.shape[1]), states, starts=starts)
        else:
            core.forward(x)
    return net.top.forward(core.outputs().reshape(x.shape[0], -1))


def _backward(net: RecurrentNet, x: Any, grad_output: Any, to_input: bool) -> None:
    grad = net.top.backward(grad_output, to_input=not net.shares)
    if not net.shares:
        net.core.backward(grad, to_input=False)


def _improve(net: RecurrentNet, learning_rate: float, max_grad_norm: float) -> None:
    length = math.sqrt(_squared_length(net))
    if 0.0 < max_grad_norm < length:
        _shrink(net, max_grad_norm / (length + 1e-6))
    for one in _own(net):
        KERNEL.improve(one, learning_rate, 0.0)


def _squared_length(net: RecurrentNet) -> float:
    return float(sum(KERNEL.squared_length(one) for one in _own(net)))


def _shrink(net: RecurrentNet, factor: float) -> None:
    for one in _own(net):
        KERNEL.shrink(one, factor)


def _own(net: RecurrentNet) -> list[TorchNetwork]:
    return [net.top] if net.shares else [net.top, net.core]


def _begin(net: RecurrentNet, states: Any, starts: Any, steps: int) -> None:
    if not net.shares:
        cut = np.zeros((steps, len(states)), np.bool_)
        cut.reshape(-1)[: len(starts)] = starts
        net.core.sequences = (states.copy(), cut, steps)


def _end(net: RecurrentNet, states: Any) -> None:
    if states.shape[1]:
        states[...] = net.core.state()


RECURRENT = RecurrentKernel(_forward, _backward, _improve, _squared_length, _shrink, _begin, _end)

__all__ = ["RECURRENT"]
