"""TD prediction: the random walks of Sutton & Barto, chapters 6, 7 and 12, and identities without noise."""

from __future__ import annotations

import numpy as np
import pytest

from agents import MonteCarlo, PolicyEvaluation, TDPrediction
from agents.figures import play_episodes
from agents.figures.temporal_difference import batch_errors, n_step_errors, walk_errors
from agents.td_prediction import batch_td
from rlplay import make
from rlplay.functional.traces import new_traces, true_online_update

WALK = "rlplay/RandomWalk-v0"


@pytest.mark.parametrize(
    ("cls", "alpha", "error"),
    [(TDPrediction, 0.15, 0.070), (TDPrediction, 0.1, 0.055), (TDPrediction, 0.05, 0.035),
     (MonteCarlo, 0.01, 0.097), (MonteCarlo, 0.02, 0.082), (MonteCarlo, 0.03, 0.094), (MonteCarlo, 0.04, 0.108)],
)  # fmt: skip
def test_random_walk_of_5_states(cls, alpha, error):
    """Example 6.2: RMS error at episode 100, 100 runs from V = .5 (seeds 0 to 99)."""
    more = {"visit": "every"} if cls is MonteCarlo else {}
    assert walk_errors(cls, 100, 100, alpha=alpha, **more)[-1] == pytest.approx(error, abs=0.012)


@pytest.mark.parametrize(("n", "alpha", "error"), [(1, 0.8, 0.345), (2, 0.6, 0.277), (4, 0.4, 0.264), (8, 0.2, 0.277)])
def test_random_walk_of_19_states(n, alpha, error):
    """Figure 7.2: RMS error over the first 10 episodes at the best step size (60 runs)."""
    assert n_step_errors(n, alpha, 60) == pytest.approx(error, abs=0.02)


@pytest.mark.slow
def test_four_steps_are_best_on_the_walk_of_19_states():
    """Figure 7.2, 100 runs: every n of TARGETS at its best step size."""
    expected = {1: 0.345, 2: 0.277, 4: 0.264, 8: 0.277, 16: 0.312, 32: 0.364}
    alphas = np.arange(0.05, 1.01, 0.05)
    found = {n: min(n_step_errors(n, float(alpha), 100) for alpha in alphas) for n in expected}
    assert min(found, key=found.get) == 4
    for n, error in expected.items():
        assert found[n] == pytest.approx(error, abs=0.012)


def test_batch_td_is_certainty_equivalence():
    """Repeated presentation of all transitions converges to the values of the model that fits them (section 6.3)."""
    rng, transitions = np.random.default_rng(0), []
    for _ in range(30):
        s = 3
        while 0 < s < 6:
            there = s + (1 if rng.random() < 0.5 else -1)
            transitions.append((s, float(there == 6), there, there in (0, 6)))
            s = there
    v = batch_td(np.full(7, 0.5), transitions, alpha=0.002, gamma=1.0, accuracy=1e-12)
    moves = np.zeros((7, 7))
    for s, _, there, _ in transitions:
        moves[s, there] += 1
    law = moves[1:6] / moves[1:6].sum(axis=1, keepdims=True)
    assert v[1:6] == pytest.approx(np.linalg.solve(np.eye(5) - law[:, 1:6], law[:, 6]), abs=1e-6)


def test_batch_td_is_better_than_batch_monte_carlo():
    td, mc = batch_errors(runs=40, episodes=100)
    assert (td[9:] < mc[9:]).all()


def walk(**settings) -> TDPrediction:
    """20 episodes of the walk of 19 states from one seed."""
    agent = TDPrediction(make(WALK, n_states=19), policy="random", gamma=0.97, seed=5, **settings)
    play_episodes(agent, 20, 1)
    return agent


def test_td_0_is_one_step_and_lambda_0():
    expected = walk(alpha=0.1).v
    for same in ({"lambda_": 0.0}, {"lambda_": 0.0, "traces": "dutch"}, {"lambda_": 0.0, "traces": "replacing"}):
        assert walk(alpha=0.1, **same).v == pytest.approx(expected, abs=1e-12)


def test_offline_lambda_1_is_every_visit_monte_carlo():
    """With a tiny step the order of the updates within an episode does not matter, and both are the same."""
    agent = walk(alpha=1e-6, lambda_=1.0, traces="offline")
    other = MonteCarlo(make(WALK, n_states=19), policy="random", visit="every", alpha=1e-6, gamma=0.97, seed=5)
    play_episodes(other, 20, 1)
    assert agent.v == pytest.approx(other.v, rel=1e-4, abs=1e-12)


GAMMA, LAMBDA, ALPHA = 0.9, 0.7, 0.2


def online_lambda_return(first: np.ndarray, states: list[int], rewards: list[float]) -> np.ndarray:
    """The online λ-return algorithm (section 12.4): at each horizon all states learn anew, from the first values."""
    online = [first]
    for horizon in range(1, len(rewards) + 1):
        w = first.copy()
        for t in range(horizon):
            g = 0.0
            for n in range(1, horizon - t + 1):
                discounted = sum(GAMMA**k * rewards[t + k] for k in range(n))
                share = (1 - LAMBDA) * LAMBDA ** (n - 1) if n < horizon - t else LAMBDA ** (n - 1)
                g += share * (discounted + GAMMA**n * online[t + n - 1][states[t + n]])
            w[states[t]] += ALPHA * (g - w[states[t]])
        online.append(w)
    return online[-1]


@pytest.mark.parametrize("version", ["compiled", "python"])
def test_true_online_is_the_online_lambda_return(version):
    """Van Seijen & Sutton 2014: the dutch trace gives the very values of the online λ-return algorithm."""
    states, rewards = [3, 4, 3, 2, 3, 4, 5, 4], [0.5, -1.0, 0.0, 2.0, 1.0, 0.0, -0.5]
    first = np.random.default_rng(0).normal(size=7)
    v, traces = first.copy(), new_traces(7)
    update = true_online_update if version == "compiled" else true_online_update.py_func
    v_old = v[states[0]]
    for s, r, s_next in zip(states[:-1], rewards, states[1:], strict=True):
        following = v[s_next]
        update(v, s, r + GAMMA * following, v_old, traces, ALPHA, GAMMA * LAMBDA)
        v_old = following
    assert v == pytest.approx(online_lambda_return(first, states, rewards), abs=1e-12)


def test_policy_evaluation_is_where_td_goes():
    env = make("FrozenLake-v1")
    exact = PolicyEvaluation(env, policy="random", gamma=0.99, theta=1e-12).learn(10_000)
    for settings in ({}, {"n_steps": 4}, {"lambda_": 0.9}, {"lambda_": 0.9, "traces": "dutch"}):
        agent = TDPrediction(env, policy="random", gamma=0.99, alpha="lin_0.1_0.0005", seed=0, **settings)
        assert np.abs(agent.learn(2_000_000).v - exact.v).mean() < 0.01
