"""What goes wrong with windows: odd sizes, changes of size, environments that fail in mid-episode, memory, pygame."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pygame
import pytest

from agents import QLearning
from rlplay import make
from rlplay.errors import RlplayWarning
from rlplay.viewer.compare import Comparison, random_player
from rlplay.viewer.display import pygame_kept
from rlplay.viewer.mosaic import Mosaic
from rlplay.viewer.session import Session
from rlplay.viewer.together import Contestant
from rlplay.viewer.window import Window

LAKE = "FrozenLake-v1"
SIZES = [(640, 400), (641, 407), (1023, 769), (1599, 501), (2560, 1440)]


def lake(number: int = 0, agent: QLearning | None = None) -> Session:
    env = make(LAKE, render_mode="rgb_array", dynamics="gymnasium")
    env.action_space.seed(number)
    return Session(env, agent, policy=None if agent else random_player(env), seed=number)


def agent_session() -> Session:
    agent = QLearning(LAKE, seed=0).learn(2000)
    session = lake(0, agent)
    agent.set_env(session.env)
    return session


def modes():
    """A window of each mode, by name."""
    players = [Contestant(f"player {i}", lake(i)) for i in range(3)]
    rows = Mosaic([lake(i) for i in range(7)])
    learner = make("rlplay/GridWorld-v0", render_mode="rgb_array", map="maze")
    played = Session(make("Taxi-v4", render_mode="rgb_array", dynamics="gymnasium"), None, "play")
    return {
        "watch": (agent_session(), {}),
        "learn": (Session(learner, QLearning(learner, seed=0), "learn"), {}),
        "play": (played, {}),
        "compare": (players[0].session, {"comparison": Comparison(players)}),
        "mosaic": (rows.contestants[0].session, {"comparison": rows}),
    }


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["watch", "learn", "play", "compare", "mosaic"])
def test_a_window_is_resized_at_every_zoom_and_nothing_is_drawn_outside(mode, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    session, options = modes()[mode]
    window = Window(session, SIZES[0], steps_per_second=60, **options)
    window._open()
    for zoom in range(2):
        for size in SIZES:
            surface = pygame.display.set_mode(size, pygame.RESIZABLE)
            window._advance(1 / 30)
            window._draw(surface)
            assert window.size_now() == size
            buttons = window._pointed()._buttons
            assert all(surface.get_rect().contains(box) for box, _ in buttons), (size, zoom)
            colors = np.unique(pygame.surfarray.array3d(surface)[::7, ::7].reshape(-1, 3), axis=0)
            assert len(colors) > 8
        window._do("zoom")
        window._do("zoom")
        window._do("zoom")
    pygame.display.quit()


class Fails(gym.Env):
    """Draws a few pictures, and then raises; it closes pygame when it is closed."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012
    observation_space, action_space = gym.spaces.Discrete(3), gym.spaces.Discrete(2)

    def __init__(self, render_mode: str = "rgb_array") -> None:
        self.render_mode, self.drawn = render_mode, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return int(action), 1.0, False, False, {}

    def render(self):
        self.drawn += 1
        if self.drawn > 3:
            raise RuntimeError("the lamp broke")
        return np.full((20, 31, 3), 80 * self.drawn, np.uint8)

    def close(self):
        pygame.quit()


def test_a_render_that_fails_in_mid_episode_leaves_the_window_open(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window = Window(Session(Fails(), None, policy=lambda obs, info: 1), (960, 600), steps_per_second=60)
    surface = window._open()
    with pytest.warns(RlplayWarning, match="the lamp broke"):
        for _ in range(12):
            window._advance(1 / 30)
            window._draw(surface)
    assert window.session.position.length > 4
    with pygame_kept():
        window._close_all()
    assert pygame.display.get_init()
    window._draw(surface)  # fonts are there still
    pygame.display.quit()


def resident() -> float:
    """Megabytes of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_stays_for_ten_minutes(monkeypatch):
    """36,000 frames are ten minutes at 60 a second; here every tenth, with the steps of all of them.

    The history fills first: 5,000 steps are kept, which is what the window is for.
    """
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window = Window(agent_session(), (1280, 720), steps_per_second=60)
    surface = window._open()

    def minutes(count: float) -> float:
        for frame in range(round(count * 360)):
            if frame % 60 == 0:
                window._do("panel")
            window._advance(10 / 60)
            window._draw(surface)
        return resident()

    before = minutes(3)
    after = minutes(10)
    assert (after - before) / 10 < 1.0  # MB a minute
    pygame.display.quit()


@pytest.mark.slow
def test_the_other_build_of_pygame_draws_the_same_windows(tmp_path):
    """pygame in the place of pygame-ce: the tests of panels and keys, in a process that finds it first."""
    target = tmp_path / "pygame"
    command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(target), "pygame"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pygame cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
    for about in target.glob("*.dist-info"):  # two builds that are both known as installed are refused
        shutil.rmtree(about)
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": f"{target}{os.pathsep}{root}", "SDL_VIDEODRIVER": "dummy"}
    asked = [sys.executable, "-c", "import pygame; print(getattr(pygame, 'IS_CE', False))"]
    assert subprocess.run(asked, env=env, capture_output=True, text=True, check=True).stdout.split()[-1] == "False"
    tests = [str(root / "tests" / "rlplay" / f"test_{name}.py") for name in ("viewer", "what_is_seen", "side_by_side")]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *tests], env=env, cwd=root,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-3000:]
