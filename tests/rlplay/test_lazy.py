"""Modules that are imported when they are used."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

from rlplay.lazy import defer

SLOW = """
import time
first = 1
time.sleep(0.2)
last = 2
"""


@pytest.fixture
def slow_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that takes a while to run."""
    (tmp_path / "takes_a_while.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    yield "takes_a_while"
    sys.modules.pop("takes_a_while", None)


def test_it_runs_once_when_a_name_is_used_in_whichever_thread(slow_module: str) -> None:
    defer(slow_module)
    import takes_a_while

    assert "first" not in vars(takes_a_while)
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(takes_a_while.last)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [2, 2, 2, 2]
    assert type(takes_a_while) is ModuleType
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = takes_a_while.absent


def test_names_can_be_imported_and_what_is_not_installed_is_left(slow_module: str) -> None:
    defer(slow_module)
    from takes_a_while import last

    assert last == 2
    defer("no_such_module_anywhere")
    assert "no_such_module_anywhere" not in sys.modules


def test_a_start_does_not_run_scipys_statistics() -> None:
    code = """
import sys
from agents import FittedQ, LinearSarsa
from rlplay.models.deep import MLPClassifier
LinearSarsa("MountainCar-v0", seed=0), FittedQ("CartPole-v1", seed=0)
assert "scipy.stats._stats_py" not in sys.modules
import scipy.stats
assert scipy.stats.norm.cdf(0.0) == 0.5
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_whoever_lists_its_names_sees_all_of_them(slow_module: str) -> None:
    defer(slow_module)
    import takes_a_while

    assert {"first", "last"} <= set(dir(takes_a_while))
    code = "import rlplay.models\nfrom scipy.stats import *\nassert norm.cdf(0.0) == 0.5"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
