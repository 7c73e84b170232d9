"""The update equations on hand-computed numbers, compiled and as plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from agents import expected_sarsa, q_learning, sarsa
from rlplay.errors import HyperparameterError, SpaceError
from rlplay.functional.dynamic_programming import Model, backup
from rlplay.functional.epsilon_greedy import epsilon_greedy, epsilon_greedy_probabilities, greedy


def table() -> np.ndarray:
    return np.array([[1.0, 2.0], [3.0, 5.0]])


@pytest.fixture(params=["compiled", "python"])
def version(request):
    return lambda function: function if request.param == "compiled" else function.py_func


def test_q_learning_takes_the_best_next_action(version):
    q = table()
    # 2 + 0.5 * (1 + 0.9 * 5 - 2) = 3.75
    assert version(q_learning.update)(q, 0, 1, 1.0, 1, False, 0.5, 0.9) == pytest.approx(3.5)
    assert q.tolist() == [[1.0, 3.75], [3.0, 5.0]]


def test_sarsa_takes_the_next_action(version):
    q = table()
    # 2 + 0.5 * (1 + 0.9 * 3 - 2) = 2.85
    assert version(sarsa.update)(q, 0, 1, 1.0, 1, 0, False, 0.5, 0.9) == pytest.approx(1.7)
    assert q[0, 1] == pytest.approx(2.85)


def test_expected_sarsa_averages(version):
    q = table()
    # policy in state 1 with epsilon .2: .1 and .9; expectation 0.3 + 4.5 = 4.8
    assert version(expected_sarsa.update)(q, 0, 1, 1.0, 1, False, 0.5, 0.9, 0.2) == pytest.approx(1 + 0.9 * 4.8 - 2)


def test_terminal_states_have_no_future(version):
    for update, more in (
        (q_learning.update, ()),
        (sarsa.update, (-1,)),
        (expected_sarsa.update, ()),
    ):
        q = table()
        last = (0.2,) if update is expected_sarsa.update else ()
        assert version(update)(q, 0, 0, 7.0, 1, *more, True, 1.0, 0.9, *last) == pytest.approx(6.0)
        assert q[0, 0] == 7.0


def test_backup_of_the_model(version):
    shape = (1, 1, 2)
    model = Model(
        np.array([[[0.25, 0.75]]]), np.zeros(shape, np.int64), np.array([[[1.0, 2.0]]]),
        np.array([[[False, True]]]), np.ones((1, 1), np.bool_),
    )  # fmt: skip
    # .25 * (1 + .9 * 4) + .75 * 2 = 2.65
    assert version(backup)(np.array([4.0]), 0, 0, model, 0.9, 0.0) == pytest.approx(2.65)


def test_truncation_is_no_terminal_state():
    """With a time limit of one step the value of the next state still counts."""
    from agents import QLearning
    from rlplay import make

    agent = QLearning(make("CliffWalking-v1", max_episode_steps=1), alpha=1.0, gamma=1.0, initial_value=-7.0, seed=0)
    agent.learn(100)
    assert agent.statistics.episodes == 100
    assert agent.q[36, 0] <= -8.0 + 1e-12  # reward -1 and the value -7 of the state above, not -1 alone


def test_greedy_breaks_ties_at_random():
    q, rng = np.array([[0.0, 1.0, 1.0, 0.5]]), np.array([1, 2, 3, 5], dtype=np.uint64)
    picks = [greedy(q, 0, rng) for _ in range(400)]
    assert set(picks) == {1, 2}
    assert 140 < picks.count(1) < 260


def test_epsilon_greedy_frequencies_match_its_probabilities():
    q, rng = np.array([[0.0, 1.0, 0.2]]), np.array([9, 2, 3, 5], dtype=np.uint64)
    counts = np.bincount([epsilon_greedy(q, 0, 0.3, rng) for _ in range(20_000)], minlength=3) / 20_000
    expected = epsilon_greedy_probabilities(q, 0.3)[0]
    assert expected == pytest.approx([0.1, 0.8, 0.1])
    assert counts == pytest.approx(expected, abs=0.012)  # about four standard deviations


def test_schedules_reach_the_rule():
    from agents import QLearning

    agent = QLearning("FrozenLake-v1", epsilon="lin_1_0", seed=0)
    assert agent.probe(0).action_probabilities[0] == pytest.approx([0.25] * 4)
    agent.q[0] = [0, 1, 0, 0]
    agent.learn(1000)
    agent.q[0] = [0, 1, 0, 0]
    assert agent.probe(0).action_probabilities[0] == pytest.approx([0, 1, 0, 0], abs=1e-2)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("gamma", 5, "gamma=5 is not a number in [0, 1]"),
        ("alpha", 0, "alpha=0 is not a number in (0, 1]"),
        ("alpha", float("nan"), "alpha=nan"),
        ("epsilon", "lin_2_0", "epsilon='lin_2_0'"),
        ("epsilon", "slowly", "'slowly'"),
    ],
)
def test_bad_hyperparameters_name_value_and_range(name, value, words):
    from agents import QLearning

    with pytest.raises(HyperparameterError) as caught:
        QLearning("FrozenLake-v1", **{name: value})
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def test_unsupported_spaces_are_named_with_what_fits():
    from agents import QLearning, ValueIteration

    with pytest.raises(SpaceError, match=r"finite observations and Box.*features=.*--features"):
        QLearning("CartPole-v1")
    with pytest.raises(SpaceError, match=r"Blackjack-v1 has no transition table.*FrozenLake"):
        ValueIteration("Blackjack-v1").learn(1)
