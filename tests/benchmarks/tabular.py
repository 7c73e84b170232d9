"""How fast tabular learning is, as ratios in one run: python tests/benchmarks/tabular.py

The yardstick is the Q-learning loop that one writes by hand over Gymnasium's FrozenLake. Rounds alternate between the
contenders, so that a machine that gets slower meanwhile slows all of them; the medians over the rounds are reported.
``--tables`` measures large tables alone: seconds to make and to load one, steps/s, memory.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial

import gymnasium as gym
import numpy as np

from agents import (
    UCB,
    DoubleQLearning,
    DynaQ,
    EpsilonGreedy,
    ExpectedSarsa,
    GradientBandit,
    NStepSarsa,
    QLearning,
    Sarsa,
    SarsaLambda,
    ThompsonSampling,
    WatkinsQLambda,
)
from agents.figures.bandits import play_testbed
from rlplay import make
from rlplay.compiled.cache import compile_report
from rlplay.testing import differences

ROUNDS = 7


def by_hand(steps: int) -> float:
    """Fifteen lines of Q-learning as in countless tutorials; returns steps/s."""
    env, rng = gym.make("FrozenLake-v1"), np.random.default_rng(0)
    q = np.zeros((env.observation_space.n, env.action_space.n))
    s, _ = env.reset(seed=0)
    start = time.perf_counter()
    for _ in range(steps):
        a = int(rng.integers(4)) if rng.random() < 0.1 else int(np.argmax(q[s]))
        s_next, r, terminated, truncated, _ = env.step(a)
        q[s, a] += 0.1 * (r + 0.99 * (0.0 if terminated else q[s_next].max()) - q[s, a])
        s = s_next
        if terminated or truncated:
            s, _ = env.reset()
    return steps / (time.perf_counter() - start)


def ours(agent: QLearning, steps: int, engine: str) -> float:
    """Steps/s of an agent that has compiled already."""
    start = time.perf_counter()
    agent.learn(steps, engine=engine)
    return steps / (time.perf_counter() - start)


def start_up() -> tuple[float, int]:
    """Seconds and compilations of a whole new process that learns 1000 steps."""
    code = (
        "from agents import QLearning; from rlplay.compiled.cache import compile_report;"
        "QLearning('FrozenLake-v1', seed=0).learn(1000); print(compile_report()['compiled'])"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return time.perf_counter() - start, int(done.stdout)


LARGE = """
import resource, sys, tempfile, time
from pathlib import Path
import numpy as np
import rlplay
from agents import QLearning

def used():
    return time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

env_id, side, steps = sys.argv[1], int(sys.argv[2]), 4_000_000
lake = env_id == "FrozenLake-v1"
kinds = np.random.default_rng(0).choice(list("FH" if lake else ".~#"), p=[0.99, 0.01] if lake else [0.9, 0.05, 0.05],
                                        size=(side, side))
kinds[0, 0], kinds[-1, -1] = "S", "G"
rows = ["".join(row) for row in kinds]
QLearning("FrozenLake-v1", seed=0).learn(1000)
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "map.txt").write_text("\\n".join(rows))
    start, before = used()
    env = rlplay.make(env_id, **({"desc": rows} if lake else {"map": str(Path(folder, "map.txt"))}))
    agent = QLearning(env, seed=0).learn(1000)
    made, peak = used()
    agent.learn(steps)
    learned, _ = used()
    path = agent.save(Path(folder, "agent"))
    saved, _ = used()
    rlplay.load(path)
    loaded, both = used()
table = env.table
size = sum(array.nbytes for array in (*table.arrays, table.probability, table.start)) / 2**20
print(f"{env_id:20s} {table.n_states:10,} {table.probability.shape[2]:2d} {made - start:6.2f} {loaded - saved:6.2f} "
      f"{steps / (learned - made) / 1e6:8.1f} {size:8.0f} {peak - before:8.0f} {both - before:8.0f}")
"""


def large_tables() -> None:
    """Tables of up to a million states, each in a process of its own: seconds of the processor, and peaks of memory."""
    print(f"{'large tables':20s} {'states':>10s}  K   made loaded million/s MiB: table   making  loading, two of them")
    for env_id, side in [("rlplay/GridWorld-v0", n) for n in (100, 400, 1000)] + [("FrozenLake-v1", 400)]:
        subprocess.run([sys.executable, "-c", LARGE, env_id, str(side)], check=True)


def command(*words: str) -> float:
    """Median seconds of a command line over seven starts."""
    times = []
    for _ in range(7):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "rlplay", *words], capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def testbed() -> None:
    """Seconds a curve of the 10-armed testbed, 2000 runs of 1000 steps."""
    for cls in (EpsilonGreedy, UCB, GradientBandit, ThompsonSampling):
        play_testbed(cls, 10, 10)
        start = time.perf_counter()
        play_testbed(cls)
        print(f"10-armed testbed, 2000 runs of 1000 steps, {cls.__name__}: {time.perf_counter() - start:.2f} s")


def main() -> None:
    """Measure and print a table."""
    own = make("FrozenLake-v1", dynamics="gymnasium")
    contenders = {
        "by hand over Gymnasium's FrozenLake": partial(by_hand, 40_000),
        "QLearning stepwise over Gymnasium's": partial(ours, QLearning(own, seed=0), 40_000, "python"),
        "QLearning on gymnasium.make's instance": partial(
            ours, QLearning(gym.make("FrozenLake-v1"), seed=0), 10_000_000, "compiled"
        ),
        "QLearning stepwise, native dynamics": partial(ours, QLearning("FrozenLake-v1", seed=0), 80_000, "python"),
    }
    ladder = (QLearning, Sarsa, ExpectedSarsa, DoubleQLearning, NStepSarsa, SarsaLambda, WatkinsQLambda, DynaQ)
    for cls in ladder:
        contenders[f"{cls.__name__} compiled"] = partial(ours, cls("FrozenLake-v1", seed=0), 10_000_000, "compiled")
    first_compile = time.perf_counter()
    for run in contenders.values():
        run()
    print(f"warm-up of all contenders: {time.perf_counter() - first_compile:.1f} s, {compile_report()}")
    speeds = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            speeds[name].append(run())
    base = speeds["by hand over Gymnasium's FrozenLake"]
    print(f"\n{'median of ' + str(ROUNDS) + ' rounds':40s} {'steps/s':>12s} {'times by hand':>14s}")
    for name, values in speeds.items():
        ratio = statistics.median(v / b for v, b in zip(values, base, strict=True))
        print(f"{name:40s} {statistics.median(values):12,.0f} {ratio:14.2f}")

    same = []
    for cls in ladder:
        pair = [cls("FrozenLake-v1", seed=1).learn(20_000, engine=engine) for engine in ("compiled", "python")]
        same.append(not differences(*pair))
    print(f"\nsame bits from both drivers: {all(same)} ({len(same)} agents)")
    testbed()

    with tempfile.TemporaryDirectory() as folder:
        os.environ["RLPLAY_CACHE_DIR"] = folder
        cold, compiled = start_up()
        warm, again = start_up()
        del os.environ["RLPLAY_CACHE_DIR"]
    print(f"a new process that learns 1000 steps: first start {cold:.1f} s ({compiled} functions compiled), "
          f"second {warm:.2f} s ({again} compiled)")  # fmt: skip
    for words in (("--help",), ("list",)):
        print(f"rlplay {' '.join(words)}: {command(*words):.2f} s")

    agent = QLearning("FrozenLake-v1", seed=0).learn(1_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    agent.learn(10_000_000)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory before and after 10 million steps more: {before / 1024:.0f} and {after / 1024:.0f} MiB")


if __name__ == "__main__":
    if "--tables" in sys.argv:
        large_tables()
    else:
        main()
        large_tables()
