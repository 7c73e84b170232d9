"""Every registered agent keeps the contract."""

from __future__ import annotations

import pytest

from rlplay import registry
from rlplay.testing import NotApplicable, agent_checks
from tests.contract.cases import CASES, LONG_CASES, name_of

# Checks that do not apply, by the names of the cases; a new one fails until it is listed here.
SKIPS = {
    "check_both_drivers": {
        "a2c-FrozenLake-v1",
        "a2c-Pendulum-v1-torch",
        "ars-FrozenLake-v1",
        "behavior-cloning-CartPole-v1",
        "cql-FrozenLake-v1-torch",
        "dagger-Pendulum-v1",
        "discrete-sac-FrozenLake-v1",
        "discrete-sac-rlplay/MaximizationBias-v0",
        "double-q-learning-rlplay/MaximizationBias-v0",
        "dqn-rlplay/BitFlipping-v0",
        "dqn-CartPole-v1-torch",
        "dqn-FrozenLake-v1",
        "episodic-control-CartPole-v1",
        "epsilon-greedy-rlplay/Bandit-v0",
        "expected-sarsa-Blackjack-v1",
        "fitted-q-CartPole-v1",
        "fitted-q-Pendulum-v1-pca:2,warm_up=50",
        "gp-sarsa-CartPole-v1-standard-scaler:warm_up=50",
        "lin-ucb-rlplay/LinearBandit-v0",
        "linear-thompson-sampling-rlplay/LinearBandit-v0",
        "model-bandit-rlplay/LinearBandit-v0",
        "lspi-FrozenLake-v1",
        "lspi-rlplay/InvertedPendulum-v0-rbf-grid:3,warm_up=50",
        "mcts-FrozenLake-v1",
        "mcts-rlplay/Gambler-v0",
        "monte-carlo-Blackjack-v1-stick-on-20",
        "neural-fitted-q-CartPole-v1",
        "off-policy-monte-carlo-Blackjack-v1-stick-on-20",
        "ppo-Blackjack-v1-32",
        "ppo-CartPole-v1-60-torch",
        "ppo-rlplay/MaximizationBias-v0-32",
        "pqn-CartPole-v1-30-torch",
        "pqn-rlplay/MaximizationBias-v0-16",
        "q-learning-Blackjack-v1",
        "q-learning-MountainCar-v0-sklearn/k-means:8,warm_up=50,refit_every=150",
        "q-learning-rlplay/MaximizationBias-v0",
        "recurrent-dqn-FrozenLake-v1",
        "recurrent-dqn-rlplay/CartPoleNoVel-v1-torch",
        "recurrent-dqn-rlplay/MaximizationBias-v0",
        "reinforce-FrozenLake-v1",
        "reinforce-Pendulum-v1-torch",
        "sac-Pendulum-v1-torch",
        "sarsa-Blackjack-v1",
        "sb3/a2c-Pendulum-v1",
        "sb3/ddpg-Pendulum-v1",
        "sb3/dqn-CartPole-v1",
        "sb3/ppo-CartPole-v1-24",
        "sb3/ppo-CartPole-v1-32-pca:3,warm_up=40,refit_every=80",
        "sb3/sac-Pendulum-v1",
        "sb3/td3-Pendulum-v1",
        "td3-Pendulum-v1-torch",
        "trpo-CartPole-v1-60-torch",
        "ucb-rlplay/Bandit-v0",
    },
    "check_own_and_native_dynamics": {
        "dqn-Acrobot-v1",
        "dqn-rlplay/BitFlipping-v0",
        "discrete-sac-rlplay/MaximizationBias-v0",
        "double-q-learning-rlplay/MaximizationBias-v0",
        "epsilon-greedy-rlplay/Bandit-v0",
        "expected-sarsa-Blackjack-v1",
        "lin-ucb-rlplay/LinearBandit-v0",
        "linear-thompson-sampling-rlplay/LinearBandit-v0",
        "model-bandit-rlplay/LinearBandit-v0",
        "monte-carlo-Blackjack-v1-stick-on-20",
        "monte-carlo-rlplay/Gambler-v0",
        "off-policy-monte-carlo-Blackjack-v1-stick-on-20",
        "ppo-Blackjack-v1-32",
        "ppo-rlplay/MaximizationBias-v0-32",
        "pqn-rlplay/MaximizationBias-v0-16",
        "q-learning-Blackjack-v1",
        "q-learning-rlplay/MaximizationBias-v0",
        "recurrent-dqn-rlplay/MaximizationBias-v0",
        "sarsa-Blackjack-v1",
        "ucb-rlplay/Bandit-v0",
    },
}


def test_every_agent_has_a_case():
    assert {case[0] for case in CASES + LONG_CASES} == set(registry.agent_ids())


def test_skips_name_cases():
    names = {name_of(case) for case in CASES + LONG_CASES}
    assert set(SKIPS) <= {check.__name__ for check in agent_checks()}
    assert set.union(*SKIPS.values()) <= names


@pytest.mark.parametrize("check", agent_checks(), ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "case",
    [*CASES, *(pytest.param(case, marks=pytest.mark.slow, id=name_of(case)) for case in LONG_CASES)],
    ids=name_of,
)
def test_contract(case, check):
    agent_id, env_id, steps, settings = case
    why_not = ""
    try:
        check(agent_id, env_id, steps, **settings)
    except NotApplicable as reason:
        why_not = str(reason)
    listed = name_of(case) in SKIPS.get(check.__name__, ())
    assert bool(why_not) == listed, f"{check.__name__} of {name_of(case)}: listed as skipped {listed}, {why_not!r}"
    if why_not:
        pytest.skip(why_not)
