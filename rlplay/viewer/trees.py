"""A search tree as a picture: a row of boxes a depth, as wide as they were visited, coloured by their value."""

from __future__ import annotations

from typing import Any

import pygame

from rlplay.viewer import drawing as d

_DEPTHS = 6
_NARROWEST = 3  # pixels; what is narrower is not drawn


def draw_tree(surface: pygame.Surface, box: pygame.Rect, root: Any, names: list[str]) -> None:
    """Draw a tree of nodes with ``visits`` and ``values`` of each action, and ``children`` by (action, state).

    The first row is the choice at the root, each further one what followed; a letter or arrow says the action.
    """
    values = [value for node in _nodes(root, _DEPTHS) for value, n in zip(node.values, node.visits, strict=True) if n]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    height = box.height / _DEPTHS
    _row(surface, root, box.x, box.width, box.y, height, (low, high), names, _DEPTHS)


def _nodes(root: Any, depths: int) -> list[Any]:
    found, layer = [root], [root]
    for _ in range(depths - 1):
        layer = [child for node in layer for child in node.children.values()]
        found += layer
    return found


def _row(
    surface: pygame.Surface, node: Any, x: float, width: float, y: float, height: float, span: tuple[float, float],
    names: list[str], depths: int,
) -> None:  # fmt: skip
    total = sum(node.visits)
    if depths == 0 or not total:
        return
    for action, (visits, value) in enumerate(zip(node.visits, node.values, strict=True)):
        part = width * visits / total
        if part >= _NARROWEST:
            share = (value - span[0]) / ((span[1] - span[0]) or 1.0)
            cell = pygame.Rect(round(x), round(y), max(round(x + part) - round(x) - 1, 1), round(height) - 2)
            surface.fill(d.scale_color(share), cell)
            ink = (24, 26, 32) if share > 0.6 else (238, 240, 246)
            told = part > 70 and height > 30  # there is room for words below the mark
            if part > 14:
                middle = (cell.centerx, cell.centery - (7 if told else 0))
                d.action_mark(surface, middle, names[action], min(height * 0.2, part * 0.3, 9), ink)
            if told:
                words = f"{visits} x {d.short(value)}"
                d.text(surface, words, (cell.centerx, cell.bottom - 2), 15, ink, "midbottom", part - 6)
            children = [(child, sum(child.visits) + 1) for (a, _), child in node.children.items() if a == action]
            count, place = sum(n for _, n in children), x
            for child, n in sorted(children, key=lambda c: -c[1]):
                _row(surface, child, place, part * n / count, y + height, height, span, names, depths - 1)
                place += part * n / count
        x += part
