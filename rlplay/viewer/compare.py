"""Several players side by side: the same seeds, the same clock, and what came of it as paired differences.

Also what if: two futures from one place, which differ by one action.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pygame
from numpy.typing import NDArray

from rlplay.compiled.pcg64 import random_seed
from rlplay.environments.make import reference
from rlplay.environments.masks import MaskSource
from rlplay.errors import UsageError, counted
from rlplay.seeding import stream
from rlplay.training.statistics import bootstrap_interval
from rlplay.viewer import drawing as d
from rlplay.viewer.bottom import draw_bottom, draw_help
from rlplay.viewer.layout import layout
from rlplay.viewer.session import Session
from rlplay.viewer.state import ViewState, speed_text
from rlplay.viewer.timeline import Twin
from rlplay.viewer.together import Contestant, Together

MOST = 4  # players side by side
_REPLAY_BUDGET = 0.012  # seconds of a frame in which the past is played again
_GHOST = 0.4  # how much of all ghosts together is seen, so that the first player stays the clearest


class Comparison(Together):
    """Players in environments of one kind, an episode of each seed at a time; who is done waits for the others.

    Args:
        contestants: 2 to 4; the others are compared with the first.
        seed: of the stream of the episodes' seeds.
        closable: whether Escape closes it: what if within a session.

    Attributes:
        seeds: of the finished episodes, in order.

    Raises:
        UsageError: fewer or more, or environments that differ.
    """

    def __init__(self, contestants: list[Contestant], seed: int = 0, *, closable: bool = False) -> None:
        if not 2 <= len(contestants) <= MOST:
            raise UsageError(f"{len(contestants)} are to be compared", f"Name 2 to {MOST}")
        first = contestants[0].session.env
        for one in contestants[1:]:
            env = one.session.env
            for role in ("observation_space", "action_space"):
                if getattr(env, role) != getattr(first, role):
                    raise UsageError(
                        f"{contestants[0].name} and {one.name} have different environments: {role} "
                        f"{getattr(first, role)} and {getattr(env, role)}",
                        "Compare what was trained in one environment, or name it with --env",
                    )
        super().__init__(contestants, closable=closable)
        self.seeds: list[int] = []
        self._stream = stream(seed, "watch")
        self._pictures = [d.Picture() for _ in contestants]
        if closable:
            self.note()
        else:
            self.begin(random_seed(self._stream))

    def begin(self, seed: int) -> None:
        """Everybody begins the episode of a seed."""
        for one in self.contestants:
            one.session.reset(seed=seed)
            one.course = [0.0]
        self.note()

    def again(self) -> None:
        """The same episode from its start; what it would have given is not counted."""
        if not self.closable:
            self.begin(self.contestants[0].session.position.seed)

    def following(self) -> None:
        """The next episode."""
        self.begin(random_seed(self._stream))

    def step(self) -> bool:
        """One step of everybody who is not done; False where nothing is to do: waiting for you, or at an end."""
        if self.ended:
            if self.closable:
                return False
            self.following()
            return True
        driver = self.driver
        if driver is not None and not driver.ended and driver.pending is None:
            return False
        for one in self.contestants:
            session = one.session
            if session.ended:
                continue
            if not session.step():
                self.message, session.message = session.message, ""
                return False
            one.course.append(session.position.episode_return)
        self.note()
        if self.ended and not self.closable:
            self.seeds.append(self.contestants[0].session.position.seed)
            for one in self.contestants:
                one.returns.append(one.session.position.episode_return)
        return True

    def differences(self) -> list[tuple[str, float, float, tuple[float, float] | None]]:
        """Of each player: its name, mean return, mean difference to the first by the same seeds, and its 95 % interval.

        The interval is a bootstrap over episodes; None for fewer than two.
        """
        base = np.array(self.contestants[0].returns)
        found: list[tuple[str, float, float, tuple[float, float] | None]] = []
        for one in self.contestants:
            returns = np.array(one.returns)
            if not len(returns):
                found.append((one.name, float("nan"), float("nan"), None))
                continue
            paired = returns - base
            interval = bootstrap_interval(paired) if len(paired) > 1 else None
            found.append((one.name, float(returns.mean()), float(paired.mean()), interval))
        return found

    # Drawn.

    def draw(self, surface: pygame.Surface, state: ViewState, notice: str = "") -> None:
        """The whole window: pictures side by side, the returns so far, and the table of differences."""
        d.use(state.theme, state.zoom)
        surface.fill(d.BACKGROUND)
        self.pointer.clear()
        shown, courses = self.at(state.cursor, _REPLAY_BUDGET), self.courses(state.cursor)
        notice = notice or next((one.message for one in shown if one.message), "")
        width, height = surface.get_size()
        places = layout(width, height, state.zoom)
        self._top(surface, pygame.Rect(*places["top"]), state, shown)
        bottom, gap = pygame.Rect(*places["bottom"]), d.px(8)
        body = pygame.Rect(gap, places["top"].height + gap, width - 2 * gap, bottom.y - places["top"].height - 2 * gap)
        rows = len(self.contestants) + (0 if self.closable else 1)
        foot = min(d.px(56) + d.height_of(18) * (rows + 1), round(body.height * 0.42))
        table = foot >= d.px(64) + 2 * d.height_of(18)  # else the pictures need the room, and the mouse tells the rest
        tiles = pygame.Rect(body.x, body.y, body.width, body.height - foot - gap if table else body.height)
        if state.ghost:
            self._ghost(surface, tiles, shown)
        else:
            self._tiles(surface, tiles, gap, shown, told=not table)
        if table:
            self._below(surface, pygame.Rect(body.x, body.bottom - foot, body.width, foot), gap, courses, shown)
        elif self.ended:
            notice = notice or "point at a player: its returns beside the others'"
        draw_bottom(surface, places["bottom"], self.contestants[0].session, state, notice, self)
        if state.help:
            draw_help(surface, self.contestants[0].session, state, self, self.pointer)
        self.pointer.draw(surface)

    def _below(
        self, surface: pygame.Surface, below: pygame.Rect, gap: int, courses: list[list[float]], shown: list[Any]
    ) -> None:
        """The returns so far, and the table."""
        half = round(below.width * (0.35 if not self.closable else 0.6))
        since = shown[0].position.length - len(courses[0]) + 1
        self._courses(surface, pygame.Rect(below.x, below.y, half, below.height), courses, since)
        self._table(surface, pygame.Rect(below.x + half + gap, below.y, below.width - half - gap, below.height), shown)

    def _top(self, surface: pygame.Surface, rect: pygame.Rect, state: ViewState, shown: list[Any]) -> None:
        pygame.draw.rect(surface, d.PANEL, rect)
        env = self.contestants[0].session.env
        words = "what if" if self.closable else f"{len(self.contestants)} players"
        used = d.text(surface, words, (d.px(14), rect.centery), 26, d.ACCENT, "midleft")
        speed = "paused" if state.paused else f"speed {speed_text(state.factor)}"
        facts = f"seed {shown[0].position.seed}   {speed}"
        right = d.text(surface, facts, (rect.right - d.px(14), rect.centery), 20, d.DIM, "midright")
        left = used.right + d.px(8)
        room = right.left - left - d.px(14)
        d.text(surface, f"in {reference(env)}", (left, rect.centery), 24, d.TEXT, "midleft", room)

    def _tiles(
        self, surface: pygame.Surface, area: pygame.Rect, gap: int, shown: list[Any], *, told: bool = False
    ) -> None:
        """The pictures; the mouse tells what the table would say, if asked for."""
        count, table = len(self.contestants), self._lines(shown) if told else []
        columns = count if count < 4 or area.width > 2.4 * area.height else 2
        lines = -(-count // columns)
        wide, tall = (area.width - gap * (columns - 1)) // columns, (area.height - gap * (lines - 1)) // lines
        for i, (one, session) in enumerate(zip(self.contestants, shown, strict=True)):
            x, y = area.x + (wide + gap) * (i % columns), area.y + (tall + gap) * (i // columns)
            box = d.panel(surface, (x, y, wide, tall), one.name, self._note(session))
            pygame.draw.rect(surface, self._color(i), (x, y + d.px(8), d.px(4), d.px(20)))
            line = d.height_of(16)  # kept free under everybody's picture, so that all are of one size
            line, words = (line, self._thought(session)) if box.height > 3 * line else (0, "")
            one.session.picture_size = session.picture_size = (box.width, box.height - line)
            frame = session.frame()
            self._pictures[i].draw(surface, frame, pygame.Rect(box.x, box.y, box.width, box.height - line))
            if words:
                size = d.fitting(words, box.width, 16, 14, 12)
                d.text(surface, words, (box.x, box.bottom), size, d.DIM, "bottomleft", box.width)
            _end(surface, box, session)
            if told:
                self.pointer.say(
                    pygame.Rect(x, y, wide, tall), f"{self._note(session)}\n{_told(table[0], table[i + 1])}"
                )

    def _ghost(self, surface: pygame.Surface, area: pygame.Rect, shown: list[Any]) -> None:
        """The first one's picture, and the others' shining through where they stand elsewhere."""
        names = " and ".join(one.name for one in self.contestants[1:])
        box = d.panel(surface, area, self.contestants[0].name, f"ghost: {names}")
        frames = []
        for one, session in zip(self.contestants, shown, strict=True):
            one.session.picture_size = session.picture_size = box.size
            frames.append(session.frame())
        self._pictures[0].draw(surface, blended(frames), box)
        _end(surface, box, shown[0])

    def _note(self, session: Any) -> str:
        position = session.position
        return f"step {position.length}, return {d.short(position.episode_return)}"

    def _thought(self, session: Any) -> str:
        """What the player thinks of its actions, in a line."""
        observation = session.position.obs
        if session.agent is None or observation is None or session.driving:
            return "you: your keys act" if session.driving else ""
        probe = session.probe()
        assert probe is not None
        names = session.action_names
        for values, first, unit in ((probe.action_values, "Q:  ", ""), (probe.action_probabilities, "", " %")):
            if values is not None and names:
                row = values[0] * (100 if unit else 1)
                order = np.argsort(-row, kind="stable")[:4]
                told = [f"{names[a]} {d.short(float(row[a]))}{unit}" for a in order if np.isfinite(row[a])]
                return first + "   ".join(told)
        if probe.action_mean is not None:
            return "mean " + " ".join(d.short(float(x)) for x in probe.action_mean[0][:6])
        return ""

    def _courses(self, surface: pygame.Surface, rect: pygame.Rect, courses: list[list[float]], since: int) -> None:
        """The returns so far over the steps of the episode, from step ``since`` on."""
        box = d.panel(surface, rect, "return so far", "by step of the episode")
        low, high = min(map(min, courses)), max(map(max, courses))
        longest = max(map(len, courses))
        margin = max(d.font(16).size(d.short(x))[0] for x in (low, high)) + d.px(8)
        plot = pygame.Rect(box.x + margin, box.y + d.px(6), box.width - margin - d.px(6), box.height - d.px(22))
        if plot.height < 8:
            return
        if longest < 2:
            d.text(surface, "no step yet: space plays", box.center, 17, d.DIM, "center", box.width)
            return
        for value in {low, high}:
            y = plot.bottom - (value - low) / ((high - low) or 1.0) * plot.height
            pygame.draw.line(surface, d.LINE, (plot.x, y), (plot.right, y))
            d.text(surface, d.short(value), (plot.x - d.px(6), y), 16, d.DIM, "midright")
        for i, course in enumerate(courses):
            kept = np.unique(np.linspace(0, len(course) - 1, min(len(course), plot.width)).astype(int))
            points = [
                (plot.x + k / max(longest - 1, 1) * plot.width,
                 plot.bottom - (course[k] - low) / ((high - low) or 1.0) * plot.height) for k in kept
            ]  # fmt: skip
            if len(points) > 1:
                pygame.draw.lines(surface, self._color(i), False, points, d.px(3) if i == 0 else d.px(2))
        d.text(surface, f"{since:,}", (plot.x, box.bottom), 16, d.DIM, "bottomleft")
        d.text(surface, f"step {since + longest - 1:,}", (plot.right, box.bottom), 16, d.DIM, "bottomright")

    def _table(self, surface: pygame.Surface, rect: pygame.Rect, shown: list[Any]) -> None:
        count = len(self.seeds)
        if self.closable:
            title, note = "where it leads", "both go on greedily" if not self.ended else "both have ended"
        else:
            title, note = "returns, paired by seed", counted(count, "episode")
        self._rows(surface, rect, title, note, self._lines(shown))

    def _lines(self, shown: list[Any]) -> list[tuple[str, ...]]:
        """The table's head, and its line of each player."""
        count = len(self.seeds)
        first = self.contestants[0]
        heads: tuple[str, ...] = ("player", "steps", "return", "difference") if self.closable else (
            "player", "mean return", "difference", "95 % interval", "better, worse")  # fmt: skip
        lines = [heads]
        if self.closable:
            for one, session in zip(self.contestants, shown, strict=True):
                here = session.position
                gap = here.episode_return - shown[0].position.episode_return
                lines.append((one.name, f"{here.length:,}", d.short(here.episode_return),
                              "" if one is first else _signed(gap)))  # fmt: skip
        else:
            for one, (name, mean, gap, interval) in zip(self.contestants, self.differences(), strict=True):
                spread = "" if one is first or interval is None else f"{_signed(interval[0])} to {_signed(interval[1])}"
                pairs = np.array(one.returns) - np.array(first.returns)
                wins = "" if one is first or not count else f"{(pairs > 0).sum()}, {(pairs < 0).sum()}"
                lines.append((name, "" if not count else d.short(mean), "" if one is first or not count
                              else _signed(gap), spread, wins))  # fmt: skip
        return lines

    def _rows(
        self, surface: pygame.Surface, rect: pygame.Rect, title: str, note: str, lines: list[tuple[str, ...]]
    ) -> None:
        """A head and a line for each player. Columns that have no room are said under the mouse, rows are scrolled."""
        inside, glyphs, gap = rect.width - d.px(24), d.font(17), d.px(18)
        widths = [max(glyphs.size(line[k])[0] for line in lines) for k in range(len(lines[0]))]
        widths[0] = min(widths[0], max(d.px(70), inside // 3))
        count = len(widths)
        while count > 1 and d.px(12) + sum(widths[:count]) + gap * (count - 1) > inside:
            count -= 1
        tall = d.height_of(18)
        box = d.panel(surface, rect, title, note if count == len(widths) else f"{note}, the rest under the mouse")
        spare = (box.width - d.px(12) - sum(widths[:count])) / max(count - 1, 1)
        shown = self.pointer.rows("table", rect, len(lines) - 1, (box.bottom + d.px(6) - box.y) // tall - 1)
        for place, k in enumerate((0, *(i + 1 for i in shown))):
            line, y, x = lines[k], box.y + place * tall, float(box.x + d.px(12))
            if k:
                pygame.draw.rect(surface, self._color(k - 1), (box.x, y + d.px(3), d.px(4), tall - d.px(8)))
            color = d.DIM if not k else d.TEXT
            d.text(surface, line[0], (x, y), 17, color, "topleft", widths[0])
            for column in range(1, count):
                x += spare + widths[column] + (widths[0] if column == 1 else 0)
                d.text(surface, line[column], (x, y), 17, color, "topright")
            if k and count < len(widths):
                self.pointer.say(pygame.Rect(box.x, y, box.width, tall), _told(lines[0], line))

    def _color(self, number: int) -> d.Color:
        return (d.ACCENT, d.WARM, d.GOOD, d.BAD)[number]


def _told(heads: tuple[str, ...], line: tuple[str, ...]) -> str:
    """A line of the table for the mouse: each number with its head."""
    return "\n".join(f"{head}: {words}" for head, words in zip(heads, line, strict=True) if words)


def _signed(number: float) -> str:
    return ("+" if number > 0 else "") + d.short(number)


def _end(surface: pygame.Surface, box: pygame.Rect, session: Any) -> None:
    if not session.ended or session.last is None:
        return
    why = "terminated" if session.last.terminated else "time limit"
    words = f"{why}: return {d.short(session.position.episode_return)} in {counted(session.position.length, 'step')}"
    width = min(d.font(20).size(words)[0] + d.px(24), box.width)
    band = pygame.Rect(box.centerx - width // 2, max(box.bottom - d.px(56), box.y), width, d.px(30))
    pygame.draw.rect(surface, d.BACKGROUND, band, border_radius=d.px(6))
    size = d.fitting(words, width - d.px(10), 20, 17, 14)
    d.text(surface, words, band.center, size, d.WARM, "center", width - d.px(10))


def blended(frames: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The first picture with the others shining through, each [H, W, 3]; one of another size is left out.

    Example:
        >>> black, white = np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)
        >>> blended([black, white])[0, 0].tolist()
        [102, 102, 102]
    """
    others = [other for other in frames[1:] if other.shape == frames[0].shape]
    if not others:
        return frames[0]
    found = (1 - _GHOST) * frames[0].astype(np.float32) + _GHOST * np.mean(others, axis=0, dtype=np.float32)
    return np.round(found).astype(np.uint8)


def what_if(session: Session, place: int, choice: int) -> Comparison:
    """Two futures from a place of a session: the agent's own action there, and another; then both go on alike.

    Args:
        session: an agent's.
        place: of its history, not at the end of an episode.
        choice: the number of the other action among the session's choices.

    Returns:
        The comparison; both futures stand at the place.

    Raises:
        UsageError: the place cannot be played again exactly.
    """
    moment = session.history[place]
    name, action = session.choices[choice]
    contestants = []
    for told, forced in (("as it decides", None), (f"instead: {name}", action)):
        twin = Twin(session.another_env())
        twin.go_to(moment)
        if not twin.exact or twin.position.obs is None:
            twin.env.close()
            raise UsageError("this step cannot be played again: the environment draws numbers that no seed sets")
        future = Session(twin.env, session.agent, "watch", begun=twin)
        future.forced, future.remembered = forced, moment.remembered
        contestants.append(Contestant(told, future, course=[future.position.episode_return]))
    decided = session.agent_choice(contestants[0].session)
    if decided:
        contestants[0].name = f"as it decides: {decided}"
    return Comparison(contestants, closable=True)


def random_player(env: gym.Env[Any, Any]) -> Callable[[Any, dict[str, Any]], Any]:
    """Who takes a random action of those that may be taken, seeded by the environment's action space."""
    masks = MaskSource(env)
    return lambda observation, info: masks.sample(info)
