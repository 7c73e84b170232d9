"""The lower edge of the window: the timeline, what the keys do now, notices; and the help."""

from __future__ import annotations

import math
from typing import Any

import pygame

from rlplay.viewer import drawing as d
from rlplay.viewer.keys import action_keys
from rlplay.viewer.layout import Rect
from rlplay.viewer.offers import hints, offered
from rlplay.viewer.pointer import Pointer, wrapped
from rlplay.viewer.state import ViewState

_TALL = 16  # pixels of the timeline


def timeline_box(rect: Rect) -> pygame.Rect:
    """Where the timeline lies within the lower edge."""
    return pygame.Rect(rect.x + d.px(14), rect.y + d.px(2), rect.width - d.px(28), d.px(_TALL))


def place_at(rect: Rect, state: ViewState, x: int) -> int:
    """The place of the history under a pixel of the timeline.

    Example:
        >>> from rlplay.viewer.state import went_on
        >>> state = went_on(ViewState(), oldest=10, newest=20)
        >>> place_at(Rect(0, 0, 1028, 46), state, 514)
        15
    """
    box = timeline_box(rect)
    share = min(max((x - box.x) / max(box.width, 1), 0.0), 1.0)
    return state.oldest + round(share * (state.newest - state.oldest))


def draw_bottom(
    surface: pygame.Surface, rect: Rect, session: Any, state: ViewState, notice: str = "", comparison: Any = None
) -> None:
    """The timeline above the keys, or above a notice."""
    pygame.draw.rect(surface, d.PANEL, rect)
    if comparison is None:
        _timeline(surface, timeline_box(rect), session.history, session.known_surprises(), state)
    else:
        _timeline(surface, timeline_box(rect), comparison, [], state)
    if session.target and session.agent is not None:
        share = min(session.agent.num_timesteps / session.target, 1.0)
        edge = rect.y + rect.height - d.px(3)
        surface.fill(d.LINE, (rect.x, edge, rect.width, d.px(3)))
        surface.fill(d.GOOD if share >= 1 else d.ACCENT, (rect.x, edge, round(rect.width * share), d.px(3)))
    middle = rect.y + (rect.height + d.px(_TALL)) / 2
    if state.recording:
        pygame.draw.circle(surface, d.BAD, (rect.width - d.px(20), round(middle)), d.px(7))
    if notice:
        d.text(surface, notice, (d.px(14), middle), 20, d.WARM, "midleft", rect.width - d.px(60))
        return
    x = float(d.px(14))
    for key, meaning in hints(session, state, comparison):
        if x + d.font(18).size(f"{key} {meaning}")[0] > rect.width - d.px(40):
            break
        x = d.text(surface, key, (x, middle), 18, d.ACCENT, "midleft").right + d.px(5)
        x = d.text(surface, meaning, (x, middle), 18, d.DIM, "midleft").right + d.px(16)


def _timeline(surface: pygame.Surface, box: pygame.Rect, history: Any, surprises: list[int], state: ViewState) -> None:
    """A line with the ends of episodes, your steps, surprises, bookmarks, and where one looks."""
    span = max(state.newest - state.oldest, 1)
    line = pygame.Rect(box.x, box.centery - 1, box.width, d.px(3))
    pygame.draw.rect(surface, d.LINE, line, border_radius=2)
    if state.newest <= state.oldest:
        return

    def at(place: int) -> int:
        return round(box.x + (place - state.oldest) / span * box.width)

    pygame.draw.rect(surface, d.ACCENT, (line.x, line.y, at(state.place) - line.x, line.height), border_radius=2)
    for first, last in _runs(history.by_you(), state):
        pygame.draw.rect(surface, d.WARM, (at(first), line.y, max(at(last) - at(first), 2), line.height))
    for place in _thinned(history.ends(), box.width):
        pygame.draw.line(surface, d.DIM, (at(place), box.y + 3), (at(place), box.bottom - 3))
    for place in surprises:
        d.diamond(surface, (at(place), box.centery), d.px(3), d.BAD)
    for place in state.bookmarks:
        x = at(place)
        points = [(x - d.px(4), box.y), (x + d.px(4), box.y), (x, box.y + d.px(7))]
        pygame.draw.polygon(surface, d.GOOD, points)
    pygame.draw.circle(surface, d.TEXT, (at(state.place), box.centery), d.px(5))


def _runs(places: list[int], state: ViewState) -> list[tuple[int, int]]:
    """First and last of each run of neighbouring places."""
    found: list[tuple[int, int]] = []
    for place in places:
        if not state.oldest <= place <= state.newest:
            continue
        if found and place <= found[-1][1] + 1:
            found[-1] = (found[-1][0], place)
        else:
            found.append((place - 1, place))
    return found


def _thinned(places: list[int], width: int) -> list[int]:
    """At most one in three pixels."""
    every = max(math.ceil(len(places) * 3 / max(width, 1)), 1)
    return places[::every]


def draw_help(
    surface: pygame.Surface, session: Any, state: ViewState, comparison: Any = None, pointer: Pointer | None = None
) -> None:
    """The keys that do something now, in as many columns as have room for whole words; the rest is scrolled to."""
    driver = comparison.driver if comparison is not None else session
    rows = [(keys, meaning) for _, keys, meaning in offered(session, state, comparison)]
    if driver is not None and driver.driving:
        rows = [(key, f"you: {driver.choices[action][0]}") for key, action in action_keys(driver).items()] + rows
    tall, head, foot = d.px(26), d.px(56), d.px(8)
    fitting = max((surface.get_height() - head - foot - d.px(12)) // tall, 1)
    margin, glyphs = d.px(20), d.font(20)
    keyed = max(glyphs.size(key)[0] for key, _ in rows) + d.px(16)
    wide = margin + keyed + max(glyphs.size(meaning)[0] for _, meaning in rows) + d.px(8)
    columns = min(math.ceil(len(rows) / fitting), max((surface.get_width() - d.px(12)) // wide, 1))
    if columns == 1:  # meanings that have no room in a line take several
        room = surface.get_width() - d.px(12) - margin - keyed
        parted = [(key, wrapped(meaning, 20, room)) for key, meaning in rows]
        rows = [(key if i == 0 else "", line) for key, lines in parted for i, line in enumerate(lines)]
    each = math.ceil(len(rows) / columns)
    wide = min(wide, (surface.get_width() - d.px(12)) // columns)
    box = pygame.Rect(0, 0, wide * columns, head + foot + tall * min(each, fitting))
    box.center = (surface.get_width() // 2, surface.get_height() // 2)
    pygame.draw.rect(surface, d.BACKGROUND, box.inflate(6, 6), border_radius=d.px(10))
    pygame.draw.rect(surface, d.PANEL, box, border_radius=d.px(8))
    used = d.text(surface, "keys", (box.x + d.px(20), box.y + d.px(14)), 26, d.ACCENT)
    shown = (pointer or Pointer()).rows("help", box, each, fitting)
    if len(shown) < each:
        words = f"rows {shown.start + 1} to {shown.stop} of {each}: wheel, or page down"
        d.text(surface, words, (box.right - d.px(16), used.centery), 17, d.DIM, "midright", box.right - used.right)
    for i, (key, meaning) in enumerate(rows):
        if i % each in shown:
            x, y = box.x + wide * (i // each), box.y + d.px(48) + tall * (i % each - shown.start)
            d.text(surface, key, (x + margin, y), 20, d.TEXT)
            d.text(surface, meaning, (x + margin + keyed, y), 20, d.DIM, width=wide - margin - keyed)
