"""Who imports whom: rlplay knows no plug-in, agents and envs do not know each other, and listing imports nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "stable_baselines3", "sklearn", "pygame", "numba")


def imported(package: str) -> set[tuple[str, str]]:
    found = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {(path.name, alias.name.split(".")[0]) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add((path.name, (node.module or "").split(".")[0]))
    return found


@pytest.mark.parametrize(
    ("package", "forbidden"), [("rlplay", {"agents", "envs"}), ("agents", {"envs"}), ("envs", {"agents"})]
)
def test_directions(package, forbidden):
    assert not [(file, name) for file, name in imported(package) if name in forbidden]


@pytest.mark.parametrize(
    "code",
    [
        "import rlplay",
        "import agents",
        "from rlplay import registry; [registry.summary('rlplay.agents', i) for i in registry.agent_ids()]",
        "from rlplay.cli import main; main(['list'])",
        "from rlplay.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
    ],
)
def test_light_starts(code):
    check = f"{code}\nimport sys; print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("LOADED []"), done.stdout


def test_dynamics_import_no_pygame():
    code = "import envs, sys; import envs.grid_world, envs.grid_map; assert 'pygame' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_training_imports_neither_torch_nor_pygame():
    code = (
        "import sys; from agents import QLearning; QLearning('FrozenLake-v1', seed=0).learn(100);"
        "print([m for m in ('torch', 'stable_baselines3', 'pygame', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_resolve():
    import agents
    import rlplay

    for name in rlplay.__dir__():
        assert getattr(rlplay, name) is not None
    for name in agents.__all__:
        assert getattr(agents, name).__name__ == name
