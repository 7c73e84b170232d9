"""The panel of the map: values of all states, of two directions of a vector, or the search tree."""

from __future__ import annotations

import numpy as np
import pygame
from numpy.typing import NDArray

from rlplay.viewer import charts
from rlplay.viewer import drawing as d
from rlplay.viewer.layout import Rect
from rlplay.viewer.learning import Update
from rlplay.viewer.maps import ValueMap, value_map
from rlplay.viewer.scene import ROUNDING, Scene
from rlplay.viewer.session import Session
from rlplay.viewer.slices import LAYERS, Slicer, StateSlice, can_be_sliced
from rlplay.viewer.trees import draw_tree

_slicer = Slicer()
_MARKED = 0.02  # of the largest move: what moved less is not framed


def draw_map(surface: pygame.Surface, rect: Rect, scene: Scene) -> None:
    """The search tree, the values over two directions of the states, or those of all states: what the agent has."""
    session = scene.session
    tree = getattr(session.agent, "tree", None)
    if tree is not None and session.observation is not None:
        root = tree(session.observation)
        note = f"{sum(root.visits):,} simulations" if root is not None else ""
        box = d.panel(surface, rect, "search tree: width visits, colour value", note)
        if root is not None:
            draw_tree(surface, box, root, session.action_names)
        return
    if session.agent is not None and session.observation is not None and can_be_sliced(session.env):
        _slice(surface, rect, scene)
        return
    found = value_map(session.agent, session.env, session.observation) if session.agent is not None else None
    if found is None:
        box = d.panel(surface, rect, "values of all states")
        words = "a map needs finite observations, or 2 to 64 numbers, and an agent with values"
        d.text(surface, words, (box.x, box.y), 18, d.DIM, width=box.width)
        return
    filled = found.values[np.isfinite(found.values)]
    low, high = (float(filled.min()), float(filled.max())) if len(filled) else (0.0, 0.0)
    note = f"{d.short(low)} to {d.short(high)}" if high > low else f"{d.short(low)} everywhere"
    box = d.panel(surface, rect, "values of all states, and best actions", note)
    _cells(surface, box, found, low, high, scene)


def _slice(surface: pygame.Surface, rect: Rect, scene: Scene) -> None:
    """Two directions of a vector state space: a layer as colours, regions outlined, and where the agent stands."""
    session, state = scene.session, scene.state
    assert session.agent is not None
    layer = LAYERS[state.layer % len(LAYERS)]
    found = _slicer.slice(session.agent, session.env, session.observation, state.slice, layer)
    if found is None:
        box = d.panel(surface, rect, "values over the state space")
        d.text(surface, "the agent has no values yet", (box.x, box.y), 18, d.DIM, width=box.width)
        return
    low, high = float(found.values.min()), float(found.values.max())
    note = f"dark {d.short(low)}, light {d.short(high)}" if high > low else f"{d.short(low)} everywhere"
    note += f", {found.regions_are}" if found.regions_are else ""
    box = d.panel(surface, rect, found.shows, note)
    names, word = found.plane.names, d.px(16)
    d.text(surface, f"across: {names[0]}", (box.centerx, box.bottom + d.px(6)), 17, d.DIM, "midbottom", box.width * 0.7)
    d.text(surface, f"up: {names[1]}", (box.x, box.y - d.px(2)), 17, d.DIM, width=box.width * 0.6)
    picture = pygame.Rect(box.x, box.y + word, box.width, max(box.height - 2 * word, 1))
    plain = np.full_like(found.best, -1)
    charts.heat(surface, picture, found.values, found.regions, found.best if layer == "values" else plain)
    if session.learning is not None:
        session.learning.watch(found)
        _moved_slice(surface, picture, session, found)
    _say_slice(picture, scene, found)
    if found.centres is not None:
        _centres(surface, picture, *found.centres)
    d.text(surface, d.short(found.low[0]), (picture.x, box.bottom + d.px(6)), 16, d.DIM, "bottomleft")
    d.text(surface, d.short(found.high[0]), (picture.right, box.bottom + d.px(6)), 16, d.DIM, "bottomright")
    vertical = f"{d.short(found.low[1])} to {d.short(found.high[1])}"
    d.text(surface, vertical, (picture.right, box.y - d.px(2)), 16, d.DIM, "topright")
    x, y = found.place(session.observation)
    center = (round(picture.x + x * (picture.width - 1)), round(picture.bottom - 1 - y * (picture.height - 1)))
    pygame.draw.circle(surface, d.BACKGROUND, center, 7)
    pygame.draw.circle(surface, (255, 255, 255), center, 5)


def last_seen_update(session: Session) -> Update | None:
    """The update that was looked at last, while what is shown is now."""
    update = session.learning.update if session.learning is not None else None
    if update is None or update.transition is None:
        return update
    return update if update.transition is session.last else None  # `==` would compare arrays


def _moved_slice(surface: pygame.Surface, picture: pygame.Rect, session: Session, found: StateSlice) -> None:
    """A frame around what the last update moved: the leaf, the tiles, the points that share a weight."""
    update = last_seen_update(session)
    if (
        update is None
        or update.changed is None
        or update.where is None
        or update.where.plane.names != found.plane.names
    ):
        return
    sizes = np.abs(update.changed)
    if not sizes.max() > ROUNDING * max(float(np.abs(found.values).max()), 1e-9):
        return
    moved = np.pad(sizes > _MARKED * sizes.max(), 1)
    (rows, columns), low, high = sizes.shape, update.where.low, update.where.high

    def at(row: int, column: int) -> tuple[float, float]:
        share = [
            (low[k] + i / n * (high[k] - low[k]) - found.low[k]) / (found.high[k] - found.low[k])
            for k, (i, n) in enumerate(((column, columns), (row, rows)))
        ]
        return picture.x + share[0] * picture.width, picture.bottom - share[1] * picture.height

    clip = surface.get_clip()
    surface.set_clip(picture)
    for row, column in np.argwhere(moved[1:, 1:-1] != moved[:-1, 1:-1]):
        pygame.draw.line(surface, d.WARM, at(row, column), at(row, column + 1), d.px(2))
    for row, column in np.argwhere(moved[1:-1, 1:] != moved[1:-1, :-1]):
        pygame.draw.line(surface, d.WARM, at(row, column), at(row + 1, column), d.px(2))
    surface.set_clip(clip)


def moved_states(session: Session) -> set[int]:
    """The states of whose entries in a table the last update moved one."""
    update = last_seen_update(session)
    if update is None or session.agent is None or session.agent.encoder.kind != "index":
        return set()
    return {move.place[0] for move in update.moves if move.place and move.array[0] in "qv"}


def _say_slice(picture: pygame.Rect, scene: Scene, found: StateSlice) -> None:
    """The value under the mouse."""
    place = scene.pointer.place
    if place is None or not picture.collidepoint(place):
        return
    rows, columns = found.values.shape
    across, up = (place[0] - picture.x) / picture.width, (picture.bottom - 1 - place[1]) / picture.height
    row, column = min(int(up * rows), rows - 1), min(int(across * columns), columns - 1)
    at = [low + share * (high - low) for low, high, share in zip(found.low, found.high, (across, up), strict=True)]
    words = ", ".join(f"{name} {d.short(float(value))}" for name, value in zip(found.plane.names, at, strict=True))
    action, names = int(found.best[row, column]), scene.session.action_names
    best = f"\nbest action: {names[action]}" if 0 <= action < len(names) else ""
    scene.pointer.say(picture, f"{words}\n{found.shows}: {float(found.values[row, column]):.5g}{best}")


def _centres(
    surface: pygame.Surface, picture: pygame.Rect, now: NDArray[np.float64], before: NDArray[np.float64]
) -> None:
    """Where clusters lie, and a line from where they lay before the last refit."""
    clip = surface.get_clip()
    surface.set_clip(picture)
    for here, there in zip(now, before, strict=True):
        ends = [
            (round(picture.x + x * picture.width), round(picture.bottom - y * picture.height)) for x, y in (there, here)
        ]
        if ends[0] != ends[1]:
            pygame.draw.line(surface, (24, 27, 35), ends[0], ends[1], 2)
        pygame.draw.circle(surface, (24, 27, 35), ends[1], 3)
        pygame.draw.circle(surface, (225, 228, 238), ends[1], 2)
    surface.set_clip(clip)


def _cells(surface: pygame.Surface, box: pygame.Rect, found: ValueMap, low: float, high: float, scene: Scene) -> None:
    names, pointer = scene.session.action_names, scene.pointer
    rows, columns = found.values.shape
    legend = 14 if box.width > 160 else 0
    size = min((box.width - legend * 2) / columns, box.height / rows)
    left, top = box.x + (box.width - legend * 2 - size * columns) / 2, box.y + (box.height - size * rows) / 2
    span = (high - low) or 1.0
    for row in range(rows):
        for column in range(columns):
            value = found.values[row, column]
            x, y = round(left + column * size), round(top + row * size)
            cell = pygame.Rect(x, y, round(left + (column + 1) * size) - x, round(top + (row + 1) * size) - y)
            if np.isnan(value):
                surface.fill(d.NOTHING, cell)
                continue
            share = (value - low) / span if high > low else charts.FLAT
            surface.fill(d.scale_color(share), cell)
            if size > 6:
                pygame.draw.rect(surface, d.PANEL, cell, 1)
            action = int(found.best[row, column])
            if pointer.place is not None and cell.collidepoint(pointer.place):
                best = f", best action: {names[action]}" if action >= 0 else ""
                pointer.say(cell, f"row {row}, column {column}: value {value:.5g}{best}")
            if action >= 0 and size >= 10:
                ink = (24, 26, 32) if share > 0.6 else (238, 240, 246)
                d.action_mark(surface, cell.center, names[action], size * 0.26, ink)
    for row, column in np.argwhere(np.isin(found.states, list(moved_states(scene.session)))):
        cell = pygame.Rect(round(left + column * size), round(top + row * size), round(size), round(size))
        pygame.draw.rect(surface, d.WARM, cell, max(round(size / 12), 2))
    if found.here is not None:
        row, column = found.here
        here = pygame.Rect(round(left + column * size), round(top + row * size), round(size), round(size))
        pygame.draw.rect(surface, (255, 255, 255), here.inflate(2, 2), max(round(size / 12), 2), border_radius=3)
    if legend:
        bar = pygame.Rect(box.right - legend, box.y, legend, box.height)
        for y in range(bar.height):
            surface.fill(d.scale_color(1 - y / max(bar.height - 1, 1)), (bar.x, bar.y + y, bar.width, 1))
