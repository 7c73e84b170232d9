"""Several networks of the same layers over the same inputs, as one: the critics of an off-policy agent.

The parameters of all members lie one after the other in one flat array, so one step of the optimiser moves them all,
and one pass lets a target follow. `rlplay.networks.kernel` runs the members: the table of layers says where the numbers
of a network lie, and there is one table for each member.

    target    θ' ← (1 - τ) θ' + τ θ

Source: Lillicrap et al. 2016, algorithm 1 (the target that follows); Fujimoto, van Hoof & Meger 2018 (twin critics).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled, in_place
from rlplay.networks.contract import Kernel
from rlplay.networks.dropout import draw_drops
from rlplay.networks.layers import Layer
from rlplay.networks.memory import KIND, LINEAR, OUT, PARAMETERS, SAVED, STATE, VALUES, Floats, Net
from rlplay.networks.optimisers import new_optimiser
from rlplay.networks.state import arrays, new_net, restore


class Ensemble(NamedTuple):
    """C networks of L layers, N rows, D inputs, K outputs.

    Attributes:
        net: the parameters, the gradient and the optimiser of all members, and the memory that they share.
        tables: the layers of each member, int64 [C, L, COLUMNS].
        outputs: of all members, float32 [C, N, K].
        grad_input: the sum of their gradients with respect to x, float32 [N, D].
        grad_rows: the rows of a gradient at the outputs that are not 0, float32 [N, K].
        order: which rows these are, int64 [N].

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> twins = new_ensemble([Linear(2, 1)], np.float32([[1, 2, 3], [4, 5, 6]]), 1)
        >>> twins.net.parameters.tolist(), twins.outputs.shape
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], (2, 1, 1))
    """

    net: Net
    tables: NDArray[np.int64]
    outputs: Floats
    grad_input: Floats
    grad_rows: Floats
    order: NDArray[np.int64]


class EnsembleKernel(NamedTuple):
    """An ensemble as functions, whether ours run it or torch.

    Attributes:
        forward: ``forward(ensemble, x [N, D]) -> [C, N, K]``; what `backward` needs is kept.
        first: ``first(ensemble, x [N, D]) -> [1, N, K]``, the same of the first member alone.
        backward: ``backward(ensemble, x [N, D], grad_output [C, N, K])``: the gradient with respect to the parameters.
        input_gradient: ``input_gradient(ensemble, x [N, D], grad_output [c, N, K]) -> [N, D]``, the sum over
            the first c members; what `forward` kept is lost. Rows of 0 are left out: where each row counts for one
            member only, all of them together take the time of one.
        improve: ``improve(ensemble, learning_rate, max_grad_norm)``: one step of the optimiser.
        squared_length: ``squared_length(ensemble)`` of the gradient of all members.
        blend: ``blend(ensemble, other, share)``: the parameters become (1 - share) times what they are and share times
            those of another ensemble of the same layers.
        drop: ``drop(ensemble, p, rng)`` draws what dropout layers of all members drop; nothing with p = 0.
        predict: ``predict(ensemble, x [B, D]) -> [C, B, K]`` for any number of rows, a copy.
        arrays: ``arrays(ensemble)``, parameters and optimiser by name.
        restore: ``restore(ensemble, arrays)`` takes such arrays.

    Example:
        >>> from rlplay.networks.kernel import kernel
        >>> from rlplay.networks.layers import Linear
        >>> twins = new_ensemble([Linear(2, 1)], np.float32([[1, 2, 3], [4, 5, 6]]), 1)
        >>> ensemble_kernel(kernel([Linear(2, 1)])).forward(twins, np.float32([[10, 20]])).ravel().tolist()
        [53.0, 146.0]
    """

    forward: Callable[..., Any]
    first: Callable[..., Any]
    backward: Callable[..., None]
    input_gradient: Callable[..., Any]
    improve: Callable[..., None]
    squared_length: Callable[..., float]
    blend: Callable[..., None]
    drop: Callable[..., None]
    predict: Callable[..., Any]
    arrays: Callable[..., dict[str, Any]]
    restore: Callable[..., None]


def new_ensemble(
    layers: Sequence[Layer], parameters: Floats, rows: int, input_shape: tuple[int, ...] | None = None,
    optimiser: str = "adam", **settings: float,
) -> Ensemble:  # fmt: skip
    """The memory of an ensemble from its parameters [C, P], for batches of ``rows`` examples.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> new_ensemble([Linear(2, 1)], np.zeros((3, 3), np.float32), 8).outputs.shape
        (3, 8, 1)
    """
    one = new_net(layers, parameters[0], rows, 1, input_shape, optimiser, False, **settings)
    members, flat = len(parameters), np.ascontiguousarray(parameters).reshape(-1)
    tables = np.repeat(one.layers[None], members, axis=0)
    steps = {PARAMETERS: len(parameters[0]), VALUES: len(one.values), SAVED: len(one.saved), STATE: one.state.shape[1]}
    for column, step in steps.items():
        tables[:, :, column] += step * np.arange(members)[:, None]
    net = one._replace(
        parameters=flat.copy(), gradient=np.zeros_like(flat), values=np.zeros(members * len(one.values), flat.dtype),
        saved=np.zeros(members * len(one.saved), flat.dtype),
        state=np.zeros((4, members * one.state.shape[1]), flat.dtype),
        optimiser=new_optimiser(flat.size, optimiser, flat.dtype, **settings),
    )  # fmt: skip
    inputs, outputs = int(one.layers[0, 1]), int(one.layers[-1, OUT])
    return Ensemble(
        net, tables, np.zeros((members, rows, outputs), flat.dtype), np.zeros((rows, inputs), flat.dtype),
        np.zeros((rows, outputs), flat.dtype), np.zeros(rows, np.int64),
    )  # fmt: skip


def target_of(ensemble: Ensemble) -> Ensemble:
    """A target with parameters and outputs of its own.

    All else it shares, so it may not run between the forward and the backward pass of the ensemble.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> twins = new_ensemble([Linear(2, 1)], np.ones((2, 3), np.float32), 1)
        >>> target_of(twins).net.parameters is twins.net.parameters, target_of(twins).net.values is twins.net.values
        (False, True)
    """
    net = ensemble.net._replace(parameters=ensemble.net.parameters.copy())
    return ensemble._replace(net=net, outputs=np.zeros_like(ensemble.outputs))


def over_rows(ensemble: Ensemble, rows: int) -> Ensemble:
    """The same ensemble, parameters and all, for batches of fewer rows than it was made for.

    All but its outputs it shares, so only one of both may run between a forward and its backward pass.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> twins = new_ensemble([Linear(2, 1)], np.ones((2, 3), np.float32), 8)
        >>> over_rows(twins, 4).outputs.shape, over_rows(twins, 4).net is twins.net
        ((2, 4, 1), True)
    """
    return ensemble._replace(
        outputs=np.zeros_like(ensemble.outputs[:, :rows]), grad_input=ensemble.grad_input[:rows],
        grad_rows=ensemble.grad_rows[:rows], order=ensemble.order[:rows],
    )  # fmt: skip


def target_net(net: Net) -> Net:
    """The same for a single network.

    Example:
        >>> from rlplay.networks.layers import Linear
        >>> net = new_net([Linear(2, 1)], np.ones(3, np.float32), 1)
        >>> target_net(net).parameters is net.parameters, target_net(net).values is net.values
        (False, True)
    """
    return net._replace(parameters=net.parameters.copy())


@in_place
def _choose(ensemble: Ensemble, member: int) -> None:
    """Have the shared memory run this member."""
    layers, tables = ensemble.net.layers, ensemble.tables
    for i in range(layers.shape[0]):
        for j in range(layers.shape[1]):
            layers[i, j] = tables[member, i, j]


@in_place
def _can_leave_rows_out(net: Net) -> bool:
    """Whether each layer takes its rows one by one and keeps nothing but their outputs."""
    others = net.layers[0, KIND] != LINEAR
    for number in range(net.layers.shape[0]):
        others = others or net.layers[number, KIND] > LINEAR
    return not others


@in_place
def _rows_that_count(grad_output: Floats, order: NDArray[np.int64], grad_rows: Floats) -> int:
    """The rows of a gradient [N, K] that are not 0, and their numbers; returns how many they are."""
    count = 0
    for i in range(grad_output.shape[0]):
        counts = False
        for k in range(grad_output.shape[1]):
            counts = counts or grad_output[i, k] != 0
            grad_rows[count, k] = grad_output[i, k]
        if counts:
            order[count] = i
            count += 1
    return count


@in_place
def _bring_forward(net: Net, order: NDArray[np.int64], count: int) -> None:
    """Move these rows of the outputs of all layers to the front."""
    values = net.values
    for number in range(net.layers.shape[0]):
        at, wide = net.layers[number, VALUES], net.layers[number, OUT]
        for i in range(count):
            to, begin = at + i * wide, at + order[i] * wide
            if to != begin:
                target, source = values[to : to + wide], values[begin : begin + wide]
                for j in range(wide):
                    target[j] = source[j]


@cache
def ensemble_kernel(one: Kernel) -> EnsembleKernel:
    """The functions of ensembles of networks that such a kernel runs.

    Example:
        >>> from rlplay.networks.kernel import kernel
        >>> from rlplay.networks.layers import Linear
        >>> twins = new_ensemble([Linear(2, 1)], np.float32([[1, 2, 3], [4, 5, 6]]), 1)
        >>> ensemble_kernel(kernel([Linear(2, 1)])).first(twins, np.float32([[10, 20]])).tolist()
        [[[53.0]]]
    """
    forward_one, backward_one, gradient_one, predict_one = one.forward, one.backward, one.input_gradient, one.predict
    improve_one, length_one, blend_one = one.improve, one.squared_length, one.blend

    @compiled
    def of_members(ensemble: Ensemble, x: Floats, members: int) -> Floats:
        outputs = ensemble.outputs[:members]
        for member in range(members):
            _choose(ensemble, member)
            found = forward_one(ensemble.net, x)
            for i in range(found.shape[0]):
                for j in range(found.shape[1]):
                    outputs[member, i, j] = found[i, j]
        return outputs

    @compiled
    def forward(ensemble: Ensemble, x: Floats) -> Floats:
        return of_members(ensemble, x, ensemble.outputs.shape[0])

    @compiled
    def first(ensemble: Ensemble, x: Floats) -> Floats:
        return of_members(ensemble, x, 1)

    @compiled
    def backward(ensemble: Ensemble, x: Floats, grad_output: Floats) -> None:
        for member in range(grad_output.shape[0]):
            _choose(ensemble, member)
            backward_one(ensemble.net, x, grad_output[member], False)

    @compiled
    def input_gradient(ensemble: Ensemble, x: Floats, grad_output: Floats) -> Floats:
        net, total, order, rows = ensemble.net, ensemble.grad_input, ensemble.order, ensemble.grad_rows
        total[:] = 0
        for member in range(grad_output.shape[0]):
            _choose(ensemble, member)
            grad, count = grad_output[member], x.shape[0]
            if _can_leave_rows_out(net):
                count = _rows_that_count(grad, order, rows)
                if count == 0:
                    continue
                if count < x.shape[0]:
                    _bring_forward(net, order, count)
                    grad = rows[:count]
            found = gradient_one(net, x[:count], grad)
            for i in range(count):
                row = order[i] if count < x.shape[0] else i
                for j in range(found.shape[1]):
                    total[row, j] += found[i, j]
        return total

    @compiled
    def improve(ensemble: Ensemble, learning_rate: float, max_grad_norm: float) -> None:
        improve_one(ensemble.net, learning_rate, max_grad_norm)

    @compiled
    def squared_length(ensemble: Ensemble) -> float:
        return length_one(ensemble.net)

    @compiled
    def blend(ensemble: Ensemble, other: Ensemble, share: float) -> None:
        blend_one(ensemble.net, other.net, share)

    @compiled
    def drop(ensemble: Ensemble, p: float, rng: NDArray[np.uint64]) -> None:
        for member in range(ensemble.outputs.shape[0]):
            _choose(ensemble, member)
            draw_drops(ensemble.net, ensemble.outputs.shape[1], p, rng)

    @compiled
    def predict(ensemble: Ensemble, x: Floats) -> Floats:
        outputs = np.empty((ensemble.outputs.shape[0], x.shape[0], ensemble.outputs.shape[2]), x.dtype)
        for member in range(outputs.shape[0]):
            _choose(ensemble, member)
            found = predict_one(ensemble.net, x)
            for i in range(found.shape[0]):
                for j in range(found.shape[1]):
                    outputs[member, i, j] = found[i, j]
        return outputs

    return EnsembleKernel(
        forward, first, backward, input_gradient, improve, squared_length, blend, drop, predict, _arrays, _restore
    )


def _arrays(ensemble: Ensemble) -> dict[str, NDArray[Any]]:
    return arrays(ensemble.net)


def _restore(ensemble: Ensemble, values: Any) -> None:
    restore(ensemble.net, values)
