"""Actions with finite parts and numbers, in Tuples and Dicts: densities by torch, learning, masks, files, bad input."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

import rlplay
from agents import A2C, PPO, SB3, TRPO, Reinforce
from rlplay import evaluate, registry
from rlplay.errors import CheckpointError, EnvironmentFault, HyperparameterError, SpaceError
from rlplay.functional.mixed_actions import mixed_head
from rlplay.spaces.action_parts import ActionParts
from rlplay.storage import checkpoint
from rlplay.testing import differences

SIZES, NUMBERS, ROWS = (3, 2), 2, 20
SMALL = {"n_envs": 4, "n_steps": 32, "batch_size": 64, "net_arch": [16], "seed": 0}


class Gears(gym.Env):
    """Which of three gears is right is shown; the throttle should be half as much as is shown too."""

    observation_space = spaces.Box(-1.0, 1.0, (4,))
    action_space = spaces.Dict(gear=spaces.Discrete(3, start=1), throttle=spaces.Box(-2.0, 2.0, (1,)))
    masked = False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.look()

    def look(self):
        self.gear, self.throttle = int(self.np_random.integers(3)), self.np_random.uniform(-1.0, 1.0)
        obs = np.float32([*np.eye(3)[self.gear], self.throttle])
        self.allowed = np.arange(3) != (self.gear + 1) % 3
        return obs, {"action_mask": self.allowed} if self.masked else {}

    def step(self, action):
        assert self.action_space.contains(action), action
        assert not self.masked or self.allowed[action["gear"] - 1]
        reward = float(action["gear"] - 1 == self.gear) - float((action["throttle"][0] - 0.5 * self.throttle) ** 2)
        self.steps += 1
        obs, info = self.look()
        return obs, reward, False, self.steps == 20, info


class MaskedGears(Gears):
    masked = True


def policy(outputs, log_std):
    parts = torch.split(outputs[:, : sum(SIZES)], SIZES, dim=1)
    heads = [torch.distributions.Categorical(logits=part) for part in parts]
    return [*heads, torch.distributions.Normal(outputs[:, sum(SIZES) :], log_std.exp())]


def batch():
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(ROWS, sum(SIZES) + NUMBERS)).astype(np.float32)
    log_std = rng.normal(-0.5, 0.3, NUMBERS).astype(np.float32)
    chosen = [rng.integers(n, size=ROWS) for n in SIZES]
    return rng, outputs, log_std, np.column_stack([*chosen, rng.normal(size=(ROWS, NUMBERS))]).astype(np.float32)


def test_densities_entropies_and_gradients_are_torchs():
    rng, outputs, log_std, actions = batch()
    x, spread = (torch.tensor(one, requires_grad=True) for one in (outputs, log_std))
    heads, given = policy(x, spread), torch.tensor(actions)
    told = sum(head.log_prob(given[:, part]) for part, head in enumerate(heads[:-1]))
    told = told + heads[-1].log_prob(given[:, len(SIZES) :]).sum(1)
    entropies = sum(head.entropy() for head in heads[:-1]) + heads[-1].entropy().sum(1)
    weights = rng.normal(size=ROWS)
    (-(torch.tensor(weights) * told).mean() - 0.05 * entropies.mean()).backward()
    head, grad, log_probs, found = mixed_head(SIZES), np.zeros_like(outputs), np.zeros(ROWS), np.zeros(ROWS)
    head.log_probs(outputs, log_std, actions, grad, log_probs, found)
    assert log_probs == pytest.approx(told.detach().numpy(), abs=1e-5)
    assert found == pytest.approx(entropies.detach().numpy(), abs=1e-5)
    of_spread = np.zeros(NUMBERS, np.float32)
    head.gradient(outputs, log_std, actions, weights, 0.05, grad, of_spread)
    assert np.allclose(grad, x.grad.numpy(), atol=1e-6)
    assert np.allclose(of_spread, spread.grad.numpy(), atol=1e-6)


@pytest.mark.slow  # compiles for TRPO alone
def test_divergence_and_fisher_matrix_are_torchs():
    rng, outputs, log_std, _ = batch()
    old = policy(torch.tensor(outputs).double(), torch.tensor(log_std).double())

    def mean_divergence(x, spread):
        pairs = zip(old, policy(x, spread), strict=True)
        return sum(torch.distributions.kl_divergence(one, other).reshape(ROWS, -1).sum() for one, other in pairs) / ROWS

    others, other_std = outputs + rng.normal(size=outputs.shape).astype(np.float32), log_std + np.float32(0.2)
    told, head = mean_divergence(torch.tensor(others).double(), torch.tensor(other_std).double()), mixed_head(SIZES)
    assert head.divergence(outputs, log_std, others, other_std) == pytest.approx(told.item(), rel=1e-5)
    moved, direction = rng.normal(size=outputs.shape).astype(np.float32), rng.normal(size=NUMBERS)
    here = torch.tensor(outputs).double(), torch.tensor(log_std).double()
    along = torch.tensor(moved).double(), torch.tensor(direction)
    products = torch.autograd.functional.hvp(mean_divergence, here, along)[1]
    of_spread = np.zeros(NUMBERS, np.float32)
    head.fisher(outputs, log_std, moved, direction, of_spread)
    assert np.allclose(moved, products[0].numpy(), atol=1e-6)
    assert np.allclose(of_spread, products[1].numpy(), atol=1e-5)


def test_ppo_learns_both_and_goes_on_from_a_file(tmp_path):
    agent = PPO(Gears(), learning_rate=0.01, gamma=0.0, **SMALL).learn(5000)
    assert evaluate(agent, n_eval_episodes=10).mean > 18.5  # of 20; at random about -20
    action, _ = agent.predict(Gears().reset(seed=0)[0], deterministic=True)
    assert Gears.action_space.contains(action)
    several, _ = agent.predict(np.zeros((3, 4), np.float32))
    assert len(several) == 3
    whole = PPO(Gears(), **SMALL).learn(400)
    part = PPO(Gears(), **SMALL).learn(204, schedule_timesteps=400)
    again = rlplay.load(part.save(tmp_path / "part"), env=Gears()).learn(196, reset_num_timesteps=False)
    assert not differences(whole, again)


def test_masks_of_the_finite_part_are_kept():
    agent = PPO(MaskedGears(), **SMALL).learn(256)
    assert agent.masks_seen
    env = MaskedGears()
    obs, info = env.reset(seed=0)
    for _ in range(30):
        action, _ = agent.predict(obs, action_masks=info["action_mask"])
        obs, _, _, _, info = env.step(action)
    assert evaluate(agent, n_eval_episodes=2).lengths.tolist() == [20, 20]

    class Wrong(MaskedGears):
        def look(self):
            return super().look()[0], {"action_mask": np.ones(4)}

    with pytest.raises(EnvironmentFault, match="action mask of 4 entries"):
        PPO(Wrong(), **SMALL).learn(256)


@pytest.mark.slow  # compiles for long
@pytest.mark.parametrize("cls", [A2C, Reinforce, TRPO])
def test_the_others_learn_both(cls):
    settings = {"learning_rate": 0.01, "gamma": 0.0, "net_arch": [16], "seed": 0}
    settings |= {"n_envs": 4, "n_steps": 32} if cls is not Reinforce else {}
    agent = cls(Gears(), **settings)
    before = evaluate(agent, n_eval_episodes=10).mean
    assert evaluate(agent.learn(8000), n_eval_episodes=10).mean > before + 5


@pytest.mark.slow  # compiles for long
def test_finite_tuples_and_a_memory():
    space = spaces.Tuple([spaces.MultiBinary(2), spaces.Dict(a=spaces.MultiDiscrete([2, 3], start=[1, 0]))])

    class Finite(Gears):
        action_space = space

        def step(self, action):
            assert space.contains(action)
            self.steps += 1
            return self.look()[0], float(action[0].sum()), False, self.steps == 20, {}

    agent = PPO(Finite(), learning_rate=0.01, **SMALL).learn(2000)
    assert evaluate(agent, n_eval_episodes=2).mean > 35
    recurrent = PPO(Gears(), recurrent="gru", recurrent_size=8, **SMALL).learn(256)
    assert recurrent.metrics()["train/std"] > 0


def test_parts_go_to_a_row_and_back():
    space = spaces.Tuple(
        [spaces.Dict(b=spaces.MultiBinary((2, 2)), c=spaces.Box(-1, 1, (2,))), spaces.Discrete(5, start=-2)]
    )
    parts = ActionParts(space)
    assert (parts.sizes, parts.n_numbers) == ((2, 2, 2, 2, 5), 2)
    space.seed(0)
    for _ in range(5):
        value = space.sample()
        again = parts.value(parts.row(value))
        assert space.contains(again)
        assert np.array_equal(parts.row(again), parts.row(value))


def test_bad_input():
    with pytest.raises(HyperparameterError, match=r"use_sde=True is noise on actions of a Box, and Dict"):
        PPO(Gears(), use_sde=True)

    class Told(Gears):
        action_space = spaces.Tuple([spaces.Discrete(2), spaces.Text(3)])

    with pytest.raises(SpaceError, match="finite, a Box, or a Tuple or Dict of these"):
        PPO(Told())
    with pytest.raises(SpaceError, match="Dict"):
        SB3("PPO", Gears())


@pytest.mark.parametrize("name", ["a2c", "ppo", "reinforce", "trpo"])
@pytest.mark.parametrize("choices", [11.0, 0.0, np.float32(1e30)])
def test_a_file_with_other_choices_than_the_actions_have_is_refused(name, choices, tmp_path):
    """How many there are is kept among the floating-point numbers; of more, some lie beyond the logits."""
    agent = registry.agent_class(name)("CartPole-v1", net_arch=[4], seed=0)
    assert "spread" not in agent.get_parameters()
    content = checkpoint.read(agent.save(tmp_path / "agent"))
    content.arrays["agent/spread"][:] = choices
    checkpoint.write(tmp_path / "other", content.manifest, content.arrays)
    with pytest.raises(CheckpointError, match=r"choices, where the actions have \(2,\)"):
        rlplay.load(tmp_path / "other")
