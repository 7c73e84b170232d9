"""What keys, mouse and gamepad do to the window: to its state, or to the hands of a person who acts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
import pygame

from rlplay.viewer import panels
from rlplay.viewer.bottom import place_at, timeline_box
from rlplay.viewer.cells import cell_at, change_cell
from rlplay.viewer.dials import DialPanel
from rlplay.viewer.hands import open_gamepads
from rlplay.viewer.keys import action_keys, intent_of
from rlplay.viewer.layout import layout
from rlplay.viewer.offers import why_not
from rlplay.viewer.pointer import Pointer
from rlplay.viewer.session import Session
from rlplay.viewer.state import ViewState, reduce, show
from rlplay.viewer.together import Together


class Events(ABC):
    """The part of a window that takes events; `rlplay.viewer.window.Window` is the rest.

    Args:
        session: what is shown.
        comparison: shows these players in place of the session.

    Attributes:
        session, comparison: the same; a mosaic changes them when one of its rows is looked into.
        state: what the window remembers between frames.
        pointer: the mouse.
        dials: the numbers that are turned by hand.
    """

    def __init__(self, session: Session, comparison: Together | None) -> None:
        self.session, self.comparison = session, comparison
        self.state, self.pointer, self.dials = ViewState(), Pointer(), DialPanel()
        self.gamepads: list[object] = []  # opened; they live as long as this
        self._dragging = ""

    @abstractmethod
    def say(self, words: str, seconds: float = 4.0) -> None:
        """Show a notice in the bottom bar."""

    @abstractmethod
    def size_now(self) -> tuple[int, int]:
        """Width and height of the window, in pixels."""

    @abstractmethod
    def _follow_state(self, before: ViewState, intent: str) -> None:
        """What a change of the state asks of session and files."""

    @abstractmethod
    def _choose_branch(self, intent: str) -> bool:
        """Within what if, two keys choose the other action."""

    @property
    def driver(self) -> Session | None:
        """The session in which a person acts; None where nobody does."""
        if self.comparison is not None:
            return self.comparison.driver
        return self.session if self.session.driving else None

    def _handle(self, event: pygame.event.Event) -> None:
        if event.type == pygame.QUIT:
            self.state = reduce(self.state, "quit")
        elif event.type in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEMOTION, pygame.MOUSEBUTTONUP) and self._mouse(event):
            return
        elif event.type == pygame.WINDOWFOCUSLOST and self.driver is not None:
            self.driver.hands.release()
        elif event.type in (pygame.KEYDOWN, pygame.KEYUP) and event.key in (pygame.K_LCTRL, pygame.K_RCTRL):
            self._hold_to_drive(event.type == pygame.KEYDOWN)
        elif event.type in (pygame.JOYDEVICEADDED, pygame.JOYDEVICEREMOVED):
            self._plug(event.type == pygame.JOYDEVICEADDED)
        elif self.driver is not None and self._drive(self.driver, event):
            return
        elif (intent := self._pointed().handle(event) or intent_of(event, tune=self._tunes)) is not None:
            self._do(intent)
        elif event.type == pygame.KEYDOWN and event.unicode.strip() and not event.mod & pygame.KMOD_CTRL:
            self.say(f"{event.unicode} does nothing: ? lists the keys")

    @property
    def _tunes(self) -> bool:
        """Whether the dials are shown."""
        return self.state.tune and self.comparison is None

    def _pointed(self) -> Pointer:
        """The mouse, as what is shown has drawn buttons and lists for it."""
        return self.comparison.pointer if self.comparison is not None else self.pointer

    def _do(self, intent: str) -> None:
        """Do what a key means; where that is nothing, say why."""
        if self.state.what_if and self._choose_branch(intent):
            return
        if why := why_not(intent, self.session, self.state, self.comparison):
            self.say(why)
            return
        before = self.state
        if intent.startswith("turn"):
            far = -1 if "back" in intent else 1
            self.say(self.dials.nudge(self.session, self.state.dial, far * (10 if intent.endswith("ten") else 1)))
            return
        if intent in ("reset", "next") and self.session.mode == "replay":
            self.state = replace(reduce(self.state, "home"), paused=False)
            return
        if intent == "clock":
            driver = self.driver
            intent = "wait" if driver is not None and self._runs_on(driver) else "run"
            self.say("the world waits for you" if intent == "wait" else "the world runs on")
        self.state = reduce(self.state, intent)
        self._follow_state(before, intent)

    def _plug(self, added: bool) -> None:
        """A gamepad was plugged in, or pulled out."""
        self.gamepads = open_gamepads()
        if self.driver is not None:
            self.driver.hands.release()
        self.say("a gamepad: its left stick and its buttons act when you do" if added else "the gamepad is gone")

    def _hold_to_drive(self, down: bool) -> None:
        if self.state.you or self.comparison is not None or down == self.state.held:
            return
        if down and (why := self.session.why_not_driven(True)):
            self.say(why)
            return
        before, self.state = self.state, reduce(self.state, "hold" if down else "release")
        self._follow_state(before, "hold")

    def _drive(self, session: Session, event: pygame.event.Event) -> bool:
        """Give an event to the person's hands; returns whether it was theirs."""
        hands = session.hands
        if event.type in (pygame.KEYDOWN, pygame.KEYUP):
            if event.mod & (pygame.KMOD_ALT | pygame.KMOD_META):
                return False
            name, keys = pygame.key.name(event.key), action_keys(session)
            if name not in keys:
                return False
            if event.type == pygame.KEYUP:
                hands.lift(name)
                return True
            hands.press(name)
            if not self._runs_on(session):
                self._act(session, session.choices[keys[name]][1])
            return True
        before: Any = None if hands.continuous else hands.action()
        if event.type == pygame.JOYAXISMOTION:
            hands.stick(event.axis, event.value)
        elif event.type == pygame.JOYHATMOTION:
            hands.stick(0, float(event.value[0]))
            hands.stick(1, -float(event.value[1]))
        elif event.type == pygame.JOYBUTTONDOWN:
            if (action := hands.button(event.button)) is not None:
                self._act(session, action)
        else:
            return False
        if event.type != pygame.JOYBUTTONDOWN and not hands.continuous and not self._runs_on(session):
            action = hands.action()
            if action is not None and not np.array_equal(action, before):  # a step a push, however a stick trembles
                self._act(session, action)
        return True

    def _act(self, session: Session, action: object) -> None:
        session.pending = action
        if self.state.cursor is not None:
            self.state = replace(self.state, cursor=None)

    def _runs_on(self, session: Session) -> bool:
        """Whether the world runs on while a person acts, whatever is pressed."""
        if self.comparison is not None or session.learning is not None:
            return bool(self.state.clock)
        return session.hands.in_real_time if self.state.clock is None else self.state.clock

    def _mouse(self, event: pygame.event.Event) -> bool:
        """The timeline, the dials, the picture; returns whether it was one of them."""
        bottom = layout(*self.size_now(), self.state.zoom)["bottom"]
        if event.type == pygame.MOUSEBUTTONUP:
            used, self._dragging = bool(self._dragging), ""
            self.dials.let_go()
            if self.driver is not None:
                self.driver.hands.point(None)
            return used
        if event.type == pygame.MOUSEBUTTONDOWN and event.button in (1, 3):
            if timeline_box(bottom).collidepoint(event.pos):
                self._dragging = "timeline"
            elif self.comparison is not None:
                return False
            elif self.state.tune and self.dials.grab(event.pos):
                self._dragging = "dial"
            elif self.driver is not None and self._point(self.driver, event.pos):
                self._dragging = "picture"
                return True
            elif self.state.tune and self._cell(event.pos, event.button):
                return True
        if self._dragging == "timeline":
            if self.state.newest > self.state.oldest:
                self.state = show(self.state, place_at(bottom, self.state, event.pos[0]))
            return True
        if self._dragging == "dial":
            if words := self.dials.drag(event.pos):
                self.say(words)
            return True
        if self._dragging == "picture" and self.driver is not None:
            self._point(self.driver, event.pos)
            return True
        return False

    def _point(self, session: Session, pixel: tuple[int, int]) -> bool:
        """The mouse steers from within the picture: how far from its middle, to the right and upwards."""
        box = panels.picture_box()
        if not box.collidepoint(pixel):
            return False
        x = (pixel[0] - box.centerx) / (box.width / 2)
        y = (box.centery - pixel[1]) / (box.height / 2)
        session.hands.point((x, y))
        if not self._runs_on(session) and not session.hands.continuous:
            action = session.hands.action()
            if action is not None:
                self._act(session, action)
        return True

    def _cell(self, pixel: tuple[int, int], button: int) -> bool:
        """A click on a cell of a grid changes it; returns whether one was there."""
        box = panels.picture_box()
        if not box.collidepoint(pixel):
            return False
        cell = cell_at(self.session, (pixel[0] - box.x) / box.width, (pixel[1] - box.y) / box.height)
        if cell is None:
            return False
        self.say(change_cell(self.session, cell, button))
        return True
