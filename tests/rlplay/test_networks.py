"""Networks: every layer against torch and against differences, optimisers, recurrence, Fisher products, bad input."""

from __future__ import annotations

import itertools

import numba
import numpy as np
import pytest
import torch

from rlplay.compiled.cache import compiled
from rlplay.compiled.numba_internals import allocations, enable_memory_statistics
from rlplay.errors import UsageError
from rlplay.networks import (
    GRU,
    LSTM,
    Conv2d,
    Last,
    LayerNorm,
    Linear,
    Network,
    ReLU,
    Repeat,
    Tanh,
    TorchNetwork,
    fisher,
    linear,
    mlp,
)  # fmt: skip
from rlplay.networks.activations import tanh
from rlplay.networks.initialisers import INITIALISERS
from rlplay.networks.layers import ACTIVATIONS, activation_layer
from rlplay.networks.losses import LOSSES, loss
from rlplay.networks.matmul import ROOM, copy, product, transpose
from rlplay.networks.optimisers import OPTIMISERS, clip, improve, new_optimiser
from rlplay.networks.state import new_net

# Layers, the shape of a batch, and the shape of an example where the layers do not say it.
NETWORKS = {
    "linear": ([Linear(5, 3)], (7, 5), None),
    "perceptron": (mlp([5, 16, 8, 3]), (40, 5), None),
    "wide": (mlp([17, 130, 70, 3], "relu"), (33, 17), None),
    "layer norm": ([Linear(5, 12), LayerNorm(12), Tanh(), Linear(12, 3)], (9, 5), None),
    "conv2d": ([Conv2d(2, 5, 3), ReLU(), Conv2d(5, 4, 3, 2, 1), Tanh(), Linear(36, 3)], (4, 7, 8, 2), (7, 8, 2)),
    "strided": ([Conv2d(3, 17, 4, 2), ReLU(), Linear(17 * 9, 2)], (3, 8, 8, 3), (8, 8, 3)),
    "lstm": ([LSTM(4, 6), Linear(6, 3)], (5, 7, 4), None),
    "gru": ([GRU(4, 6), Linear(6, 3)], (5, 7, 4), None),
    "two lstms": ([LSTM(4, 20), LSTM(20, 5), Tanh()], (4, 3, 4), None),
    "autoencoder": ([GRU(4, 6), Last(), Repeat(), GRU(6, 6), Linear(6, 4)], (5, 7, 4), None),
    "encoder": ([LSTM(4, 6), LayerNorm(6), Last(), Linear(6, 2)], (5, 7, 4), None),
    **{f"activation {name}": ([Linear(5, 9), activation_layer(name), Linear(9, 3), activation_layer(name)], (11, 5),
       None) for name in ACTIVATIONS},
}  # fmt: skip
SEQUENCES = ["lstm", "gru", "two lstms", "autoencoder", "encoder"]


def pair(name, dtype="float32", **settings):
    layers, shape, example = NETWORKS[name]
    rng = np.random.default_rng(1)
    ours = Network(layers, input_shape=example, dtype=dtype, initialiser="torch", seed=0, **settings)
    twin = TorchNetwork(layers, input_shape=example, dtype=dtype, initialiser="torch", seed=0, **settings)
    x = rng.normal(size=shape).astype(dtype)
    return ours, twin, x, rng.normal(size=ours.forward(x).shape).astype(dtype)


def near(a, b, tolerance):
    return np.abs(np.asarray(a) - np.asarray(b)).max() <= tolerance * max(1.0, np.abs(b).max())


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n == "encoder" else n for n in NETWORKS])
def test_forward_and_gradients_equal_torchs(name):
    ours, twin, x, grad = pair(name)
    assert near(ours.forward(x), twin.forward(x), 1e-5)
    assert near(ours.backward(grad), twin.backward(grad), 1e-5)
    assert near(ours.gradient, twin.gradient, 1e-5)
    direction = np.random.default_rng(2).normal(size=ours.parameters.shape)
    ours.forward(x)
    assert near(ours.tangent(direction), twin.tangent(direction).reshape(-1, grad.shape[-1]), 1e-5)


@pytest.mark.parametrize(
    "name", ["linear", *(pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS if n not in ("linear", "encoder"))]
)
def test_gradients_equal_differences(name):
    """In float64: along a random direction of the parameters, and along one of the inputs."""
    ours, _, x, grad = pair(name, "float64")
    rng = np.random.default_rng(3)
    along, x_along, step = rng.normal(size=ours.parameters.shape), rng.normal(size=x.shape), 1e-6
    ours.forward(x)
    below = ours.backward(grad)
    slope, slope_x = ours.gradient @ along, (below * x_along).sum()
    forward_slope = (ours.tangent(along).ravel() * grad.ravel()).sum() if ours.forward(x) is not None else 0
    losses = []
    for sign in (1, -1):
        ours.parameters[:] += sign * step * along
        losses.append((ours.forward(x) * grad).sum())
        ours.parameters[:] -= sign * step * along
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(slope, rel=1e-4, abs=1e-6)
    assert forward_slope == pytest.approx(slope, rel=1e-8)
    moved = [(ours.forward(x + sign * step * x_along) * grad).sum() for sign in (1, -1)]
    assert (moved[0] - moved[1]) / (2 * step) == pytest.approx(slope_x, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_of_unequal_length_and_states_equal_torchs(name):
    ours, twin, x, grad = pair(name)
    rng, lengths = np.random.default_rng(4), np.array([5, 1, 3, 4, 5, 2, 1])[: x.shape[1]]
    lengths = np.minimum(lengths, len(x))
    wide = ours.state().shape[1]
    state, state_grad = (rng.normal(size=(x.shape[1], wide)).astype(np.float32) for _ in range(2))
    assert near(ours.forward(x, state, lengths), twin.forward(x, state, lengths), 1e-5)
    assert near(ours.state(), twin.state(), 1e-5)
    assert near(ours.backward(grad, state_grad), twin.backward(grad, state_grad), 1e-5)
    assert near(ours.gradient, twin.gradient, 1e-5)
    assert near(ours.state_gradient(), twin.state_gradient(), 1e-5)
    if name == "encoder":  # padding is not seen: each sequence gives what it gives alone
        for n in range(x.shape[1]):
            alone = ours.forward(x[: lengths[n], n : n + 1], state[n : n + 1])[0].copy()
            assert near(alone, ours.forward(x, state, lengths)[n], 1e-6)


@pytest.mark.parametrize(
    ("name", "optimiser"), list(itertools.product(["perceptron", "conv2d", "lstm", "gru"], OPTIMISERS))
)
def test_a_hundred_updates_end_in_the_same_weights(name, optimiser):
    ours, twin, x, goal = pair(name, optimiser=optimiser)
    rate = {"adam": 1e-3, "rmsprop": 1e-3}.get(optimiser, 1e-2)
    for _ in range(100):
        for network in (ours, twin):
            out = network.forward(x)
            network.backward((out - goal) / out.size, to_input=False)
            network.improve(rate, 0.5)
    assert np.abs(ours.parameters - twin.parameters).max() < 1e-4
    before = (
        (Network(ours.layers, input_shape=ours.shapes[0], initialiser="torch", seed=0).forward(x) - goal) ** 2
    ).mean()
    assert ((ours.forward(x) - goal) ** 2).mean() < before
    other = Network(ours.layers, input_shape=ours.shapes[0], optimiser=optimiser, seed=9)
    other.restore(twin.arrays())  # what either saves the other takes, optimiser too
    twin.restore(ours.arrays())
    for network in (other, twin):
        network.backward((network.forward(x) - goal) / goal.size)
        network.improve(rate)
    assert np.abs(other.parameters - twin.parameters).max() < 1e-4


def test_a_row_has_the_bits_that_it_has_in_a_batch():
    for sizes in ([5, 16, 8, 3], [4, 64, 64, 2], [9, 130, 1]):
        layers = mlp(sizes)
        network = Network(layers, seed=0)
        x = np.random.default_rng(0).normal(size=(50, sizes[0])).astype(np.float32)
        batch = network.forward(x).copy()
        kernel = network.kernel
        assert all(np.array_equal(kernel.forward_row(network.net, row), out) for row, out in zip(x, batch, strict=True))
        assert np.array_equal(kernel.predict(network.net, np.tile(x, (9, 1))), np.tile(batch, (9, 1)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 3), (32, 64, 64), (33, 150, 77), (256, 8, 4), (5, 300, 130)])
def test_products_of_matrices(shape, dtype):
    rows, depth, columns = shape
    rng, room, tolerance = np.random.default_rng(0), np.zeros(ROOM, dtype), 1e-4 if dtype is np.float32 else 1e-10
    a, b, bias = (rng.normal(size=size).astype(dtype) for size in ((rows, depth), (depth, columns), columns))
    wanted = a.astype(float) @ b.astype(float)
    turned_a, turned_b = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    for x, x_row, x_k in ((a, depth, 1), (turned_a, 1, rows)):
        for y, y_k, y_column in ((b, columns, 1), (turned_b, 1, depth)):
            c = np.full(rows * columns + 5, 7.0, dtype)
            product(x.ravel(), 0, x_row, x_k, y.ravel(), 0, y_k, y_column, c, 0, columns, bias, 0, 0, rows, columns,
                    depth, room)  # fmt: skip
            assert np.allclose(c[:-5].reshape(rows, columns), wanted + bias, atol=tolerance)
            product(x.ravel(), 0, x_row, x_k, y.ravel(), 0, y_k, y_column, c, 0, columns, c, 0, columns, rows, columns,
                    depth, room)  # fmt: skip
            assert np.allclose(c[:-5].reshape(rows, columns), 2 * wanted + bias, atol=tolerance)
            assert (c[-5:] == 7.0).all()  # nothing is written beyond
    out = np.zeros((depth, rows), dtype)
    transpose(a.ravel(), 0, depth, out.ravel(), 0, rows, rows, depth)
    flat = out.ravel()
    transpose(a.ravel(), 0, depth, flat, 0, rows, rows, depth)
    assert np.array_equal(flat.reshape(depth, rows), a.T)
    again = np.zeros(rows * depth, dtype)
    copy(a.ravel(), 0, depth, again, 0, depth, rows, depth)
    assert np.array_equal(again, a.ravel())


def test_tanh_is_that_of_numpy_to_float32():
    values = np.linspace(-20, 20, 100_001).astype(np.float32)
    ours = values.copy()
    tanh(ours)
    assert np.abs(ours - np.tanh(values.astype(np.float64))).max() < 4e-7
    assert ours[50_000] == 0.0


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_running_means_of_a_gradient_that_stays_zero_are_never_subnormal(name, dtype):
    parameters, state = np.ones(20, dtype), new_optimiser(20, name, dtype)
    gradient = np.logspace(-20, 0, 20).astype(dtype)  # the squares of the first are below what float32 holds
    for step in range(2000):
        improve(parameters, gradient if step == 0 else np.zeros(20, dtype), state, 1e-3, 0.0)
        for means in (state.m, state.v):
            assert ((means == 0.0) | (np.abs(means) >= np.finfo(np.float32).tiny)).all(), step
    assert (state.m == 0.0).all()


@pytest.mark.parametrize(("rows", "n_out"), [(1, 64), (5, 19), (200, 70)])
def test_a_batch_that_is_almost_all_zeros_has_the_bits_of_a_product(rows, n_out):
    rng, n_in = np.random.default_rng(0), 90
    x = np.zeros((rows, n_in), np.float32)
    for row in x:
        row[rng.choice(n_in, rng.integers(3), replace=False)] = rng.normal()
    net = new_net([Linear(n_in, n_out)], rng.normal(size=(n_in + 1) * n_out).astype(np.float32), rows)
    grad = rng.normal(size=rows * n_out).astype(np.float32)

    def made_by(affine, gradient):
        @compiled
        def both(net, x, y, grad, rows):
            affine(net, 0, 90 * grad.shape[0] // rows, x, 0, y, 0, rows, 90, grad.shape[0] // rows)
            gradient(net, 0, x, 0, grad, 0, rows, 90, grad.shape[0] // rows)

        y = np.empty(rows * n_out, np.float32)
        both(net, x.ravel(), y, grad, rows)
        return y, net.gradient.copy()

    found = (
        made_by(linear.affine, linear.weight_gradient),
        made_by(linear.sparse_affine, linear.sparse_weight_gradient),
    )
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


def test_tanh_of_one_number_has_the_bits_that_it_has_among_others():
    values = np.random.default_rng(0).normal(size=37).astype(np.float32) * 4
    together, alone = values.copy(), values.copy()
    tanh(together)
    for i in range(len(alone)):
        tanh(alone[i : i + 1])
    assert np.array_equal(together, alone)


def test_tanh_takes_what_is_no_number_and_what_is_infinite():
    for number, expected in ((np.nan, np.nan), (np.inf, 1.0), (-np.inf, -1.0)):
        values = np.full(17, number, np.float32)  # a vector, and one beyond
        tanh(values)
        assert np.allclose(values, expected, atol=4e-7, equal_nan=True)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients_are_torchs(name):
    rng = np.random.default_rng(0)
    outputs, weights = rng.normal(size=(6, 3)) * 2, np.array([1.0, 0.0, 1.0, 1.0, 0.5, 1.0])
    targets = rng.integers(3, size=(6, 1)).astype(float) if name == "cross_entropy" else rng.uniform(size=(6, 3))
    gradient = np.zeros((6, 3))
    value = loss(LOSSES[name], outputs, targets, weights, gradient)
    y, t, w = (torch.from_numpy(a) for a in (outputs, targets, weights))
    y.requires_grad_()
    f = torch.nn.functional
    each = {
        "squared_error": lambda: 0.5 * ((y - t) ** 2).sum(1),
        "huber": lambda: f.huber_loss(y, t, reduction="none").sum(1),
        "cross_entropy": lambda: f.cross_entropy(y, t[:, 0].long(), reduction="none"),
        "bernoulli": lambda: f.binary_cross_entropy_with_logits(y, t, reduction="none").sum(1),
    }[name]()
    twin = (w * each).sum() / w.sum()
    twin.backward()
    assert value == pytest.approx(twin.item())
    assert np.allclose(gradient, y.grad.numpy(), atol=1e-12)


def test_a_long_gradient_is_scaled_and_a_short_one_is_not():
    gradient = np.array([3.0, 4.0], np.float32)
    assert clip(gradient, 10.0) == pytest.approx(5.0)
    assert gradient.tolist() == [3.0, 4.0]
    assert clip(gradient, 0.5) == pytest.approx(5.0)
    assert np.linalg.norm(gradient) == pytest.approx(0.5, rel=1e-4)


def test_initial_weights_keep_signals_alive():
    weights = Network(mlp([64, 64, 4]), seed=0, last_gain=0.01).named()
    assert np.allclose(weights["0.weight"].T @ weights["0.weight"], 2 * np.eye(64), atol=1e-4)
    assert np.abs(weights["2.weight"]).max() < 0.01
    x = np.random.default_rng(0).normal(size=(500, 100))
    for name in set(INITIALISERS) - {"torch"}:
        deep = Network(mlp([100] * 9, "relu"), initialiser=name, seed=0)
        assert 0.1 < deep.forward(x).std() < 3.0, name


@pytest.mark.parametrize("name", ["perceptron", "conv2d", "lstm", "gru", "layer norm"])
def test_no_allocation_in_a_training_step(name):
    network, _, x, grad = pair(name)
    network.forward(x)
    forward, _, backward, improve = network.kernel[:4]

    enable_memory_statistics()

    @numba.njit
    def train(net, x, grad, n):
        for _ in range(n):
            forward(net, x)
            backward(net, x, grad, False)
            improve(net, 1e-3, 0.5)

    allocated = []
    for n in (1, 1, 101):
        before = allocations()
        train(network.net, x.reshape(-1, x.shape[-1]) if x.ndim == 3 else x.reshape(len(x), -1),
              grad.reshape(-1, grad.shape[-1]), n)  # fmt: skip
        allocated.append(allocations() - before)
    assert allocated[1] == allocated[2]


def test_fisher_products_are_those_of_the_second_derivative_of_the_divergence():
    """F v is the gradient of v · ∇ KL at the same policy: by torch's double backward."""
    layers, x = mlp([4, 16, 3]), np.random.default_rng(0).normal(size=(20, 4))
    ours = Network(layers, dtype="float64", seed=0)
    twin = TorchNetwork(layers, dtype="float64", seed=0)
    v = np.random.default_rng(1).normal(size=ours.parameters.shape)
    given = (None, torch.ones(20, dtype=torch.int64), 1, False)
    for metric in (fisher.categorical, fisher.gaussian(0.7)):
        y, _ = twin.module(torch.from_numpy(x), *given)
        if metric is fisher.categorical:
            p = torch.distributions.Categorical(logits=y)
            divergence = torch.distributions.kl_divergence(torch.distributions.Categorical(logits=y.detach()), p).mean()
        else:
            divergence = ((y - y.detach()) ** 2).sum(1).mean() / (2 * 0.7**2)
        parameters = list(twin.module.parameters())
        first = torch.autograd.grad(divergence, parameters, create_graph=True)
        moved = [torch.zeros_like(p) for p in parameters]
        twin._set(moved, v)
        second = torch.autograd.grad(sum((a * b).sum() for a, b in zip(first, moved, strict=True)), parameters)
        assert np.allclose(fisher.product(ours, x, v, metric), twin._flat(second), atol=1e-8)
        assert np.allclose(fisher.product(twin, x, v, metric), twin._flat(second), atol=1e-8)
    gradient = np.random.default_rng(2).normal(size=v.shape)
    solved = fisher.natural_gradient(ours, x, gradient, damping=0.1, n_steps=200)
    assert np.allclose(fisher.product(ours, x, solved, damping=0.1), gradient, atol=1e-6)


def test_any_torch_module_is_a_network():
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.0), torch.nn.ELU(), torch.nn.Linear(8, 2))
    network, x = TorchNetwork(module), np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    goal = np.tanh(x[:, :2])
    first = ((network.forward(x) - goal) ** 2).mean()
    for _ in range(200):
        network.backward((network.forward(x) - goal) / 30)
        network.improve(1e-2, 1.0)
    assert ((network.predict(x) - goal) ** 2).mean() < first / 5
    assert network.tangent(np.ones(network.parameters.shape)).shape == (30, 2)
    arrays = network.arrays()
    network.restore(arrays)
    assert np.array_equal(network.arrays()["m"], arrays["m"])


def test_layers_that_do_not_chain_are_both_named():
    with pytest.raises(ValueError, match=r"layer 2 Linear\(32, 2\) takes 32 .* layer 0 Linear\(4, 64\) gives 64"):
        Network([Linear(4, 64), Tanh(), Linear(32, 2)])
    with pytest.raises(ValueError, match=r"layer 1 LSTM\(8, 4\) takes 8 .* layer 0 Linear\(4, 64\) gives 64"):
        TorchNetwork([Linear(4, 64), LSTM(8, 4)])
    with pytest.raises(ValueError, match=r"layer 0 Conv2d\(3, 8, kernel_size=3\) needs input_shape"):
        Network([Conv2d(3, 8, 3)])
    with pytest.raises(ValueError, match=r"layer 0 .* takes images \[height, width, 3\], and the input .* \[9, 9, 1\]"):
        Network([Conv2d(3, 8, 3)], input_shape=(9, 9, 1))
    with pytest.raises(ValueError, match="larger than the image"):
        Network([Conv2d(1, 8, 5)], input_shape=(4, 4, 1))
    with pytest.raises(ValueError, match="n_out=0 must be a whole number of 1 or more"):
        Linear(3, 0)


def test_bad_input_is_one_line():
    network = Network(mlp([4, 8, 2]), seed=0)
    with pytest.raises(ValueError, match=r"takes \[N, 4\] and was given \[3, 5\]"):
        network.forward(np.zeros((3, 5)))
    recurrent = Network([GRU(4, 3)], seed=0)
    with pytest.raises(ValueError, match=r"takes \[T, N, 4\]"):
        recurrent.forward(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="between 1 and 5, the steps"):
        recurrent.forward(np.zeros((5, 2, 4)), lengths=[5, 6])
    with pytest.raises(ValueError, match=r"the state of this network is \[2, 3\], and \[2, 4\] was given"):
        recurrent.forward(np.zeros((5, 2, 4)), state=np.zeros((2, 4)))
    for wrong, words in (({"dtype": "int8"}, "float32 or float64"), ({"initialiser": "zeros"}, "one of orthogonal"),
                         ({"optimiser": "lion"}, "one of sgd"),
                         ({"momentum": 0.5}, "adam has no setting 'momentum'")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            Network(mlp([4, 2]), **wrong)
    with pytest.raises(ValueError, match="have 10 parameters"):
        new_net(mlp([4, 2]), np.zeros(9, np.float32), 1)
    assert new_optimiser(3, "adam", beta_1=0.5).settings[0] == 0.5


@pytest.mark.parametrize("make", [Network, TorchNetwork])
def test_weights_of_another_architecture_are_refused(make):
    arrays = make(mlp([4, 8, 2]), seed=0).arrays()
    with pytest.raises(ValueError, match="network 4-linear-8-tanh-linear-2, and this one is 4-linear-8-relu-linear-2"):
        make(mlp([4, 8, 2], "relu"), seed=0).restore(arrays)
    module = torch.nn.Linear(4, 3)
    with pytest.raises(ValueError, match="parameters has shape"):
        TorchNetwork(module).restore(arrays)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said():
    with pytest.raises(UsageError, match="asks for a GPU, and torch sees none"):
        TorchNetwork(mlp([4, 2]), device="cuda")
    with pytest.raises(UsageError, match="is no device"):
        TorchNetwork(mlp([4, 2]), device="warp")
    assert TorchNetwork(mlp([4, 2]), device="auto").device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_numbers():
    x = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    here, there = (TorchNetwork(mlp([8, 64, 2]), device=d, seed=0) for d in ("cpu", "cuda"))
    assert np.allclose(here.forward(x), there.forward(x), atol=1e-5)
