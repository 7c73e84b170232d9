"""Ensembles: each member as by itself, rows that are left out, targets, torch's, files."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from rlplay.networks import LayerNorm, Linear, ReLU, TorchNetwork, batch_renorm, mlp
from rlplay.networks.dropout import draw_drops
from rlplay.networks.ensemble import ensemble_kernel, new_ensemble, target_of
from rlplay.networks.kernel import kernel
from rlplay.networks.layers import BatchRenorm, Dropout, Last
from rlplay.networks.state import initial_parameters, new_net
from rlplay.networks.torch_network import ENSEMBLE, TorchEnsemble

NETWORKS = {
    "perceptron": mlp([5, 32, 17, 3], "relu"),
    "layer norm": [Linear(5, 12), LayerNorm(12), ReLU(), Linear(12, 3)],
}
B, C = 20, 3


def made(name):
    layers, rng = NETWORKS[name], np.random.default_rng(0)
    parameters = np.stack([initial_parameters(layers, rng, "torch") for _ in range(C)]).astype(np.float32)
    x, grad = rng.normal(size=(B, 5)).astype(np.float32), rng.normal(size=(C, B, 3)).astype(np.float32)
    return layers, parameters, x, grad, new_ensemble(layers, parameters, B), kernel(layers)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_member_is_what_it_is_by_itself(name):
    layers, parameters, x, grad, ensemble, one = made(name)
    several = ensemble_kernel(one)
    outputs = several.forward(ensemble, x).copy()
    assert (several.first(ensemble, x) == outputs[:1]).all()
    several.forward(ensemble, x)
    several.backward(ensemble, x, grad)
    several.improve(ensemble, 0.01, 0.0)
    size = parameters.shape[1]
    for c in range(C):
        net = new_net(layers, parameters[c], B)
        assert (one.forward(net, x) == outputs[c]).all()
        one.backward(net, x, grad[c], False)
        one.improve(net, 0.01, 0.0)
        assert (net.gradient == ensemble.net.gradient[c * size : (c + 1) * size]).all()
        assert (net.parameters == ensemble.net.parameters[c * size : (c + 1) * size]).all()
    assert several.squared_length(ensemble) == pytest.approx((ensemble.net.gradient**2).sum(), rel=1e-5)
    more = np.random.default_rng(1).normal(size=(3 * B + 1, 5)).astype(np.float32)
    assert several.predict(ensemble, more).shape == (C, 3 * B + 1, 3)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("left", ["none", "some", "all of one"])
def test_rows_without_a_gradient_change_nothing(name, left):
    layers, parameters, x, grad, ensemble, one = made(name)
    if left == "some":
        grad[0, ::2], grad[1, 1::2], grad[2, :15] = 0, 0, 0
    elif left == "all of one":
        grad[1] = 0
    expected = np.zeros((B, 5), np.float32)
    for c in range(C):
        net = new_net(layers, parameters[c], B)
        one.forward(net, x)
        expected += one.input_gradient(net, x, grad[c])
    several = ensemble_kernel(one)
    several.forward(ensemble, x)
    assert (several.input_gradient(ensemble, x, grad) == expected).all()


def test_a_target_moves_towards_the_ensemble_and_nothing_else_does():
    _, parameters, x, _, ensemble, one = made("perceptron")
    several, target = ensemble_kernel(one), target_of(ensemble)
    ensemble.net.parameters[:] += 1
    before = several.forward(ensemble, x).copy()
    several.blend(target, ensemble, 0.25)
    assert target.net.parameters == pytest.approx(parameters.ravel() + 0.25, abs=1e-6)
    several.forward(target, x)
    assert (several.forward(ensemble, x) == before).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_torchs_ensemble_gives_and_learns_the_same(name):
    layers, parameters, x, grad, ensemble, one = made(name)
    several = ensemble_kernel(one)
    twin = TorchEnsemble([TorchNetwork(layers, parameters=one_of) for one_of in parameters])
    target, twin_target = target_of(ensemble), copy.deepcopy(twin)
    for ours, kind, follower in ((ensemble, several, target), (twin, ENSEMBLE, twin_target)):
        kind.forward(ours, x)
        kind.backward(ours, x, grad)
        kind.improve(ours, 0.01, 0.0)
        kind.blend(follower, ours, 0.5)
    assert several.forward(ensemble, x) == pytest.approx(ENSEMBLE.forward(twin, x), abs=1e-4)
    assert several.input_gradient(ensemble, x, grad) == pytest.approx(ENSEMBLE.input_gradient(twin, x, grad), abs=1e-4)
    assert several.predict(target, x) == pytest.approx(ENSEMBLE.predict(twin_target, x), abs=1e-4)
    assert several.squared_length(ensemble) == pytest.approx(ENSEMBLE.squared_length(twin), rel=1e-3)

    kept = ENSEMBLE.arrays(twin)
    assert kept["parameters"] == pytest.approx(several.arrays(ensemble)["parameters"], abs=1e-4)
    ENSEMBLE.restore(twin, {**kept, "parameters": kept["parameters"] * 0, "t": np.array([7])})
    assert not ENSEMBLE.forward(twin, x).any()
    with pytest.raises(ValueError, match="parameters are not those"):
        ENSEMBLE.restore(twin, {**kept, "parameters": kept["parameters"][:-1]})


def test_dropout_and_its_gradients_are_autograds():
    """Critics as DroQ has them: linear, dropout, layer norm, ReLU; what is dropped is the same in both."""
    layers = [Linear(5, 12), Dropout(12), LayerNorm(12), ReLU(), Linear(12, 1)]
    rng = np.random.default_rng(0)
    parameters = np.stack([initial_parameters(layers, rng, "torch") for _ in range(2)]).astype(np.float32)
    x, grad = rng.normal(size=(B, 5)).astype(np.float32), rng.normal(size=(2, B, 1)).astype(np.float32)
    ensemble, several = new_ensemble(layers, parameters, B), ensemble_kernel(kernel(layers))
    calm = several.forward(ensemble, x).copy()
    several.drop(ensemble, 0.3, np.arange(1, 5, dtype=np.uint64))
    outputs = several.forward(ensemble, x).copy()
    several.backward(ensemble, x, grad)
    below = several.input_gradient(ensemble, x, grad)

    inputs, expected = torch.tensor(x, dtype=torch.float64, requires_grad=True), 0.0
    leaves = [torch.tensor(one, dtype=torch.float64, requires_grad=True) for one in parameters]
    for c, leaf in enumerate(leaves):
        w, b, gamma, beta, v, a = torch.split(leaf, [60, 12, 12, 12, 12, 1])
        place = int(ensemble.tables[c, 1, 5])
        drops = torch.tensor(ensemble.net.saved[place : place + B * 12].reshape(B, 12).astype(np.float64))
        assert 0.1 < float((drops == 1).double().mean()) < 0.5
        assert set(np.unique(drops[drops != 1].numpy().round(5))) == {round(-0.3 / 0.7, 5)}
        h = (inputs @ w.reshape(5, 12) + b) * (1 - drops)
        out = torch.relu(torch.nn.functional.layer_norm(h, (12,), gamma, beta)) @ v.reshape(12, 1) + a
        assert outputs[c] == pytest.approx(out.detach().numpy(), abs=1e-5)
        expected = expected + (out * torch.tensor(grad[c])).sum()
    expected.backward()
    assert ensemble.net.gradient == pytest.approx(torch.cat([leaf.grad for leaf in leaves]).numpy(), abs=1e-4)
    assert below == pytest.approx(inputs.grad.numpy(), abs=1e-4)
    several.drop(ensemble, 0.0, np.arange(1, 5, dtype=np.uint64))
    assert (several.forward(ensemble, x) == calm).all()


def test_as_many_numbers_are_dropped_as_are_asked_for():
    net, rng = new_net([Dropout(1000)], np.zeros(0, np.float32), 50), np.arange(1, 5, dtype=np.uint64)
    for p in (0.01, 0.1, 0.5):
        draw_drops(net, 50, p, rng)
        drops = net.saved == 1
        assert drops.mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / drops.size))
        assert net.saved.mean() == pytest.approx(0.0, abs=0.02)


def test_batch_renormalisation_and_its_gradients_are_autograds():
    """In training as batch norm, then by the running moments too; and as an agent acts. Nothing is compiled."""
    n, rng = 4, np.random.default_rng(0)
    start = np.concatenate([rng.normal(size=2 * n), rng.normal(size=n), rng.uniform(0.5, 2, n), [0.0]])
    for batches, learns in ((0.0, True), (batch_renorm.WARM_UP + 1.0, True), (0.0, False)):
        net = new_net([BatchRenorm(n)], start.copy(), B)
        net.parameters[4 * n] = batches
        x, grad = rng.normal(3, 2, (B, n)), rng.normal(size=(B, n))
        batch_renorm.use_batch(net, learns)
        y, below = np.empty(B * n), np.empty(B * n)
        batch_renorm.forward(net.layers[0], net, x.ravel(), 0, y, 0, B)
        batch_renorm.backward(net.layers[0], net, x.ravel(), 0, grad.ravel(), 0, below, 0, B, True)

        inputs = torch.tensor(x, requires_grad=True)
        gamma, beta = (torch.tensor(start[i * n : (i + 1) * n], requires_grad=True) for i in range(2))
        mean, var = (torch.tensor(start[i * n : (i + 1) * n]) for i in (2, 3))
        m, v = (inputs.mean(dim=0), inputs.var(dim=0)) if learns else (mean, var)
        if batches:
            r = ((v + 1e-3).sqrt() / (var + 1e-3).sqrt()).detach().clamp(1 / 3, 3)
            d = ((m - mean) / (var + 1e-3).sqrt()).detach().clamp(-5, 5)
            assert 0 < ((d.abs() == 5) | (r == 3)).sum() < 2 * n, "some are cut, some are not"
            m, v = m - d * v.sqrt() / r, v / r**2
        expected = (inputs - m) / (v + 1e-3).sqrt() * gamma + beta
        expected.backward(torch.tensor(grad))
        assert y.reshape(B, n) == pytest.approx(expected.detach().numpy())
        assert below.reshape(B, n) == pytest.approx(inputs.grad.numpy())
        assert net.gradient == pytest.approx(np.concatenate([gamma.grad, beta.grad, np.zeros(2 * n + 1)]))
        moved = [0.99 * mean + 0.01 * inputs.mean(dim=0), 0.99 * var + 0.01 * inputs.var(dim=0)]
        after = np.concatenate([one.detach() for one in (moved if learns else (mean, var))])
        assert net.parameters[2 * n : 4 * n] == pytest.approx(after)
        assert net.parameters[4 * n] == batches + learns


def test_dropout_beside_sequences_is_refused():
    with pytest.raises(ValueError, match="Dropout, or Last and Repeat"):
        kernel([Linear(2, 2), Dropout(2), Last()])
