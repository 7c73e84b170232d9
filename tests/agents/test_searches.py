"""Searches without gradients: their equations by hand, any number of jobs, resume in mid-generation, scores."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import rlplay
from agents import ARS, CEM, EvolutionStrategies
from rlplay import evaluate
from rlplay.errors import HyperparameterError, RlplayWarning, UsageError
from rlplay.functional.population import merge, see
from rlplay.functional.running_moments import new_running_moments
from rlplay.testing import differences

SMALL = {ARS: {"n_delta": 2}, CEM: {"n_candidates": 5}, EvolutionStrategies: {"n_delta": 2}}
SEARCHES = tuple(SMALL)
SHORT = {
    ARS: {"n_delta": 4, "learning_rate": 0.1}, CEM: {"n_candidates": 20, "extra_generations": 10},
    EvolutionStrategies: {"n_delta": 8},
}  # fmt: skip


class Line(gym.Env):
    """Five steps; the reward is how near the action is to 1, or the one that a mask leaves."""

    def __init__(self, masked=False, limit=5):
        self.observation_space = spaces.Box(-1, 1, (2,), np.float32)
        self.action_space = spaces.Discrete(3) if masked else spaces.Box(-2, 2, (1,), np.float32)
        self.masked, self.limit = masked, limit

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.float32([1, 0]), self._info()

    def _info(self):
        return {"action_mask": np.arange(3) == self.t % 3} if self.masked else {}

    def step(self, action):
        reward = float(action == self.t % 3) if self.masked else -float((action[0] - 1) ** 2)
        assert not self.masked or reward == 1.0
        self.t += 1
        return np.float32([1, 0]), reward, self.t == self.limit, False, self._info()


def test_a_step_of_augmented_random_search_is_its_equation():
    """Algorithm 2 of the paper with the returns that a linear policy has in this world."""
    agent = ARS(Line(), n_delta=3, n_top=2, delta_std=0.1, learning_rate=0.5, seed=0)
    agent.learn(6 * 5)
    noise = agent.generation.noise
    plus, minus = (-5 * (sign * 0.1 * noise[:, 0] - 1) ** 2 for sign in (1, -1))
    order = np.argsort(-np.maximum(plus, minus))[:2]
    deviation = np.concatenate([plus[order], minus[order]]).std(ddof=1)
    step = 0.5 / (2 * deviation) * (plus[order] - minus[order]) @ noise[order]
    assert agent.theta == pytest.approx(step, rel=1e-4)
    assert agent.metrics()["train/return_std"] == pytest.approx(deviation, rel=1e-4)
    assert agent.statistics.episodes == 6


def test_the_elites_are_fitted():
    agent = CEM(Line(), n_candidates=10, elite_share=0.3, extra_variance=0.0, seed=0)
    agent.learn(10 * 5)
    drawn = agent.generation.noise  # of mean 0 and deviation 1
    best = drawn[np.argsort((np.clip(drawn[:, 0], -2, 2) - 1) ** 2, kind="stable")[:3]]
    assert agent.theta == pytest.approx(best.mean(axis=0), rel=1e-5)
    assert agent.variance == pytest.approx(best.var(axis=0), rel=1e-4)


def test_evolution_strategies_follow_ranks():
    """The first step of Adam has the learning rate's length in each parameter, and the sign of the estimate."""
    agent = EvolutionStrategies(Line(), n_delta=4, weight_decay=0.0, learning_rate=0.25, delta_std=0.1, seed=0)
    agent.learn(8 * 5)
    noise = agent.generation.noise
    returns = np.concatenate([-((sign * 0.1 * noise[:, 0] - 1) ** 2) for sign in (1, -1)])
    ranks = returns.argsort().argsort() / 7 - 0.5
    estimate = (ranks[:4] - ranks[4:]) @ noise / (8 * 0.1)
    assert agent.theta == pytest.approx(0.25 * np.sign(estimate), rel=1e-4)
    assert agent.metrics()["train/grad_norm"] == pytest.approx(np.linalg.norm(estimate), rel=1e-4)


@pytest.mark.parametrize("cls", SEARCHES)
def test_they_find_the_best_action(cls):
    agent = cls(Line(), seed=0, **SHORT[cls]).learn(4000)
    assert agent.predict(np.float32([1, 0]))[0] == pytest.approx([1.0], abs=0.1)


def test_moments_of_candidates_join_to_those_of_all():
    rng = np.random.default_rng(0)
    batches = [rng.normal(3, 2, (n, 2)).astype(np.float32) for n in (5, 1, 40)]
    moments, _ = new_running_moments(True, 2, 1, 0.99, "test")
    for batch in batches:
        seen = np.zeros(5)
        for obs in batch:
            see(seen, obs)
        merge(moments, seen)
    everything = np.concatenate(batches)
    assert moments.obs_mean == pytest.approx(everything.mean(axis=0), rel=1e-4)
    assert moments.obs_variance == pytest.approx(everything.var(axis=0), rel=1e-3)


def test_any_number_of_jobs_has_the_same_bits():
    """Threads in native code; and the step-by-step driver has the same numbers."""
    settings = {"n_delta": 3, "normalize": True, "policy": "MlpPolicy", "net_arch": [4], "seed": 0}
    one = ARS("CartPole-v1", **settings).learn(500)
    for other in (
        ARS("CartPole-v1", n_jobs=3, **settings).learn(500),
        ARS("CartPole-v1", **settings).learn(500, engine="python"),
    ):
        assert set(differences(one, other)) <= {"hyperparameters"}


@pytest.mark.slow  # processes start slowly
def test_worker_processes_have_the_same_bits():
    env = "CartPole-v1"
    one, other = (ARS(env, n_delta=3, n_jobs=jobs, seed=0).learn(500, engine="python") for jobs in (1, 2))
    assert set(differences(one, other)) <= {"hyperparameters"}


@pytest.mark.parametrize("cls", SEARCHES)
def test_a_run_goes_on_in_the_middle_of_a_generation(cls, tmp_path):
    whole = cls("CartPole-v1", seed=0, normalize=True, n_eval_episodes=2, **SMALL[cls]).learn(1600)
    part = cls("CartPole-v1", seed=0, normalize=True, n_eval_episodes=2, **SMALL[cls])
    part.learn(717, schedule_timesteps=1600)
    assert part.generation.clock[2] > 0
    again = rlplay.load(part.save(tmp_path / "part")).learn(883, reset_num_timesteps=False)
    assert not differences(whole, again)


def test_forbidden_actions_are_never_taken():
    agent = ARS(Line(masked=True), n_delta=2, seed=0).learn(100)
    assert agent.statistics.mean_return == 5
    action = agent.predict(np.float32([1, 0]), action_masks=[False, False, True])[0]
    assert action == 2


def test_an_alive_bonus_is_taken_off():
    """Each step of CartPole pays 1: without it all candidates are the same, and nothing moves."""
    agent = ARS("CartPole-v1", n_delta=2, alive_bonus_offset=-1, seed=0).learn(1000)
    assert not agent.theta.any()
    assert agent.metrics()["train/return_std"] == 0


def test_spaces():
    for action in (spaces.MultiDiscrete([2, 3]), spaces.Box(-2, 2, (2, 2), np.float32)):
        env = Line()
        env.action_space, env.step = action, lambda a: (np.float32([1, 0]), 1.0, True, False, {})
        agent = ARS(env, n_delta=1, policy="MlpPolicy", net_arch=[3], zero_policy=False, seed=0).learn(4)
        assert action.contains(agent.predict(np.float32([1, 0]))[0])


def test_bad_input():
    with pytest.raises(HyperparameterError, match="n_jobs=-2"):
        ARS("CartPole-v1", n_jobs=-2)
    with pytest.raises(UsageError, match="n_jobs=2: .* one process plays them all"):
        ARS(Line(), n_jobs=2, seed=0).learn(20)
    unbounded = Line()
    unbounded.action_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    with pytest.raises(UsageError, match="has no bounds"):
        ARS(unbounded, policy="MlpPolicy")
    with pytest.warns(RlplayWarning, match="was cut after 10,000 steps"):
        ARS(Line(limit=-1), n_delta=1, seed=0).advance(20, "python")


def test_ars_solves_cart_pole_with_a_linear_policy():
    for seed in (0, 1, 2):
        agent = ARS("CartPole-v1", n_delta=2, seed=seed).learn(50_000)
        assert agent.theta.shape == (8,)
        assert evaluate(agent, n_eval_episodes=20).mean == 500


@pytest.mark.slow
@pytest.mark.parametrize("cls", [CEM, EvolutionStrategies])
def test_the_others_solve_it_too(cls):
    assert evaluate(cls("CartPole-v1", seed=0).learn(50_000), n_eval_episodes=20).mean > 475
