"""Panels of the window that our agents bring: the distributions of returns that DQN learns, and what is remembered."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rlplay.extend import Probe, WindowPanel

if TYPE_CHECKING:
    import pygame

_LEAST_HEIGHT = 26  # pixels of a row


def draw_returns(surface: pygame.Surface, box: pygame.Rect, session: Any, probe: Probe | None) -> None:
    """A row an action: how probable each return is, and the mean; the best action in green.

    Example:
        >>> import pygame
        >>> pygame.font.init()
        >>> surface = pygame.Surface((200, 100))
        >>> atoms, chances = np.linspace(0, 1, 11)[None, None], np.full((1, 1, 11), 1 / 11)
        >>> probe = Probe(action_values=np.array([[0.5]]), atoms=atoms, atom_probabilities=chances)
        >>> class Session:
        ...     action_names = ("wait",)
        >>> draw_returns(surface, surface.get_rect(), Session, probe)
        >>> surface.get_bounding_rect().width > 100
        True
    """
    import pygame

    from rlplay import extend

    draw_text = extend.draw_text  # type: ignore[attr-defined]  # it has another name in its module
    if probe is None or probe.atoms is None or probe.atom_probabilities is None or probe.action_values is None:
        draw_text(surface, "no observation yet", (box.x, box.y), 18)
        return
    atoms, chances, values = probe.atoms[0], probe.atom_probabilities[0], probe.action_values[0]  # [A, M], [A, M], [A]
    bins = min(max(box.width // 6, 8), atoms.shape[1])
    low, high = float(atoms.min()), float(atoms.max())
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    shares = np.array([np.histogram(a, edges, weights=p)[0] for a, p in zip(atoms, chances, strict=True)])  # [A, bins]
    shown = min(len(values), max(box.height // _LEAST_HEIGHT, 1))
    height, names = box.height / shown, list(session.action_names or [])
    for row, action in enumerate(np.sort(np.argsort(-values, kind="stable")[:shown])):
        top, best = box.y + row * height, values[action] == values.max()
        bar = 0.7 * height / max(float(shares.max()), 1e-9)
        for i, share in enumerate(shares[action]):
            left, right = (box.x + box.width * (i + k) / bins for k in (0, 1))
            tall = float(share) * bar
            place = pygame.Rect(
                int(left), int(top + 0.95 * height - tall), max(int(right - left) - 1, 1), int(tall) + 1
            )
            pygame.draw.rect(surface, (96, 190, 120) if best else (110, 130, 170), place)
        middle = box.x + box.width * (float(values[action]) - edges[0]) / (edges[-1] - edges[0])
        pygame.draw.line(surface, (240, 240, 240), (middle, top + 0.3 * height), (middle, top + 0.95 * height), 2)
        name = names[action] if action < len(names) else str(action)
        draw_text(surface, f"{name}: {values[action]:.4g} of {low:.4g} to {high:.4g}", (box.x, int(top)), 16)


def has_returns(session: Any) -> bool:
    """Whether the agent tells returns apart."""
    return getattr(session.agent, "distributional", None) is not None


def draw_memory(surface: pygame.Surface, box: pygame.Rect, session: Any, probe: Probe | None) -> None:
    """The hidden numbers of a recurrent agent, a cell each: orange above 0, blue below, dark at 0.

    Example:
        >>> import pygame
        >>> pygame.font.init()
        >>> surface = pygame.Surface((200, 100))
        >>> draw_memory(surface, surface.get_rect(), None, Probe(memory=np.ones((1, 2, 16))))
        >>> surface.get_bounding_rect().width > 150
        True
    """
    import pygame

    from rlplay import extend

    draw_text = extend.draw_text  # type: ignore[attr-defined]  # it has another name in its module
    if probe is None or probe.memory is None:
        draw_text(surface, "no observation yet", (box.x, box.y), 18)
        return
    parts = probe.memory[0]  # [P, H]
    tall, words = box.height / len(parts), 22
    for number, (name, values) in enumerate(zip(("h, what it shows", "c, what it keeps"), parts, strict=False)):
        top, most = box.y + number * tall, max(float(np.abs(values).max()), 1e-9)
        low, high = float(values.min()), float(values.max())
        draw_text(surface, f"{name}: {len(values)} numbers from {low:.2f} to {high:.2f}", (box.x, int(top)), 16)
        room = max(tall - words - 6, 8.0)
        columns = max(min(math.ceil(math.sqrt(len(values) * box.width / room)), len(values)), 1)
        rows = math.ceil(len(values) / columns)
        columns = math.ceil(len(values) / rows)  # as many in each row
        wide, high_cell = box.width / columns, room / rows
        for i, value in enumerate(values):
            x, y = box.x + i % columns * wide, top + words + i // columns * high_cell
            share = float(value) / most
            colour = _mix(_NOTHING, _ABOVE if share > 0 else _BELOW, abs(share))
            cell = pygame.Rect(
                int(x), int(y), max(int(x + wide) - int(x) - 1, 1), max(int(y + high_cell) - int(y) - 1, 1)
            )
            pygame.draw.rect(surface, colour, cell)


_NOTHING, _ABOVE, _BELOW = (38, 42, 54), (240, 160, 70), (90, 150, 240)


def _mix(one: tuple[int, int, int], other: tuple[int, int, int], share: float) -> tuple[int, ...]:
    return tuple(round(a + (b - a) * share) for a, b in zip(one, other, strict=True))


def has_memory(session: Any) -> bool:
    """Whether the agent remembers what it has seen."""
    return bool(getattr(session.agent, "remembers", False))


PANELS = {
    "returns": WindowPanel("returns of each action, and how probable", draw_returns, has_returns),
    "memory": WindowPanel("what it remembers", draw_memory, has_memory),
}
