"""REINFORCE: its equations by hand and against torch, one iteration in two executions, and learning."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents import Reinforce
from rlplay import evaluate
from rlplay.distributions import CATEGORICAL, GAUSSIAN, sample_categorical, sample_gaussian
from rlplay.errors import SpaceError
from rlplay.rollout import discounted_returns, normalise
from rlplay.seeding import stream


def test_returns_by_hand():
    rewards, ends = np.array([1.0, 2.0, 3.0, 10.0]), np.array([False, False, True, True])
    returns = np.zeros(4)
    discounted_returns(rewards, ends, np.array([0.0, 0.0, 0.0, 100.0]), 0.5, returns)
    assert returns.tolist() == [1 + 0.5 * (2 + 0.5 * 3), 2 + 0.5 * 3, 3.0, 10 + 0.5 * 100]


def test_normalised_advantages_have_mean_0_and_deviation_1():
    weights = np.array([1.0, 2.0, 6.0])
    normalise(weights)
    assert weights.mean() == pytest.approx(0)
    assert weights.std() == pytest.approx(1)


@pytest.mark.parametrize("entropy", [0.0, 0.1])
def test_the_categorical_gradient_is_torchs(entropy):
    rng = np.random.default_rng(0)
    logits, weights = rng.normal(size=(20, 3)).astype(np.float32), rng.normal(size=20)
    actions = rng.integers(3, size=(20, 1)).astype(np.float32)
    grad = np.zeros_like(logits)
    choices = np.array([3], np.float32)
    CATEGORICAL.log_probs(logits, choices, actions, grad, np.zeros(20), np.zeros(20))
    CATEGORICAL.gradient(logits, choices, actions, weights, entropy, grad, np.zeros(0, np.float32))
    z = torch.from_numpy(logits.astype(np.float64)).requires_grad_()
    policy = torch.distributions.Categorical(logits=z)
    gains = policy.log_prob(torch.from_numpy(actions[:, 0])) * torch.from_numpy(weights)
    (-(gains + entropy * policy.entropy()).mean()).backward()
    assert np.allclose(grad, z.grad.numpy(), atol=1e-6)


@pytest.mark.parametrize("entropy", [0.0, 0.1])
def test_the_gaussian_gradient_is_torchs(entropy):
    rng = np.random.default_rng(0)
    mean, actions = rng.normal(size=(20, 2)).astype(np.float32), rng.normal(size=(20, 2)).astype(np.float32)
    log_std, weights = np.array([-0.5, 0.3], np.float32), rng.normal(size=20)
    grad, grad_log_std = np.zeros_like(mean), np.zeros(2, np.float32)
    GAUSSIAN.log_probs(mean, log_std, actions, grad, np.zeros(20), np.zeros(20))
    GAUSSIAN.gradient(mean, log_std, actions, weights, entropy, grad, grad_log_std)
    m, s = (torch.from_numpy(a.astype(np.float64)).requires_grad_() for a in (mean, log_std))
    policy = torch.distributions.Normal(m, s.exp())
    gains = policy.log_prob(torch.from_numpy(actions)).sum(1) * torch.from_numpy(weights)
    (-(gains + entropy * policy.entropy().sum(1)).mean()).backward()
    assert np.allclose(grad, m.grad.numpy(), atol=1e-6)
    assert np.allclose(grad_log_std, s.grad.numpy(), atol=1e-6)


def test_samples_follow_their_distribution():
    rng, action = stream(0, "test"), np.zeros(1, np.float32)
    logits, drawn = np.log(np.array([0.2, 0.5, 0.3], np.float32)), np.zeros(3)
    for _ in range(20_000):
        sample_categorical(logits, np.array([3], np.float32), rng, action)
        drawn[int(action[0])] += 1
    assert np.allclose(drawn / 20_000, [0.2, 0.5, 0.3], atol=0.012)
    normal = []
    for _ in range(20_000):
        sample_gaussian(np.array([2.0], np.float32), np.log(np.array([3.0], np.float32)), rng, action)
        normal.append(action[0])
    assert np.mean(normal) == pytest.approx(2, abs=0.08)
    assert np.std(normal) == pytest.approx(3, abs=0.06)


@pytest.mark.parametrize(("env", "steps"), [("CartPole-v1", 5000), ("Pendulum-v1", 1000)])
def test_both_executions_end_in_the_same_weights(env, steps):
    ours = Reinforce(env, batch_size=400, seed=1).learn(steps)
    twin = Reinforce(env, batch_size=400, seed=1, network="torch").learn(steps)
    assert ours.batch.counters[0] < steps - 400  # there were updates
    for name in ("policy", "baseline"):
        mine, theirs = ours.arrays()[f"{name}/parameters"], twin.arrays()[f"{name}/parameters"]
        assert np.abs(mine - theirs).max() < 1e-4
    assert np.allclose(ours.log_std, twin.log_std, atol=1e-4)


def test_a_time_limit_is_no_terminal_state():
    agent = Reinforce("CartPole-v1", batch_size=10_000, seed=0)
    obs, batch = np.zeros(4, np.float32), agent.batch
    agent.act(obs)
    agent.rule.learn(agent.memory, obs, 0, 1.0, np.ones(4, np.float32), -1, False, True, 0.0)
    agent.act(obs)
    agent.rule.learn(agent.memory, obs, 0, 1.0, np.ones(4, np.float32), -1, True, False, 0.0)
    assert batch.ends[:2].all()
    assert batch.beyond[0] == pytest.approx(agent.probe(np.ones(4, np.float32)).value[0])
    assert batch.beyond[1] == 0.0


def test_observations_that_are_no_vector_are_refused():
    with pytest.raises(SpaceError, match="Reinforce needs observations that are a vector or finite"):
        import gymnasium as gym

        class Odd(gym.Env):
            observation_space, action_space = gym.spaces.Text(3), gym.spaces.Discrete(2)

        Reinforce(Odd())


def test_it_balances_the_pole():
    agent = Reinforce("CartPole-v1", seed=0).learn(150_000)
    assert evaluate(agent, n_eval_episodes=20).mean >= 475
