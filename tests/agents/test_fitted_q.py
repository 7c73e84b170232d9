"""Fitted Q iteration: exact values on a chain, any regressor, and what cannot learn values."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import sklearn.ensemble
import sklearn.linear_model
import sklearn.tree
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from agents import LSPI, FittedQ
from agents.fitted_q import targets
from rlplay import evaluate, load
from rlplay.approximation.action_values import candidates
from rlplay.errors import HyperparameterError, RlplayWarning, SpaceError
from rlplay.models.supervised import DecisionTreeRegressor, ExtraTreesRegressor
from rlplay.testing import differences

gym.register("test/Chain-v0", lambda **_: Chain())


class Chain(gym.Env):
    """Five places in a row; left and right; 1 for reaching the right end, which ends the episode."""

    observation_space, action_space = gym.spaces.Box(0, 4, (1,)), gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(4))
        return np.array([self.place], np.float32), {}

    def step(self, action):
        self.place = max(self.place + (1 if action else -1), 0)
        end = self.place == 4
        return np.array([self.place], np.float32), float(end), end, False, {}


def test_targets_by_hand():
    y = targets(np.array([1.0, 1.0]), np.array([[2.0, 3.0], [9.0, 9.0]]), np.array([False, True]), 0.5)
    assert y.tolist() == [1 + 0.5 * 3, 1.0]


@pytest.mark.parametrize("layout", ["model an action", "action as input"])
def test_a_tree_learns_the_values_of_a_chain_exactly(layout):
    agent = FittedQ(
        "test/Chain-v0", model=DecisionTreeRegressor(), gamma=0.9, n_iterations=12, train_freq=400, layout=layout,
        n_eval_episodes=0, seed=0,
    ).learn(400)  # fmt: skip
    q = agent.probe(np.arange(4, dtype=np.float32)[:, None]).action_values
    right = 0.9 ** np.arange(3, -1, -1)
    assert np.allclose(q[:, 1], right)
    assert np.allclose(q[:, 0], [0.9 * right[0], *(0.9 * right[:3])])


@pytest.mark.parametrize(
    "model",
    [
        sklearn.ensemble.ExtraTreesRegressor(5),
        make_pipeline(PolynomialFeatures(4), sklearn.linear_model.Ridge(1e-6)),
        ExtraTreesRegressor(5),
    ],
    ids=["sklearn", "pipeline", "ours"],
)
def test_any_regressor_finds_the_way(model):
    agent = FittedQ("test/Chain-v0", model=model, gamma=0.9, n_iterations=10, train_freq=300, n_eval_episodes=0, seed=0)
    agent.learn(300)
    assert agent.probe(np.arange(4, dtype=np.float32)[:, None]).action_values.argmax(axis=1).tolist() == [1] * 4


def test_the_best_iterate_acts():
    agent = FittedQ(
        "CartPole-v1", model=ExtraTreesRegressor(10, min_samples_leaf=5), n_iterations=12, train_freq=1500, seed=0
    )
    agent.learn(1500)
    assert len(agent.scores) == 12
    assert agent.best_score == agent.scores.max()
    assert evaluate(agent, n_eval_episodes=10).mean > 2 * 22  # twice random play


def test_a_fit_is_resumed_in_its_middle(tmp_path):
    def new():
        return FittedQ("CartPole-v1", model="extra-trees:3", n_iterations=6, train_freq=200, n_eval_episodes=2, seed=0)

    whole, half = new().learn(200), new()
    half.horizon = 200
    while half.counts.iterations_left[0] != 3:
        half.advance(200, "python")
    again = load(half.save(tmp_path / "half"))
    assert again.busy
    again.learn(0, reset_num_timesteps=False)
    assert not differences(whole, again)


def test_a_second_fit_is_resumed_at_its_start(tmp_path):
    def new():
        return FittedQ("CartPole-v1", model="extra-trees:3", n_iterations=3, train_freq=150, n_eval_episodes=2, seed=0)

    whole, half = new().learn(300), new()
    half.horizon = 300
    while half.counts.fits[0] < 2:  # the second fit is due and nothing of it is done
        half.advance(300, "python")
    again = load(half.save(tmp_path / "half"))
    assert again.latest is None
    again.learn(0, reset_num_timesteps=False)
    assert not differences(whole, again)


def test_an_action_that_never_occurs_is_named_and_the_rest_learned():
    agent = FittedQ("test/Chain-v0", model="decision-tree", train_freq=50, n_iterations=3, n_eval_episodes=0, seed=0)
    agent.learn(49)
    agent.buffer.actions[:] = 1
    with pytest.warns(RlplayWarning, match=r"action 0(, 1)? never occurs|action 0 never occurs in the 50 transitions"):
        agent.counts.seen[0], agent.counts.fits[0], agent.counts.iterations_left[0] = 50, 1, 3
        agent.learn(0, reset_num_timesteps=False)
    assert np.isfinite(agent.probe(np.zeros((1, 1), np.float32)).action_values).all()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (sklearn.linear_model.LogisticRegression(), "LogisticRegression is a classifier and values are learned by"),
        (PolynomialFeatures(2), "PolynomialFeatures has no predict"),
        (sklearn.linear_model.Ridge, "is no estimator"),
        ("extra-tree", "unknown model 'extra-tree'. Did you mean extra-trees"),
        (None, "is no estimator"),
    ],
)
def test_what_cannot_learn_values_is_refused_by_name(model, words):
    with pytest.raises(HyperparameterError, match=words):
        FittedQ("CartPole-v1", model=model)


def test_continuous_actions_are_inputs_and_refused_where_they_cannot_be():
    agent = FittedQ("Pendulum-v1", model="extra-trees:3", train_freq=100, n_iterations=2, n_eval_episodes=0, seed=0)
    agent.learn(100)
    best = agent.predict(agent.get_env().reset(seed=0)[0], deterministic=True)[0]
    assert np.isclose(best, np.linspace(-2, 2, 9)).any()
    with pytest.raises(SpaceError, match="LSPI needs finite actions"):
        LSPI("Pendulum-v1")
    with pytest.raises(HyperparameterError, match="70 candidates for each of 2 numbers are more than 4,096"):
        candidates(gym.spaces.Box(-1, 1, (2,)), 70, "FittedQ")


@pytest.mark.parametrize(
    "model", [sklearn.ensemble.ExtraTreesRegressor(5, random_state=0), sklearn.tree.DecisionTreeRegressor()]
)
def test_one_regressor_with_an_output_an_action(model):
    agent = FittedQ("test/Chain-v0", model=model, gamma=0.9, n_iterations=20, train_freq=400, layout="multi-output",
                    n_eval_episodes=0, seed=0).learn(400)  # fmt: skip
    q = agent.probe(np.arange(4, dtype=np.float32)[:, None]).action_values
    assert q.argmax(axis=1).tolist() == [1] * 4


class Breaks(BaseEstimator):
    """Fails in the third fit after it was made."""

    fits = 0

    def fit(self, X, y):
        Breaks.fits += 1
        if Breaks.fits > 5:  # two actions: the third iteration
            raise RuntimeError("out of luck")
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


def test_a_regressor_that_fails_in_the_middle_leaves_the_last_good_iterate():
    Breaks.fits = 0
    agent = FittedQ("test/Chain-v0", model=Breaks(), n_iterations=9, train_freq=100, n_eval_episodes=0, seed=0)
    with pytest.warns(RlplayWarning, match=r"out of luck; in iteration 3. The best iterate so far goes on playing"):
        agent.learn(100)
    assert not agent.busy
    assert agent.probe(np.zeros((1, 1), np.float32)).action_values is not None


def test_refitted_features_see_the_data_as_they_were():
    settings = {"model": "ridge", "features": "k-means:6,warm_up=50,refit_every=50", "train_freq": 60,
                "n_iterations": 2, "n_eval_episodes": 0, "seed": 0}  # fmt: skip
    agent = FittedQ("CartPole-v1", **settings).learn(180)
    assert agent.features.version == 3
    assert agent.transitions().obs.shape == (180, 4)
    assert not differences(agent, load(agent.save("again")))
