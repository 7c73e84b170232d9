"""The benchmarks: what they count, and that the peers they run beside ours compute the same."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parent / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    """A module of the benchmarks by name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def test_operations_are_those_counted_by_hand(module):
    arithmetic = module("arithmetic")
    assert arithmetic.forward_operations([2, 3, 1]) == 2 * (2 * 3 + 3 * 1)
    assert arithmetic.backward_operations([2, 3, 1]) == 2 * (2 * 3 + 3 * 1) + 2 * 3 * 1  # no gradient of the inputs
    forward, backward = 18 + 18, 24 + 24
    assert arithmetic.ppo_operations([2, 3, 1], [2, 3, 1], 4) == forward + 4 * (forward + backward)
    assert arithmetic.ppo_operations([4, 64, 64, 2], [4, 64, 64, 1], 4) == 227_200


def test_what_a_step_on_ray_costs_is_found_again(module):
    scale = module("scale")
    rows = [(n, w, t, t + 0.003 + 1e-4 * n + 2e-4 * w) for n, w in scale.GRID for t in (0.001, 0.01)]
    assert np.allclose(scale._fit(rows, 3), [0.003, 1e-4, 2e-4])


def test_operations_are_those_torch_counts(module):
    from torch.utils.flop_counter import FlopCounterMode

    arithmetic = module("arithmetic")
    net = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.Tanh(), torch.nn.Linear(64, 2))
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(10, 4)).sum().backward()
    sizes = [4, 64, 2]
    assert counter.get_total_flops() == 10 * (
        arithmetic.forward_operations(sizes) + arithmetic.backward_operations(sizes)
    )


def test_the_loss_of_the_torch_peer_is_that_by_hand(module):
    """Logits 0: the entropy is log 2 and both ratios 1, so that normalised advantages cancel; values are 0."""
    peer = module("peers.torch_ppo")
    policy, value = torch.nn.Linear(4, 2), torch.nn.Linear(4, 1)
    for parameter in (*policy.parameters(), *value.parameters()):
        torch.nn.init.zeros_(parameter)
    old = torch.full((2,), -np.log(2.0), dtype=torch.float32)
    batch = torch.ones(2, 4), torch.tensor([0, 1]), old, torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.0])
    loss = peer.loss_of(policy, value, batch, peer.Settings())
    assert float(loss.detach()) == pytest.approx(-0.01 * np.log(2.0) + 0.5 * (1.0 + 4.0) / 2)


def test_the_torch_peer_learns_from_whole_iterations(module):
    peer = module("peers.torch_ppo")
    agent = peer.TorchPPO("CartPole-v1", peer.Settings(n_steps=16, batch_size=16, widths=(8,)))
    before = torch.cat([p.detach().flatten() for p in agent.parameters])
    assert agent.learn(70) == 128
    after = torch.cat([p.detach().flatten() for p in agent.parameters])
    assert torch.isfinite(after).all()
    assert (before != after).any()


def test_the_jax_peers_gradient_is_torchs(module):
    pytest.importorskip("jax")
    import jax
    import jax.numpy as jnp

    ours, theirs = module("peers.jax_ppo"), module("peers.torch_ppo")
    settings, rng = ours.Settings(widths=(16, 8)), np.random.default_rng(0)
    layers = ours.initial_parameters(settings, 0)
    flat = np.concatenate([part.ravel() for pairs in layers.values() for pair in pairs for part in pair])
    obs, actions = rng.normal(size=(32, 4)).astype(np.float32), rng.integers(2, size=32)
    rest = rng.normal(size=(32, 3)).astype(np.float32)
    rest[:, 0] = np.log(0.5) + 0.3 * rest[:, 0]
    batch = jnp.asarray(np.concatenate([obs, actions[:, None], rest], 1), jnp.float32)
    loss, gradient = jax.value_and_grad(ours.loss_of)(jnp.asarray(flat), batch, settings)

    nets = []
    for name, outputs in (("policy", 2), ("value", 1)):
        net = theirs.perceptron([4, 16, 8, outputs], 1.0)
        for (weights, bias), layer in zip(layers[name], net[::2], strict=True):
            layer.weight.data, layer.bias.data = torch.from_numpy(weights.T.copy()), torch.from_numpy(bias)
        nets.append(net)
    tensors = torch.from_numpy(obs), torch.from_numpy(actions), *(torch.from_numpy(rest[:, i].copy()) for i in range(3))
    other = theirs.loss_of(*nets, tensors, theirs.Settings())
    other.backward()
    expected = [part for net in nets for layer in net[::2] for part in (layer.weight.grad.T, layer.bias.grad)]
    assert float(loss) == pytest.approx(float(other.detach()), rel=1e-5)
    assert np.abs(np.asarray(gradient) - torch.cat([part.flatten() for part in expected]).numpy()).max() < 1e-6


def test_the_jax_peers_cart_is_gymnasiums(module):
    pytest.importorskip("jax")
    import jax.numpy as jnp

    peer, env = module("peers.jax_ppo"), gym.make("CartPole-v1").unwrapped
    env.reset(seed=0)
    state = jnp.asarray(np.array(env.state)[None], jnp.float32)
    for action in (0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1):
        state, terminated = peer.env_step(state, jnp.array([action]))
        _, _, expected, _, _ = env.step(action)
        assert np.abs(np.asarray(state[0]) - np.array(env.state)).max() < 1e-5
        assert bool(terminated[0]) == expected
        if expected:
            return
    raise AssertionError("the pole must have fallen")


@pytest.mark.slow
def test_the_benchmarks_run():
    """A small run of the parts that have sizes, each a table with a row for all that is installed."""
    code = "import policy_gradients as p; p.beside_peers(1, 0.05); p.limit((16, 64), 1024); p.rows((1, 8), 512)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER), str(FOLDER.parents[1])])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for begin in ("ours ", "PyTorch, one file ", "SB3 ", "64 x 64 ", "           8 "):
        assert [line for line in lines if line.startswith(begin)], (begin, done.stdout)
    row = next(line for line in lines if line.startswith("64 x 64 "))
    assert row.split()[3] == "227,200"
    assert row.split()[-1] == "1.00"


def test_the_published_table_counts_whole_pairs_and_says_what_is_below(module, tmp_path, capsys):
    import json

    published = module("published_result")
    task = published.TASKS[0]

    def write(side, seed, value, **changes):
        found = {"settings": task.settings, "asked": task.timesteps, "returns": [value] * published.EPISODES,
                 "seconds": 1.0, "processor": "p", "versions": {"rlplay": "0"}, **changes}  # fmt: skip
        published.place(tmp_path, task, seed, side).write_text(json.dumps(found))

    for seed in (0, 1, 2):
        write("ours", seed, 10.0 + seed)
        write("sb3", seed, 20.0 + seed)
    write("ours", 3, 500.0)  # without its twin: not counted
    line, verdict = published.row(tmp_path, task)
    assert verdict == "below"
    assert "| 3 | 11 (10 to 12) | 21 (20 to 22) | 0.00 |" in line
    write("ours", 2, 21.0)
    assert published.row(tmp_path, task)[1] == "intervals overlap"
    write("sb3", 2, 22.0, asked=1)
    published.place(tmp_path, task, 1, "sb3").write_text('{"half')
    line, verdict = published.row(tmp_path, task)
    assert "| 1 | 10 (–) | 20 (–) | – |" in line
    assert verdict == "one seed: open"
    said = capsys.readouterr().err
    assert "sb3_2.json is of other settings" in said
    assert "sb3_1.json is damaged" in said
    page = tmp_path / "page.md"
    page.write_text(published.page(tmp_path, page))
    assert "Not run yet: A2C in CartPole-v1" in page.read_text()
    rows = published.rows_of(page)
    page.write_text(published.page(tmp_path / "none", page))
    assert published.rows_of(page) == rows != {}  # what has no result here stays
