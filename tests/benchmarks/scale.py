"""Many runs and many machines, in numbers: python tests/benchmarks/scale.py WORD...

    empty        what a run costs that learns nothing: milliseconds, of which in the processor
    queue        500 queued runs: how the driver's memory grows
    efficiency   runs at once beside runs alone: --jobs 2, and a Ray cluster of two nodes on this machine; one of them
                 with `efficiency local` or `efficiency ray`
    trials       100 trials of PPO on CartPole, 50,000 steps each, on one core, after one that loads
    actors       one training on Ray: steps that wait for each other, and copies of the policy that go ahead; and what
                 a thousand processors would do, by a model that is fitted to what was measured

Each prints what was asked for beside what it measured. `efficiency` and `actors` need ray where they use it, `trials`
optuna. A quiet machine with two free cores is needed for all but `queue` and `actors`, whose environments only wait.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

ASKED: dict[str, Any] = {
    "algo": "q-learning", "env": "FrozenLake-v1", "env_kwargs": {}, "seed": 0, "n_timesteps": 1, "gym_packages": [],
    "dynamics": "auto", "engine": "auto", "eval_freq": -1, "eval_episodes": 5, "save_freq": None, "keep": None,
    "log_interval": None, "tensorboard_log": None,
}  # fmt: skip


def verdict(what: str, found: float, limit: float, unit: str, *, most: bool) -> None:
    """A line: what was asked for, and what was measured."""
    good = found <= limit if most else found >= limit
    words = "at most" if most else "at least"
    print(f"{what}: {found:.4g} {unit} ({words} {limit:g}: {'yes' if good else 'NO'})", flush=True)


class Nobody:
    """Watches runs and says nothing."""

    def began(self, job: Any) -> None:
        """A run began."""

    def ended(self, job: Any, outcome: Any) -> None:
        """A run ended."""
        assert not outcome.error, outcome


def batch_of(folder: Path, count: int, **changes: Any) -> Any:
    """So many runs, not begun."""
    from rlplay.runners.batch import Batch, Request

    return Batch(folder, [Request({**ASKED, **changes, "seed": seed}, {}) for seed in range(count)])


def seconds_of(batch: Any, runner: Any) -> float:
    """How long they take."""
    start = time.perf_counter()
    with batch.held():
        batch.finish(runner, Nobody())
    return time.perf_counter() - start


def empty(count: int = 100) -> None:
    """What a run costs beside its steps."""
    from rlplay.runners.job import Job, finish
    from rlplay.training.run_folder import new_run

    with tempfile.TemporaryDirectory() as folder:
        wall, processor = [], []
        for seed in range(count + 3):
            start, used = time.perf_counter(), time.process_time()
            job = Job(new_run(Path(folder), ASKED["algo"], ASKED["env"]).path, {**ASKED, "seed": seed}, {})
            assert not finish(job).error
            wall.append(1e3 * (time.perf_counter() - start))
            processor.append(1e3 * (time.process_time() - used))
    found = sorted(wall[3:])  # the first ones load
    print(
        f"an empty run: {found[0]:.1f} to {found[-1]:.1f} ms, {statistics.median(processor[3:]):.1f} in the processor"
    )
    verdict("an empty run, median", statistics.median(found), 50, "ms", most=True)


def queue(count: int = 500) -> None:
    """The driver's memory beside many queued runs."""
    from rlplay.runners.processes import ProcessRunner

    runner, seen = ProcessRunner(2), []

    def memory() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    class Watcher(Nobody):
        def ended(self, job: Any, outcome: Any) -> None:
            super().ended(job, outcome)
            seen.append(memory())

    with tempfile.TemporaryDirectory() as folder:
        batch = batch_of(Path(folder), count)
        with batch.held():
            batch.finish(runner, Watcher())
    runner.close()
    print(f"{len(seen)} runs: {seen[0]:.0f} MiB after the first, {seen[50]:.0f} after 50, {seen[-1]:.0f} at the end")
    verdict("the driver's memory grows after 50 runs by", seen[-1] - seen[50], 4, "MiB", most=True)


def efficiency(kinds: list[str]) -> None:
    """Runs at once beside the same runs one after the other, once workers are there and have loaded."""
    from rlplay.runners.make import new_runner
    from rlplay.runners.runner import OneByOne

    work = {"n_timesteps": 60_000_000}
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        seconds_of(batch_of(top / "first", 1), OneByOne())
        for kind in kinds:
            with _cluster() if kind == "ray" else _nothing() as address:
                runner = new_runner(kind, 2 if kind == "local" else None, address)
                seconds_of(batch_of(top / f"warm-{kind}", 4), runner)
                alone, together = [], []
                for round_ in range(3):  # in turns: what else the machine does is the same for both
                    alone.append(seconds_of(batch_of(top / f"a{kind}{round_}", 1, **work), OneByOne()))
                    together.append(seconds_of(batch_of(top / f"t{kind}{round_}", 4, **work), runner))
                runner.close()
            print(f"{kind}: {min(alone):.2f} s alone; 4 runs, 2 at once: {min(together):.2f} s")
            verdict(f"efficiency, {kind}", 100 * 2 * min(alone) / min(together), 90, "%", most=False)


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


@contextmanager
def _cluster() -> Iterator[str]:
    """A cluster of two nodes with a processor each, on this machine."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 10**8})
    cluster.add_node(num_cpus=1, object_store_memory=10**8)
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


def trials(count: int = 100) -> None:
    """A study of PPO on CartPole, as `rlplay tune --algo ppo --env CartPole-v1 -n 50000` has it."""
    from rlplay.runners.runner import OneByOne
    from rlplay.tuning.spaces import space_of
    from rlplay.tuning.study import Place, Plan, create, search

    asked = {key: value for key, value in ASKED.items() if key != "seed"} | {
        "algo": "ppo", "env": "CartPole-v1", "n_timesteps": 50_000, "eval_freq": 50_000, "eval_episodes": 10,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder) / "study")
        create(place, Plan(asked, {}, space_of("ppo"), [0], ["iqm"]))
        found = search(place, count + 1, OneByOne())
        next(found)
        start = time.perf_counter()
        states = [outcome.state for outcome in found]
        seconds = time.perf_counter() - start
    print(f"{len(states)} trials, {states.count('COMPLETE')} complete, {1e3 * seconds / len(states):.0f} ms each")
    verdict(f"{count} trials of PPO on CartPole, 50,000 steps", seconds * 100 / count, 180, "s", most=True)


class Slow(gym.Env[Any, Any]):
    """Waits, as a simulator does that runs beside this process; every step takes about the same time, or not.

    Args:
        seconds: of a step, on the average.
        spread: 0: all take that; 1: they are exponential.
    """

    def __init__(self, seconds: float = 0.01, spread: float = 0.0) -> None:
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (8,), np.float32)
        self.action_space = gym.spaces.Discrete(4)
        self.seconds, self.spread = seconds, spread

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._length = 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Wait."""
        self._length += 1
        drawn = self.np_random.exponential()
        time.sleep(self.seconds * (1.0 - self.spread + self.spread * drawn))
        return self._seen(), float(action == 0), False, self._length >= 200, {}

    def _seen(self) -> Any:
        return self.np_random.uniform(-1.0, 1.0, 8).astype(np.float32)


N_STEPS = 64  # of a rollout, in `actors`
GRID = [(2, 1), (4, 1), (4, 3), (8, 3), (8, 7), (24, 7)]  # environments, actors


def _round_seconds(n: int, w: int, seconds: float, spread: float = 0.0) -> tuple[float, float]:
    """Seconds of a step of all environments and its part of learning: waiting for each step, and with copies."""
    from agents import PPO

    agent = PPO(lambda: Slow(seconds, spread), n_envs=n, n_steps=N_STEPS, batch_size=64, n_epochs=4, seed=0)
    found = {True: [], False: []}
    with agent.played_by(f"ray:{w}", 10**9, "python"):
        remote, copies = agent._remote, agent._copies
        for ahead in (True, False) * 3:
            agent._copies = remote.ahead = copies if ahead else None
            for measured in (False, True):  # what is on its way from before is gone through first
                start = time.perf_counter()
                agent.advance(n * N_STEPS, "python")
                if measured:
                    found[ahead].append((time.perf_counter() - start) / N_STEPS)
    return min(found[False]), min(found[True])


def actors(seconds: float = 0.005) -> None:
    """One training on Ray, and the model of it."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=2 * 10**8, log_to_driver=False)
    print(f"PPO, {N_STEPS} steps a rollout, 4 epochs; environments that wait {1e3 * seconds:g} ms; ms a step of all")
    print(f"{'environments':>12s} {'actors':>7s} {'alone':>7s} {'each step':>10s} {'copies':>7s}", flush=True)
    rows = []
    for n, w in GRID:
        each, ahead = _round_seconds(n, w, seconds)
        share = -(-n // (w + 1))
        rows.append((n, w, seconds * share, each, ahead))
        print(f"{n:12d} {w:7d} {1e3 * seconds * n:7.1f} {1e3 * each:10.2f} {1e3 * ahead:7.2f}", flush=True)
    n, w = 8, 7
    for title, t, spread in ((f"{n} environments, {w} actors, 1 ms", 0.001, 0.0),
                             (f"{n} environments, {w} actors, 20 ms", 0.02, 0.0),
                             ("the same, 5 ms on the average, exponential", 0.005, 1.0)):  # fmt: skip
        each, ahead = _round_seconds(n, w, t, spread)
        print(f"{title}: {1e3 * each:.2f} ms each step, {1e3 * ahead:.2f} with copies", flush=True)
    ray.shutdown()
    fitted = {name: _fit(rows, column) for name, column in (("each step", 3), ("copies", 4))}
    for name, (fixed, per_env, per_actor) in fitted.items():
        print(
            f"{name}: T = t N / (W + 1) + {1e3 * fixed:.2f} ms + {1e6 * per_env:.0f} us N + {1e6 * per_actor:.0f} us W"
        )
    print("one environment an actor: steps/s, and the share of the actors' time that they play")
    for t in (0.001, 0.01, 0.1, 1.0):
        for name, (fixed, per_env, per_actor) in fitted.items():
            slope, base = per_env + per_actor, t + fixed
            told = ", ".join(f"{w} actors {w / (base + slope * w):,.0f} ({t / (base + slope * w):.0%})"
                             for w in (10, 100, 1000))  # fmt: skip
            half = f"at most {1 / slope:,.0f} steps/s, half of it with {base / slope:,.0f} actors"
            print(f"{1e3 * t:5g} ms, {name:9s}: {told}; {half}")


def _fit(rows: list[tuple[float, ...]], column: int) -> list[float]:
    """What a step costs beside the environments' own time: fixed, a environment, an actor; none below 0."""
    from scipy.optimize import nnls

    left = np.array([row[column] - row[2] for row in rows])
    return list(nnls(np.array([[1.0, row[0], row[1]] for row in rows]), left)[0])


def main() -> None:
    """What the words say; `efficiency local` or `efficiency ray` for one runner."""
    words = sys.argv[1:]
    known: dict[str, Callable[[], None]] = {
        "empty": empty, "queue": queue, "trials": trials, "actors": actors,
        "efficiency": lambda: efficiency([kind for kind in ("local", "ray") if kind in words] or ["local", "ray"]),
    }  # fmt: skip
    unknown = [word for word in words if word not in {*known, "local", "ray"}]
    if unknown or not words:
        raise SystemExit(f"one of {', '.join(known)}, not {' '.join(unknown) or 'nothing'}")
    for word in words:
        if word in known:
            known[word]()


if __name__ == "__main__":
    main()
