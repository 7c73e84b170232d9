"""Contextual bandits: ridge regression by NumPy, regret's growth, any model, the worlds, files, bad input."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import rlplay
from agents import LinearThompsonSampling, LinUCB, ModelBandit
from rlplay import make
from rlplay.errors import HyperparameterError, SpaceError, UsageError
from rlplay.functional.linear_bandit import learn_reward, new_linear_models, widths
from rlplay.testing import differences

LINEAR, DIGITS = "rlplay/LinearBandit-v0", "rlplay/DigitsBandit-v0"


def regrets(agent, marks):
    """The regret so far after so many steps."""
    found = []
    for mark in marks:
        agent.learn(int(mark) - agent.num_timesteps, reset_num_timesteps=False)
        found.append(agent.get_env().unwrapped.regret)
    return np.array(found)


def slope(agent, after=0):
    """The power of T with which regret grows: the slope over logarithms, from a step on."""
    marks = np.array([1000, 2000, 4000])
    if after:
        agent.learn(after)
    before = agent.get_env().unwrapped.regret
    return np.polyfit(np.log(marks), np.log(regrets(agent, after + marks) - before), 1)[0]


def test_models_are_ridge_regressions():
    rng = np.random.default_rng(0)
    x, rewards, models = rng.normal(size=(50, 3)), rng.normal(size=50), new_linear_models(2, 3, 0.5)
    for i in range(50):
        learn_reward(models, x[i], i % 2, rewards[i])
    for a in (0, 1):
        gram = x[a::2].T @ x[a::2] + 0.5 * np.eye(3)
        assert models.theta[a] == pytest.approx(np.linalg.solve(gram, x[a::2].T @ rewards[a::2]))
        assert widths(models, x[:1])[0, a] == pytest.approx(np.sqrt(x[0] @ np.linalg.solve(gram, x[0])))


def test_lin_ucb_takes_the_greatest_upper_bound():
    agent = LinUCB(LINEAR, alpha=2.0, seed=0).learn(300)
    x, models = np.float64([0.6, 0.0, 0.8, 0.0, 0.0]), agent.models_of_actions
    bounds = [models.theta[a] @ x + 2.0 * np.sqrt(x @ models.inverse[a] @ x) for a in range(5)]
    assert agent.act(x.astype(np.float32)) == int(np.argmax(bounds))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_regret_grows_like_the_root_and_without_bounds_linearly(seed):
    """At most the root of T where they explore what they are unsure of; T itself for a constant share of any."""
    assert slope(LinUCB(LINEAR, seed=seed)) < 0.6
    assert slope(LinearThompsonSampling(LINEAR, scale=0.2, seed=seed)) < 0.6
    greedy = ModelBandit(LINEAR, model="ridge", epsilon=0.2, train_freq=100, seed=seed)
    assert slope(greedy, after=200) > 0.9  # from its first fits on


@pytest.mark.parametrize(
    "model",
    [
        "ridge",
        pytest.param("logistic-regression", marks=pytest.mark.slow),
        pytest.param("decision-tree:max_depth=6", marks=pytest.mark.slow),
    ],
)
def test_models_learn_digits_from_right_or_wrong(model):
    """Chance is a tenth."""
    agent = ModelBandit(DIGITS, model=model, epsilon="lin_1_0.1", train_freq=1000, seed=0).learn(3000)
    env, right = make(DIGITS), 0.0
    obs, _ = env.reset(seed=1)
    for _ in range(300):
        obs, reward, *_ = env.step(agent.predict(obs, deterministic=True)[0])
        right += reward
    assert right > (180 if model == "decision-tree:max_depth=6" else 240)


def test_lin_ucb_learns_digits():
    agent = LinUCB(DIGITS, alpha=0.5, seed=0).learn(2500)
    assert np.mean([row.episode_return for row in list(agent.statistics.recent)[-5:]]) > 65


def test_scikit_learns_classifiers_are_taken():
    agent = ModelBandit(DIGITS, model=LogisticRegression(max_iter=50), train_freq=500, seed=0).learn(600)
    assert agent.probe(np.zeros(64, np.float32)).action_values.max() <= 1.0


@pytest.mark.parametrize("cls", [LinUCB, LinearThompsonSampling, ModelBandit])
def test_a_run_goes_on_in_the_same_bits(cls, tmp_path):
    settings = {"train_freq": 150} if cls is ModelBandit else {}
    whole = cls(LINEAR, seed=0, **settings).learn(500)
    part = cls(LINEAR, seed=0, **settings).learn(230, schedule_timesteps=500)
    again = rlplay.load(part.save(tmp_path / "part")).learn(270, reset_num_timesteps=False)
    assert not differences(whole, again)


@pytest.mark.slow
def test_features_stand_in_front():
    agent = LinUCB(LINEAR, features="k-means:8,warm_up=50,refit_every=200", seed=0).learn(500)
    assert agent.models_of_actions.theta.shape == (5, 8)


def test_the_worlds_by_hand():
    env = make(LINEAR, k=3, dim=2, noise=0.0).unwrapped
    x, _ = env.reset(seed=0)
    _, reward, _, _, info = env.step(1)
    means = env.theta @ x.astype(np.float64)
    assert reward == pytest.approx(means[1])
    assert info["regret"] == pytest.approx(means.max() - means[1])
    assert env.regret == info["regret"]
    digits = make(DIGITS).unwrapped
    digits.reset(seed=0)
    assert digits.step(int(digits.digits[digits._number]))[1] == 1.0


def test_bad_input():
    with pytest.raises(UsageError, match="k=1, "):
        make(LINEAR, k=1)
    with pytest.raises(SpaceError, match="action 7"):
        env = make(LINEAR)
        env.reset(seed=0)
        env.unwrapped.step(7)
    with pytest.raises(UsageError, match=r"LogisticRegression is a classifier, and the rewards are"):
        ModelBandit(LINEAR, model="logistic-regression", train_freq=50, seed=0).learn(60)
    with pytest.raises(HyperparameterError, match="alpha=-1"):
        LinUCB(LINEAR, alpha=-1)
    with pytest.raises(SpaceError, match="actions"):
        LinUCB("Pendulum-v1")
    assert isinstance(make(DIGITS).action_space, gym.spaces.Discrete)
