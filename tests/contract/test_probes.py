"""Every registered agent in the probe environments: the values that it learns are right, and so is what it does."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest

from rlplay import registry
from rlplay.hyperparameters.fields import declared
from tests.contract.probes import GAMMA, WORLDS, probe_id


class Case(NamedTuple):
    """How an agent learns the probes, and how far from the right value v its own may be: tolerance · max(1, |v|)."""

    steps: int
    settings: Mapping[str, Any] = MappingProxyType({})
    tolerance: float = 0.005
    slow: bool = False


# Tables and linear agents end at the right value; what averages all that it saw, or fits networks, comes near it.
TABLE, LINEAR = Case(5000, {"alpha": 0.5}), Case(8000, {"alpha": 0.1})
DEEP = {"policy_kwargs": {"net_arch": [16]}, "device": "cpu", "learning_rate": 0.01}
REPLAY = {**DEEP, "buffer_size": 5000, "learning_starts": 100, "batch_size": 32}
ACTOR = {**REPLAY, "tau": 0.05}
SMALL_ACTOR = {"net_arch": [16], "learning_rate": 0.01, "tau": 0.05, "buffer_size": 5000, "batch_size": 32}
OFFLINE_ACTOR = {"net_arch": [16], "learning_rate": 0.01, "tau": 0.05, "batch_size": 32}
GIVEN = {"policy": "best"}  # an agent that evaluates a policy is given the best one
OTHERS = {**GIVEN, "behaviour": "random"}

CASES: dict[str, Case] = {
    "epsilon-greedy": Case(3000),
    "ucb": Case(3000),
    "gradient-bandit": Case(5000, {}, 0.05),  # the mean of all rewards, the first ones too
    "thompson-sampling": Case(3000),
    "lin-ucb": Case(1500),
    "linear-thompson-sampling": Case(1500),
    "model-bandit": Case(3000, {"train_freq": 1000}),
    "policy-evaluation": Case(300, GIVEN),
    "policy-iteration": Case(300),
    "value-iteration": Case(300),
    "real-time-dp": Case(5000),
    "monte-carlo": TABLE,
    "off-policy-monte-carlo": Case(30_000, {}, 0.05),  # the mean of all returns, the first ones too
    "td-prediction": Case(5000, {"alpha": 0.5, **GIVEN}),
    "sarsa": TABLE,
    "expected-sarsa": TABLE,
    "q-learning": TABLE,
    "double-q-learning": TABLE,
    "double-sarsa": TABLE,
    "n-step-sarsa": TABLE,
    "sarsa-lambda": TABLE,
    "watkins-q-lambda": TABLE,
    "dyna-q": TABLE,
    "dyna-q-plus": Case(5000, {"alpha": 0.5, "kappa": 0.0}),
    "prioritized-sweeping": TABLE,
    "mcts": Case(1, {"simulations": 50, "depth": 100}),
    "linear-sarsa": LINEAR,
    "linear-q-learning": LINEAR,
    "true-online-sarsa-lambda": LINEAR,
    "gradient-td": Case(8000, {"alpha": 0.1, **OTHERS}),
    "emphatic-td": Case(8000, {"alpha": 0.05, **OTHERS}),
    "lstd": Case(2000, OTHERS),
    "linear-actor-critic": Case(80_000, {}, 0.05),
    "lspi": Case(600, {"train_freq": 300}),
    "neural-fitted-q": Case(1000, {}, 0.05),
    "gp-sarsa": Case(600),
    "episodic-control": Case(2000),
    "fitted-q": Case(1200, {"model": "extra-trees:2", "n_iterations": 100, "train_freq": 600, "n_eval_episodes": 0}),
    "reinforce": Case(20_000, {}, 0.05, slow=True),
    "ppo": Case(8000, {"n_steps": 128, "learning_rate": 0.003}, 0.05),
    "a2c": Case(20_000, {}, 0.05, slow=True),
    "trpo": Case(8000, {"n_steps": 128, "learning_rate": 0.003}, 0.05, slow=True),
    "dqn": Case(
        5000, {"learning_rate": 0.002, "target_update_interval": 50, "train_freq": 1, "buffer_size": 5000}, 0.05
    ),
    "recurrent-dqn": Case(
        5000,
        {
            "learning_rate": 0.003,
            "target_update_interval": 50,
            "buffer_size": 5000,
            "learning_starts": 100,
            "recurrent_size": 16,
            "net_arch": [16],
            "sequence_length": 8,
            "burn_in": 2,
        },
        0.05,
        slow=True,
    ),
    "cql": Case(
        2000, {"dataset": "random:1000", "alpha": 0.0, "learning_rate": 0.002, "target_update_interval": 50}, 0.05
    ),
    "td3-bc": Case(4000, {**OFFLINE_ACTOR, "dataset": "random:1000", "normalize": False}, 0.05, slow=True),
    "discrete-bcq": Case(
        2000, {"dataset": "random:1000", "learning_rate": 0.002, "target_update_interval": 50}, 0.05, slow=True
    ),
    "discrete-iql": Case(
        4000,
        {**OFFLINE_ACTOR, "dataset": "random:1000", "learning_rate": "lin_0.01", "expectile": 0.985},
        0.05,
        slow=True,
    ),
    "iql": Case(4000, {**OFFLINE_ACTOR, "dataset": "random:1000"}, 0.05, slow=True),
    "pqn": Case(8000, {"n_envs": 4, "n_steps": 32, "net_arch": [32], "learning_rate": "lin_0.003"}, 0.05),
    "sac": Case(1500, {**SMALL_ACTOR, "ent_coef": 0.001}, 0.05),
    "discrete-sac": Case(3000, {**SMALL_ACTOR, "ent_coef": 0.001}, 0.05),
    "tqc": Case(1500, {**SMALL_ACTOR, "ent_coef": 0.001, "top_quantiles_to_drop_per_net": 0}, 0.05, slow=True),
    "td3": Case(1500, {**SMALL_ACTOR, "noise_type": "normal"}, 0.05),
    "ddpg": Case(1500, {**SMALL_ACTOR, "noise_type": "normal"}, 0.05, slow=True),
    "sb3/ppo": Case(6000, {**DEEP, "n_steps": 128}, 0.05, slow=True),
    "sb3/a2c": Case(6000, {**DEEP, "learning_rate": 0.003}, 0.05, slow=True),
    "sb3/dqn": Case(5000, {**REPLAY, "learning_rate": 0.002, "target_update_interval": 50}, 0.05, slow=True),
    "sb3/sac": Case(1500, {**ACTOR, "ent_coef": 0.001}, 0.05, slow=True),
    "sb3/td3": Case(1500, {**ACTOR, "noise_type": "normal"}, 0.05, slow=True),
    "sb3/ddpg": Case(1500, {**ACTOR, "noise_type": "normal"}, 0.05, slow=True),
}
BOX = ("td3-bc", "iql", "sac", "tqc", "td3", "ddpg", "sb3/sac", "sb3/td3", "sb3/ddpg")  # they have no finite actions

# Agents that maximise the reward a step in the long run: right is the average, where no episode ends.
AVERAGE: dict[str, Case] = {
    "differential-sarsa": Case(200_000, {"alpha": 0.1, "beta": 0.002, "epsilon": "lin_1_0"}, 0.05),
    "policy-evaluation": Case(300, {**GIVEN, "average_reward": True}),
    "policy-iteration": Case(300, {"average_reward": True}),
    "value-iteration": Case(300, {"average_reward": True}),
}

# What does not apply: an agent, worlds, and why.
_BANDIT = dict.fromkeys(("two-steps", "truncated", "terminated"), "a bandit looks no further than its next reward")
_SEARCHES = dict.fromkeys(WORLDS, "it searches for a policy and has no values")
_TAUGHT = dict.fromkeys(WORLDS, "it learns from a teacher and never looks at rewards")
SKIPS: dict[str, dict[str, str]] = {
    "epsilon-greedy": _BANDIT,
    "ucb": _BANDIT,
    "gradient-bandit": _BANDIT,
    "thompson-sampling": _BANDIT,
    "lin-ucb": _BANDIT,
    "linear-thompson-sampling": _BANDIT,
    "model-bandit": _BANDIT,
    "ars": _SEARCHES,
    "cem": _SEARCHES,
    "evolution-strategies": _SEARCHES,
    "behavior-cloning": _TAUGHT,
    "dagger": _TAUGHT,
}


def learned(agent_id: str, world: str, case: Case, kind: str = "") -> Any:
    """The agent after its steps in a world."""
    cls, settings, best = registry.agent_class(agent_id), dict(case.settings), WORLDS[world].best
    if "gamma" in declared(cls):
        settings["gamma"] = GAMMA
    if settings.get("policy") == "best":
        settings["policy"] = np.eye(2)[[*best, 0]].tolist() if best else "random"
    return cls(probe_id(world, kind), seed=0, **settings).learn(case.steps)


def test_every_agent_is_probed():
    assert {*CASES, *AVERAGE, *SKIPS} == set(registry.agent_ids())
    assert all(set(reasons) <= set(WORLDS) for reasons in SKIPS.values())
    assert not [agent_id for agent_id in CASES if set(SKIPS.get(agent_id, ())) == set(WORLDS)]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    "agent_id",
    [pytest.param(i, marks=pytest.mark.slow) if i in CASES and CASES[i].slow else i for i in {**CASES, **SKIPS}],
)
def test_what_is_learned_is_right(agent_id, world):
    if why_not := SKIPS.get(agent_id, {}).get(world):
        pytest.skip(why_not)
    case, right = CASES[agent_id], WORLDS[world]
    agent = learned(agent_id, world, case, "Box" if agent_id in BOX else "")
    state = None
    for s, value in enumerate(right.values):
        before = (state, [s in right.start]) if agent.remembers else ()  # it knows a state by the way to it
        probe = agent.probe(s, *before)
        assert probe.value is not None
        assert probe.value[0] == pytest.approx(value, abs=case.tolerance * max(1.0, abs(value))), f"state {s}"
        action, state = agent.predict(s, *before, deterministic=True)
        if right.best and "policy" not in case.settings:
            assert int(np.ravel(action)[0] > 0) == right.best[s], f"state {s}"


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("agent_id", AVERAGE)
def test_the_reward_a_step_is_right(agent_id, world):
    """Differential Sarsa and planners with ``average_reward``; planners count an end as the next episode's start."""
    case, right = AVERAGE[agent_id], WORLDS[world]
    continuing = agent_id == "differential-sarsa" and world != "truncated"
    agent = learned(agent_id, world, case, "Continuing" if continuing else "")
    average = agent.average if agent_id == "differential-sarsa" else agent.gain
    assert average[0] == pytest.approx(right.average, abs=case.tolerance)
    if right.best and "policy" not in case.settings:
        assert [agent.predict(s, deterministic=True)[0] for s in range(len(right.best))] == right.best


@pytest.mark.parametrize(
    "agent_id", [pytest.param(i, marks=pytest.mark.slow) if case.slow else i for i, case in CASES.items()]
)
def test_the_value_of_a_probe_has_one_meaning(agent_id):
    """That of the policy which is given, else of the greedy action where there are action values (`Probe`)."""
    case = CASES[agent_id]
    agent = learned(agent_id, "both", case, "Box" if agent_id in BOX else "")
    probe = agent.probe([0, 1])
    assert probe.value is not None
    assert probe.value.shape == (2,)
    q = probe.action_values
    if q is not None and "policy" in case.settings:
        assert probe.value == pytest.approx((q * probe.action_probabilities).sum(axis=1))
    elif q is not None:
        assert probe.value == pytest.approx(q.max(axis=1))
        greedy = [agent.predict(s, deterministic=True)[0] for s in (0, 1)]
        assert probe.value == pytest.approx(q[[0, 1], greedy])
