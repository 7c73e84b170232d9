"""Blackjack: exact values by dynamic programming, and Monte Carlo's estimates of them (Sutton & Barto, chapter 5)."""

from __future__ import annotations

import numpy as np
import pytest

from agents import MonteCarlo, OffPolicyMonteCarlo, PolicyEvaluation, ValueIteration
from agents.figures import play_episodes
from envs import blackjack
from envs.blackjack import number
from rlplay import make
from rlplay.compiled.table import agreement, table_of
from rlplay.environments.make import with_first_states

BOOK = [0.146, 0.640, 0.650, 0.661, 0.670, 0.704, 0.773, 0.792, 0.758, 0.435]  # no usable ace, 20 against A..10


def plain() -> object:
    """Blackjack without a bonus for two cards, whose observations tell its states."""
    return make("Blackjack-v1", sab=False)


@pytest.fixture(scope="module")
def stick_on_20() -> np.ndarray:
    return PolicyEvaluation(plain(), policy="stick-on-20", gamma=1.0, theta=1e-12).learn(1000).v


def test_the_table_is_that_of_gymnasiums_game():
    env = make("Blackjack-v1", sab=False, dynamics="gymnasium")
    assert agreement(env, table_of(env), steps=3000) == "law"


def test_values_of_sticking_on_20(stick_on_20):
    assert [stick_on_20[number(20, d, False)] for d in range(1, 11)] == pytest.approx(BOOK, abs=5e-4)
    assert table_of(plain()).start @ stick_on_20 == pytest.approx(-0.3536, abs=5e-5)


def test_optimum_without_and_with_the_bonus_for_two_cards():
    """With the bonus (sab=True) a blackjack wins against a dealer's 21 that is none; nothing else changes."""
    optimum = table_of(plain()).start @ ValueIteration(plain(), gamma=1.0, theta=1e-12).learn(1000).v
    assert optimum == pytest.approx(-0.04656, abs=5e-6)
    bonus = 0.0
    for dealer, p in blackjack.CARDS.items():
        natural = 2 * blackjack.CARDS[1] * blackjack.CARDS[10]
        hidden = {1: blackjack.CARDS[10], 10: blackjack.CARDS[1]}.get(dealer, 0.0)  # makes the dealer's blackjack
        bonus += natural * p * (blackjack.standing(21, dealer)[1] - hidden)
    assert optimum + bonus == pytest.approx(-0.04311, abs=5e-6)


@pytest.mark.parametrize("visit", ["first", "every"])
def test_monte_carlo_prediction_finds_them(stick_on_20, visit):
    """2 million steps natively, seed 0: each state of 20 within four standard deviations of about .006."""
    agent = MonteCarlo(plain(), policy="stick-on-20", visit=visit, gamma=1.0, seed=0).learn(2_000_000)
    for dealer in range(1, 11):
        state = number(20, dealer, False)
        assert agent.v[state] == pytest.approx(stick_on_20[state], abs=0.03)
    assert agent.statistics.total_return / agent.statistics.episodes == pytest.approx(-0.3536, abs=0.005)


def test_monte_carlo_with_exploring_starts_finds_the_best_policy():
    """3 million steps, seed 0: the exact value of its greedy policy is that of the optimum to .003."""
    agent = MonteCarlo(plain(), exploring_starts=True, gamma=1.0, seed=0).learn(3_000_000)
    policy = agent.q.argmax(axis=1)
    value = PolicyEvaluation(plain(), policy=policy, gamma=1.0, theta=1e-12).learn(1000).v
    assert table_of(plain()).start @ value == pytest.approx(-0.04656, abs=0.003)


def test_epsilon_soft_monte_carlo_control_finds_the_best_policy():
    """5 million steps with a step size that falls, ε .1, seed 0: the greedy policy is worth the optimum to .004."""
    agent = MonteCarlo(plain(), alpha="exp_0.1_0.0005", epsilon=0.1, gamma=1.0, seed=0).learn(5_000_000)
    value = PolicyEvaluation(plain(), policy=agent.q.argmax(axis=1), gamma=1.0, theta=1e-12).learn(1000).v
    assert table_of(plain()).start @ value == pytest.approx(-0.04656, abs=0.004)


def squared_error(importance_sampling: str, episodes: int, runs: int) -> float:
    """Mean squared error of the value of (usable ace, 13, dealer 2) after so many episodes of random play."""
    start = np.zeros(704)
    start[number(13, 2, True)] = 1.0
    errors, env = [], with_first_states(plain(), start)
    for seed in range(runs):
        agent = OffPolicyMonteCarlo(
            env, policy="stick-on-20", behaviour="random",
            importance_sampling=importance_sampling, gamma=1.0, seed=seed,
        )  # fmt: skip
        play_episodes(agent, episodes, 1 if episodes == 1 else 16)
        errors.append((agent.v[number(13, 2, True)] + 0.27720) ** 2)
    return float(np.mean(errors))


def test_value_of_one_state_is_exact(stick_on_20):
    assert stick_on_20[number(13, 2, True)] == pytest.approx(-0.27720, abs=5e-6)


def test_importance_sampling_after_one_episode():
    """Ordinary averages are wild at first, weighted ones are not (example 5.4); 2,000 runs."""
    assert squared_error("weighted", 1, 2000) < 0.35
    assert squared_error("ordinary", 1, 2000) > 5.0


@pytest.mark.slow
def test_importance_sampling_after_many_episodes():
    """Both are close after 10,000 episodes; 100 runs."""
    assert squared_error("ordinary", 10_000, 100) < 0.003
    assert squared_error("weighted", 10_000, 100) < 0.003
