"""The moving picture at the top of the README, docs/images/window.gif: `python docs/tour.py [-o FILE]`.

A Q-learner learns a maze, one goes back in time, tries what if, takes over, and takes a wall away; each by what a key
or a click would do.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
SIZE = (960, 600)
FPS = 8.0
GAP = (1, 4)  # row and column of a wall that is taken away


class Tour:
    """A window that is driven and filmed.

    Args:
        window: without a screen.
        film: takes its pictures.
    """

    def __init__(self, window: Any, film: Any) -> None:
        self.window, self.film, self.surface = window, film, window._open()

    def show(self, seconds: float, words: str = "", *, steps: int = 0) -> None:
        """Film for so long; ``steps`` are taken before each picture."""
        for _ in range(round(seconds * FPS)):
            for _ in range(steps):
                self.window._step()
                self.window._hold = 0.0
            self.window._advance(1 / FPS)
            self.window.say(words, 60.0)
            self.window._draw(self.surface)
            self.film.add(self.surface)

    def press(self, intent: str) -> None:
        """What a key means is done."""
        self.window._do(intent)

    def act(self, name: str) -> None:
        """A person's action."""
        session = self.window.driver
        session.pending = next(action for told, action in session.choices if told == name)
        self.window._step()
        session.pending = None


def main() -> None:
    """Film the tour."""
    from agents import QLearning
    from rlplay import make
    from rlplay.viewer.cells import change_cell
    from rlplay.viewer.recording import Recorder
    from rlplay.viewer.session import Session
    from rlplay.viewer.window import Window

    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "images" / "window.gif")
    given = reader.parse_args()

    env = make("rlplay/GridWorld-v0", render_mode="rgb_array", map="maze")
    agent = QLearning(env, alpha=0.5, gamma=1.0, epsilon=0.1, seed=4)
    agent.horizon = 30_000
    window = Window(Session(env, agent, "learn", target=30_000), SIZE, headless=True)
    window.rate = 1e-9  # steps are taken here, not by the clock
    film = Recorder(given.output, FPS)
    tour = Tour(window, film)
    tour.show(1.5, "a Q-learner in a maze: it knows nothing yet", steps=1)
    tour.show(4.0, "it learns: values spread backwards from the goal", steps=300)
    while window.session.position.length != 12:
        window._step()

    tour.press("pause")
    for _ in range(5):
        tour.press("back")
        tour.show(0.3, "back in time: every step again, exactly")
    tour.press("what if")
    tour.show(1.5, "what if: another action here")
    tour.press("pause")
    tour.show(3.0, "what if: another action here, and both futures side by side", steps=1)
    tour.press("close")
    tour.press("end")
    tour.show(0.5, "back where it branched")

    while window.session.position.length != 1:
        window._step()
    tour.press("you")
    for name in ("right", "right", "down", "down", "right", "right", "up", "up", "right"):
        tour.act(name)
        tour.show(0.25, "take over: your keys act, and it learns from what you do")
    tour.press("you")
    tour.show(0.5, "hand back: it goes on from there", steps=1)

    tour.press("tune")
    change_cell(window.session, GAP, 1)
    tour.show(1.0, "a click takes a wall away", steps=1)
    tour.show(2.5, "the values find the shorter way", steps=300)
    tour.show(2.5, "the values find the shorter way", steps=1)
    tour.film.finish()
    print(f"{given.output}   {given.output.stat().st_size / 1e6:.2f} MB, {film.frames} pictures")


if __name__ == "__main__":
    main()
