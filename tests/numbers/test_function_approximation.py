"""Function approximation: the book's mountain car and walk, Baird's counterexample, Car on the Hill, the pendulum."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.linear_model

from agents import LSPI, LSTD, DAgger, EmphaticTD, FittedQ, GradientTD, LinearSarsa, TDPrediction
from agents.figures import play_episodes
from rlplay import evaluate, make
from rlplay.models.supervised import DecisionTreeClassifier, ExtraTreesRegressor
from rlplay.models.unsupervised import RBFGrid


def lengths(seeds, first, last, **settings):
    """Mean steps of an episode of the book's mountain car, without a time limit, over seeds and episodes."""
    found = []
    for seed in range(seeds):
        env = make("MountainCar-v0", max_episode_steps=100_000)
        agent = LinearSarsa(env, gamma=1.0, epsilon=0.0, seed=seed, **settings)
        found.append(np.mean([row.length for row in play_episodes(agent, last)[first:]]))
    return float(np.mean(found))


@pytest.mark.parametrize(("alpha", "steps"), [(0.1, 137.9), (0.2, 127.3), (0.5, 118.8)])
def test_mountain_car_with_tiles(alpha, steps):
    """Sutton & Barto 2e, figure 10.2 (the last 100 of 500 episodes); tiles are shifted as they are there."""
    assert lengths(10, 400, 500, alpha=alpha / 8) == pytest.approx(steps, rel=0.06)


def test_mountain_car_with_four_steps():
    """Figure 10.4: the first 50 episodes with n = 4."""
    assert lengths(10, 0, 50, alpha=0.5 / 8, n_steps=4) == pytest.approx(230, rel=0.08)


def test_least_squares_find_the_values_of_the_walk():
    agent = LSTD("rlplay/RandomWalk-v0", gamma=1.0, epsilon=1e-4, seed=0).learn(300_000)
    assert np.allclose(agent.w[1:-1, 0], np.arange(1, 6) / 6, atol=0.01)


@pytest.mark.parametrize("method", ["tdc", "gtd2"])
def test_gradient_td_does_not_diverge_on_bairds_counterexample(method):
    """Section 11.7, figure 11.5: w from (1, ..., 1, 10, 1); the projected error goes to 0, the values stay near 2."""
    agent = GradientTD("rlplay/Baird-v0", method=method, policy=[0.0, 1.0], behaviour=[6 / 7, 1 / 7], alpha=0.005,
                       beta=0.05, features="identity", initial_value=8.0, seed=0)  # fmt: skip
    assert agent.w.ravel().tolist() == [1.0] * 8
    agent.w[6] = 10.0
    agent.learn(200_000)
    states = np.vstack([2 * np.eye(8)[i] + np.eye(8)[7] for i in range(6)] + [np.eye(8)[6] + 2 * np.eye(8)[7]])
    values = agent.probe(states.astype(np.float32)).value
    assert np.abs(0.99 * values[6] - values).max() < 0.02  # the Bellman error of the policy that always goes there
    assert np.abs(values).mean() == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize("cls", [GradientTD, EmphaticTD, LSTD])
def test_off_policy_prediction_finds_the_target_policys_values(cls):
    """A walk that is watched going both ways alike; the policy goes right with .7: v by the gambler's ruin."""
    settings = {} if cls is LSTD else {"alpha": 0.01 if cls is GradientTD else 0.001}
    agent = cls("rlplay/RandomWalk-v0", gamma=1.0, policy=[0.3, 0.7], behaviour="random", seed=0, **settings)
    agent.learn(1_000_000)
    ratio = 0.3 / 0.7
    exact = (1 - ratio ** np.arange(1, 6)) / (1 - ratio**6)
    assert np.allclose(agent.w[1:-1, 0], exact, atol=0.03)


def test_a_linear_agent_over_numbers_is_the_table():
    walk = {"gamma": 1.0, "alpha": 0.05, "seed": 3, "initial_value": 0.5}
    table = TDPrediction("rlplay/RandomWalk-v0", **walk).learn(5000)
    linear = GradientTD("rlplay/RandomWalk-v0", **walk, beta=1e-12).learn(5000)  # v stays 0: TDC is TD(0)
    assert np.allclose(table.v, linear.w[:, 0], atol=1e-6)


def pendulum(seed):
    bumps = RBFGrid(3, bounds=[[-np.pi / 4, -1.0], [np.pi / 4, 1.0]])
    return LSPI("rlplay/InvertedPendulum-v0", features=bumps, intercept=True, train_freq=9000, seed=seed)


def test_lspi_holds_the_pendulum():
    """Lagoudakis & Parr 2003, section 9.2: 1000 random episodes and ten features keep it up for minutes."""
    upright = [evaluate(pendulum(seed).learn(9000), n_eval_episodes=10).lengths.mean() for seed in range(3)]
    assert sorted(upright)[1] > 2500


def hill(model, seed, layout="model an action"):
    """Mean discounted greedy return over the 17 x 17 starts of Ernst et al. 2005, after 20 iterations."""
    env, rng, n = make("rlplay/CarOnTheHill-v0"), np.random.default_rng(seed), 5000
    obs = rng.uniform([-1.0, -3.0], [1.0, 3.0], (n, 2)).astype(np.float32)
    actions, rewards, ends, after = rng.integers(2, size=n), np.zeros(n), np.zeros(n, bool), np.zeros_like(obs)
    for i in range(n):
        env.reset(seed=0, options={"state": obs[i]})
        after[i], rewards[i], ends[i], _, _ = env.step(int(actions[i]))
    agent = FittedQ(
        "rlplay/CarOnTheHill-v0", model=model, gamma=0.95, n_iterations=20, n_eval_episodes=0, layout=layout, seed=seed
    )
    agent.add(obs, actions, rewards, after, ends).fit()
    total = 0.0
    for start in [(p, s) for p in np.linspace(-1, 1, 17) for s in np.linspace(-3, 3, 17)]:
        now, _ = env.reset(seed=0, options={"state": np.array(start)})
        for t in range(60):
            now, reward, terminated, _, _ = env.step(agent.predict(now, deterministic=True)[0])
            total += 0.95**t * reward
            if terminated:
                break
    return total / 289


def test_fitted_q_iteration_climbs_the_hill_with_trees_and_not_with_a_plane():
    """The optimum is .3526; all of it by `tests/benchmarks/function_approximation.py hill`."""
    assert hill(ExtraTreesRegressor(25), 0) >= 0.29
    assert hill(sklearn.linear_model.LinearRegression(), 0, "action as input") <= 0.05


def test_small_trees_learn_to_balance_from_a_teacher():
    """DAgger with trees of at most eight leaves: 500 on every seed."""
    for seed in range(3):
        tree = DecisionTreeClassifier(max_depth=3)
        agent = DAgger("CartPole-v1", teacher="follow-the-pole", model=tree, seed=seed).learn(10_000)
        assert evaluate(agent, n_eval_episodes=20).mean >= 490
