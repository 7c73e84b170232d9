"""Agents as scikit-learn's estimators."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, RandomizedSearchCV, cross_val_score

from agents import QLearning
from rlplay import AgentEstimator, evaluate
from rlplay.errors import HyperparameterError, UnknownNameError, UsageError

LAKE = AgentEstimator("q-learning", "FrozenLake-v1", n_timesteps=2000, gamma=0.95)


def test_it_learns_as_the_agent_does_and_scores_as_evaluations_do():
    estimator = clone(LAKE).fit(np.array([[3], [4]]))
    agent = QLearning("FrozenLake-v1", gamma=0.95, seed=3).learn(2000)
    assert np.array_equal(estimator.agent_.q, agent.q)
    returns = [evaluate(agent, n_eval_episodes=1, seed=seed).mean for seed in (7, 8, 9)]
    assert estimator.score([7, 8, 9]) == np.mean(returns)
    assert np.array_equal(estimator.predict(np.arange(16)), agent.predict(np.arange(16), deterministic=True)[0])


def test_searches_of_scikit_learn_take_it():
    search = GridSearchCV(LAKE, {"n_timesteps": [1, 20_000]}, cv=KFold(2)).fit(np.arange(60))
    assert search.best_params_ == {"n_timesteps": 20_000}
    assert search.best_estimator_.agent_.num_timesteps == 20_000
    again = RandomizedSearchCV(LAKE, {"alpha": [0.1, 0.3]}, n_iter=2, cv=KFold(2), random_state=0).fit(np.arange(10))
    assert again.best_score_ >= 0.0
    assert cross_val_score(LAKE, np.arange(6), cv=3).shape == (3,)


def test_parameters_are_those_of_agent_and_estimator():
    copy = clone(LAKE).set_params(alpha=0.3, n_timesteps=10)
    assert copy.get_params() == {**LAKE.get_params(), "n_timesteps": 10, "alpha": 0.3}
    assert "alpha" not in LAKE.get_params()


def test_what_it_refuses():
    with pytest.raises(UnknownNameError, match="alpah"):
        AgentEstimator("q-learning", alpah=0.1)
    with pytest.raises(HyperparameterError, match="alpha=2"):
        AgentEstimator("q-learning", alpha=2.0).fit([0])
    with pytest.raises(NotFittedError):
        LAKE.predict([0])
    for given in ([0.5], [], np.zeros((2, 2), int)):
        with pytest.raises(UsageError, match="no seeds"):
            clone(LAKE).fit(given)
