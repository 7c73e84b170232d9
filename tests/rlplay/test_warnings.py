"""A warning names the line of the user's code from which it came, however deep in the package it is given."""

from __future__ import annotations

import ast
import inspect
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from sklearn.model_selection import cross_val_score

import rlplay
from agents import PPO, QLearning
from rlplay import errors
from rlplay.errors import RlplayWarning
from rlplay.models.supervised.logistic import LogisticRegression
from rlplay.models.unsupervised.k_means import KMeans

ROOT = Path(__file__).parents[2]


class Untrue(gym.Env):
    """Its reset gives an observation outside its space."""

    observation_space, action_space = gym.spaces.Box(0, 1, (2,), np.float32), gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.full(2, 7.0, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), 0.0, True, False, {}


GIVEN = {
    "a schedule that ends early": lambda: QLearning("FrozenLake-v1", alpha="lin_1").learn(20, schedule_timesteps=10),
    "a run in which nothing is learned": lambda: PPO("CartPole-v1", n_envs=1, n_steps=64, batch_size=64).learn(8),
    "a word of Stable-Baselines3's": lambda: QLearning("FrozenLake-v1", device="cuda"),
    "an environment's contract": lambda: PPO(Untrue(), n_steps=8, batch_size=8).learn(8),
    "evaluation without an end": lambda: rlplay.evaluate(QLearning("CliffWalking-v1"), n_eval_episodes=1, max_steps=9),
    "a model": lambda: KMeans(4, n_init=1).fit(np.zeros((9, 2))),
    "a model within a library": lambda: cross_val_score(
        LogisticRegression(max_iter=1), np.eye(6), [0, 1] * 3, cv=2, error_score="raise"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", GIVEN)
def test_a_warning_names_the_line_of_the_user(kind, monkeypatch):
    monkeypatch.setattr(errors, "_said_once", set())
    lines, first = inspect.getsourcelines(GIVEN[kind])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        GIVEN[kind]()
    assert said
    for one in said:
        assert (one.filename, first <= one.lineno < first + len(lines)) == (__file__, True), str(one.message)


def test_all_warnings_are_given_in_one_way():
    for package in ("rlplay", "agents", "envs"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                called = getattr(node, "func", None)
                if isinstance(called, ast.Attribute) and called.attr == "warn" and path.name != "errors.py":
                    assert getattr(called.value, "id", "") != "warnings", f"{path}: {node.lineno}"


def test_where_only_libraries_call_the_outermost_line_is_named():
    code = compile("from rlplay.errors import warn\nwarn('it is')", f"{ROOT}/rlplay/cli/none.py", "exec")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        exec(code, {})
    assert issubclass(said[0].category, RlplayWarning)
    assert said[0].filename == __file__
