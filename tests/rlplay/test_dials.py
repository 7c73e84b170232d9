"""Dials of the window, turned by keys."""

from __future__ import annotations

import pygame
import pytest

from agents import PPO, QLearning
from rlplay import make
from rlplay.viewer.dials import dials_of
from rlplay.viewer.offers import offered
from rlplay.viewer.session import Session
from rlplay.viewer.window import Window


def test_keys_choose_and_turn_a_dial_and_others_still_step():
    env = make("rlplay/GridWorld-v0", render_mode="rgb_array", map="maze")
    window = Window(Session(env, QLearning(env, alpha=0.5, epsilon=0.1, seed=0), "learn"), (960, 600), headless=True)
    surface = window._open()

    def press(key: int, typed: str = "", shift: bool = False) -> None:
        mod = pygame.KMOD_SHIFT if shift else 0
        window._handle(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=typed, mod=mod))
        window._advance(0.0)
        window._draw(surface)

    window._do("pause")
    press(pygame.K_RIGHT)
    assert window.steps == 1
    press(pygame.K_d, "d")
    names = [dial.name for dial in dials_of(window.session)]
    press(pygame.K_RIGHT)
    assert window.steps == 1
    before = dials_of(window.session)[0].get()
    assert before == pytest.approx(0.5 + 0.02 * 0.9999, abs=2e-3)
    press(pygame.K_LEFT, shift=True)
    assert dials_of(window.session)[0].get() == pytest.approx(before - 0.2, abs=2e-3)
    press(pygame.K_DOWN)
    press(pygame.K_RIGHT)
    assert window._notice.startswith(f"{names[1]} = ")
    press(pygame.K_PERIOD, ".")
    assert window.steps == 2
    rows = {intent: keys for intent, keys, _ in offered(window.session, window.state)}
    assert rows["turn"] == "right left"
    assert rows["step"] == "."
    assert rows["other"] == "up down"
    press(pygame.K_ESCAPE)
    press(pygame.K_RIGHT)
    assert window.steps == 3
    assert "turn" not in {intent for intent, _, _ in offered(window.session, window.state)}


def test_page_scrolls_where_there_are_more_rows_and_else_says_that_there_are_none():
    window = Window(Session(make("FrozenLake-v1", render_mode="rgb_array"), None, "play"), (1280, 720), headless=True)
    surface = window._open()

    def page() -> str:
        window._notice = ""
        window._handle(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_PAGEDOWN, unicode="", mod=0))
        window._draw(surface)
        return window._notice

    window._draw(surface)
    assert page() == "every row is shown: there is nothing to scroll"
    assert "scroll" not in {intent for intent, _, _ in offered(window.session, window.state)}
    window._do("help")  # longer than a small window
    window.size, small = (640, 420), pygame.Surface((640, 420))
    window._draw(small)
    assert "scroll" in {intent for intent, _, _ in offered(window.session, window.state)}
    surface = small
    assert page() == ""


def test_networks_have_rates_to_turn_which_their_updates_take():
    """The numbers of networks lie in the settings of the agent's memory."""
    env = make("CartPole-v1", render_mode="rgb_array")
    agent = PPO(env, n_envs=1, n_steps=4, batch_size=4, n_epochs=1, net_arch=[4], seed=0)
    session = Session(env, agent, "learn")
    session.reset()
    dials = {dial.name: dial for dial in dials_of(session) if dial.owner == "agent"}
    assert set(dials) == {"learning_rate", "gamma", "clip_range", "ent_coef"}
    dials["ent_coef"].set(0.05)
    dials["learning_rate"].set(0.002)
    for _ in range(5):
        session.step()
    assert (dials["ent_coef"].get(), dials["learning_rate"].get()) == (0.05, 0.002)
    assert agent.metrics()["train/learning_rate"] == 0.002
    assert session.touched_agent
