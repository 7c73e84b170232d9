"""Ours against Stable-Baselines3's over seeds: python tests/benchmarks/published_result.py run | write | settings

    run       train and evaluate each cell that has no result yet: agent, environment, seed, and whose it is
    write     docs/published_result.md from the results that are there; rows of other cells stay as they are
    settings  make every agent once: what is refused is refused before hours are spent

``--folder`` says where results lie (default: logs/published_result), a file a cell, written whole or not at all: kill
``run`` and start it again, and it goes on with the next cell. ``--only PPO CartPole-v1`` takes those cells alone, and
``--seeds 10`` runs seeds 0 to 9 (default: 5); cheap ones come first, and both sides of a seed one after the other. A
cell that fails is named, and tried again by the next ``run``. A row has all seeds that both sides have. One thread
each.

Both sides have the same settings and timesteps: RL Zoo's of Stable-Baselines3 (hyperparams/*.yml), state-dependent
exploration included. What is compared is the mean return of 100 greedy episodes after training, on the same seeds.
LunarLander needs Gymnasium's extra box2d, and is left out where that is not installed.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ.pop("OPENBLAS_CORETYPE", None)

import argparse
import contextlib
import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from arithmetic import processor
from off_policy import ACROBOT as DQN_ACROBOT
from off_policy import CAR as DQN_CAR
from off_policy import LANDER as DQN_LANDER
from off_policy import POLE as DQN_POLE
from policy_gradients import ACROBOT as PPO_ACROBOT
from policy_gradients import CAR as PPO_CAR
from policy_gradients import LANDER as PPO_LANDER
from policy_gradients import PENDULUM as PPO_PENDULUM
from policy_gradients import POLE as PPO_POLE

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "published_result.md"
FOLDER = Path("logs/published_result")
SEEDS = 5
MOST_SEEDS = 100
EPISODES = 100
SIDES = ("ours", "sb3")

# What single runs do not tell: looked at over all of training, on seeds that no row has.
FURTHER = [
    "DQN's last policy in LunarLander-v3 swings from one moment to the next, on both sides. Runs of seeds 20 to 29,",
    "evaluated every 5,000 steps by 10 greedy episodes: the mean over the second half of training was 135 with ours",
    "(ten runs, 50 to 196) and 140 with SB3's (six runs, 101 to 195); the last 100 episodes of training gave 120 and",
    "128 in the mean.",
]

# The environments of the page in its order, and the mean return from which Gymnasium calls each solved.
SOLVED = {"CartPole-v1": 475, "Acrobot-v1": -100, "MountainCar-v0": -110, "Pendulum-v1": None, "LunarLander-v3": 200}

SMOOTH = {"use_sde": True, "sde_sample_freq": 4}
SIXTEEN = {"normalize": True, "n_envs": 16}
A2C_PENDULUM = {
    "normalize": True, "n_envs": 8, "n_steps": 8, "gae_lambda": 0.9, "vf_coef": 0.4, "gamma": 0.9,
    "max_grad_norm": 0.5, "use_rms_prop": True, "normalize_advantage": False, "learning_rate": "lin_7e-4",
    "use_sde": True, "policy_kwargs": {"log_std_init": -2, "ortho_init": False},
}  # fmt: skip
A2C_LANDER = {"n_envs": 8, "gamma": 0.995, "n_steps": 5, "learning_rate": "lin_0.00083", "ent_coef": 1e-5}
NOISY = {
    "gamma": 0.98, "buffer_size": 200_000, "learning_starts": 10_000, "noise_type": "normal", "noise_std": 0.1,
    "gradient_steps": 1, "train_freq": 1, "learning_rate": 1e-3, "policy_kwargs": {"net_arch": [400, 300]},
}  # fmt: skip
SAC_LANDER = {
    "learning_rate": "lin_7.3e-4", "buffer_size": 1_000_000, "tau": 0.01, "learning_starts": 10_000,
    "policy_kwargs": {"net_arch": [400, 300]},
}  # fmt: skip


class Task(NamedTuple):
    """An agent in an environment, with RL Zoo's settings and timesteps."""

    agent: str
    env: str
    settings: dict[str, Any]
    timesteps: int
    env_kwargs: dict[str, Any] = {}  # noqa: RUF012 - of a tuple, never written

    @property
    def name(self) -> str:
        """As a file is named."""
        return f"{self.agent}_{self.env}"


# The cheapest first.
TASKS = (
    Task("PPO", "CartPole-v1", PPO_POLE, 100_000),
    Task("DQN", "CartPole-v1", DQN_POLE, 50_000),
    Task("A2C", "CartPole-v1", {"n_envs": 8}, 500_000),
    Task("PPO", "Pendulum-v1", {**PPO_PENDULUM, **SMOOTH}, 100_000),
    Task("TD3", "Pendulum-v1", NOISY, 20_000),
    Task("SAC", "Pendulum-v1", {"learning_rate": 1e-3}, 20_000),
    Task("DQN", "MountainCar-v0", DQN_CAR, 120_000),
    Task("DQN", "Acrobot-v1", DQN_ACROBOT, 100_000),
    Task("A2C", "Acrobot-v1", SIXTEEN, 500_000),
    Task("PPO", "Acrobot-v1", PPO_ACROBOT, 1_000_000),
    Task("PPO", "MountainCar-v0", PPO_CAR, 1_000_000),
    Task("A2C", "MountainCar-v0", SIXTEEN, 1_000_000),
    Task("A2C", "Pendulum-v1", A2C_PENDULUM, 1_000_000),
    Task("A2C", "LunarLander-v3", A2C_LANDER, 200_000),
    Task("DQN", "LunarLander-v3", DQN_LANDER, 100_000),
    Task("PPO", "LunarLander-v3", PPO_LANDER, 1_000_000),
    Task("TD3", "LunarLander-v3", NOISY, 300_000, {"continuous": True}),
    Task("SAC", "LunarLander-v3", SAC_LANDER, 500_000, {"continuous": True}),
)


def possible(task: Task) -> bool:
    """Whether what the environment needs is installed."""
    return not task.env.startswith("LunarLander") or importlib.util.find_spec("Box2D") is not None


def cells(tasks: tuple[Task, ...] = TASKS, seeds: int = SEEDS) -> Iterator[tuple[Task, int, str]]:
    """Task, seed and side in the order in which they are run."""
    for task in tasks:
        for seed in range(seeds):
            for side in SIDES:
                yield task, seed, side


def place(folder: Path, task: Task, seed: int, side: str) -> Path:
    """The file of a cell."""
    return folder / f"{task.name}_{side}_{seed}.json"


def made(task: Task, seed: int, side: str) -> Any:
    """The agent of a cell."""
    import rlplay
    from rlplay.registry import agent_class

    env = rlplay.make(task.env, **task.env_kwargs)
    name = task.agent.lower() if side == "ours" else f"sb3/{task.agent.lower()}"
    return agent_class(name)(env, seed=seed, **task.settings)


def result_of(task: Task, seed: int, side: str) -> dict[str, Any]:
    """Train and evaluate a cell."""
    import rlplay

    agent, start = made(task, seed, side), time.perf_counter()
    agent.learn(task.timesteps)
    seconds = time.perf_counter() - start
    found = rlplay.evaluate(agent, None, EPISODES, seed=10_000 + seed)
    return {
        "agent": task.agent, "env": task.env, "side": side, "seed": seed, "timesteps": int(agent.num_timesteps),
        "asked": task.timesteps, "settings": task.settings, "seconds": round(seconds, 2),
        "returns": found.returns.tolist(), "processor": processor(),
        "versions": {name: metadata.version(name) for name in ("rlplay", "stable-baselines3", "torch", "numpy")},
    }  # fmt: skip


def saved(path: Path, task: Task) -> dict[str, Any] | None:
    """The result in a file; None where there is none, or one of other settings (said)."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        returns = np.asarray(found["returns"], np.float64)
        same = found["settings"] == json.loads(json.dumps(task.settings)) and found["asked"] == task.timesteps
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"left out: {path} is damaged ({error})", file=sys.stderr)
        return None
    if not same or returns.shape != (EPISODES,) or not np.isfinite(returns).all():
        print(f"left out: {path} is of other settings", file=sys.stderr)
        return None
    return found


def run(folder: Path, only: list[str], seeds: int = SEEDS) -> int:
    """Do every cell that has no result."""
    from rlplay.errors import RlplayError
    from rlplay.storage.files import locked, write_atomically

    folder.mkdir(parents=True, exist_ok=True)
    failed = []
    with locked(folder):
        for task, seed, side in cells(chosen(only), seeds):
            path = place(folder, task, seed, side)
            if saved(path, task) is not None:
                continue
            try:
                found = result_of(task, seed, side)
            except RlplayError as error:
                print(f"{path.stem} failed: {error}", flush=True)
                failed.append(path.stem)
                continue
            write_atomically(path, json.dumps(found).encode())
            print(f"{time.strftime('%H:%M')} {path.stem}: mean return {np.mean(found['returns']):.4g}, "
                  f"{found['seconds']:.0f} s", flush=True)  # fmt: skip
    return 1 if failed else 0


def chosen(only: list[str]) -> tuple[Task, ...]:
    """The tasks whose agent and environment are named, where some are; those that are possible."""
    agents, envs = {task.agent for task in TASKS}, {task.env for task in TASKS}
    if strange := set(only) - agents - envs:
        raise SystemExit(f"--only {strange.pop()} is no agent and no environment: {', '.join(sorted(agents | envs))}")
    own_agents, own_envs = agents & set(only) or agents, envs & set(only) or envs
    return tuple(t for t in TASKS if t.agent in own_agents and t.env in own_envs and possible(t))


def row(folder: Path, task: Task) -> tuple[str, str]:
    """A line of the table, and the verdict in a word; empty where a side has no result."""
    from rlplay.reports.numbers import interval, number
    from rlplay.reports.statistics import (
        interquartile_mean,
        interquartile_means,
        probability_of_improvement,
        stratified_interval,
    )

    found = {side: [saved(place(folder, task, seed, side), task) for seed in range(MOST_SEEDS)] for side in SIDES}
    both = [k for k in range(MOST_SEEDS) if all(found[side][k] for side in SIDES)]
    if not both:
        return "", ""
    means = {side: np.array([np.mean(found[side][k]["returns"]) for k in both]) for side in SIDES}
    around, words, seconds = {}, {}, {}
    for side in SIDES:
        few = len(both) < 2
        around[side] = (np.nan, np.nan) if few else stratified_interval([means[side]], interquartile_means)
        words[side] = f"{number(interquartile_mean(means[side]))} ({interval(around[side])})"
        seconds[side] = number(float(np.median([found[side][k]["seconds"] for k in both])), 3)
    ahead = "–" if len(both) < 2 else f"{probability_of_improvement(means['ours'], means['sb3']):.2f}"
    if len(both) < 2:
        verdict = "one seed: open"
    elif interquartile_mean(means["ours"]) >= interquartile_mean(means["sb3"]):
        verdict = "as good or better"
    elif around["ours"][1] >= around["sb3"][0]:
        verdict = "intervals overlap"
    else:
        verdict = "below"
    line = (f"| {task.agent} | {task.env} | {task.timesteps:,} | {len(both)} | {words['ours']} | {words['sb3']} | "
            f"{ahead} | {verdict} | {seconds['ours']} | {seconds['sb3']} |")  # fmt: skip
    return line, verdict


def rows_of(path: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """The lines and verdicts of a page's table, by agent and environment."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        words = [word.strip() for word in line.strip("|").split("|")]
        if len(words) == 10 and words[2].replace(",", "").isdigit():
            found[words[0], words[1]] = line, words[7]
    return found


def page(folder: Path, before: Path) -> str:
    """The page of the docs; a cell that has no result here stays as the page had it before."""
    lines, missing, count, known = [], [], {}, rows_of(before)
    for task in sorted(TASKS, key=lambda task: (list(SOLVED).index(task.env), task.agent)):
        line, verdict = row(folder, task)
        if not line:
            line, verdict = known.get((task.agent, task.env), ("", ""))
        if line:
            lines.append(line)
            count[verdict] = count.get(verdict, 0) + 1
        else:
            missing.append(f"{task.agent} in {task.env}")
    facts: dict[str, Any] = {"versions": {}, "processor": "-"}
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime):
        with contextlib.suppress(ValueError):  # a damaged one, said already
            facts = json.loads(path.read_text(encoding="utf-8"))
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    solved = ", ".join(f"{env} from {mark:,}" for env, mark in SOLVED.items() if mark is not None)
    summary = ", ".join(f"{verdict}: {number}" for verdict, number in count.items())
    return "\n".join([
        "# Published result: ours beside Stable-Baselines3's", "",
        "The agents of this package and those of Stable-Baselines3, in the same environments, with RL Zoo's settings",
        f"and timesteps for both. A run's score is its mean return over {EPISODES} greedy episodes after training. The",
        "columns *ours* and *SB3* are interquartile means over the seeds, with 95 % bootstrap intervals. *Ahead* is",
        "the probability that a run of ours scores higher, equal ones counted half. Seconds are of training, the",
        "median run, compiling included; other programs ran on the machine, so they tell orders of magnitude.", "",
        "Higher scores are better. From these on Gymnasium calls an environment solved:",
        f"{solved}.", "",
        "```text", "python tests/benchmarks/published_result.py run",
        "python tests/benchmarks/published_result.py write", "```", "",
        "| agent | environment | timesteps | seeds | ours | SB3 | ahead | ours is | ours, s | SB3, s |",
        "|---|---|---:|---:|---:|---:|---:|---|---:|---:|", *lines, "",
        *([f"Cells by verdict: {summary}.", ""] if summary else []),
        "*Intervals overlap*: our interquartile mean is lower, and our interval reaches into theirs. *Below*: it does",
        "not. SAC and TD3 play LunarLander-v3 with continuous actions. Five seeds tell large differences alone, and",
        "two or three hardly any: an interval over them is wide, and one run that fails moves it far. One seed tells",
        "nothing.", "",
        *FURTHER, "",
        *([f"Not run yet: {', '.join(missing)}.", ""] if missing else []),
        "Rows stand from the run that made them, on AMD and on Intel processors.", "",
        f"The newest: {versions}, on {facts['processor']}.", "",
    ])  # fmt: skip


def settings() -> None:
    """Make both agents of every task."""
    for task, seed, side in cells(tuple(task for task in TASKS if possible(task)), 1):
        made(task, seed, side)
        print(f"{task.name} {side}: made", flush=True)


def main() -> int:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["run", "write", "settings"])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=SEEDS, choices=range(1, MOST_SEEDS + 1), metavar="N")
    parser.add_argument("-o", "--output", type=Path, default=PAGE)
    given = parser.parse_args()
    if given.action == "run":
        return run(given.folder, given.only, given.seeds)
    if given.action == "settings":
        settings()
    else:
        given.output.write_text(page(given.folder, given.output), encoding="utf-8")
        print(f"wrote {given.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
