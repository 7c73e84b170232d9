"""How fast environments are, as ratios in one run: python tests/benchmarks/environments.py

Raw stepping in compiled code, rows of 1,024 environments against Gymnasium's own vector environment and, where it is
installed, EnvPool on one thread; rows of 65,536; worker processes. Contenders take turns, medians of the rounds are
reported. For one core: taskset -c 1 (the workers need two: they run last, in a call of their own with --workers).
"""

from __future__ import annotations

import statistics
import sys
import time
import types
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

import envs  # noqa: F401 - registers them
from rlplay import make, make_vec
from rlplay.compiled.cache import compiled
from rlplay.compiled.native import NativeEnv
from rlplay.compiled.pcg64 import random, reseed
from rlplay.compiled.table import reset_table, step_table

ROUNDS = 7
CONTROL = ["CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1", "Acrobot-v1"]
TABLES = ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"]
# What bounds a step, counted in the equations: sines and cosines, and inner steps.
ARITHMETIC = {
    "CartPole-v1": "2 sines, 2 divisions",
    "MountainCar-v0": "1 cosine",
    "MountainCarContinuous-v0": "1 cosine",
    "Pendulum-v1": "3 sines or cosines, 3 powers, 1 modulo",
    "Acrobot-v1": "4 x 6 sines or cosines in Runge and Kutta's steps, 2 at the end, 4 to observe",
    "rlplay/CarOnTheHill-v0": "100 Euler steps with a square root and 2 divisions each",
    "rlplay/InvertedPendulum-v0": "4 x 4 accelerations: 32 sines and cosines, 16 divisions",
}


def raw_loop(env: NativeEnv) -> Callable[..., float]:
    """The compiled loop over an environment's three functions that takes random actions."""
    reset, step, observe, continuous = env.dynamics
    count = 0 if continuous else int(env.action_space.n)

    @compiled
    def play(parameters: Any, state: Any, obs: Any, action: Any, rng: Any, steps: int, limit: int) -> float:
        total, length = 0.0, 0
        reset(parameters, state, rng)
        for _ in range(steps):
            if continuous:
                action[0] = 2.0 * random(rng) - 1.0
                reward, ended = step(parameters, state, action, rng)
            else:
                reward, ended = step(parameters, state, int(count * random(rng)), rng)
            observe(parameters, state, obs)
            total, length = total + reward, length + 1
            if ended or length == limit:
                reset(parameters, state, rng)
                length = 0
        return total

    return play


@compiled
def table_loop(model: Any, actions: int, rng: Any, steps: int, limit: int) -> float:
    """The same over a transition table."""
    total, length, s = 0.0, 0, reset_table(model, rng)
    for _ in range(steps):
        s, reward, ended = step_table(model, s, int(actions * random(rng)), rng)
        total, length = total + reward, length + 1
        if ended or length == limit:
            s, length = reset_table(model, rng), 0
    return total


def raw(env_id: str) -> Callable[[], float]:
    """Steps/s of one environment in compiled code."""
    env, rng = make(env_id), np.zeros(4, np.uint64)
    reseed(rng, 0)
    if isinstance(env, NativeEnv):
        world, play = env.world, raw_loop(env)
        room = np.zeros(1, np.float32)
        go = partial(play, world.parameters, world.state, world.obs, room, rng)
    else:
        go = partial(table_loop, env.table.arrays, env.table.n_actions, rng)
    steps = 400_000 if "100" in ARITHMETIC.get(env_id, "") else 2_000_000

    def run() -> float:
        start = time.perf_counter()
        go(steps, env.max_episode_steps)
        return steps / (time.perf_counter() - start)

    return run


def alone(env_id: str) -> float:
    """Steps/s of Gymnasium's environment from Python."""
    env = gym.make(env_id)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(5000)]
    start = time.perf_counter()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return len(actions) / (time.perf_counter() - start)


def stepping(env: Any, number: int, steps: int) -> Callable[[], float]:
    """Steps/s of a vector environment, one with Gymnasium's interface."""
    env.reset(seed=0)
    env.action_space.seed(0)
    sampled = [env.action_space.sample() for _ in range(4)]
    actions = [a if isinstance(a, np.ndarray) and len(a) == number else np.full(number, a) for a in sampled]

    def run() -> float:
        for k in range(3):
            env.step(actions[k])
        start = time.perf_counter()
        for k in range(steps):
            env.step(actions[k % 4])
        return number * steps / (time.perf_counter() - start)

    return run


def envpool_env(env_id: str, number: int) -> Any:
    """EnvPool's on one thread, or None where it is not installed; its Atari and MuJoCo parts are not loaded."""
    sys.modules.setdefault("envpool.entry", types.ModuleType("envpool.entry"))
    try:
        import envpool
        import envpool.classic_control.registration
        import envpool.toy_text.registration
    except ImportError:
        return None
    env = envpool.make(env_id.replace("Taxi-v4", "Taxi-v3"), env_type="gymnasium", num_envs=number, num_threads=1)
    space = env.action_space
    reset = env.reset
    env.reset = lambda seed=None: reset()
    rows = [np.array([space.sample() for _ in range(number)]) for _ in range(4)]
    env_like = types.SimpleNamespace(reset=env.reset, step=env.step)
    env_like.action_space = types.SimpleNamespace(seed=lambda s: None, sample=iter(rows).__next__)
    return env_like


def rounds(contenders: dict[str, Callable[[], float]]) -> dict[str, float]:
    """The median steps/s of each contender; all take turns."""
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run()
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            speeds[name].append(run())
    return {name: statistics.median(values) for name, values in speeds.items()}


def raw_table() -> None:
    """Raw stepping."""
    ids = [*CONTROL, *TABLES, "rlplay/CarOnTheHill-v0", "rlplay/InvertedPendulum-v0", "rlplay/Baird-v0"]
    speeds = rounds({env_id: raw(env_id) for env_id in ids})
    own = rounds({env_id: partial(alone, env_id) for env_id in [*CONTROL, *TABLES]})
    print(f"{'raw compiled stepping':28s} {'million/s':>10s} {'ns a step':>10s} {'Gymnasium, one':>15s}")
    for env_id, speed in speeds.items():
        theirs = f"{own[env_id] / 1e6:15.3f}" if env_id in own else " " * 15
        print(f"{env_id:28s} {speed / 1e6:10.2f} {1e9 / speed:10.1f} {theirs}  {ARITHMETIC.get(env_id, '')}")


def vector_table(number: int = 1024) -> None:
    """Rows of environments through the vector entry point."""
    print(f"\n{f'{number:,} environments':28s} {'ours':>10s} {'peer':>10s} {'ratio':>7s}  million steps/s")
    for env_id in [*CONTROL, *TABLES]:
        ours = gym.make_vec(f"rlplay/{env_id}", num_envs=number, vectorization_mode="vector_entry_point")
        peers: dict[str, Any] = {}
        if env_id == "CartPole-v1":
            peers["Gymnasium's CartPoleVectorEnv"] = gym.make_vec(env_id, num_envs=number)
        if env_id not in ("MountainCarContinuous-v0", "CliffWalking-v1"):
            peers["EnvPool"] = envpool_env(env_id, number)
        contenders = {"ours": stepping(ours, number, 300)}
        contenders |= {name: stepping(env, number, 100) for name, env in peers.items() if env is not None}
        speeds = rounds(contenders)
        mine = speeds.pop("ours")
        for name, speed in speeds.items() or [("none installed", float("nan"))]:
            print(f"{env_id:28s} {mine / 1e6:10.2f} {speed / 1e6:10.2f} {mine / speed:7.2f}  {name}")


def growth() -> None:
    """The cost of a step as environments become many, and their memory."""
    print(f"\n{'rows':28s} {'1,024':>10s} {'8,192':>10s} {'65,536':>10s}   ns a step; bytes an environment")
    for env_id in [*CONTROL, *TABLES]:
        rows = {n: gym.make_vec(f"rlplay/{env_id}", num_envs=n) for n in (1024, 8192, 65536)}
        steps = 2**19 if env_id == "Acrobot-v1" else 2**21
        speeds = rounds({str(n): stepping(env, n, steps // n) for n, env in rows.items()})
        cost = [1e9 / speed for speed in speeds.values()]
        sizes = {env.nbytes / n for n, env in rows.items()}
        words = " ".join(f"{c:10.1f}" for c in cost)
        print(f"{env_id:28s} {words}   {', '.join(f'{s:.0f}' for s in sizes)}   last/first {cost[-1] / cost[0]:.2f}")


def workers_table() -> None:
    """Worker processes over Gymnasium's own environments."""
    print(f"{'':28s} {'none':>10s} {'1 worker':>10s} {'2 workers':>10s}   thousand steps/s")
    for env_id, number in (("Acrobot-v1", 64), ("Acrobot-v1", 256), ("CartPole-v1", 64), ("CartPole-v1", 256)):
        made = {w: make_vec(env_id, number, dynamics="gymnasium", workers=w) for w in (0, 1, 2)}
        runs = {w: stepping(env, number, 12_800 // number) for w, env in made.items()}
        taken = np.array([[run() for run in runs.values()] for _ in range(3 * ROUNDS)])  # in turns: [round, workers]
        words = " ".join(f"{speed / 1e3:10.1f}" for speed in np.median(taken, axis=0))
        ratios = taken[:, 2] / taken[:, 1]
        print(f"{f'{number} x {env_id}':28s} {words}   two over one: median {np.median(ratios):.2f} of the rounds, "
              f"{ratios.min():.2f} to {ratios.max():.2f}")  # fmt: skip
        for env in made.values():
            env.close()


def main() -> None:
    """Measure and print the tables."""
    if "--workers" in sys.argv:
        workers_table()
        return
    raw_table()
    vector_table()
    growth()


if __name__ == "__main__":
    main()
