"""What table agents share: action masks, step sizes by visits, traces; and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

import agents
from agents import (
    DynaQ,
    ExpectedSarsa,
    MonteCarlo,
    NStepSarsa,
    OffPolicyMonteCarlo,
    PolicyEvaluation,
    PrioritizedSweeping,
    QLearning,
    Sarsa,
    SarsaLambda,
    TDPrediction,
    ValueIteration,
)
from agents.prioritized_sweeping import pop, push
from rlplay import evaluate, load, make
from rlplay.compiled.table import TableEnv
from rlplay.errors import EnvironmentFault, HyperparameterError, SpaceError
from rlplay.functional.epsilon_greedy import expected_value, policy_probability
from rlplay.functional.schedules import ahead, new_rate, visited
from rlplay.functional.traces import clear_traces, learn_and_decay, mark_trace, new_traces

MASKED = (
    QLearning, Sarsa, ExpectedSarsa, SarsaLambda, NStepSarsa, DynaQ, PrioritizedSweeping, agents.DoubleQLearning,
    agents.WatkinsQLambda, agents.DynaQPlus, agents.UCB, agents.ThompsonSampling, agents.GradientBandit,
)  # fmt: skip


class Doors(gym.Env):
    """Two states; in each one action may be taken, and the other raises. The mask comes as asked for."""

    observation_space, action_space = gym.spaces.Discrete(2), gym.spaces.Discrete(3)

    def __init__(self, told_by: str = "info"):
        self.s, self.told_by = 0, told_by
        if told_by == "method":
            self.action_masks = self.mask

    def mask(self):
        return np.array([True, self.s == 0, self.s == 1])

    def info(self):
        return {"action_mask": self.mask()} if self.told_by == "info" else {}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.s = 0
        return self.s, self.info()

    def step(self, action):
        assert self.mask()[action], "an action that may not be taken"
        reward = float(action == 1 + self.s)
        self.s = 1 - self.s
        return self.s, reward, False, False, self.info()


@pytest.mark.parametrize("told_by", ["info", "method"])
@pytest.mark.parametrize("cls", MASKED)
def test_no_agent_takes_an_action_that_may_not_be_taken(cls, told_by):
    agent = cls(Doors(told_by), seed=0).learn(400)
    assert agent.allowed.tolist() == [[True, True, False], [True, False, True]]
    probe = agent.probe(np.array([0, 1]))
    assert probe.action_probabilities[0, 2] == probe.action_probabilities[1, 1] == 0
    first, second = agent.predict(np.array([0, 1]), deterministic=True)[0]
    assert first != 2
    assert second != 1


@pytest.mark.parametrize("cls", MASKED)
def test_masks_of_a_table_hold_natively_and_in_files(cls, tmp_path):
    agent = cls("rlplay/Gambler-v0", seed=0).learn(20_000, engine="compiled")
    again = load(agent.save(tmp_path / "gambler"))
    for one in (agent, again):
        probabilities = one.probe(np.arange(101)).action_probabilities
        stakes = np.arange(51)
        for capital in range(1, 100):
            forbidden = (stakes == 0) | (stakes > min(capital, 100 - capital))
            assert probabilities[capital, forbidden].sum() == 0


def test_a_mask_that_allows_nothing_is_named():
    env = Doors()
    env.mask = lambda: np.zeros(3, bool)
    with pytest.raises(EnvironmentFault, match="action mask"):
        QLearning(env, seed=0).learn(10)


def test_taxi_learns_faster_with_its_mask():
    """Taxi says in which places an action does nothing: with the same steps the masked agent is ahead."""
    masked = make("Taxi-v4")
    free = TableEnv(replace(masked.table, masks=None), masked.observation_space, masked.action_space, 200)
    found, other = (QLearning(env, alpha=0.5, seed=0).learn(40_000) for env in (masked, free))
    assert not found.allowed.all()
    assert other.allowed.all()
    assert evaluate(found, n_eval_episodes=50).mean > 0
    assert found.statistics.episodes > 1.2 * other.statistics.episodes  # more rides in the same steps


# Step sizes.


@pytest.mark.parametrize("version", ["compiled", "python"])
def test_rates_by_visits(version):
    rate = new_rate("1/n_0.5", (2, 3))
    count, look = (visited, ahead) if version == "compiled" else (visited.py_func, ahead.py_func)
    assert look(rate, 1, 2, 0.0) == 1.0
    assert [count(rate, 1, 2, 0.0) for _ in range(4)] == pytest.approx([1, 2**-0.5, 3**-0.5, 0.5])
    assert look(rate, 1, 2, 0.0) == pytest.approx(5**-0.5)
    assert rate[1].tolist() == [[0, 0, 0], [0, 0, 4]]
    assert count(new_rate("lin_1_0", (2, 3)), 0, 0, 0.25) == pytest.approx(0.75)


@pytest.mark.filterwarnings("ignore:.*learned nothing")
@pytest.mark.parametrize("engine", ["compiled", "python"])
def test_importance_ratios_know_the_exploration_that_chose(engine):
    """With an ε that falls with visits, b(A|S) is that of the visit at which A was chosen, not of the next one."""
    env = make("FrozenLake-v1", is_slippery=False)
    first = OffPolicyMonteCarlo(env, epsilon="1/n", seed=0)
    agent = NStepSarsa(env, epsilon="1/n", target_epsilon=0.0, n_steps=3, seed=0)
    for one in (first, agent):
        one.q[:] = [0.0, 1.0, 0.0, 0.0]
        one.learn(1, engine=engine)
    assert first.memory.steps.behaviour[0] == pytest.approx(0.25)  # ε = 1 at the first visit
    steps = agent.memory.steps
    state, action = steps.state[1], steps.action[1]
    again = {True: 0.625, False: 0.125}[bool(action == 1)]  # ε = 1/2 at the second visit of the start
    assert steps.behaviour[1] == pytest.approx(0.25 if state != steps.state[0] else again)


def test_a_step_size_of_1_over_n_is_the_mean():
    agent = MonteCarlo("Blackjack-v1", gamma=1.0, epsilon=1.0, visit="every", seed=0).learn(2000)
    visits = agent.tables["alpha_visits"]
    assert visits.sum() == agent.num_timesteps - agent.position.length * (agent.position.obs is not None)
    whole = agent.q[visits > 0] * visits[visits > 0]
    assert whole == pytest.approx(whole.round(), abs=1e-9)  # sums of returns of -1, 0 and 1


# The leaves.


@pytest.mark.parametrize("version", ["compiled", "python"])
def test_policy_with_masks(version):
    q = np.array([[1.0, -np.inf, 3.0, 3.0]])
    value, share = expected_value, policy_probability
    if version == "python":
        value, share = value.py_func, share.py_func
    assert value(q, 0, 0.3) == pytest.approx(0.3 * 7 / 3 + 0.7 * 3)
    assert [share(q, 0, a, 0.3) for a in range(4)] == pytest.approx([0.1, 0, 0.45, 0.45])


@pytest.mark.parametrize("version", ["compiled", "python"])
def test_traces(version):
    marks, learns, clears = mark_trace, learn_and_decay, clear_traces
    if version == "python":
        marks, learns, clears = mark_trace.py_func, learn_and_decay.py_func, clear_traces.py_func
    traces, table = new_traces(4), np.zeros(4)
    marks(traces, 2, 0, 0.1)
    learns(table, traces, 1.0, 0.5)
    marks(traces, 1, 0, 0.1)
    marks(traces, 2, 0, 0.1)
    learns(table, traces, 1.0, 0.5)
    assert table.tolist() == [0, 1, 2.5, 0]  # 2 had 1, then .5 + 1
    marks(traces, 2, 1, 0.1)
    learns(table, traces, 1.0, 0.0)  # replacing: 1; and all are forgotten
    assert table.tolist() == [0, 1.5, 3.5, 0]
    assert traces.length[0] == 0
    marks(traces, 3, 2, 0.1)
    learns(table, traces, 0.0, 0.5)
    marks(traces, 3, 2, 0.1)
    learns(table, traces, 1.0, 0.5)
    assert table[3] == pytest.approx(0.5 + 1 - 0.1 * 0.5)  # dutch
    clears(traces)
    assert (traces.place == -1).all()


def test_the_queue_gives_the_largest_priority_first():
    rng, agent = np.random.default_rng(0), PrioritizedSweeping("FrozenLake-v1", seed=0)
    priorities = rng.random(64)
    for pair in rng.permutation(64):
        push(agent.queue, pair, priorities[pair] / 2)
        push(agent.queue, pair, priorities[pair])
        push(agent.queue, pair, priorities[pair] / 3)
    assert [pop(agent.queue) for _ in range(64)] == np.argsort(-priorities).tolist()


# What is refused, or has a stated limit.


@pytest.mark.parametrize(
    ("cls", "settings", "words"),
    [
        (Sarsa, {"alpha": 0}, r"alpha=0 is not a number in \(0, 1\]"),
        (QLearning, {"alpha": "1/n_7"}, "no power in"),
        (NStepSarsa, {"n_steps": 0}, "n_steps=0 is not a whole number"),
        (SarsaLambda, {"lambda_": 1.2}, r"lambda_=1.2 is not a number in \[0, 1\]"),
        (TDPrediction, {"lambda_": 0.5, "n_steps": 3}, "two ways to look ahead"),
        (TDPrediction, {"policy": [0, 1]}, r"Give random, one action a state \[16\]"),
        (TDPrediction, {"policy": "clever"}, "'clever' is not known"),
        (PolicyEvaluation, {"policy": [9] * 16}, "is not a policy over 16 states and 4 actions"),
        (OffPolicyMonteCarlo, {"policy": [0] * 16, "behaviour": [1] * 16}, "never takes action 0 in state 0"),
        (NStepSarsa, {"epsilon": 0.0, "target_epsilon": 0.1}, "never takes actions that the target policy"),
        (MonteCarlo, {"exploring_starts": 3}, "exploring_starts=3"),
    ],
)
def test_bad_hyperparameters(cls, settings, words):
    with pytest.raises(HyperparameterError, match=words):
        cls("FrozenLake-v1", **settings)


@pytest.mark.parametrize("make_agent", [
    lambda: ValueIteration("Blackjack-v1").learn(1),
    lambda: PolicyEvaluation("Blackjack-v1"),
    lambda: agents.PolicyIteration("Blackjack-v1").learn(1),
    lambda: agents.RealTimeDP("Blackjack-v1"),
    lambda: MonteCarlo("Blackjack-v1", exploring_starts=True),
    lambda: ValueIteration(make("rlplay/Corridor-v0", aliased=True)).learn(1),
])  # fmt: skip
def test_planners_need_a_table(make_agent):
    with pytest.raises(SpaceError, match="transition table"):
        make_agent()


@pytest.mark.parametrize("engine", ["compiled", "python"])
@pytest.mark.parametrize("cls", [MonteCarlo, OffPolicyMonteCarlo])
def test_an_episode_without_end_stops_monte_carlo(cls, engine):
    more = {"policy": [0] * 12} if cls is MonteCarlo else {"policy": [0] * 12, "behaviour": [0] * 12}
    env = make("rlplay/AccessControl-v0", n_servers=2)
    with pytest.raises(EnvironmentFault, match="has not ended after 16,384 steps.*max_episode_steps"):
        cls(env, seed=0, **more).learn(40_000, engine=engine)
