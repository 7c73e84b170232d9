"""The window inside an update of networks: it halts after each gradient step, in the same bits."""

from __future__ import annotations

import numpy as np
import pygame
import pytest

from agents import A2C, DQN, PPO, SAC, TRPO, QLearning
from rlplay import make
from rlplay.testing import differences
from rlplay.viewer import panels
from rlplay.viewer.network_learning import Halting
from rlplay.viewer.session import Session
from rlplay.viewer.state import HELP, ViewState
from rlplay.viewer.updates import lines_of
from rlplay.viewer.window import Window

SMALL = {"net_arch": [8], "seed": 0}


def session_of(cls, env_id: str, target: int = 0, **settings) -> Session:
    agent = cls(make(env_id, render_mode="rgb_array", dynamics="gymnasium"), **SMALL, **settings)
    agent.horizon = target or 1
    return Session(agent.env, agent, "learn", target=target)


CASES = {
    "ppo": (PPO, "CartPole-v1", {"n_steps": 16, "batch_size": 8, "n_epochs": 3}, 32, 12),
    "dqn": (DQN, "CartPole-v1", {"learning_starts": 8, "batch_size": 4, "gradient_steps": 2}, 20, 6),
}
SLOW = {
    "a2c": (A2C, "Pendulum-v1", {"n_steps": 5}, 20, 4),
    "trpo": (TRPO, "CartPole-v1", {"n_steps": 16, "batch_size": 8, "n_critic_updates": 3}, 32, 12),
    "noisy": (DQN, "CartPole-v1", {"learning_starts": 8, "batch_size": 4, "noisy": True, "prioritized": True}, 20, 3),
    "c51": (DQN, "CartPole-v1", {"learning_starts": 8, "batch_size": 4, "distributional": "c51"}, 20, 3),
    "sac": (SAC, "Pendulum-v1", {"learning_starts": 8, "batch_size": 4}, 20, 12),
    "torch": (PPO, "CartPole-v1", {"n_steps": 16, "batch_size": 8, "n_epochs": 3, "network": "torch"}, 32, 12),
    "features": (
        PPO,
        "CartPole-v1",
        {"n_steps": 16, "batch_size": 8, "n_epochs": 3, "features": "k-means:4,warm_up=64"},
        96,
        12,
    ),
}


@pytest.mark.parametrize("name", [*CASES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_it_halts_after_each_gradient_step_in_the_same_bits(name):
    cls, env_id, settings, steps, stops = {**CASES, **SLOW}[name]
    session, surface = session_of(cls, env_id, steps, **settings), pygame.Surface((960, 600))
    session.learning.inside = session.learning.looking = True
    halts = 0
    while not session.trained:
        session.step()
        if session.in_update:
            halts += 1
            lines, moves = lines_of(session)
            assert lines[0].startswith("gradient step ")
            assert moves
            assert all(move.before != move.after for move in moves)
            session.think()
            panels.draw(surface, session, ViewState())
    assert halts == stops
    plain = cls(make(env_id, dynamics="gymnasium"), **SMALL, **settings)
    plain.learn(steps, engine="python", schedule_timesteps=steps)
    assert not differences(session.agent, plain)


def test_the_weights_and_numbers_are_those_of_the_minibatch():
    session = session_of(PPO, "CartPole-v1", n_steps=16, batch_size=8, n_epochs=2, clip_range=1e-9)
    session.learning.inside = session.learning.looking = True
    while not session.in_update:
        session.step()
    agent, seen = session.agent, []
    while session.in_update:
        seen.append({name: array.copy() for name, array in agent.parameters().items()})
        lines, moves = lines_of(session)
        values = {float(value) for array in seen[-1].values() for value in array}
        assert all(move.after in values for move in moves)
        assert any(line.startswith("policy: ") for line in lines)
        session.step()
    assert len(seen) == 4
    assert any(not np.array_equal(seen[0][name], seen[3][name]) for name in seen[0])
    assert "gradient steps after this step" in lines_of(session)[0][1]
    assert "; the update before had 4" in next(_first_lines(session))


def _first_lines(session: Session):
    while True:
        session.step()
        if session.in_update:
            yield lines_of(session)[0][0]


def test_a_window_pauses_where_an_update_begins_and_closes_with_a_whole_one():
    session = session_of(PPO, "CartPole-v1", n_steps=16, batch_size=8, n_epochs=2)
    window = Window(session, (960, 600), headless=True)
    window._open()
    window._do("inside")
    window._do("pause")
    for _ in range(40):
        window._advance(1.0)
    assert window.state.paused
    assert session.in_update
    assert session.agent.num_timesteps == 16
    window._do("step")
    window._advance(0.1)
    assert session.learning.update.moved == 2
    window._close_all()
    assert not session.in_update
    assert session.agent.lessons == 4


def test_what_goes_wrong_in_a_halting_function_is_raised_where_it_goes_on():
    def work() -> None:
        halting.halt()
        raise ValueError("inside")

    halting = Halting(work)
    assert halting.go_on()
    with pytest.raises(ValueError, match="inside"):
        halting.go_on()


@pytest.mark.parametrize("begun", [False, True])
def test_every_key_before_the_first_step_of_a_window_says_something_or_does_it(begun):
    """Nothing has been shown yet: of networks, or of an agent that stands in the middle of an episode."""
    if begun:
        agent = QLearning(make("FrozenLake-v1", render_mode="rgb_array", dynamics="gymnasium"), seed=0)
        agent.learn(3, engine="python")
        session = Session(agent.env, agent, "learn")
    else:
        session = session_of(DQN, "CartPole-v1", learning_starts=8, batch_size=4)
    for intent in HELP.keys() - {"quit", "record", "screenshot"}:
        window = Window(session, (960, 600), headless=True)
        surface = window._open()
        window._do("pause")
        window._draw(surface)
        assert not len(session.history) or intent == "reset"
        if intent not in ("step", "pause"):
            window._do(intent)
            window._advance(0.0)
            window._draw(surface)
