"""Shared by all tests: quiet SDL, a folder of its own for each test, the tiers, and the command line as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.contract.cases import LONG_AGENTS
from tests.fork_server import Commands

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers share the cores; torch would start threads in both
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # processes that tests start keep bytecode, as a user's do

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

# Tests over everything registered, of which the default suite runs one case in so many; `pytest -m slow` runs the rest.
# A check of the contract is named by its own name.
ONE_IN = {
    "check_chunks": 3,
    "check_probe_does_not_disturb": 3,
    "check_resume_in_new_process": 12,
    "check_same_seed_same_bits": 3,
    "test_a_hundred_thousand_random_transitions": 3,
    "test_a_kill_in_a_save_never_harms_the_file": 2,
    "test_all_checkers": 3,
    "test_an_edit_compiles_what_depends_on_it_and_nothing_else": 2,
    "test_any_features_batch_and_single_and_vectors_agree": 3,
    "test_every_figure": 4,
    "test_every_way_to_give_an_environment_learns_the_same_bits": 4,
    "test_files_hold_arrays_and_learning_goes_on_in_the_same_bits": 3,
    "test_five_fold_scores_on_real_data": 3,
    "test_forward_and_gradients_equal_torchs": 2,
    "test_gradients_equal_differences": 2,
    "test_masks_of_a_table_hold_natively_and_in_files": 3,
    "test_no_allocation_in_a_training_step": 3,
    "test_pictures_at_any_size": 4,
    "test_python_environments_do_what_they_do_alone": 3,
    "test_scikit_learns_contract": 4,
    "test_show_and_pictures": 4,
    "test_the_same_curve_over_torch": 3,
    "test_what_is_forbidden_is_never_done": 2,
    "test_what_is_learned_is_right": 2,
    "test_what_users_bring_is_taken_or_refused_by_name": 2,
}
# One agent of each kind, of which the default suite runs every case.
ALWAYS = frozenset(("dagger", "dqn", "fitted-q", "linear-sarsa", "ppo", "q-learning", "sb3/dqn"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the quick and the slow tests, and have one worker run what compiles the same functions."""
    seen: Counter[str] = Counter()
    for item in items:
        place = item.path.relative_to(HERE).as_posix()
        if (name := _kind(item)) in ONE_IN and item.get_closest_marker("slow") is None:
            seen[name] += 1
            if seen[name] % ONE_IN[name] != 1 and not ALWAYS & _agents_of(item):
                item.add_marker(pytest.mark.slow)
        if place.startswith(("contract/", "rlplay/test_conventions.py")) and LONG_AGENTS & _agents_of(item):
            item.add_marker(pytest.mark.slow)
        if place.startswith(QUICK) and item.get_closest_marker("slow") is None:
            item.add_marker(pytest.mark.quick)
        if place.startswith(COMPILES_TOGETHER):
            item.add_marker(pytest.mark.xdist_group(_group(item, place)))


def _kind(item: pytest.Item) -> str:
    """What a test is one of many of: its function, or the check of the contract that it makes."""
    callspec = getattr(item, "callspec", None)
    check = callspec.params.get("check") if callspec is not None else None
    return getattr(check, "__name__", None) or getattr(item, "originalname", item.name)


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
