"""Why the agent does that: what each number of the observation contributes to its choice, live.

See `rlplay.reports.occlusion`. It is computed a few times a second at most, and less often where it takes long, so that
the window stays smooth.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pygame

from rlplay.reports.occlusion import PATCHES, Contributions, contributions
from rlplay.viewer import drawing as d
from rlplay.viewer.observation import planes_of
from rlplay.viewer.pointer import Pointer, wrapped
from rlplay.viewer.session import Session
from rlplay.viewer.slices import dimension_names, stack_size

_BACKGROUND = 16  # states whose values are put in the place of what is hidden
_ENOUGH = 4  # of them, from which there is an explanation
_KEPT = 400
_SECONDS = 0.15  # between two computations, at least
_SHARE = 0.08  # of the time, at most
_MOST_NUMBERS = 512


class Explainer:
    """Explains the choice in the state that is shown, and remembers the states it has seen.

    Args:
        clock: the time in seconds.

    Example:
        >>> from agents import QLearning
        >>> from rlplay import make
        >>> agent = QLearning("CliffWalking-v1", seed=0).learn(2000)
        >>> session = Session(make("CliffWalking-v1", render_mode="rgb_array"), agent, seed=0)
        >>> explainer = Explainer()
        >>> for _ in range(10):
        ...     found, words = explainer.explain(session)
        ...     going = session.step()
        >>> found.names
        ['the state']
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._agent: Any = None
        self._env: Any = None
        self._states: list[Any] = []
        self._at: tuple[Any, ...] = ()
        self._due = 0.0
        self._found: Contributions | None = None
        self._words = ""

    def explain(self, session: Session) -> tuple[Contributions | None, str]:
        """What is known of the newest state that was explained; or None and why."""
        agent, obs = session.agent, session.observation
        if agent is None:
            return None, "no agent"
        if agent.follows_position:
            return None, f"{agent.id} plans anew from where it stands: its search tree says why"
        if session.env is not self._env:
            self._env, self._states, self._found = session.env, [], None
        at = (id(agent), agent.num_timesteps, session.position.seed, session.position.length)
        if at == self._at or obs is None:
            return self._found, self._words
        self._states.append(obs)
        if len(self._states) > _KEPT:
            self._states = self._states[::2]
        start = self._clock()
        if start < self._due and self._found is not None:
            return self._found, self._words
        others = self._others(session)
        if len(others) < _ENOUGH:
            return None, f"{_ENOUGH} states to compare with come first"
        if agent is not self._agent:
            self._agent, self._found = agent, None
        names = dimension_names(session.env) if len(session.env.observation_space.shape or ()) == 1 else None
        if names is not None and len(names) > _MOST_NUMBERS:
            return None, f"{len(names):,} numbers are too many to hide one by one: rlplay explain"
        self._found = contributions(session.probe_instead, agent.observation_space, [obs], others, names)
        self._words = "" if self._found else f"{agent.id} has neither values nor probabilities"
        self._at, now = at, self._clock()
        self._due = now + max(_SECONDS, (now - start) / _SHARE)
        return self._found, self._words

    def _others(self, session: Session) -> list[Any]:
        """States to compare with: those the agent learned from, else those that were shown."""
        assert session.agent is not None
        space, seen = session.env.observation_space, session.agent.seen()
        if seen is not None and isinstance(space, gym.spaces.Box) and len(space.shape) == 1 and len(seen) >= _ENOUGH:
            found = list(seen.astype(space.dtype))
        else:
            found = max(self._states, list(session.trail), key=len)
        return [found[i] for i in np.unique(np.linspace(0, len(found) - 1, _BACKGROUND).astype(int))]


_explainer = Explainer()


def draw_why(surface: pygame.Surface, rect: Any, session: Session, pointer: Pointer) -> None:
    """A row a number: what it contributes to the choice, to the right for it and to the left against it."""
    found, words = _explainer.explain(session)
    if found is None:
        box = d.panel(surface, rect, "why did it do that")
        d.text(surface, words, (box.x, box.y), 18, d.DIM, width=box.width)
        return
    names, choice = session.action_names, int(found.choices[0])
    title = f"why {names[choice]}" if 0 <= choice < len(names) else "why did it do that"
    box = d.panel(surface, rect, title, "contribution, by hiding one number at a time")
    pointer.say(pygame.Rect(rect[0], rect[1], rect[2], d.px(30)), f"contribution to {found.of}")
    if found.names[-1].endswith(f"patch {PATCHES - 1},{PATCHES - 1}"):
        _patches(surface, box, session, found)
        return
    values = found.values[0].mean(axis=1) if found.values.shape[2] > 1 else found.values[0, :, 0]
    order = np.argsort(-np.abs(values), kind="stable")
    row = d.px(22)
    foot = d.px(18)
    shown = pointer.rows("why", pygame.Rect(*rect), len(order), (box.height - foot) // row)
    span = float(np.abs(values).max()) or 1.0
    label = min(max(d.font(18).size(found.names[i])[0] for i in order) + d.px(8), box.width * 0.36)
    number = d.font(18).size("-0.0e-00")[0] + d.px(6)
    width = box.width - label - 2 * number
    middle_x = box.x + label + number + width / 2
    for place, i in enumerate(order[shown.start : shown.stop]):
        y, value = box.y + (place + 0.5) * row, float(values[i])
        size = d.fitting(found.names[i], label - d.px(4), 18, 15)
        d.text(surface, found.names[i], (box.x, y), size, d.TEXT, "midleft", label - d.px(4))
        numbers = found.numbers[0]
        d.text(surface, d.short(float(numbers[i])), (box.x + label + number - d.px(8), y), 16, d.DIM, "midright")
        long = width / 2 * value / span
        left = min(middle_x, middle_x + long)
        bar = pygame.Rect(round(left), round(y - row * 0.3), max(round(abs(long)), 1), round(row * 0.6))
        pygame.draw.rect(surface, d.ACCENT if value >= 0 else d.WARM, bar, border_radius=2)
        d.text(surface, d.short(value), (box.right, y), 18, d.TEXT, "midright")
    pygame.draw.line(surface, d.LINE, (middle_x, box.y), (middle_x, box.y + row * len(shown)))
    words = f"blue: for the choice, orange: against it; {found.of} is {d.short(float(found.scores[0].mean()))}"
    if len(shown) < len(order):
        words += f"; {shown.start + 1} to {shown.stop} of {len(order)}: wheel, or page down"
    lines = wrapped(words, 15, box.width)
    for i, line in enumerate(lines):
        d.text(surface, line, (box.x, box.bottom - (len(lines) - 1 - i) * d.px(14)), 15, d.DIM, "bottomleft", box.width)


def _patches(surface: pygame.Surface, box: pygame.Rect, session: Session, found: Contributions) -> None:
    """The newest frame, its patches tinted by what hiding them changes: blue for the choice, orange against it."""
    planes = planes_of(session.env.observation_space, np.asarray(session.observation), stack_size(session.env))
    if not planes:
        return
    pixels = planes[-1][1]
    height, width = pixels.shape[:2]
    place = d.fit((width, height), box)
    image = pygame.image.frombuffer(pixels.tobytes(), (width, height), "RGB")
    surface.blit(pygame.transform.scale(image, place.size), place)
    values = found.values[0].mean(axis=1).reshape(PATCHES, PATCHES)
    largest = float(np.abs(values).max()) or 1.0
    for row in range(PATCHES):
        for column in range(PATCHES):
            value = float(values[row, column])
            cell = pygame.Rect(
                place.x + place.width * column // PATCHES, place.y + place.height * row // PATCHES,
                place.width // PATCHES + 1, place.height // PATCHES + 1,
            )  # fmt: skip
            tint = pygame.Surface(cell.size)
            tint.fill(d.ACCENT if value >= 0 else d.WARM)
            tint.set_alpha(round(190 * abs(value) / largest))
            surface.blit(tint, cell)
    words = "blue: for the choice, orange: against it"
    d.text(surface, words, (box.x, box.bottom), 15, d.DIM, "bottomleft", box.width)
