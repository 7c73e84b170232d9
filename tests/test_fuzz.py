"""Some hundred damaged and crafted files: the short form of `tests/fuzz.py`, and its own promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import fuzz, fuzz_cases

ROOT = Path(__file__).parents[1]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tests" / "fuzz.py"), *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=900, check=False)


def test_some_hundred_files_harm_nothing():
    done = run("--short", "--files", "300", "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 300 " in done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_two_thousand_files_of_every_agent_harm_nothing():
    done = run("--files", "2000", "--seed", "18")
    assert done.returncode == 0, done.stdout + done.stderr
