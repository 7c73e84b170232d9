"""Frame times of the window beside a trainer, and what the window costs that: python tests/benchmarks/window.py

PPO learns CartPole-v1 in a process of its own and writes its weights twice a second, as `rlplay train --watch` does. In
turns it learns alone (weights every 30 s, as without a window) and beside a window of 1280x720 that follows it at 60
frames a second; each turn shows the next panel, so that all are drawn. Printed are median, 99th percentile and worst
frame in milliseconds, of each panel and of all, and the trainer's steps a second alone and watched. Without a display
(or with SDL_VIDEODRIVER=dummy) frames are drawn and not shown. Two free cores are what it is about.

``--first`` prints in place of that how long a command takes from its start to its end that shows one step and saves the
picture: the first window, a warm start.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from arithmetic import processor

ROOT = Path(__file__).parents[2]
SIZE = (1280, 720)
TRAINER = """
import sys, time
from agents import PPO
from rlplay.training.callbacks import Callback, CheckpointCallback
path, seconds, every = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
agent = PPO("CartPole-v1", n_envs=8, n_steps=32, batch_size=256, n_epochs=20, seed=0).learn(2048)

class Until(Callback):
    def on_step(self):
        return time.monotonic() < self.end

from pathlib import Path
saves, until = CheckpointCallback(None, ".", rolling=Path(path), rolling_seconds=every), Until()
print("ready", flush=True)
sys.stdin.readline()
begun, start = agent.num_timesteps, time.monotonic()
until.end = start + seconds
agent.learn(10**9, [saves, until], reset_num_timesteps=False)
print((agent.num_timesteps - begun) / (time.monotonic() - start))
"""


def trainer(path: Path, seconds: float, every: float) -> subprocess.Popen[str]:
    """A trainer that is compiled and waits for a line."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", TRAINER, str(path), str(seconds), str(every)],
        env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return process


def began(process: subprocess.Popen[str]) -> None:
    """Let it begin."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def a_window(path: Path) -> Any:
    """A window that follows a trainer's file."""
    import rlplay
    from rlplay.cli.windows import shown_env
    from rlplay.environments.make import reference
    from rlplay.viewer.follower import Follower
    from rlplay.viewer.session import Session
    from rlplay.viewer.window import Window

    agent = rlplay.load(path)
    env = shown_env(reference(agent.env))
    agent.set_env(env)
    session = Session(env, agent, "watch", seed=0)
    return Window(session, SIZE, follower=Follower(session, path, path.with_name("none.csv")))


def shown(window: Any, surface: Any, seconds: float) -> list[float]:
    """Milliseconds of each frame of a window that is shown for so long, 60 a second."""
    import pygame

    ticker, found, previous, end = pygame.time.Clock(), [], time.perf_counter(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        now = time.perf_counter()
        for event in pygame.event.get():
            window._handle(event)
        window._advance(now - previous)
        window._draw(surface)
        previous = now
        found.append((time.perf_counter() - now) * 1e3)
        ticker.tick(60)
    return found


def told(name: str, frames: list[float]) -> None:
    """A line of the table."""
    low, high = np.percentile(frames, [50, 99])
    print(
        f"{name:>10} {len(frames):7,} frames   p50 {low:6.2f}   p99 {high:6.2f}   worst {max(frames):6.2f} ms",
        flush=True,
    )


def first() -> None:
    """Seconds of commands that open a window, show a step and end; the better of two starts."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "SDL_VIDEODRIVER": "dummy"}

        def seconds(*words: str) -> float:
            start = time.perf_counter()
            command = [sys.executable, "-W", "ignore", "-m", "rlplay", *words]
            subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True)
            return time.perf_counter() - start

        for algo, env in (("q-learning", "FrozenLake-v1"), ("ppo", "CartPole-v1"), ("dqn", "CartPole-v1")):
            seconds("train", "--algo", algo, "--env", env, "-n", "3000", "-f", "runs", "--seed", "0")
            run = f"runs/{algo}/{env}_1"
            words = ("watch", run, "--headless", "--max-steps", "1", "-o", f"{algo}.png")
            print(f"watch {algo} in {env}: {min(seconds(*words), seconds(*words)):.2f} s", flush=True)


def main() -> None:
    """Print the table."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--seconds", type=float, default=10.0, help="of each turn (default: 10)")
    reader.add_argument("--turns", type=int, default=4, help="alone and watched, each (default: 4)")
    reader.add_argument("--first", action="store_true", help="seconds to the first window, a warm start")
    given = reader.parse_args()
    if given.first:
        first()
        return
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    sys.path.insert(0, str(ROOT))
    from rlplay.viewer import panels
    from rlplay.viewer.layout import layout
    from rlplay.viewer.state import reduce

    drawn = os.environ.get("SDL_VIDEODRIVER") or "a display"
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {drawn}")
    alone, watched, frames = [], [], {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "live.rlp"
        for turn in range(given.turns):
            for every in (30.0, 0.5):
                process = trainer(path, given.seconds, every)
                began(process)
                if every < 1:
                    while not path.exists():
                        time.sleep(0.01)
                    window = a_window(path)
                    surface = window._open()
                    labels = [view.label for view in panels.views(window.session, set(layout(*SIZE)))]
                    window.state = reduce(window.state, f"panel {turn % len(labels)}")
                    shown(window, surface, 0.5)  # what the first frames load
                    frames[labels[turn % len(labels)]] = shown(window, surface, max(given.seconds - 2.0, 1.0))
                    window._close_all()
                (watched if every < 1 else alone).append(float(process.communicate()[0].split()[-1]))
    for name, found in frames.items():
        told(name, found)
    told("all", [one for found in frames.values() for one in found])
    rates = [float(np.median(found)) for found in (alone, watched)]
    print(f"trainer: {rates[0]:,.0f} steps/s alone, {rates[1]:,.0f} watched: {rates[1] / rates[0] - 1:+.1%}")


if __name__ == "__main__":
    main()
