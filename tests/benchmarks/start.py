"""How long a first start takes, cold and warm: python tests/benchmarks/start.py [names of agents]

For each family of agents a new process makes one and learns until it has updated; once with an empty cache of compiled
code (cold), once more with what that left (warm), and once for another environment (next). Seconds of the clock from
the start of Python, with nothing else running; ``imports`` is the time that loading the package takes of each. Python's
bytecode is there, as after any first import (which takes 0.3 s more). FittedQ's first update is its first iterate.
After ``python -m rlplay.compiled.shipped`` the lowered code of all agents lies in the package, as in a wheel; the first
line says so.
"""

from __future__ import annotations

import compileall
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from arithmetic import processor

ROOT = Path(__file__).parents[2]
ARCHIVE = ROOT / "rlplay" / "compiled" / "lowered.zip"
# Agent and hyperparameters, environment, another environment, steps.
FAMILIES = [
    ("QLearning", "FrozenLake-v1", "Taxi-v4", 1_000),
    ("DynaQ", "FrozenLake-v1", "Taxi-v4", 1_000),
    ("LinearSarsa", "MountainCar-v0", "CartPole-v1", 1_000),
    ("LinearActorCritic", "CartPole-v1", "MountainCar-v0", 1_000),
    ("FittedQ n_iterations=1", "CartPole-v1", "MountainCar-v0", 1_000),
    ("Reinforce", "CartPole-v1", "Acrobot-v1", 1_000),
    ("A2C", "CartPole-v1", "Pendulum-v1", 1_000),
    ("PPO", "CartPole-v1", "Pendulum-v1", 2_048),
    ("PQN", "CartPole-v1", "MountainCar-v0", 1_000),
    ("DQN", "CartPole-v1", "MountainCar-v0", 1_000),
    ("SAC", "Pendulum-v1", "MountainCarContinuous-v0", 300),
]
CODE = """
import sys, time
start = time.perf_counter()
import agents
agent = getattr(agents, {agent!r})
imported = time.perf_counter() - start
agent({env!r}, seed=0{given}).learn({steps})
from rlplay.compiled.cache import compile_report
print(imported, compile_report()["compiled"])
"""


def seconds(agent: str, env: str, steps: int, cache: Path) -> tuple[float, float, int]:
    """Seconds of a whole process, of its imports, and how many functions it compiled."""
    name, *hyperparameters = agent.split()
    given = "".join(f", {one}" for one in hyperparameters)
    code = CODE.format(agent=name, env=env, steps=steps, given=given)
    variables = {**os.environ, "RLPLAY_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=variables)
    whole = time.perf_counter() - start
    imported, compiled = done.stdout.split()
    return whole, float(imported), int(compiled)


def main(names: list[str]) -> None:
    """Print the table."""
    for package in ("rlplay", "agents", "envs"):
        compileall.compile_dir(ROOT / package, quiet=1)
    carried = "lowered code is there" if ARCHIVE.exists() else "nothing is there"
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {carried}")
    print("seconds                   cold  functions   warm   next  functions  imports")
    for agent, env, other, steps in FAMILIES:
        if names and agent.split()[0] not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            cold, _, compiled = seconds(agent, env, steps, Path(folder))
            warm, imported, none = seconds(agent, env, steps, Path(folder))
            further, _, fresh = seconds(agent, other, steps, Path(folder))
        assert none == 0, f"{agent} compiled {none} functions again"
        print(
            f"{agent:<24}{cold:>6.1f}{compiled:>11}{warm:>7.2f}{further:>7.1f}{fresh:>11}{imported:>9.2f}", flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
