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


LONGEST = 300  # seconds that only a real hang takes


def wait_for(condition):
    """What a condition gives once it holds."""
    end = time.monotonic() + LONGEST
    while not (found := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
    return found


@pytest.fixture
def screen(tmp_path):
    read, write = os.pipe()
    with subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x900x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        os.close(write)
        with open(read) as ready:
            number = ready.readline().strip()  # it says its number once it serves
        assert number, "Xvfb did not start"
        env = {k: v for k, v in os.environ.items() if k != "SDL_VIDEODRIVER"}
        yield {**env, "DISPLAY": f":{number}", "XDG_RUNTIME_DIR": str(tmp_path)}
        server.terminate()  # a killed one would leave its socket behind


class Driven:
    """A process with a window, and keys sent to it; by a screenshot the window says that it has taken them."""

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

    def __enter__(self) -> Driven:
        wait_for(self._is_shown)
        end = time.monotonic() + LONGEST
        while not self.screenshots():  # a key that comes before the window has the keyboard is lost
            assert time.monotonic() < end, "the window takes no keys"
            self.press("s")
            again = time.monotonic() + 5
            while not self.screenshots() and time.monotonic() < again:
                time.sleep(0.02)
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()

    def _is_shown(self) -> bool:
        assert self.process.poll() is None, self.process.stdout.read()
        command = ["xdotool", "search", "--onlyvisible", "--class", "rlplay"]
        found = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        return bool(found.stdout.strip())

    def press(self, name: str) -> None:
        subprocess.run(["xdotool", "key", name], env=self.env, check=True)

    def screenshots(self) -> int:
        return len(list(self.folder.glob("rlplay-*.png")))

    def keys(self, *names: str) -> None:
        """Press keys, each once the one before was taken."""
        for name in names:
            before = self.screenshots()
            self.press(name)
            self.press("s")
            wait_for(lambda before=before: self.screenshots() > before or self.process.poll() is not None)

    def end(self) -> str:
        out, _ = self.process.communicate(timeout=LONGEST)
        assert self.process.returncode == 0, out
        return out


def train(screen, folder):
    words = ["train", "--algo", "q-learning", "--env", "FrozenLake-v1", "-n", "50000", "--seed", "0"]
    subprocess.run([sys.executable, "-m", "rlplay", *words], cwd=folder, env=screen, check=True, capture_output=True)


def test_watch_pause_step_reset_screenshot_record_help_quit(screen, tmp_path):
    train(screen, tmp_path)
    with Driven(screen, tmp_path, "watch", "-o", "watched.gif") as window:
        window.keys("space", "Right", "Right", "plus", "minus", "question", "question", "e", "r", "s", "space", "e")
        window.press("q")
        assert "wrote watched.gif" in window.end()
    assert (tmp_path / "watched.gif").stat().st_size > 5000
    assert (tmp_path / "rlplay-FrozenLake-v1-1.png").stat().st_size > 5000


def test_players_are_compared_and_one_goes_back_takes_over_and_branches(screen, tmp_path):
    train(screen, tmp_path)
    run = "logs/q-learning/FrozenLake-v1_1"
    with Driven(screen, tmp_path, "watch", run, "random", "--ghost") as window:
        window.keys("space", "g", "g", "Right", "question", "Escape")
        window.press("q")
        assert "of the same seeds" in window.end()
    with Driven(screen, tmp_path, "watch", run, "--size", "640x420") as window:
        window.keys("space", "Left", "shift+Left", "w", "Down", "space", "Escape", "Escape", "h", "Down", "Escape", "d")
        window.press("q")
        window.end()


def test_play_takes_your_keys_and_records_what_replays(screen, tmp_path):
    words = ("play", "--env", "rlplay/GridWorld-v0", "--record", "mine.json", "--seed", "1")
    with Driven(screen, tmp_path, *words) as window:
        window.keys("Down", "Down", "Down", "Right")
        window.press("q")
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
    with Driven(screen, tmp_path, *words, "-f", "watched", "--watch") as window:
        window.press("q")
        window.end()
    name = "sarsa/CliffWalking-v1_1/CliffWalking-v1.rlp"
    assert not differences(Sarsa.load(tmp_path / "alone" / name), Sarsa.load(tmp_path / "watched" / name))


def test_the_demo_learns_in_the_window(screen, tmp_path):
    with Driven(screen, tmp_path, "demo", "--size", "960x600", "--max-steps", "6050") as window:  # then it closes
        window.keys(*["plus"] * 8)  # hurry
        out = window.end()
    assert "learned for 6,000 steps" in out
    assert "greedy: return -20" in out


def test_a_planner_goes_on_by_key(screen, tmp_path):
    """Paused, each right arrow is one sweep or one improvement; what was planned is saved when the window closes."""
    words = ("train", "--algo", "policy-iteration", "--env", "FrozenLake-v1", "-n", "300", "--lock-step")
    with Driven(screen, tmp_path, *words, "--fps", "0.01", "-params", "evaluation_sweeps:2") as window:
        window.keys("space", "Right", "Right", "Right")
        window.press("q")
        assert "3 sweeps, saved" in window.end()
    assert (tmp_path / "rlplay-FrozenLake-v1-1.png").stat().st_size > 5000
    from agents import PolicyIteration

    agent = PolicyIteration.load(tmp_path / "logs/policy-iteration/FrozenLake-v1_1/FrozenLake-v1.rlp")
    assert agent.counts[1] == 1


def windows_of(screen):
    command = ["xdotool", "search", "--onlyvisible", "--class", "rlplay"]
    found = subprocess.run(command, env=screen, capture_output=True, text=True, check=False)
    return found.stdout.split()


@pytest.mark.slow
def test_the_start_screen_opens_a_world_to_play_and_comes_back(screen, tmp_path):
    """rlplay alone, then ctrl p: the chosen world opens in a window of its own; without it the start screen goes on."""
    with subprocess.Popen(
        [sys.executable, "-m", "rlplay"], cwd=tmp_path, env=screen, stdout=subprocess.DEVNULL
    ) as process:
        try:
            wait_for(lambda: windows_of(screen))
            end = time.monotonic() + LONGEST
            while len(windows_of(screen)) < 2:
                assert time.monotonic() < end, "no world opened"
                subprocess.run(["xdotool", "key", "ctrl+p"], env=screen, check=True)
                again = time.monotonic() + 8
                while len(windows_of(screen)) < 2 and time.monotonic() < again:
                    time.sleep(0.05)
            while len(windows_of(screen)) > 1:
                assert time.monotonic() < end, "the world does not close"
                subprocess.run(["xdotool", "key", "q"], env=screen, check=True)
                time.sleep(0.2)
            assert process.poll() is None
            while process.poll() is None:  # without a window manager nobody gives the keyboard back to it
                assert time.monotonic() < end, "the start screen does not close"
                for window in windows_of(screen)[:1]:
                    command = ["xdotool", "windowfocus", window, "key", "ctrl+q"]
                    subprocess.run(command, env=screen, check=False)
                time.sleep(0.2)
            assert process.returncode == 0
        finally:
            process.kill()


@pytest.mark.slow
def test_a_window_is_made_small_and_large(screen, tmp_path):
    """What is drawn, and saved as a screenshot, has the size that the window was given; full screen and back too."""
    from PIL import Image

    train(screen, tmp_path)
    with Driven(screen, tmp_path, "watch") as window:
        for key, size in (("", (640, 420)), ("", (1311, 767)), ("F11", (1400, 900)), ("F11", (1311, 767))):
            if key:
                window.press(key)
            else:
                shown = windows_of(screen)[0]
                subprocess.run(["xdotool", "windowsize", shown, *map(str, size)], env=screen, check=True)

            def taken(size=size) -> bool:
                window.press("s")
                time.sleep(0.1)
                paths = sorted(tmp_path.glob("rlplay-*.png"), key=lambda path: path.stat().st_mtime)
                with Image.open(paths[-1]) as image:
                    return image.size == size

            wait_for(taken)
        window.press("q")
        window.end()
