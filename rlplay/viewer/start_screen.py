"""The start screen: environments with pictures, agents, features, models and runs; train, watch and play by a press.

What there is comes from a `Catalogue`; what is pressed becomes a command line, which is shown before it is run, and
runs as a process of its own with its own window.
"""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pygame
from numpy.typing import NDArray

from rlplay.viewer import drawing as d
from rlplay.viewer.display import fill_screen, keep_title, open_window
from rlplay.viewer.pointer import Pointer, wrapped

TABS = ("environments", "agents", "features", "models", "runs")
NONE = "none"
_FPS = 30
_SETTLED = 0.12  # seconds that a row is chosen before its picture is made
_ACTIONS = {"train": "ctrl t", "watch": "ctrl w", "play": "ctrl p"}


class Run(NamedTuple):
    """A run that was trained: its folder, agent and environment, and its return, steps and date in words."""

    path: str
    agent: str
    env: str
    facts: str


class Catalogue(NamedTuple):
    """What there is.

    Attributes:
        names: of each tab but the runs, in the order in which they are listed.
        describe: ``describe(tab, name)``, what it is, in a few sentences.
        picture: ``picture(env_id)``, its first picture [H, W, 3], uint8, or why there is none.
        runs: reads the runs, the newest first.
        command: ``command(action, chosen, run)``, the words of a command line from the chosen name of each tab and the
            chosen run; or why there is none.
    """

    names: dict[str, list[str]]
    describe: Callable[[str, str], str]
    picture: Callable[[str], NDArray[np.uint8] | str]
    runs: Callable[[], list[Run]]
    command: Callable[[str, dict[str, str], Run | None], list[str] | str]


@dataclass(frozen=True)
class Start:
    """What the screen remembers.

    Attributes:
        tab: which list is shown.
        query: what was typed; only names with it are listed.
        chosen: the chosen name of each tab; of a run its path.
        light: whether it is drawn in light colours.
        full: whether it fills the screen.
        request: what is to be done once: ``train``, ``watch``, ``play``, ``stop``, ``escape`` where nothing is open,
            ``quit``; or nothing.
    """

    tab: int = 0
    query: str = ""
    chosen: tuple[tuple[str, str], ...] = ()
    light: bool = False
    full: bool = False
    request: str = ""

    def choice(self, tab: str) -> str:
        """The chosen name of a tab; empty for none yet."""
        return dict(self.chosen).get(tab, "")


def reduce(start: Start, intent: str, listed: list[str]) -> Start:
    """The state after an intent; ``listed`` are the names of the list that is shown.

    Example:
        >>> start = reduce(Start(), "down", ["a", "b"])
        >>> start.choice("environments")
        'a'
        >>> reduce(reduce(start, "down", ["a", "b"]), "next tab", []).tab
        1
    """
    tab = TABS[start.tab]
    kind, _, what = intent.partition(" ")
    if intent in ("next tab", "last tab"):
        return replace(start, tab=(start.tab + (1 if kind == "next" else -1)) % len(TABS), query="")
    if kind == "tab":
        return replace(start, tab=int(what), query="")
    if kind == "choose":
        return replace(start, chosen=tuple({**dict(start.chosen), tab: what}.items()))
    if kind in ("up", "down", "pageup", "pagedown") and listed:
        here = listed.index(start.choice(tab)) if start.choice(tab) in listed else -1
        move = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10}[kind]
        there = min(max(here + move, 0), len(listed) - 1)
        return reduce(start, f"choose {listed[there]}", listed)
    if kind == "type":
        return replace(start, query=start.query + what)
    if kind == "erase":
        return replace(start, query=start.query[:-1])
    if kind == "escape":
        if start.query or start.full:
            return replace(start, query="") if start.query else replace(start, full=False)
        return replace(start, request="escape")
    if kind == "full":
        return replace(start, full=not start.full)
    if kind == "theme":
        return replace(start, light=not start.light)
    if kind == "enter":
        return replace(start, request="watch" if tab == "runs" else "train")
    return replace(start, request=kind) if kind in (*_ACTIONS, "stop", "quit") else start


_KEYS = {
    pygame.K_UP: "up", pygame.K_DOWN: "down", pygame.K_PAGEUP: "pageup", pygame.K_PAGEDOWN: "pagedown",
    pygame.K_TAB: "next tab", pygame.K_RIGHT: "next tab", pygame.K_LEFT: "last tab", pygame.K_BACKSPACE: "erase",
    pygame.K_ESCAPE: "escape", pygame.K_RETURN: "enter", pygame.K_KP_ENTER: "enter", pygame.K_F2: "theme",
    pygame.K_F11: "full",
}  # fmt: skip
_WITH_CTRL = {pygame.K_t: "train", pygame.K_w: "watch", pygame.K_p: "play", pygame.K_q: "quit", pygame.K_c: "stop"}


def intent_of(event: pygame.event.Event) -> str | None:
    """The intent of a key; letters and digits filter the list."""
    if event.type != pygame.KEYDOWN or event.mod & (pygame.KMOD_ALT | pygame.KMOD_META):
        return None
    if event.mod & pygame.KMOD_CTRL:
        return _WITH_CTRL.get(event.key)
    if event.key == pygame.K_TAB and event.mod & pygame.KMOD_SHIFT:
        return "last tab"
    if event.key in _KEYS:
        return _KEYS[event.key]
    return f"type {event.unicode}" if event.unicode.isprintable() and event.unicode else None


class StartScreen:
    """Shows what there is until it is closed, and runs what is pressed.

    Args:
        catalogue: what there is.
        size: width and height in pixels.
        run: starts a command's process, its output going to a file; for tests.
    """

    def __init__(self, catalogue: Catalogue, size: tuple[int, int], run: Callable[..., Any] = subprocess.Popen) -> None:
        self.catalogue, self.size, self._run = catalogue, size, run
        self.start, self.pointer = Start(), Pointer()
        first = (("environments", "FrozenLake-v1"), ("agents", "q-learning"), ("features", NONE), ("models", NONE))
        for tab, name in first:
            known = catalogue.names[tab]
            chosen = name if name in known else known[0] if known else ""
            self.start = replace(self.start, chosen=(*self.start.chosen, (tab, chosen)))
        self.notice = ""
        self.child: Any = None
        self._runs = catalogue.runs()
        self._output: Any = None
        self._pictures: dict[str, NDArray[np.uint8] | str] = {}
        self._small: dict[str, pygame.Surface] = {}
        self._picture = d.Picture()
        self._since = 0.0
        self._warned = False
        self._seen = 0.0

    def show(self) -> int:
        """Show it until it is closed; returns the exit code."""
        surface = open_window(self.size, "rlplay")
        pygame.key.set_repeat(300, 60)
        ticker = pygame.time.Clock()
        try:
            while True:
                for event in pygame.event.get():
                    self.handle(event)
                if not self.work():
                    return 0
                self.draw(surface)
                keep_title("rlplay")
                pygame.display.flip()
                ticker.tick(_FPS)
        finally:
            self.close()
            pygame.display.quit()

    def handle(self, event: pygame.event.Event) -> None:
        """Take an event."""
        if event.type == pygame.QUIT:
            intent: str | None = "quit"
        else:
            intent = self.pointer.handle(event) or intent_of(event)
        if intent is None:
            return
        before = self.start
        self.start = reduce(self.start, intent, self.listed())
        found = self.listed()
        if self.start.query != before.query and found and self.start.choice(TABS[self.start.tab]) not in found:
            self.start = reduce(self.start, f"choose {found[0]}", found)  # what is searched for is what is trained
        if before.full != self.start.full:
            fill_screen(self.start.full, self.size)
        if (before.chosen, before.tab) != (self.start.chosen, self.start.tab):
            self._since = time.monotonic()

    def listed(self) -> list[str]:
        """The names in the list that is shown."""
        tab, words = TABS[self.start.tab], self.start.query.casefold()
        names = [run.path for run in self._runs] if tab == "runs" else self.catalogue.names[tab]
        return [name for name in names if words in name.casefold()]

    def chosen_run(self) -> Run | None:
        """The chosen run, while the list of runs is shown."""
        if TABS[self.start.tab] != "runs":
            return None
        return next((run for run in self._runs if run.path == self.start.choice("runs")), None)

    def command(self, action: str) -> list[str] | str:
        """The command line of an action, or why there is none."""
        return self.catalogue.command(action, dict(self.start.chosen), self.chosen_run())

    def work(self) -> bool:
        """Do what was asked for, and look after the process that runs; False to close."""
        request, self.start = self.start.request, replace(self.start, request="")
        if self.child is not None and self.child.poll() is not None:
            code, words = self.child.poll(), self._said()
            self.child, self._runs, self._warned = None, self.catalogue.runs(), False
            self.notice = words[-1] if words else f"it ended with exit code {code}"
            if code:
                shown = [line for line in words if line.startswith("rlplay:")] or words[-1:]
                self.notice = " ".join(shown[-1:]) or self.notice
        if request == "quit":
            if self.child is None or self._warned:
                return False
            self._warned, self.notice = True, "a command still runs: close once more to stop it"
        elif request == "escape":
            self.notice = "nothing is open: ctrl q closes rlplay"
        elif request == "stop":
            self._stop()
        elif request:
            self._begin(request)
        return True

    def _begin(self, action: str) -> None:
        words = self.command(action)
        if self.child is not None:
            self.notice = "a command still runs: ctrl c stops it"
        elif isinstance(words, str):
            self.notice = words
        else:
            self._output = tempfile.TemporaryFile("w+b")  # noqa: SIM115  # it lives as long as the process
            self.notice = f"{shlex.join(words)}   its window opens"
            self.child = self._run(
                [sys.executable, "-m", *words], stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT
            )

    def _said(self) -> list[str]:
        """The lines that the process wrote."""
        if self._output is None:
            return []
        self._output.seek(0)
        text = self._output.read().decode("utf-8", "replace")
        self._output.close()
        self._output = None
        return [line.strip() for line in text.splitlines() if line.strip()]

    def close(self) -> None:
        """Stop what runs."""
        self._stop()
        if self._output is not None:
            self._output.close()
            self._output = None

    def _stop(self) -> None:
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()

    # How it looks.

    def draw(self, surface: pygame.Surface) -> None:
        """Draw the whole screen."""
        d.use("light" if self.start.light else "dark")
        surface.fill(d.BACKGROUND)
        self.pointer.clear()
        width, height = surface.get_size()
        pygame.draw.rect(surface, d.PANEL, (0, 0, width, 56))
        used = d.text(surface, "rlplay", (16, 28), 34, d.ACCENT, "midleft")
        words = "train agents, watch them, see what they think, play yourself"
        d.text(surface, words, (used.right + 14, 31), 20, d.DIM, "midleft", width - used.right - 30)
        x, tab = 8.0, TABS[self.start.tab]
        for i, name in enumerate(TABS):
            box = pygame.Rect(round(x), 64, d.font(20).size(name)[0] + 22, 32)
            over = self.pointer.button(box, f"tab {i}")
            pygame.draw.rect(surface, d.PANEL if name == tab or over else d.LINE, box, border_radius=6)
            d.text(surface, name, box.center, 20, d.ACCENT if name == tab else d.TEXT, "center")
            x += box.width + 4
        foot = 112
        body = pygame.Rect(8, 100, width - 16, height - 100 - foot - 8)
        left = pygame.Rect(body.x, body.y, round(body.width * 0.5), body.height)
        self._list(surface, left)
        right = pygame.Rect(left.right + 8, body.y, body.right - left.right - 8, body.height)
        self._detail(surface, right)
        self._foot(surface, pygame.Rect(8, height - foot, width - 16, foot - 8))
        self.pointer.draw(surface)
        self._make_pictures()

    def _list(self, surface: pygame.Surface, rect: pygame.Rect) -> None:
        tab, names = TABS[self.start.tab], self.listed()
        typed = self.start.query
        box = d.panel(surface, rect, f"type to search: {typed}_" if typed else f"{len(names)} {tab}", "" if typed else
                      "type to search, arrows choose")  # fmt: skip
        tall = 52 if tab in ("environments", "runs") else 46
        fitting = max(box.height // tall, 1)
        if self.start.choice(tab) in names and self._since > self._seen:
            self.pointer.reveal("list", names.index(self.start.choice(tab)), fitting)
            self._seen = self._since
        shown = self.pointer.rows("list", rect, len(names), fitting)
        for place, i in enumerate(shown):
            name = names[i]
            row = pygame.Rect(box.x - 6, box.y + place * tall, box.width + 6, tall - 3)
            chosen = name == self.start.choice(tab)
            over = self.pointer.button(row, f"choose {name}")
            if chosen or over:
                pygame.draw.rect(surface, d.SOFT if chosen else d.LINE, row, border_radius=6)
            left = row.x + 8
            if tab in ("environments", "runs"):
                self._thumbnail(surface, pygame.Rect(row.x + 4, row.y + 3, 66, tall - 9), self._env_of(name))
                left = row.x + 80
            color = d.TEXT
            d.text(surface, name, (left, row.y + 6), 20, color, width=row.right - left - 8)
            dim = d.TEXT if chosen else d.DIM
            d.text(surface, self._words(tab, name), (left, row.y + tall - 21), 16, dim, width=row.right - left - 8)
        if not names:
            words = "no runs yet: train one" if tab == "runs" and not typed else f"nothing with {typed!r}"
            d.text(surface, words, (box.x, box.y), 18, d.DIM, width=box.width)
        if len(shown) < len(names):
            bar = pygame.Rect(rect.right - 7, box.y, 4, box.height)
            pygame.draw.rect(surface, d.LINE, bar, border_radius=2)
            top = bar.y + bar.height * shown.start // len(names)
            part = max(round(bar.height * len(shown) / len(names)), 8)
            pygame.draw.rect(surface, d.DIM, (bar.x, top, 4, part), border_radius=2)

    def _words(self, tab: str, name: str) -> str:
        if tab == "runs":
            return next((run.facts for run in self._runs if run.path == name), "")
        return self.catalogue.describe(tab, name)

    def _env_of(self, name: str) -> str:
        if TABS[self.start.tab] != "runs":
            return name
        return next((run.env for run in self._runs if run.path == name), "")

    def _thumbnail(self, surface: pygame.Surface, box: pygame.Rect, env_id: str) -> None:
        pygame.draw.rect(surface, d.NOTHING, box, border_radius=4)
        found = self._pictures.get(env_id)
        if isinstance(found, np.ndarray):
            place = d.fit((found.shape[1], found.shape[0]), box)
            key = f"{env_id} {place.size}"
            if key not in self._small:
                image = pygame.image.frombuffer(found.tobytes(), (found.shape[1], found.shape[0]), "RGB")
                self._small[key] = pygame.transform.smoothscale(image, place.size)
            surface.blit(self._small[key], place)

    def _detail(self, surface: pygame.Surface, rect: pygame.Rect) -> None:
        """The picture of the chosen environment, and what the chosen thing is."""
        tab, run = TABS[self.start.tab], self.chosen_run()
        env_id = run.env if run is not None else self.start.choice("environments")
        name = self.start.choice(tab) or "nothing is chosen yet"
        box = d.panel(surface, rect, name)
        words = self._words(tab, name) if self.start.choice(tab) else "choose with the arrows or the mouse"
        y = float(box.y)
        for line in wrapped(words, 18, box.width):
            if y + 18 < box.bottom:
                d.text(surface, line, (box.x, y), 18, d.DIM)
            y += d.height_of(18)
        picture = pygame.Rect(box.x, round(y) + 6, box.width, max(box.bottom - round(y) - 6, 1))
        found = self._pictures.get(env_id)
        if picture.height < 40:
            return
        if isinstance(found, np.ndarray):
            self._picture.draw(surface, found, picture)
        elif found is not None:
            d.text(surface, found, picture.topleft, 17, d.DIM, width=picture.width)

    def _foot(self, surface: pygame.Surface, rect: pygame.Rect) -> None:
        """What is chosen together, the buttons, and the command that the mouse points at."""
        pygame.draw.rect(surface, d.PANEL, rect, border_radius=6)
        run, x = self.chosen_run(), rect.x + 12.0
        parts = [("agent", run.agent), ("environment", run.env)] if run is not None else [
            (tab.removesuffix("s"), self.start.choice(tab)) for tab in TABS[:4]
            if self.start.choice(tab) not in ("", NONE)
        ]  # fmt: skip
        for label, name in parts:
            x = d.text(surface, label, (x, rect.y + 9), 17, d.DIM).right + 6
            x = d.text(surface, name, (x, rect.y + 8), 19, d.TEXT, width=max(rect.right - x - 8, 20)).right + 16
        x, pointed = rect.x + 10.0, "train"
        for action, key in _ACTIONS.items():
            box = pygame.Rect(round(x), rect.y + 32, d.font(20).size(f"{action}   {key}")[0] + 26, 34)
            over = self.pointer.button(box, action)
            able = not isinstance(self.command(action), str)
            pointed = action if over else pointed
            ground = d.LINE if not able else d.ACCENT
            pygame.draw.rect(surface, ground, box, 0 if able else 1, border_radius=6)
            ink = d.PANEL if able else d.DIM
            used = d.text(surface, action, (box.x + 12, box.centery), 20, ink, "midleft")
            d.text(surface, key, (used.right + 12, box.centery + 1), 16, ink, "midleft")
            x += box.width + 8
        if self.child is not None:
            box = pygame.Rect(round(x), rect.y + 32, 130, 34)
            self.pointer.button(box, "stop")
            pygame.draw.rect(surface, d.BAD, box, 1, border_radius=6)
            d.text(surface, "stop   ctrl c", box.center, 18, d.BAD, "center")
        found = self.command(pointed)
        words = self.notice or (found if isinstance(found, str) else shlex.join(found))
        color = d.WARM if self.notice else d.DIM
        d.text(surface, words, (rect.x + 12, rect.bottom - 12), 18, color, "midleft", rect.width - 24)

    def _make_pictures(self) -> None:
        """Make one picture that is missing: of what is chosen, once the choice has settled, then of the list."""
        if time.monotonic() - self._since < _SETTLED:
            return
        run, tab = self.chosen_run(), TABS[self.start.tab]
        wanted = [run.env if run is not None else self.start.choice("environments")]
        if tab in ("environments", "runs"):
            names = self.listed()
            wanted += [self._env_of(names[i]) for i in self.pointer.shown("list") if i < len(names)]
        missing = next((name for name in wanted if name and name not in self._pictures), None)
        if missing is not None:
            self._pictures[missing] = self.catalogue.picture(missing)
