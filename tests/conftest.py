"""Shared by all tests: quiet SDL, a folder of its own for each test, and the command line as a real process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers share the cores; torch would start threads in both
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cli(tmp_path: Path):
    """Run ``rlplay ...`` in a new process, in the test's folder, without a display."""

    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")}
        command = [sys.executable, "-m", "rlplay", *words]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env={**clean, **env}, timeout=300, check=False
        )

    return run
