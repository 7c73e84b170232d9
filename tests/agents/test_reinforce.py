"""REINFORCE: its equations by hand and against torch, one iteration in two executions, and learning."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import Reinforce
from rlplay import evaluate
from rlplay.errors import HyperparameterError, SpaceError
from rlplay.functional.distributions import CATEGORICAL, GAUSSIAN, sample_categorical, sample_gaussian
from rlplay.functional.rollout import generalised_advantages, new_rollout, standardise
from rlplay.networks import Linear, ReLU, SiLU
from rlplay.seeding import stream


def test_returns_by_hand():
    rollout = new_rollout(4, 1, 1, 1, False)
    rollout.rewards[:], rollout.ends[:] = [1.0, 2.0, 3.0, 10.0], [False, False, True, True]
    rollout.bootstrap_values[3] = 100.0  # a time limit; the other episode terminated
    rollout.values[:] = [5.0, -3.0, 2.0, 7.0]
    generalised_advantages(rollout, 1, 0.5, 1.0)
    returns = [1 + 0.5 * (2 + 0.5 * 3), 2 + 0.5 * 3, 3.0, 10 + 0.5 * 100]
    assert rollout.returns.tolist() == pytest.approx(returns)
    assert rollout.advantages.tolist() == pytest.approx([g - v for g, v in zip(returns, rollout.values, strict=True)])


def test_normalised_advantages_have_mean_0_and_deviation_1():
    weights = np.array([1.0, 2.0, 6.0])
    standardise(weights)
    assert weights.mean() == pytest.approx(0)
    assert weights.std(ddof=1) == pytest.approx(1)


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


@pytest.mark.parametrize(
    ("env", "steps"),
    [pytest.param(*case, marks=pytest.mark.slow) for case in (("CartPole-v1", 5000), ("Pendulum-v1", 1000))],
)
def test_both_executions_end_in_the_same_weights(env, steps):
    ours = Reinforce(env, batch_size=400, seed=1).learn(steps)
    twin = Reinforce(env, batch_size=400, seed=1, network="torch").learn(steps)
    assert ours.metrics()["train/n_updates"] == twin.metrics()["train/n_updates"] > 0
    for name in ("policy", "value"):
        mine, theirs = ours.arrays()[f"{name}/parameters"], twin.arrays()[f"{name}/parameters"]
        assert np.abs(mine - theirs).max() < 1e-4
    assert np.allclose(ours.memory.spread, twin.memory.spread, atol=1e-4)


class Line(gym.Env):
    """Ten steps of reward 1 with a time limit, or an end; action 0 may not be taken."""

    observation_space, action_space = gym.spaces.Box(-1, 1, (2,)), gym.spaces.Discrete(3)

    def __init__(self, terminates):
        self.terminates, self.t = terminates, 0

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        assert action != 0
        self.t += 1
        ended = self.t == 10
        return np.zeros(2, np.float32), 1.0, ended and self.terminates, ended and not self.terminates, {}

    def action_masks(self):
        return np.array([False, True, True])


@pytest.mark.filterwarnings("ignore:.*learned nothing")
@pytest.mark.parametrize("terminates", [True, False])
def test_a_time_limit_is_no_terminal_state_and_masks_are_kept(terminates):
    agent = Reinforce(Line(terminates), batch_size=1000, gamma=1.0, normalize={"norm_obs": False}, network="torch",
                      seed=0).learn(25, engine="python")  # fmt: skip
    rollout = agent.memory.rollout
    assert rollout.filled[0] == 25
    assert np.flatnonzero(rollout.ends[:25]).tolist() == [9, 19]
    value = agent.probe(np.zeros(2, np.float32)).value[0]
    assert rollout.bootstrap_values[9] == pytest.approx(0.0 if terminates else value)
    assert (rollout.actions[:25] > 0).all()
    assert rollout.rewards[9] < 1.0  # normalised


@pytest.mark.slow  # compiles networks of its own
def test_layers_of_ones_own():
    own = [Linear(4, 8), ReLU(), Linear(8, 8), SiLU()]
    agent = Reinforce("CartPole-v1", network=own, batch_size=100, seed=0).learn(300)
    assert len(agent.memory.value.parameters) == 4 * 8 + 8 + 8 * 8 + 8 + 8 + 1
    with pytest.raises(HyperparameterError, match=r"layer 0 Linear\(3, 8\) takes 3 numbers a row.*Linear\(4"):
        Reinforce("CartPole-v1", network=[Linear(3, 8)])


def test_observations_that_are_no_vector_are_refused():
    with pytest.raises(SpaceError, match="Reinforce needs observations that are a vector or finite"):

        class Odd(gym.Env):
            observation_space, action_space = gym.spaces.Text(3), gym.spaces.Discrete(2)

        Reinforce(Odd())


def test_it_balances_the_pole():
    agent = Reinforce("CartPole-v1", seed=0).learn(150_000)
    assert evaluate(agent, n_eval_episodes=20).mean >= 475
