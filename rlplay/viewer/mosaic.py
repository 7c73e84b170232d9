"""The rows of a vector environment side by side, up to 32; one of them can be looked into."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pygame

from rlplay.environments.make import reference
from rlplay.errors import UsageError, counted
from rlplay.viewer import charts
from rlplay.viewer import drawing as d
from rlplay.viewer.bottom import draw_bottom, draw_help
from rlplay.viewer.layout import layout
from rlplay.viewer.session import Session
from rlplay.viewer.state import ViewState, speed_text
from rlplay.viewer.together import Contestant, Together

MOST_ROWS = 32
_BUDGET = 0.008  # seconds of a frame in which environments are drawn; the others keep their last picture
_WORDS = 15  # the size of a row's words


class Mosaic(Together):
    """The same agent in environments of one kind, each with its own seeds; who ends begins anew, as in a vector.

    Args:
        sessions: 2 to 32, of one agent. Row i begins with the seed ``seed + i``, as the rows of Gymnasium's vectors.
        seed: of row 0.

    Attributes:
        returns: of the episodes that ended, by all rows, in the order in which they did.

    Raises:
        UsageError: fewer or more.

    Example:
        >>> from agents import QLearning
        >>> from rlplay import make
        >>> agent = QLearning("FrozenLake-v1", seed=0)
        >>> envs = [make("FrozenLake-v1", render_mode="rgb_array", dynamics="gymnasium") for _ in range(3)]
        >>> mosaic = Mosaic([Session(env, agent) for env in envs], seed=7)
        >>> mosaic.step(), [one.session.position.seed for one in mosaic.contestants]
        (True, [7, 8, 9])
    """

    def __init__(self, sessions: list[Session], seed: int = 0) -> None:
        if not 2 <= len(sessions) <= MOST_ROWS:
            raise UsageError(f"a mosaic of {counted(len(sessions), 'row')}", f"Take 2 to {MOST_ROWS}")
        super().__init__([Contestant(f"row {i}", session) for i, session in enumerate(sessions)])
        for i, session in enumerate(sessions):
            session.reset(seed=seed + i)
        self.returns: list[float] = []
        self._pictures = [d.Picture() for _ in sessions]
        self._frames: list[Any] = [None] * len(sessions)
        self._drawn: list[Any] = [None] * len(sessions)
        self._turn = 0  # the row whose picture is drawn next
        self.note()

    @property
    def ended(self) -> bool:
        """Never: a row that ends begins anew."""
        return False

    def step(self) -> bool:
        """One step of every row; a row whose episode has ended begins the next instead."""
        for one in self.contestants:
            self._step_row(one)
        self.note()
        return True

    def step_beside(self, session: Session) -> None:
        """The others take the step that this one took by itself."""
        for one in self.contestants:
            if one.session is not session:
                self._step_row(one)
            elif session.ended:
                self._ended(one)
        self.note()

    def _step_row(self, one: Contestant) -> None:
        if one.session.ended:
            one.session.reset()
        elif one.session.step():
            if one.session.ended:
                self._ended(one)
        elif one.session.message:
            self.message, one.session.message = f"{one.name}: {one.session.message}", ""

    def _ended(self, one: Contestant) -> None:
        one.returns.append(one.session.position.episode_return)
        self.returns.append(one.session.position.episode_return)

    def again(self) -> None:
        """Every row begins its episode once more."""
        for one in self.contestants:
            one.session.reset(again=True)
        self.note()

    def following(self) -> None:
        """Every row begins its next episode."""
        for one in self.contestants:
            one.session.reset()
        self.note()

    # Drawn.

    def draw(self, surface: pygame.Surface, state: ViewState, notice: str = "") -> None:
        """The whole window: a tile a row, and below them the returns of all rows."""
        d.use(state.theme, state.zoom)
        surface.fill(d.BACKGROUND)
        self.pointer.clear()
        shown = self.at(state.cursor, _BUDGET)
        notice = notice or next((one.message for one in shown if one.message), "")
        places, gap = layout(*surface.get_size(), state.zoom), d.px(6)
        self._top(surface, pygame.Rect(*places["top"]), state)
        bottom = pygame.Rect(*places["bottom"])
        top = places["top"].height + gap
        body = pygame.Rect(gap, top, surface.get_width() - 2 * gap, bottom.y - gap - top)
        foot = min(d.px(110), round(body.height * 0.24))
        tiles = pygame.Rect(body.x, body.y, body.width, body.height - foot - gap)
        self._tiles(surface, tiles, gap, shown, state)
        box = d.panel(
            surface, (body.x, body.bottom - foot, body.width, foot), "return of each episode", self._summary()
        )
        charts.curve(surface, box, self.returns, list(range(1, len(self.returns) + 1)), "episode", [])
        first = self.contestants[0].session
        draw_bottom(surface, places["bottom"], first, state, notice, self)
        if state.help:
            draw_help(surface, first, state, self, self.pointer)
        self.pointer.draw(surface)

    def _summary(self) -> str:
        if not self.returns:
            return "none has ended yet"
        low, mean, high = (d.short(float(f(self.returns))) for f in (np.min, np.mean, np.max))
        return f"{len(self.returns):,} by all rows: lowest {low}, mean {mean}, highest {high}"

    def _top(self, surface: pygame.Surface, rect: pygame.Rect, state: ViewState) -> None:
        pygame.draw.rect(surface, d.PANEL, rect)
        session = self.contestants[0].session
        speed = "paused" if state.paused else f"speed {speed_text(state.factor)}"
        who = session.agent.id if session.agent is not None else "random"
        used = d.text(
            surface, f"{len(self.contestants)} rows of {who}", (d.px(14), rect.centery), 26, d.ACCENT, "midleft"
        )
        right = d.text(surface, speed, (rect.right - d.px(14), rect.centery), 20, d.DIM, "midright")
        left = used.right + d.px(8)
        room = right.left - left - d.px(14)
        d.text(surface, f"in {reference(session.env)}", (left, rect.centery), 24, d.TEXT, "midleft", room)

    def _tiles(self, surface: pygame.Surface, area: pygame.Rect, gap: int, shown: list[Any], state: ViewState) -> None:
        count = len(shown)
        line = d.height_of(_WORDS)
        columns = _columns(count, area, line, self._aspect())
        lines = -(-count // columns)
        wide, tall = (area.width - gap * (columns - 1)) // columns, (area.height - gap * (lines - 1)) // lines
        boxes = [
            pygame.Rect(area.x + (wide + gap) * (i % columns), area.y + (tall + gap) * (i // columns), wide, tall)
            for i in range(count)
        ]
        worded = tall > 3 * line
        pictured = [pygame.Rect(b.x + 3, b.y + 3, b.width - 6, b.height - 6 - (line if worded else 0)) for b in boxes]
        self._draw_some(shown, pictured)
        for i, (box, session) in enumerate(zip(boxes, shown, strict=True)):
            chosen = i == state.row % count
            over = self.pointer.button(box, f"row {i}", self._words(i, session))
            pygame.draw.rect(surface, d.PANEL, box, border_radius=d.px(5))
            if self._frames[i] is not None:
                self._pictures[i].draw(surface, self._frames[i], pictured[i])
            if session.ended:
                mark = pygame.Rect(pictured[i].x, pictured[i].bottom - d.px(5), pictured[i].width, d.px(5))
                pygame.draw.rect(surface, d.WARM, mark)
            if worded:
                place = (box.x + d.px(6), box.bottom - line / 2 - 1)
                total = d.short(session.position.episode_return)
                used = d.text(surface, str(i), place, _WORDS, d.ACCENT if chosen else d.DIM, "midleft")
                room = box.width - (used.right - box.x) - d.px(12)
                words = f"return {total}" if box.width > d.px(110) else total
                d.text(surface, words, (box.right - d.px(6), place[1]), _WORDS, d.TEXT, "midright", room)
            if chosen or over:
                color = d.ACCENT if chosen else d.DIM
                pygame.draw.rect(surface, color, box, d.px(2), border_radius=d.px(5))

    def _aspect(self) -> float:
        """Width by height of the pictures."""
        frame = next((one for one in self._frames if one is not None), None)
        return 1.5 if frame is None else frame.shape[1] / frame.shape[0]

    def _draw_some(self, shown: list[Any], boxes: list[pygame.Rect]) -> None:
        """The rows whose picture is old, in turn, for as long as the frame has time; at least one."""
        end, count = time.perf_counter() + _BUDGET, len(shown)
        missing = any(frame is None for frame in self._frames)
        for _ in range(count):
            i = self._turn
            session = shown[i]
            self._turn = (i + 1) % count
            place = session.position
            now = (id(session), place.seed, place.length, session.ended, boxes[i].size)
            if now == self._drawn[i]:
                continue
            self.contestants[i].session.picture_size = session.picture_size = boxes[i].size
            self._frames[i], self._drawn[i] = session.frame(), now
            if not missing and time.perf_counter() > end:
                break

    def _words(self, i: int, session: Any) -> str:
        place, returns = session.position, self.contestants[i].returns
        told = f"row {i}: seed {place.seed}, step {place.length}, return {d.short(place.episode_return)}"
        if returns:
            told += f"\nmean of its {counted(len(returns), 'episode')}: {d.short(float(np.mean(returns)))}"
        return told + "\nenter or a click looks into it"


def _columns(count: int, area: pygame.Rect, line: int, aspect: float) -> int:
    """The number of columns with which pictures of this shape are largest."""

    def size(columns: int) -> float:
        lines = -(-count // columns)
        return min(area.width / columns, max(area.height / lines - line, 1) * aspect)

    return max(range(1, count + 1), key=size)
