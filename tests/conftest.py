"""Shared by all tests: quiet SDL, a folder of its own for each test, the tiers, and the command line as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.cases import LONG_AGENTS
from tests.fork_server import Commands

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers share the cores; torch would start threads in both
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")

HERE = Path(__file__).parent

# Numbers, rules, spaces, files, the window's state: files of which every test takes about a second at most once the
# compile cache is warm. `pytest -m quick` runs them; a test may leave them by `pytest.mark.slow`.
QUICK = (
    "agents/test_rules.py", "compiled/test_digest.py", "compiled/test_numba_internals.py", "numbers/test_bandits.py",
    "numbers/test_planning.py", "rlplay/test_checkpoint.py", "rlplay/test_encoder.py",
    "rlplay/test_hyperparameters.py", "rlplay/test_pcg64.py", "rlplay/test_schedules.py", "rlplay/test_spaces.py",
    "rlplay/test_loop.py", "test_glossary.py", "test_layers.py", "test_layers_picture.py",
)  # fmt: skip

# Files whose tests compile the same functions: one worker runs them, so that nothing compiles twice at a time.
COMPILES_TOGETHER = ("agents", "contract", "models", "compiled", "rlplay/test_networks.py", "rlplay/test_features.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the quick tests, and have one worker run what compiles the same functions."""
    for item in items:
        place = item.path.relative_to(HERE).as_posix()
        if place.startswith(("contract/", "rlplay/test_conventions.py")) and LONG_AGENTS & _agents_of(item):
            item.add_marker(pytest.mark.slow)
        if place.startswith(QUICK) and item.get_closest_marker("slow") is None:
            item.add_marker(pytest.mark.quick)
        if place.startswith(COMPILES_TOGETHER):
            item.add_marker(pytest.mark.xdist_group(_group(item, place)))


def _agents_of(item: pytest.Item) -> set[Any]:
    """The agents that a test of the contract is about: what its parameters name."""
    callspec = getattr(item, "callspec", None)
    values = callspec.params.values() if callspec is not None else ()
    return {value[0] if isinstance(value, tuple) else value for value in values if isinstance(value, str | tuple)}


def _group(item: pytest.Item, place: str) -> str:
    """The file; for the contract the agent."""
    callspec = getattr(item, "callspec", None)
    if place == "contract/test_agents.py" and callspec is not None and "case" in callspec.params:
        return f"contract {callspec.params['case'][0]}"
    return place


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def commands():
    """Runs ``rlplay ...`` in processes of their own that need not import everything anew."""
    running = Commands()
    yield running
    running.close()


@pytest.fixture(scope="session")
def cli_in(commands: Commands):
    """Run ``rlplay ...`` in a new process, in a folder, without a display."""

    def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")}
        return commands.run(list(words), folder, clean)

    return run


@pytest.fixture
def cli(tmp_path: Path, commands: Commands):
    """Run ``rlplay ...`` in a new process, in the test's folder, without a display."""

    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")}
        if not env:
            return commands.run(list(words), tmp_path, clean)
        command = [sys.executable, "-m", "rlplay", *words]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env={**clean, **env}, timeout=300, check=False
        )

    return run


@pytest.fixture
def rlplay(capsys, monkeypatch):
    """Run a command in this process: exit code, standard output, standard error."""
    from rlplay import cli as command_line
    from rlplay.cli.common import console

    def run(*words: str) -> tuple[int, str, str]:
        command_line._shown.clear()
        console.cache_clear()
        monkeypatch.setattr(sys, "argv", ["rlplay", *words])
        try:
            code = command_line.main(list(words))
        except SystemExit as ended:
            code = ended.code
        said = capsys.readouterr()
        return code, said.out, said.err

    monkeypatch.setattr("warnings.showwarning", command_line._show_warning)
    yield run
    console.cache_clear()
