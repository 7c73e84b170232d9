"""The panel of actions in parts, such as a gear and a throttle: how probable each choice is, and the numbers."""

from __future__ import annotations

import numpy as np
import pygame

from rlplay.probe import Probe
from rlplay.spaces.action_parts import ActionParts
from rlplay.viewer import drawing as d
from rlplay.viewer.layout import Rect
from rlplay.viewer.scene import Scene


def draw_parts(surface: pygame.Surface, rect: Rect, scene: Scene, probe: Probe) -> None:
    """A bar a choice of each finite part (of a switch: how probable it is on), and below the axes of the numbers.

    Example:
        >>> from gymnasium import spaces
        >>> from rlplay.viewer.pointer import Pointer
        >>> pygame.font.init()
        >>> class Session:
        ...     last = None
        ...     class env:
        ...         action_space = spaces.MultiBinary(11)
        >>> surface, scene = pygame.Surface((300, 200)), Scene(Session, None, None, Pointer())
        >>> probe = Probe(part_probabilities=(np.array([[0.2, 0.8]]),) * 11)
        >>> draw_parts(surface, Rect(0, 0, 300, 200), scene, probe)
        >>> surface.get_bounding_rect().width > 200
        True
    """
    session = scene.session
    parts = ActionParts(session.env.action_space)
    finite, numbers = parts.names()
    taken = None if session.last is None else parts.row(session.last.action)
    names: list[str] = []
    chances: list[float] = []
    best: set[int] = set()
    marks: set[int] = set()
    assert probe.part_probabilities is not None
    for i, (part, shares) in enumerate(zip(finite, probe.part_probabilities, strict=True)):
        for choice in (1,) if part.on_off else range(part.n):
            row, share = len(names), float(shares[0, choice])
            names.append(f"{part.name} on" if part.on_off else f"{part.name}: {part.first + choice}")
            chances.append(share)
            if share == shares[0].max() > shares[0].min():
                best.add(row)
            if taken is not None and int(taken[i]) == choice:
                marks.add(row)
    box = d.panel(surface, rect, "the parts of the action", "diamond: likeliest, triangle: taken last")
    tall = d.px(d.SPREAD)
    below = min(len(numbers) * tall, box.height // (2 if names else 1) // tall * tall)
    upper = pygame.Rect(box.x, box.y, box.width, box.height - below - (d.px(8) if below else 0))
    lower = pygame.Rect(box.x, box.bottom - below, box.width, below)
    edge = rect.x + rect.width - box.x  # the panel's own, where lists say that there are more
    if names:
        foot = d.px(18) if len(names) * d.px(18) > upper.height else 0  # says that there are more
        bars = pygame.Rect(upper.x, upper.y, upper.width, upper.height - foot)
        shown = scene.pointer.rows("actions", upper, len(names), max(bars.height // d.px(18), 1))
        d.bars(
            surface, bars, [names[i] for i in shown], [chances[i] for i in shown], None,
            {i - shown.start for i in best if i in shown}, {i - shown.start for i in marks if i in shown},
            span=(0.0, 1.0), percent=True,
        )  # fmt: skip
        d.more(surface, pygame.Rect(*upper.topleft, edge, upper.height), shown, len(names))
        words = "\n".join(f"{name}: probability {chance:.6g}" for name, chance in zip(names, chances, strict=True))
        scene.pointer.say(upper, words)
    if probe.part_means is None or not numbers:
        return
    shown = scene.pointer.rows("numbers", lower, len(numbers), max(lower.height // tall, 1))
    deviations = np.full_like(probe.part_means, np.nan) if probe.part_stds is None else probe.part_stds
    for place, i in enumerate(shown):
        row_of = pygame.Rect(lower.x, lower.y + place * tall, lower.width, tall)
        std, bounds = float(deviations[0, i]), (float(parts.low[i]), float(parts.high[i]))
        done = None if taken is None else float(taken[len(finite) + i])
        d.spread(
            surface, row_of, numbers[i], float(probe.part_means[0, i]), None if np.isnan(std) else std, bounds, done
        )
    d.more(surface, pygame.Rect(*lower.topleft, edge, lower.height + d.px(8)), shown, len(numbers))


__all__ = ["draw_parts"]
