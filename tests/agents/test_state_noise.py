"""State-dependent exploration: densities and gradients by torch, as Stable-Baselines3 computes them; times of draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stable_baselines3.common.distributions import StateDependentNoiseDistribution

import rlplay
from agents import A2C, PPO, TRPO
from rlplay.errors import HyperparameterError, RlplayWarning
from rlplay.functional.state_noise import STATE_DEPENDENT, add_noise, draw_matrices
from rlplay.testing import differences

SIZE, UNITS, ROWS = 2, 5, 30
SMALL = {"n_envs": 2, "n_steps": 16, "net_arch": [6], "use_sde": True}


def batch():
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(ROWS, SIZE + UNITS)).astype(np.float32)
    log_std = rng.normal(-0.5, 0.3, UNITS * SIZE).astype(np.float32)
    return rng, outputs, log_std, rng.normal(size=(ROWS, SIZE)).astype(np.float32)


def theirs(outputs, log_std):
    """Stable-Baselines3's distribution, over leaves that have gradients."""
    mean = torch.tensor(outputs[:, :SIZE], requires_grad=True)
    spread = torch.tensor(log_std.reshape(UNITS, SIZE), requires_grad=True)
    distribution = StateDependentNoiseDistribution(SIZE)
    distribution.proba_distribution_net(UNITS)
    distribution.proba_distribution(mean, spread, torch.tensor(outputs[:, SIZE:]))
    return mean, spread, distribution


def test_densities_entropies_and_gradients_are_stable_baselines3s():
    rng, outputs, log_std, actions = batch()
    mean, spread, distribution = theirs(outputs, log_std)
    told, entropies = distribution.log_prob(torch.tensor(actions)), distribution.entropy()
    weights = rng.normal(size=ROWS)
    (-(torch.tensor(weights) * told).mean() - 0.05 * entropies.mean()).backward()
    grad, log_probs, found = np.zeros_like(outputs), np.zeros(ROWS), np.zeros(ROWS)
    STATE_DEPENDENT.log_probs(outputs, log_std, actions, grad, log_probs, found)
    assert log_probs == pytest.approx(told.detach().numpy(), rel=1e-4, abs=1e-4)
    assert found == pytest.approx(entropies.detach().numpy(), rel=1e-4)
    of_spread = np.zeros(UNITS * SIZE, np.float32)
    STATE_DEPENDENT.gradient(outputs, log_std, actions, weights, 0.05, grad, of_spread)
    assert np.allclose(grad[:, :SIZE], mean.grad.numpy(), atol=1e-5)
    assert np.allclose(of_spread, spread.grad.numpy().ravel(), atol=1e-5)
    assert not grad[:, SIZE:].any()


def test_divergence_and_fisher_matrix_are_torchs():
    rng, outputs, log_std, _ = batch()
    latents = torch.tensor(outputs[:, SIZE:]).double()

    def normal(mean, spread):
        variance = latents**2 @ torch.exp(2 * spread.reshape(UNITS, SIZE)) + 1e-6
        return torch.distributions.Normal(mean, variance.sqrt())

    def mean_divergence(mean, spread):
        old = normal(torch.tensor(outputs[:, :SIZE]).double(), torch.tensor(log_std).double())
        return torch.distributions.kl_divergence(old, normal(mean, spread)).sum() / ROWS

    others, other_std = outputs.copy(), log_std + np.float32(0.2)
    others[:, :SIZE] += rng.normal(size=(ROWS, SIZE))
    told = mean_divergence(torch.tensor(others[:, :SIZE]).double(), torch.tensor(other_std).double())
    assert STATE_DEPENDENT.divergence(outputs, log_std, others, other_std) == pytest.approx(told.item(), rel=1e-4)
    moved, direction = np.zeros_like(outputs), rng.normal(size=UNITS * SIZE)
    moved[:, :SIZE] = rng.normal(size=(ROWS, SIZE))
    here = torch.tensor(outputs[:, :SIZE]).double(), torch.tensor(log_std).double()
    along = torch.tensor(moved[:, :SIZE]).double(), torch.tensor(direction)
    products = torch.autograd.functional.hvp(mean_divergence, here, along)[1]
    of_spread = np.zeros(UNITS * SIZE, np.float32)
    STATE_DEPENDENT.fisher(outputs, log_std, moved, direction, of_spread)
    assert np.allclose(moved[:, :SIZE], products[0].numpy(), atol=1e-6)
    assert np.allclose(of_spread, products[1].numpy(), atol=1e-5)


def test_noise_has_the_deviation_that_it_is_said_to_have():
    _, outputs, log_std, _ = batch()
    matrices, actions = np.zeros((ROWS, UNITS, SIZE), np.float32), np.zeros((ROWS, SIZE), np.float32)
    rng, drawn = np.arange(1, 5, dtype=np.uint64), []
    for _ in range(2000):
        draw_matrices(matrices, log_std, rng)
        add_noise(outputs, matrices, actions)
        drawn.append(actions.copy())
    expected = np.sqrt(outputs[:, SIZE:] ** 2 @ np.exp(2 * log_std.reshape(UNITS, SIZE)))
    assert np.std(drawn, axis=0) == pytest.approx(expected, rel=0.12)
    assert np.mean(drawn, axis=0) == pytest.approx(outputs[:, :SIZE], abs=0.15)


@pytest.mark.parametrize(("sample_freq", "draws"), [(-1, [0, 16]), (5, [0, 5, 10, 15, 16])])
def test_matrices_are_drawn_at_the_start_of_a_rollout_and_every_so_often(sample_freq, draws):
    """As Stable-Baselines3's collect_rollouts; the lines are those of the compiled loop."""
    agent, found = A2C("Pendulum-v1", seed=0, sde_sample_freq=sample_freq, **SMALL), []
    before = agent.memory.noise.matrices.copy()
    for step in range(17):
        agent.advance(2, "python")
        now = agent.memory.noise.matrices.copy()
        if not np.array_equal(before, now):
            found.append(step)
        before = now
    assert found == draws


@pytest.mark.slow  # compiles for long
@pytest.mark.parametrize("cls", [PPO, A2C, TRPO])
def test_compiled_and_step_by_step_runs_are_the_same_and_go_on_from_a_file(cls, tmp_path):
    settings = {**SMALL, "sde_sample_freq": 3} | ({} if cls is A2C else {"batch_size": 16})
    whole = cls("Pendulum-v1", seed=0, **settings).learn(200, engine="compiled")
    assert not differences(whole, cls("Pendulum-v1", seed=0, **settings).learn(200, engine="python"))
    part = cls("Pendulum-v1", seed=0, **settings).learn(94, schedule_timesteps=200)
    again = rlplay.load(part.save(tmp_path / "part")).learn(106, reset_num_timesteps=False)
    assert not differences(whole, again)
    probe = whole.probe(np.zeros((3, 3), np.float32))
    assert probe.action_std.shape == (3, 1)


def test_bad_input():
    for cls in (PPO, A2C, TRPO):
        with pytest.raises(HyperparameterError, match=r"use_sde=True is noise on actions of a Box, and Discrete\(2\)"):
            cls("CartPole-v1", use_sde=True)
    with pytest.raises(HyperparameterError, match="our own networks"):
        PPO("Pendulum-v1", use_sde=True, network="torch")
    with pytest.raises(HyperparameterError, match="sde_sample_freq=-2"):
        PPO("Pendulum-v1", sde_sample_freq=-2)
    with pytest.warns(RlplayWarning, match="sde_sample_freq=4 changes nothing: it belongs to use_sde"):
        agent = PPO("CartPole-v1", use_sde=False, sde_sample_freq=4, seed=0)
    assert agent.memory.noise.matrices.size == 0
