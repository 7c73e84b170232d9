"""Dials: numbers of the agent and of the environment that are turned while they run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pygame

from rlplay.probe import Probe
from rlplay.viewer import drawing as d
from rlplay.viewer.world import World

_OF_AGENTS = {
    "alpha": (1e-4, 1.0), "actor_alpha": (1e-5, 1.0), "reward_alpha": (1e-5, 1.0), "epsilon": (0.0, 1.0),
    "temperature": (1e-3, 10.0), "gamma": (0.0, 1.0), "lambda_": (0.0, 1.0), "learning_rate": (0.0, 5e-3),
    "clip_range": (0.01, 1.0), "ent_coef": (0.0, 0.1), "exploration_final_eps": (0.0, 1.0),
}  # fmt: skip
_SPAN = 4.0  # a constant goes from a quarter of what it was to four times that
_ROW = 30
_STEP = 0.02  # of a dial's range, that a key turns it


@dataclass(frozen=True)
class Dial:
    """A number that is turned.

    Attributes:
        name: as the agent or the environment names it.
        owner: ``"agent"`` or ``"world"``.
        low, high: its ends.
        get: its value now; NaN where it changes with the visits of each state.
        set: takes a value.
    """

    name: str
    owner: str
    low: float
    high: float
    get: Callable[[], float]
    set: Callable[[float], None]

    def share(self) -> float:
        """Where it stands between its ends, from 0 to 1."""
        value = self.get()
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0) if self.high > self.low else 0.0

    def turn(self, share: float) -> float:
        """Turn it to a share from 0 to 1; returns the value, of three digits."""
        value = self.low + min(max(share, 0.0), 1.0) * (self.high - self.low)
        value = float(f"{value:.3g}")
        self.set(value)
        return value


def dials_of(session: Any) -> list[Dial]:
    """What can be turned in a session: the agent's rates while it learns, and the environment's constants."""
    return [*_agent_dials(session), *_world_dials(session)]


def _agent_dials(session: Any) -> list[Dial]:
    agent = session.agent
    if session.learning is None or not hasattr(agent.memory, "_fields"):
        return []
    return [
        Dial(name, "agent", *ends, _reader(agent, name), _writer(session, name))
        for name, ends in _OF_AGENTS.items()
        if name in getattr(_holder(agent, name), "_fields", ()) and not math.isnan(_reader(agent, name)())
    ]


def _holder(agent: Any, name: str) -> Any:
    """What has a number: the agent's memory, or the settings within it that agents with networks have."""
    return agent.memory if name in agent.memory._fields else getattr(agent.memory, "settings", agent.memory)


def _reader(agent: Any, name: str) -> Callable[[], float]:
    def read() -> float:
        held = getattr(_holder(agent, name), name)
        if isinstance(held, tuple):  # a rate: a schedule over training, or one by visits
            held = held[0] if not held[1].size else np.array([math.nan])
        if isinstance(held, np.ndarray):
            place = min(agent.progress, 1.0) * (held.size - 1)
            return float(np.interp(place, np.arange(held.size), held)) if held.ndim == 1 else math.nan
        return float(held)

    return read


def _writer(session: Any, name: str) -> Callable[[float], None]:
    def write(value: float) -> None:
        agent = session.agent
        holder = _holder(agent, name)
        held = getattr(holder, name)
        array = held[0] if isinstance(held, tuple) else held
        if isinstance(array, np.ndarray):
            array[:] = value
        else:
            turned = holder._replace(**{name: value})
            agent.memory = turned if holder is agent.memory else agent.memory._replace(settings=turned)
        session.touched_agent = True

    return write


def _world_dials(session: Any) -> list[Dial]:
    found = []
    if session.mode == "replay":
        return []
    for name, first in session.first_world.constants.items():
        low, high = sorted((first / _SPAN, first * _SPAN)) if first else (-1.0, 1.0)
        found.append(Dial(name, "world", low, high, _constant(session, name), _changer(session, name)))
    return found


def _constant(session: Any, name: str) -> Callable[[], float]:
    return lambda: World.of(session.env).constants.get(name, math.nan)


def _changer(session: Any, name: str) -> Callable[[float], None]:
    return lambda value: session.change(World.of(session.env).with_constant(name, value))


def told(dial: Dial, share: float) -> str:
    """Turn a dial to a share of its range; what it says then."""
    return f"{dial.name} = {dial.turn(share):g}: this run is marked as touched by hand"


class DialPanel:
    """The dials as sliders; the mouse turns them, or keys the chosen one.

    Attributes:
        chosen: which one, counted on and on.

    Example:
        >>> panel = DialPanel()
        >>> panel.grab((5, 5))
        False
    """

    def __init__(self) -> None:
        self.chosen = 0
        self._bars: list[tuple[pygame.Rect, Dial]] = []
        self._held: Dial | None = None

    def draw(self, surface: pygame.Surface, box: pygame.Rect, session: Any, probe: Probe | None) -> None:
        """A row a dial: name, bar, value."""
        self._bars = []
        dials, tall, gap = dials_of(session), d.px(_ROW), d.px(20)
        rows = max(box.height // tall, 1)
        columns = min(max(-(-len(dials) // rows), 1), max(box.width // d.px(300), 1))
        width, chosen = (box.width - gap * (columns - 1)) // columns, self.chosen % max(len(dials), 1)
        first = max(chosen - rows * columns + 1, 0)
        shown = dials[first : first + rows * columns]
        if len(shown) < len(dials):
            rest = f"{first + 1} to {first + len(shown)} of {len(dials)}: up, down"
            d.text(surface, rest, (box.right, box.bottom + d.px(8)), 15, d.DIM, "bottomright", box.width)
        for i, dial in enumerate(shown):
            x, y = box.x + (width + gap) * (i // rows), box.y + (i % rows) * tall
            if first + i == chosen:
                pygame.draw.rect(
                    surface, d.SOFT, (x - d.px(6), y + 2, width + d.px(12), tall - 4), border_radius=d.px(5)
                )
            wide = min(d.px(180), width * 0.45)
            color = d.ACCENT if dial.owner == "agent" else d.TEXT
            d.text(
                surface,
                dial.name,
                (x, y + tall / 2),
                d.fitting(dial.name, wide - 6, 18, 15),
                color,
                "midleft",
                wide - 6,
            )
            number = d.px(64)
            bar = pygame.Rect(round(x + wide), y, round(width - wide - number), tall)
            line = pygame.Rect(bar.x, bar.centery - 2, bar.width, 4)
            pygame.draw.rect(surface, d.LINE, line, border_radius=2)
            knob = (round(bar.x + dial.share() * bar.width), bar.centery)
            pygame.draw.rect(surface, color, (bar.x, line.y, knob[0] - bar.x, 4), border_radius=2)
            pygame.draw.circle(surface, color, knob, d.px(7))
            d.text(surface, d.short(dial.get()), (x + width, y + tall / 2), 18, d.TEXT, "midright")
            self._bars.append((bar, dial))
        if not dials:
            words = "no dials: click a cell of the picture" if session.world.rows else "nothing can be turned here"
            d.text(surface, words, (box.x, box.y), 18, d.DIM)

    def nudge(self, session: Any, chosen: int, steps: int) -> str:
        """A key turns a dial by so many steps of a fiftieth of its range; returns what it says now."""
        dials = dials_of(session)
        return told(dials[chosen % len(dials)], dials[chosen % len(dials)].share() + steps * _STEP)

    def grab(self, place: tuple[int, int]) -> bool:
        """The mouse is pressed there; returns whether that is a dial."""
        self._held = next((dial for bar, dial in self._bars if bar.inflate(16, 0).collidepoint(place)), None)
        return self._held is not None

    def drag(self, place: tuple[int, int]) -> str:
        """The mouse moves while it is pressed; returns what the dial says now, or nothing."""
        if self._held is None:
            return ""
        bar = next((bar for bar, dial in self._bars if dial.name == self._held.name), None)
        if bar is None:
            return ""
        return told(self._held, (place[0] - bar.x) / max(bar.width, 1))

    def let_go(self) -> None:
        """The mouse is not pressed any more."""
        self._held = None
