"""PQN: gradient and optimiser against torch, returns against their forward view, masks, spaces, resume, scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

import rlplay
from agents import PQN
from agents.pqn import make_rule
from rlplay import evaluate
from rlplay.compiled.cache import compiled
from rlplay.errors import HyperparameterError, SpaceError
from rlplay.networks.memory import KIND, LAYER_NORM, OUT
from rlplay.testing import differences
from tests.agents.test_dqn import Cut
from tests.agents.test_policy_gradients import BOX, PICTURE, SPACES, Shown

POLE = {"n_envs": 32, "n_steps": 64, "net_arch": [64, 64], "learning_rate": "lin_2.5e-4", "reward_scale": 0.1}
SMALL = {"n_envs": 3, "n_steps": 20, "batch_size": 25, "n_epochs": 2, "net_arch": [16], "reward_scale": 0.1}


def forward_view(rewards, values, bootstrap, ends, gamma, lambda_):
    """G^λ_t = (1 - λ) Σ_n λ^(n-1) G_t^(n) + λ^(T-t-1) G_t^(T-t) of one environment, up to where its episode ended."""
    found = np.zeros(len(rewards))
    for t in range(len(rewards)):
        last = next((k for k in range(t, len(rewards)) if ends[k]), len(rewards) - 1)
        gained, weight = 0.0, 1.0
        for k in range(t, last + 1):
            gained += gamma ** (k - t) * rewards[k]
            following = bootstrap[k] if k == last else values[k + 1]
            share = weight if k == last else weight * (1 - lambda_)
            found[t] += share * (gained + gamma ** (k - t + 1) * following)
            weight *= lambda_
    return found


def fill(agent):
    """A full rollout of random numbers, with ends and a time limit in it; the update's input."""
    rollout, rng = agent.memory.rollout, np.random.default_rng(3)
    rows = len(rollout.rewards)
    rollout.obs[:] = rng.normal(size=rollout.obs.shape)
    rollout.actions[:, 0] = rng.integers(2, size=rows)
    rollout.rewards[:], rollout.values[:] = rng.normal(size=rows), rng.normal(size=rows)
    rollout.ends[:] = rng.random(rows) < 0.2
    rollout.bootstrap_values[:] = rng.normal(size=rows) * (rng.random(rows) < 0.5)
    return rollout


def network_by_torch(agent):
    """Linear, layer normalisation, ReLU, linear with our numbers."""
    net = torch.nn.Sequential(
        torch.nn.Linear(4, 16), torch.nn.LayerNorm(16), torch.nn.ReLU(), torch.nn.Linear(16, 2)
    )  # fmt: skip
    own, place = agent.memory.q.parameters, 0
    with torch.no_grad():
        for parameter in net.parameters():
            part = own[place : place + parameter.numel()]
            wide = parameter.dim() == 2
            parameter.copy_(torch.tensor(part.reshape(parameter.T.shape).T if wide else part))
            place += parameter.numel()
    assert place == len(own)
    return net


def flat(tensors):
    return np.concatenate([one.detach().numpy().T.ravel() for one in tensors])


def test_an_update_is_that_of_torch():
    """One epoch of one minibatch: loss, gradient, its cut, Adam's step; returns by their forward view."""
    settings = {**SMALL, "batch_size": 60, "n_epochs": 1, "learning_rate": 3e-3, "max_grad_norm": 0.2, "lambda_": 0.7}
    agent = PQN("CartPole-v1", seed=0, **settings)
    rollout, metrics, net = fill(agent), agent.memory.metrics, network_by_torch(agent)
    of_each = [
        forward_view(*(part[i::3] for part in (0.1 * rollout.rewards, rollout.values, rollout.bootstrap_values,
                                               rollout.ends)), 0.99, 0.7)
        for i in range(3)
    ]  # fmt: skip
    returns = np.stack(of_each, axis=1).ravel()
    make_rule(agent.kernel, compiled).learn(agent.memory, rollout, 0.0)
    assert rollout.returns == pytest.approx(returns, abs=1e-12)

    q = net(torch.tensor(rollout.obs))[torch.arange(60), torch.tensor(rollout.actions[:, 0]).long()]
    loss = 0.5 * ((q - torch.tensor(returns)) ** 2).mean()
    loss.backward()
    assert metrics.loss[0] == pytest.approx(loss.item(), rel=1e-5)
    assert metrics.q_mean[0] == pytest.approx(q.mean().item(), rel=1e-4)
    assert metrics.td_error[0] == pytest.approx(np.abs(q.detach().numpy() - returns).mean(), rel=1e-5)
    length = torch.nn.utils.clip_grad_norm_(net.parameters(), 0.2)
    assert metrics.grad_norm[0] == pytest.approx(length.item(), rel=1e-5)
    assert length > 0.2
    assert np.allclose(agent.memory.q.gradient, flat([one.grad for one in net.parameters()]), atol=1e-6, rtol=1e-4)
    torch.optim.Adam(net.parameters(), lr=3e-3).step()
    assert np.allclose(agent.memory.q.parameters, flat(net.parameters()), atol=1e-5)


def test_updates_end_in_the_same_weights_over_torch():
    """The same steps, the same minibatches: three rollouts of six steps of the optimiser."""
    ours, theirs = (PQN("CartPole-v1", network=network, seed=0, **SMALL) for network in ("numpy", "torch"))
    for agent in (ours, theirs):
        agent.learn(180)
    assert ours.metrics()["train/n_updates"] == theirs.metrics()["train/n_updates"] == 18
    mine, other = (agent.arrays()["q/parameters"] for agent in (ours, theirs))
    assert np.abs(mine - other).max() < 1e-4
    assert ours.metrics()["train/td_error"] == pytest.approx(theirs.metrics()["train/td_error"], rel=1e-3)


def test_a_time_limit_is_no_terminal_state():
    """γ = 0.8: for ever is worth 1 / (1 - γ) = 5, whatever the time limit; five steps less and less."""
    settings = {
        "gamma": 0.8, "n_steps": 32, "batch_size": 32, "learning_rate": "lin_0.02", "net_arch": [32],
        "network": "torch", "seed": 0,
    }  # fmt: skip
    assert PQN(Cut(False), **settings).learn(1000).probe(np.zeros((1, 1))).value == pytest.approx([5.0], abs=0.2)
    ended = PQN(Cut(True), **settings).learn(1000).probe(np.arange(5, dtype=np.float32)[:, None]).value
    assert ended == pytest.approx([(1 - 0.8 ** (5 - t)) / 0.2 for t in range(5)], abs=0.4)


def test_a_masked_action_is_neither_taken_nor_bootstrapped_from():
    """The environment asserts that none is taken; the values of rollouts are those of what may be done."""
    agent = PQN(
        lambda: Shown(BOX, spaces.Discrete(4), masks=True),
        seed=0,
        network="torch",
        exploration_initial_eps=0.5,
        **SMALL,
    ).learn(90)
    rollout, filled = agent.memory.rollout, int(agent.memory.rollout.filled[0])
    assert filled == 30
    forbidden = rollout.masks[:filled] < 0
    assert (forbidden.sum(axis=1) == 2).all()
    rows = np.arange(filled)
    assert not forbidden[rows, rollout.actions[:filled, 0].astype(int)].any()
    q = np.where(forbidden, -np.inf, agent.kernel.predict(agent.memory.q, rollout.obs[:filled]))
    assert rollout.values[:filled] == pytest.approx(q.max(axis=1), abs=1e-5)
    assert (agent.memory.final_masks < 0).sum(axis=1).tolist() == [2, 2, 2]
    assert np.abs(rollout.bootstrap_values).max() < 100  # a forbidden action would be worth -1e8


@pytest.mark.parametrize("name", ["multi-discrete", "discrete from 5", "dict", "picture"])
def test_spaces(name):
    shown = {**SPACES, "picture": PICTURE}[name]
    agent = PQN(lambda: Shown(*shown), seed=0, network="torch", **SMALL).learn(120)
    obs, _ = agent.get_env().reset(seed=1)
    for deterministic in (True, False):
        action, _ = agent.predict(obs, deterministic=deterministic)
        assert agent.action_space.contains(np.asarray(action, agent.action_space.dtype) if np.ndim(action) else action)
    assert agent.probe(obs).action_values.shape == (1, agent.numbering.n)


def test_layers_are_normalised_where_that_is_asked_for():
    def normalised(**settings):
        layers = PQN("CartPole-v1", seed=0, **settings).memory.q.layers
        return [int(row[OUT]) for row in layers if row[KIND] == LAYER_NORM]

    assert normalised() == [256, 256]
    assert normalised(layer_norm=False) == []
    assert normalised(network=[{"layer": "Linear", "n_in": 4, "n_out": 8}]) == []


@pytest.mark.parametrize("steps", [90, 120])  # in the middle of a rollout, and between two
def test_a_run_that_was_broken_off_goes_on_in_the_same_bits(tmp_path, steps):
    whole = PQN("CartPole-v1", seed=0, **SMALL).learn(300)
    part = PQN("CartPole-v1", seed=0, **SMALL).learn(steps, schedule_timesteps=300)
    again = rlplay.load(part.save(tmp_path / "part"))
    assert not differences(part, again)
    again.learn(300 - again.num_timesteps, reset_num_timesteps=False)
    assert not differences(whole, again)


def test_exploration_falls_within_its_part_of_training():
    settings = {**SMALL, "exploration_fraction": 0.5, "exploration_final_eps": 0.1}
    rates = []
    for steps in (60, 150, 240):
        agent = PQN("CartPole-v1", seed=0, **settings).learn(steps, schedule_timesteps=300)
        rates.append(agent.metrics()["train/exploration_rate"])
    assert rates == pytest.approx([1 - 0.9 * 57 / 150, 1 - 0.9 * 147 / 150, 0.1], abs=1e-9)


def test_pqn_solves_cart_pole():
    scores = [
        evaluate(PQN("CartPole-v1", seed=seed, **POLE).learn(150_000), n_eval_episodes=20).mean for seed in range(3)
    ]
    assert min(scores) >= 475


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: PQN("Pendulum-v1"), SpaceError, "needs finite actions"),
        (lambda: PQN("CartPole-v1", lambda_=1.5), HyperparameterError, "lambda_"),
        (lambda: PQN("CartPole-v1", reward_scale=0), HyperparameterError, "reward_scale"),
    ],
)  # fmt: skip
def test_bad_input(make, error, words):
    with pytest.raises(error, match=words):
        make()
