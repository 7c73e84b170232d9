"""Networks: hand-written gradients against torch and against differences, Adam against torch's, both kernels alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlplay.networks import mlp, torch_mlp
from rlplay.networks.activations import tanh
from rlplay.networks.adam import adam_step, new_adam

SIZES = [5, 16, 8, 3]


def pair(activation="tanh", rows=40):
    parameters = mlp.initial_parameters(SIZES, np.random.default_rng(0))
    return mlp.new_mlp(SIZES, parameters, activation, rows), torch_mlp.TorchMLP(SIZES, parameters, activation)


@pytest.fixture
def x():
    return np.random.default_rng(1).normal(size=(40, 5)).astype(np.float32)


def test_tanh_is_that_of_numpy_to_float32():
    values = np.linspace(-20, 20, 100_001).astype(np.float32)
    ours = values.copy()
    tanh(ours)
    assert np.abs(ours - np.tanh(values.astype(np.float64))).max() < 4e-7
    assert ours[50_000] == 0.0


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_forward_and_gradients_equal_torchs(activation, x):
    ours, twin = pair(activation)
    grad = np.random.default_rng(2).normal(size=(40, 3)).astype(np.float32)
    assert np.allclose(mlp.forward(ours, x), twin.forward(x), atol=1e-5)
    below, below_twin = mlp.backward(ours, x, grad), twin.backward(x, grad)
    assert np.allclose(below, below_twin, atol=1e-5)
    flat = torch_mlp.TorchMLP._flat([p.grad for p in twin.module.parameters()])
    assert np.allclose(ours.gradient, flat, atol=1e-5 * np.abs(flat).max())


def test_gradient_equals_differences(x):
    ours, _ = pair()
    rng, step = np.random.default_rng(3), 1e-2
    mlp.forward(ours, x)
    mlp.backward(ours, x, np.ones((40, 3), np.float32))
    gradient = ours.gradient.astype(np.float64)
    for place in rng.choice(len(gradient), 25, replace=False):
        losses = []
        for sign in (1, -1):
            ours.parameters[place] += sign * step
            losses.append(mlp.forward(ours, x).astype(np.float64).sum())
            ours.parameters[place] -= sign * step
        assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(
            gradient[place], abs=2e-2 * max(1, abs(gradient[place]))
        )


def test_a_row_and_a_batch_agree(x):
    ours, _ = pair()
    rows = mlp.predict(ours, x)
    assert np.allclose(rows, mlp.forward(ours, x), atol=1e-6)
    assert np.array_equal(rows[7], mlp.forward_row(ours, x[7]))


def test_adam_equals_torchs():
    rng = np.random.default_rng(4)
    ours, state = rng.normal(size=50).astype(np.float32), new_adam(50)
    twin = torch.nn.Parameter(torch.from_numpy(ours.copy()))
    adam = torch.optim.Adam([twin], lr=0.01)
    for _ in range(100):
        gradient = rng.normal(size=50).astype(np.float32)
        adam_step(ours, gradient, state, 0.01, 0.0)
        twin.grad = torch.from_numpy(gradient.copy())
        adam.step()
    assert np.allclose(ours, twin.detach().numpy(), atol=1e-5)


def test_a_long_gradient_is_scaled():
    one, other = np.zeros(4, np.float32), np.zeros(4, np.float32)
    state = new_adam(4)
    adam_step(one, np.full(4, 100.0, np.float32), state, 0.1, 0.5)
    assert np.linalg.norm(state.m) == pytest.approx(0.1 * 0.5, rel=1e-4)
    assert one[0] < other[0]


def test_a_hundred_updates_end_in_the_same_weights(x):
    ours, twin = pair()
    goal = np.sin(x[:, :3])
    for _ in range(100):
        for net, kernel in ((ours, mlp.KERNEL), (twin, torch_mlp.KERNEL)):
            out = kernel.forward(net, x)
            kernel.backward(net, x, ((out - goal) / len(x)).astype(np.float32))
            kernel.improve(net, 1e-2, 0.5)
    assert np.abs(ours.parameters - twin.arrays()["parameters"]).max() < 1e-4
    assert ((mlp.forward(ours, x) - goal) ** 2).mean() < 0.1


def test_initial_weights_are_orthogonal():
    parameters = mlp.initial_parameters([64, 64, 4], np.random.default_rng(0), last_gain=0.01)
    weights = parameters[: 64 * 64].reshape(64, 64)
    assert np.allclose(weights.T @ weights, 2 * np.eye(64), atol=1e-4)
    assert np.abs(parameters[64 * 65 :]).max() < 0.01


def test_torch_arrays_come_back():
    _, twin = pair()
    other = torch_mlp.TorchMLP(SIZES, mlp.initial_parameters(SIZES, np.random.default_rng(9)), "tanh")
    other.restore(twin.arrays())
    assert all(np.array_equal(a, b) for a, b in zip(twin.arrays().values(), other.arrays().values(), strict=True))
