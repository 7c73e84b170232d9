"""State-dependent exploration of SAC and TQC: gradients by torch as Stable-Baselines3 computes them, times of draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stable_baselines3.common.distributions import StateDependentNoiseDistribution

import rlplay
from agents import SAC, TQC
from rlplay.cli import main
from rlplay.errors import HyperparameterError, RlplayWarning
from rlplay.functional.squashed_state_noise import (
    find_spread,
    follow_spread,
    smooth_gradient,
    smooth_sample,
    square_spread,
)
from rlplay.testing import differences

SIZE, UNITS, ROWS = 2, 5, 30
SMALL = {"net_arch": [16], "batch_size": 16, "buffer_size": 500, "learning_starts": 20, "n_envs": 2, "use_sde": True}


@pytest.mark.parametrize("expln", [False, True])
def test_samples_and_gradients_are_stable_baselines3s(expln):
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(ROWS, SIZE + UNITS)).astype(np.float32)
    outputs[:, SIZE:] *= 0.3 if expln else 1.0  # actions near 1 show what theirs adds within a logarithm
    outputs[0, 0] = 2.0  # a mean that was cut
    log_std = rng.normal(0.0 if expln else -1.0, 0.3, UNITS * SIZE).astype(np.float32)
    log_spread = np.zeros_like(log_std)
    find_spread(log_std, expln, log_spread)
    slope, alpha = rng.normal(size=(ROWS, SIZE)).astype(np.float32), 0.3
    drawn = rng.normal(size=(UNITS, SIZE)).astype(np.float32)
    matrix = np.exp(log_spread.reshape(UNITS, SIZE)) * drawn

    mean, latent = (torch.tensor(one, requires_grad=True) for one in (outputs[:, :SIZE], outputs[:, SIZE:]))
    spread = torch.tensor(log_std.reshape(UNITS, SIZE), requires_grad=True)
    distribution = StateDependentNoiseDistribution(SIZE, squash_output=True, learn_features=True, use_expln=expln)
    distribution.proba_distribution_net(UNITS)
    cut = torch.nn.functional.hardtanh(mean, -2.0, 2.0)
    distribution.proba_distribution(cut, spread, latent)
    distribution.exploration_mat = distribution.get_std(spread) * torch.tensor(drawn)
    action = distribution.sample()
    told = distribution.log_prob(action)
    (alpha * told - (torch.tensor(slope) * action).sum(1)).mean().backward()

    squares, actions, log_probs = np.zeros(UNITS * SIZE), np.zeros((ROWS, SIZE), np.float32), np.zeros(ROWS)
    square_spread(log_spread, squares)
    smooth_sample(outputs, matrix, squares, actions, log_probs)
    assert np.allclose(actions, action.detach().numpy(), atol=1e-6)
    assert np.allclose(log_probs, told.detach().numpy(), atol=1e-3)  # theirs adds 1e-6 within a logarithm
    grad, of_spread = np.zeros_like(outputs), np.zeros_like(log_std)
    smooth_gradient(outputs, matrix, squares, actions, slope, alpha, 2.0, grad, of_spread)
    follow_spread(log_std, expln, of_spread)
    assert np.allclose(grad[:, :SIZE], mean.grad.numpy(), atol=1e-5)
    assert np.allclose(grad[:, SIZE:], latent.grad.numpy(), atol=1e-5)
    assert np.allclose(of_spread, spread.grad.numpy().ravel(), atol=1e-5)


@pytest.mark.slow  # compiles for long
def test_an_update_moves_all_parts_of_the_actor_along_torchs_gradient():
    agent = SAC("Pendulum-v1", **{**SMALL, "n_envs": 1}, seed=0)
    kernel, actor = agent.kernels["actor"], agent.memory.nets.actor
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    outputs = kernel.forward(actor, x)
    at = [torch.tensor(net.parameters.copy(), requires_grad=True) for net in (actor.core, actor.head)]
    w, b = at[0][:48].reshape(3, 16), at[0][48:]
    hidden = torch.relu(torch.tensor(x) @ w + b)
    means = hidden @ at[1][:16].reshape(16, 1) + at[1][16:]
    assert np.allclose(outputs, torch.cat([means, hidden], 1).detach().numpy(), atol=1e-6)
    direction = np.random.default_rng(1).normal(size=outputs.shape).astype(np.float32)
    (torch.cat([means, hidden], 1) * torch.tensor(direction)).sum().backward()
    kernel.backward(actor, x, direction, False)
    assert np.allclose(actor.core.gradient, at[0].grad.numpy(), atol=1e-5)
    assert np.allclose(actor.head.gradient, at[1].grad.numpy(), atol=1e-5)


@pytest.mark.slow  # compiles for long
@pytest.mark.parametrize(
    ("settings", "draws"),
    [
        ({"sde_sample_freq": -1}, [12, 16, 20]),  # rounds of two environments; random ones before 20 steps
        ({"sde_sample_freq": 3}, [11, 12, 15, 16, 19, 20]),
        ({"use_sde_at_warmup": True}, [0, 4, 8, 12, 16, 20]),
    ],
)
def test_matrices_are_drawn_at_the_start_of_a_rollout_and_every_so_often(settings, draws):
    agent, found = SAC("Pendulum-v1", seed=0, train_freq=4, **SMALL, **settings), []
    before = agent.memory.nets.actor.matrices.copy()
    for step in range(21):
        agent.advance(2, "python")
        now = agent.memory.nets.actor.matrices.copy()
        if not np.array_equal(before, now):
            found.append(step)
        before = now
    assert found == draws


@pytest.mark.slow  # compiles for long
@pytest.mark.parametrize("cls", [SAC, TQC])
def test_compiled_and_step_by_step_runs_are_the_same_and_go_on_from_a_file(cls, tmp_path):
    settings = {**SMALL, "train_freq": 4, "gradient_steps": 4, "sde_sample_freq": 3}
    whole = cls("Pendulum-v1", seed=0, **settings).learn(200, engine="compiled")
    assert not differences(whole, cls("Pendulum-v1", seed=0, **settings).learn(200, engine="python"))
    part = cls("Pendulum-v1", seed=0, **settings).learn(94, schedule_timesteps=200)
    again = rlplay.load(part.save(tmp_path / "part")).learn(106, reset_num_timesteps=False)
    assert not differences(whole, again)
    assert whole.probe(np.zeros((3, 3), np.float32)).action_std.shape == (3, 1)
    actor = whole.memory.nets.actor
    assert not np.allclose(actor.log_std, -3.0)  # it is learned
    assert whole.predict(np.zeros(3, np.float32))[0] != whole.predict(np.zeros(3, np.float32))[0]


ZOO = """
MountainCarContinuous-v0:
  n_timesteps: !!float 200
  policy: 'MlpPolicy'
  learning_rate: !!float 3e-4
  buffer_size: 50000
  batch_size: 512
  ent_coef: 0.1
  train_freq: 32
  gradient_steps: 32
  gamma: 0.9999
  tau: 0.01
  learning_starts: 0
  use_sde: True
  policy_kwargs: "dict(log_std_init=-3.67, net_arch=[64, 64])"
"""


@pytest.mark.slow  # compiles for long
@pytest.mark.parametrize("agent_id", ["sac", "tqc"])
def test_zoo_entries_with_state_dependent_exploration_run_as_they_stand(agent_id, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoo.yml").write_text(ZOO)
    words = ["train", "--algo", agent_id, "--env", "MountainCarContinuous-v0", "-conf", "zoo.yml", "--seed", "0"]
    assert main([*words, "--eval-freq", "-1"]) == 0
    agent = rlplay.load(tmp_path / f"logs/{agent_id}/MountainCarContinuous-v0_1/MountainCarContinuous-v0.rlp")
    assert agent.memory.nets.actor.matrices.shape == (1, 64, 1)
    assert agent.memory.nets.actor.log_std.mean() == pytest.approx(-3.67, abs=0.2)


def test_bad_input():
    for settings, words in (
        ({"network": "torch"}, "our own networks"), ({"batch_renorm": True}, "do not go together"),
        ({"policy_kwargs": {"net_arch": []}}, "needs a hidden layer"),
        ({"policy_kwargs": {"use_expln": "yes"}}, "use_expln='yes' is not one of True"),
        ({"policy_kwargs": {"log_std_init": "low"}}, "log_std_init='low'"),
        ({"sde_sample_freq": -2}, "sde_sample_freq=-2"),
    ):  # fmt: skip
        with pytest.raises(HyperparameterError, match=words):
            SAC("Pendulum-v1", **{"use_sde": True, "buffer_size": 500, **settings})
    with pytest.warns(RlplayWarning, match="log_std_init of policy_kwargs says nothing without use_sde=True"):
        SAC("Pendulum-v1", buffer_size=500, policy_kwargs={"log_std_init": -3})


@pytest.mark.slow  # compiles for long
@pytest.mark.parametrize(("expln", "spread"), [(False, np.e), (True, 1.0 + np.log(2.0))])
def test_the_deviation_that_is_shown_is_that_of_the_noise(expln, spread):
    agent = SAC("Pendulum-v1", **SMALL, seed=0, policy_kwargs={"use_expln": expln, "log_std_init": 1.0})
    outputs = np.array([[0.0, 3.0, 4.0]])
    agent.memory.nets.actor.log_spread[:] = 9.0  # of an earlier draw
    (deviation,) = agent._normal(np.pad(outputs, ((0, 0), (0, 14))))[1]
    assert deviation == pytest.approx([5.0 * spread], rel=1e-4)
