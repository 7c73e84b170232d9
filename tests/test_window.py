"""A real window on a virtual screen, driven by a real keyboard: Xvfb and xdotool, where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs Xvfb and xdotool")


@pytest.fixture
def screen(tmp_path, worker_id):
    number = 90 + int(worker_id.removeprefix("gw") or 0) if worker_id != "master" else 89
    server = subprocess.Popen(
        ["Xvfb", f":{number}", "-screen", "0", "1400x900x24", "-nolisten", "tcp", "-noreset"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(100):
        if Path(f"/tmp/.X11-unix/X{number}").exists():
            break
        time.sleep(0.05)
    env = {k: v for k, v in os.environ.items() if k != "SDL_VIDEODRIVER"}
    yield {**env, "DISPLAY": f":{number}", "XDG_RUNTIME_DIR": str(tmp_path)}
    server.terminate()  # a killed one would leave its socket behind
    server.wait()


class Driven:
    """A process with a window, and keys sent to it."""

    def __init__(self, screen: dict[str, str], folder: Path, *words: str) -> None:
        self.env, self.folder = screen, folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rlplay", *words],
            cwd=folder,
            env=screen,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(600):
            found = subprocess.run(
                ["xdotool", "search", "--class", "rlplay"], env=screen, capture_output=True, text=True, check=False
            )
            if found.stdout.strip():
                time.sleep(0.7)
                return
            assert self.process.poll() is None, self.process.stdout.read()
            time.sleep(0.1)
        raise AssertionError("no window came up")

    def keys(self, *names: str) -> None:
        for name in names:
            subprocess.run(["xdotool", "key", name], env=self.env, check=True)
            time.sleep(0.15)

    def end(self) -> str:
        out, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, out
        return out


def train(screen, folder):
    words = ["train", "--algo", "q-learning", "--env", "FrozenLake-v1", "-n", "50000", "--seed", "0"]
    subprocess.run([sys.executable, "-m", "rlplay", *words], cwd=folder, env=screen, check=True, capture_output=True)


def test_watch_pause_step_reset_screenshot_record_help_quit(screen, tmp_path):
    train(screen, tmp_path)
    window = Driven(screen, tmp_path, "watch", "-o", "watched.gif")
    window.keys("space", "Right", "Right", "plus", "minus", "question", "question", "e", "r", "s", "space")
    time.sleep(0.5)
    window.keys("q")
    assert "wrote watched.gif" in window.end()
    assert (tmp_path / "watched.gif").stat().st_size > 5000
    assert (tmp_path / "rlplay-FrozenLake-v1-1.png").stat().st_size > 5000


def test_play_takes_your_keys_and_records_what_replays(screen, tmp_path):
    window = Driven(screen, tmp_path, "play", "--env", "rlplay/GridWorld-v0", "--record", "mine.json", "--seed", "1")
    window.keys("Down", "Down", "Down", "Right")
    window.keys("q")
    assert "wrote mine.json" in window.end()
    done = subprocess.run(
        [sys.executable, "-m", "rlplay", "replay", "mine.json", "--check"],
        cwd=tmp_path,
        env=screen,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "replays exactly: 4 steps" in done.stdout


def test_training_with_a_window_gives_the_same_bits_as_without(screen, tmp_path):
    from agents import Sarsa
    from rlplay.testing import differences

    words = ("train", "--algo", "sarsa", "--env", "CliffWalking-v1", "-n", "60000", "--seed", "2", "--engine", "python")
    subprocess.run(
        [sys.executable, "-m", "rlplay", *words, "-f", "alone"],
        cwd=tmp_path,
        env=screen,
        check=True,
        capture_output=True,
    )
    window = Driven(screen, tmp_path, *words, "-f", "watched", "--watch")
    time.sleep(2)
    window.keys("q")
    window.end()
    name = "sarsa/CliffWalking-v1_1/CliffWalking-v1.rlp"
    assert not differences(Sarsa.load(tmp_path / "alone" / name), Sarsa.load(tmp_path / "watched" / name))


def test_the_demo_learns_in_the_window(screen, tmp_path):
    window = Driven(screen, tmp_path, "demo", "--size", "960x600")
    window.keys(*["plus"] * 8)  # hurry
    time.sleep(8)
    window.keys("q")
    out = window.end()
    assert "learned for 6,000 steps" in out
    assert "greedy: return -20" in out


def test_a_planner_goes_on_by_key(screen, tmp_path):
    """Paused, each right arrow is one sweep or one improvement; what was planned is saved when the window closes."""
    words = ("train", "--algo", "policy-iteration", "--env", "FrozenLake-v1", "-n", "300", "--lock-step")
    window = Driven(screen, tmp_path, *words, "--fps", "0.01", "-params", "evaluation_sweeps:2")
    window.keys("space", "Right", "Right", "Right", "s", "q")
    assert "3 sweeps, saved" in window.end()
    assert (tmp_path / "rlplay-FrozenLake-v1-1.png").stat().st_size > 5000
    from agents import PolicyIteration

    agent = PolicyIteration.load(tmp_path / "logs/policy-iteration/FrozenLake-v1_1/FrozenLake-v1.rlp")
    assert agent.counts[1] == 1
