"""A gamepad, as far as its events go: a step a push in worlds that wait, and gamepads that come and go."""

from __future__ import annotations

import pygame

from rlplay import make
from rlplay.viewer.session import Session
from rlplay.viewer.window import Window


def test_a_push_of_the_stick_is_one_step_and_buttons_are_the_other_actions():
    session = Session(make("Taxi-v4", render_mode="rgb_array"), None, "play", seed=3)
    window = Window(session, (960, 600), headless=True)
    window._open()

    def event(kind: int, **what: object) -> int:
        window._handle(pygame.event.Event(kind, **what))
        window._advance(0.05)
        return window.steps

    assert event(pygame.JOYAXISMOTION, axis=0, value=0.3) == 0  # it trembles around its middle
    assert event(pygame.JOYAXISMOTION, axis=0, value=0.7) == 1
    assert event(pygame.JOYAXISMOTION, axis=0, value=0.8) == 1
    assert event(pygame.JOYAXISMOTION, axis=0, value=0.1) == 1
    assert event(pygame.JOYAXISMOTION, axis=0, value=-0.9) == 2
    assert [session.history[place].seen.action for place in (1, 2)] == [2, 3]  # east, west
    event(pygame.JOYAXISMOTION, axis=0, value=0.0)
    assert event(pygame.JOYHATMOTION, hat=0, value=(0, 1)) == 3
    assert event(pygame.JOYHATMOTION, hat=0, value=(0, 0)) == 3
    assert session.last.action == 1  # north
    event(pygame.JOYBUTTONDOWN, button=1)
    assert "drop off may not be taken here" in window._notice
    assert event(pygame.JOYBUTTONDOWN, button=9) == 3
    event(pygame.JOYDEVICEADDED, device_index=0, guid="")
    assert "gamepad" in window._notice
    event(pygame.JOYDEVICEREMOVED, instance_id=0)
    assert "gone" in window._notice
