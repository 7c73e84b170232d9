"""Ensembles: each member as by itself, rows that are left out, targets, torch's, files."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from rlplay.networks import LayerNorm, Linear, ReLU, TorchNetwork, mlp
from rlplay.networks.ensemble import ensemble_kernel, new_ensemble, target_of
from rlplay.networks.kernel import kernel
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
