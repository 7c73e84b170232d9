"""Bonuses for what is new, feature wrappers, and random play."""

from __future__ import annotations

from functools import partial

import gymnasium as gym
import numpy as np
import pytest

import rlplay
from agents import PPO, LinearSarsa, QLearning
from rlplay import load, make, random_play
from rlplay.environments.bonus import CountBonus, Novelty, as_bonus
from rlplay.errors import UnknownNameError, UsageError
from rlplay.models.unsupervised import PCA, KMeans
from rlplay.testing import differences


def test_counts_by_hand():
    env = Novelty(make("FrozenLake-v1", dynamics="gymnasium", is_slippery=False), "count,weight=2")
    env.reset(seed=0)
    bonuses = [env.step(action)[1] for action in (0, 0, 2, 0)]  # the start three times, its neighbour once
    assert bonuses == pytest.approx([2.0, 2.0 / np.sqrt(2), 2.0, 2.0 / np.sqrt(3)])
    assert env.bonus.visits[:2].tolist() == [3.0, 1.0]


@pytest.mark.parametrize(
    "bonus",
    ["count", "count:k-means:8,warm_up=100,refit_every=100",
     "deviation:extra-trees:3,train_freq=50", "distillation,train_freq=50"],
)  # fmt: skip
def test_a_bonus_is_part_of_the_file(bonus):
    def new():
        return LinearSarsa(make("MountainCar-v0", bonus=bonus), seed=0)

    whole = new().learn(500, schedule_timesteps=500)
    again = load(new().learn(300, schedule_timesteps=500).save("half"))
    again.learn(200, reset_num_timesteps=False)
    assert not differences(whole, again)


def test_returns_are_without_the_bonus_and_what_is_new_pays():
    """With a bonus all of the lake is seen, and returns are the lake's own."""
    settings = {"gamma": 0.95, "epsilon": 0.05, "alpha": 0.3, "seed": 0}
    agent = QLearning(make("FrozenLake8x8-v1", bonus=CountBonus(None, weight=1.0), is_slippery=False), **settings)
    agent.learn(20_000)
    assert all(row.episode_return in (0.0, 1.0) for row in agent.statistics.recent)
    visits = agent.env.bonus.visits
    assert visits.sum() == 20_000
    assert (visits > 0).sum() > 45  # of 54 that can be reached


@pytest.mark.parametrize("kind", ["deviation:ridge,train_freq=60", "distillation,train_freq=60"])
def test_what_is_seen_often_is_no_longer_new(kind):
    env = Novelty(make("MountainCar-v0"), kind)
    env.reset(seed=0)
    for t in range(1200):
        _, _, terminated, truncated, info = env.step(t % 3)
        if terminated or truncated:
            env.reset()
    far = env.bonus._novelty(np.array([5.0, 3.0, 1.0, 0.0, 0.0]), np.array([5.0, 3.0]))
    near = env.bonus._novelty(env.bonus.inputs[3], env.bonus.outcomes[3])
    assert far > 3 * near
    assert info["extrinsic_reward"] == -1.0


def test_ppo_and_sb3_take_a_bonus_as_it_is():
    agent = PPO(make("MountainCar-v0", bonus="count"), n_steps=32, batch_size=32, network="torch", seed=0).learn(64)
    assert agent.env.bonus.visits.sum() == 64
    rlplay.registry.agent_class("sb3/dqn")(
        make("MountainCar-v0", bonus="count"), policy_kwargs={"net_arch": [8]}, device="cpu", learning_starts=10, seed=0
    ).learn(30)


@pytest.mark.parametrize(
    ("bonus", "error", "words"),
    [
        ("counts", UnknownNameError, "unknown kind of bonus 'counts'. Did you mean count"),
        ("count:k-meens", UnknownNameError, "unknown model 'k-meens'"),
        ("distillation:ridge", UsageError, "Ridge has no novelty and partial_fit"),
        (3, UsageError, "bonus=3 is neither a bonus nor a text"),
        ("count,weight=-1", UsageError, "weight=-1 is not a number of 0 or more"),
    ],
)
def test_bad_bonuses(bonus, error, words):
    with pytest.raises(error, match=words):
        make("MountainCar-v0", bonus=bonus)
    assert as_bonus("count").weight == 1.0


def test_random_play_and_its_returns():
    obs, returns = random_play("CartPole-v1", 300, gamma=1.0)
    assert obs.shape == (300, 4)
    ends = np.flatnonzero(np.diff(returns) > 0)
    assert (returns[ends] == 1.0).all()
    assert (np.diff(returns)[np.diff(returns) < 0] == -1.0).all()


def test_features_as_a_wrapper():
    env = rlplay.FeatureObservation(make("CartPole-v1"), KMeans(6, random_state=0))
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    PPO(env, n_steps=32, batch_size=32, network="torch", seed=0).learn(64)
    one_hot = rlplay.FeatureObservation(make("CartPole-v1"), rlplay.FeatureMap(KMeans(6), encoding="one-hot"))
    assert one_hot.reset(seed=0)[0].sum() == 1.0
    with pytest.raises(UsageError, match="features=None: there is nothing to map"):
        rlplay.FeatureObservation(make("CartPole-v1"), None)


@pytest.mark.parametrize("mode", list(gym.vector.AutoresetMode)[:2])
def test_a_vector_wrapper_maps_final_observations(mode):

    def new(mode):
        make_one = partial(gym.make, "CartPole-v1")
        return gym.vector.SyncVectorEnv([make_one] * 3, autoreset_mode=mode)

    fitted = PCA(2).fit(random_play("CartPole-v1", 500)[0])
    plain, under = (new(mode) for _ in range(2))
    wrapped = rlplay.FeatureVectorObservation(under, fitted)
    assert np.allclose(wrapped.reset(seed=1)[0], fitted.transform(plain.reset(seed=1)[0]), atol=1e-5)
    finals = 0
    for t in range(60):
        actions = np.array([t % 2, 1, 0])
        raw, seen = plain.step(actions), wrapped.step(actions)
        assert np.allclose(seen[0], fitted.transform(raw[0]), atol=1e-5)
        for one, other in zip(raw[4].get("final_obs", ()), seen[4].get("final_obs", ()), strict=True):
            if one is not None:
                finals += 1
                assert np.allclose(other, fitted.transform(one[None])[0], atol=1e-5)
    assert (finals > 0) == (mode == gym.vector.AutoresetMode.SAME_STEP)


def test_q_learning_behind_a_bonus_and_features():
    env = make("MountainCar-v0", bonus="count:tile-coding:8,n_tilings=1")
    agent = QLearning(env, features="tile-coding:8,n_tilings=1", seed=0).learn(400)
    assert "the wrapper Novelty around" in agent.why_not_compiled()
    assert agent.q.shape == (64, 3)


def test_a_bonus_takes_actions_of_parts():
    from gymnasium import spaces

    class Parts(gym.Env):
        observation_space = spaces.Box(-1, 1, (2,), np.float32)
        action_space = spaces.Dict(gear=spaces.Discrete(3), push=spaces.Box(-1, 1, (2,), np.float32))

    bonus = as_bonus("distillation")
    bonus.bind(Parts(), 0)
    action = {"gear": np.int64(1), "push": np.array([0.5, -1.0], np.float32)}
    assert bonus.of(np.zeros(2, np.float32), action, np.ones(2, np.float32)) == 0.0
    assert bonus.inputs[0].tolist() == [0.0, 0.0, 0.0, 1.0, 0.0, 0.5, -1.0]
