"""Every entry of RL Zoo's files: does it run as it stands? ``python tests/benchmarks/zoo.py --folder DIR``.

The files are those of the package rl_zoo3 (``pip install rl_zoo3``; its ``hyperparams`` folder is found where it is
installed). Each entry of ppo, a2c, dqn, sac, td3, ddpg, tqc, trpo, ars and qrdqn whose environment can be made here is
given to ``rlplay train -conf`` as it stands, in a process of its own: the agent is made and learns until its first
update, for some seconds at most. What is refused is counted with its reason, and docs/zoo.md is written.

    pip install 'rlplay[contrib]' rl_zoo3 'gymnasium[mujoco]' Box2D ale-py minigrid highway-env pybullet_envs_gymnasium
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import io
import os
import re
import signal
import sys
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

import gymnasium as gym
import yaml

from rlplay import registry

# The files, and which agent runs their entries: ours, but for QR-DQN, which is ours by a flag.
FILES = {"ppo": "ppo", "a2c": "a2c", "dqn": "dqn", "sac": "sac", "td3": "td3", "ddpg": "ddpg", "tqc": "tqc",
         "trpo": "trpo", "ars": "ars", "qrdqn": "sb3/qrdqn"}  # fmt: skip
PACKAGES = ("ale_py", "minigrid", "highway_env", "panda_gym", "pybullet_envs_gymnasium")  # that register environments
TYPED = ("rl_zoo3", "sb3_contrib", "minigrid", "stable_baselines3", "gymnasium")  # whose wrappers the files name
ATARI = "BreakoutNoFrameskip-v4"  # stands for the entry `atari`
PATIENCE = 240  # seconds of an entry
UPDATED, MADE = "updated", "made"  # what became of an entry that runs


def folder() -> Path:
    """Where the package rl_zoo3 keeps its files."""
    found = importlib.util.find_spec("rl_zoo3")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("rl_zoo3 is not installed: pip install rl_zoo3, or name its hyperparams with --folder")
    return Path(next(iter(found.submodule_search_locations))) / "hyperparams"


def attempt(file: Path, algo: str, env_id: str, seconds: float) -> str:
    """Run an entry until its first update, for so many seconds at most; says whether it came to one."""
    from rlplay.cli import train
    from rlplay.cli.arguments import parser

    words = ["train", "--algo", algo, "--env", env_id, "-conf", str(file), "--seed", "0", "--gym-packages"]
    arguments = parser().parse_args([*words, *(name for name in TYPED if importlib.util.find_spec(name))])
    agent, _, _ = train.prepared(arguments, algo, env_id, 0)
    until = time.perf_counter() + seconds
    agent.learn(100_000, lambda agent: agent.lessons == 0 and time.perf_counter() < until)
    return UPDATED if agent.lessons else MADE


def in_a_process(file: Path, algo: str, env_id: str, seconds: float) -> str:
    """`attempt` in a process of its own, within `PATIENCE`; else why it was refused."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        signal.alarm(PATIENCE)
        try:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                words = attempt(file, algo, env_id, seconds)
        except BaseException as error:
            from rlplay.errors import RlplayError

            cause = error.cause if isinstance(error, RlplayError) else f"{type(error).__name__}: {error}"
            words = ("" if isinstance(error, RlplayError) else "TRACEBACK ") + " ".join(cause.split())
        os.write(write, words.encode()[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    os.waitpid(child, 0)
    return said or f"no answer in {PATIENCE} s, or killed"


def exists(env_id: str) -> bool:
    """Whether an environment of this name is registered and can be made here."""
    if env_id not in gym.registry:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gym.make(env_id).close()
    except Exception:
        return False
    return True


def reason(words: str, env_id: str) -> str:
    """The kind of a reason: without what changes from entry to entry."""
    return re.sub(r"\d[\d,.]*", "N", words.replace(env_id, "ENV"))[:160]


def report(rows: dict[str, Counter[str]], refused: dict[str, list[str]], absent: Counter[str], seconds: float) -> str:
    """The page."""
    lines = [
        "# RL Zoo's files, entry by entry", "",
        f"Written by `python tests/benchmarks/zoo.py` with rl_zoo3 {version('rl_zoo3')}: each entry whose environment",
        "is installed is given to `rlplay train -conf` as it stands and learns until its first update, for",
        f"{seconds:g} seconds at most, compiling included, on two busy processor cores; the",
        "others were made and took steps.",
        "",
        "| file | agent | entries | environment installed | run as they stand | of these through an update | refused |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, counts in rows.items():
        here = counts["runs"] + counts["refused"]
        whole = here + counts["absent"]
        lines.append(
            f"| {name}.yml | {FILES[name]} | {whole} | {here} | {counts['runs']} | {counts[UPDATED]} | "
            f"{counts['refused']} |"
        )
    total: Counter[str] = sum(rows.values(), Counter())
    here = total["runs"] + total["refused"]
    lines += [
        f"| all | | {here + total['absent']} | {here} | {total['runs']} | {total[UPDATED]} | {total['refused']} |",
        "",
    ]
    lines += ["## Refused, with the reason", ""]
    lines += [f"- {why}: {', '.join(names)}" for why, names in sorted(refused.items())] or ["None."]
    lines += ["", "## Environments that are not installed here", ""]
    lines += [", ".join(f"{name} ({n})" for name, n in sorted(absent.items())) + "." if absent else "None."]
    return "\n".join(lines) + "\n"


def version(package: str) -> str:
    """Of a package."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        return of(package)
    except PackageNotFoundError:
        return "?"


def main() -> None:
    """Try all entries and write the page."""
    told = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("--folder", type=Path, help="of the .yml files (default: rl_zoo3's)")
    told.add_argument("--only", nargs="+", choices=list(FILES), help="these files alone; no page is written")
    told.add_argument("--seconds", type=float, default=10.0, help="of each entry at most")
    told.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "zoo.md")
    given = told.parse_args()
    for package in PACKAGES:
        with contextlib.suppress(ImportError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(package)
    for module in ("rlplay.cli.train", "stable_baselines3", "agents.sb3"):  # once, and not in each process
        importlib.import_module(module)
    for agent_id in FILES.values():
        with contextlib.suppress(Exception):
            registry.agent_class(agent_id)
    rows: dict[str, Counter[str]] = {name: Counter() for name in given.only or FILES}
    refused: dict[str, list[str]] = defaultdict(list)
    absent: Counter[str] = Counter()
    known: dict[str, bool] = {}
    words: dict[str, str] = {}  # of each kind of reason, as the first entry had it
    for name, counts in rows.items():
        file = (given.folder or folder()) / f"{name}.yml"
        entries: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
        for entry in entries:
            usual = "Pendulum-v1" if name in ("sac", "td3", "ddpg", "tqc") else "CartPole-v1"
            env_id = {"atari": ATARI, "default": usual}.get(entry, entry)
            if env_id not in known:
                known[env_id] = exists(env_id)
            if not known[env_id]:
                counts["absent"] += 1
                absent[entry] += 1
                continue
            begin = time.perf_counter()
            why = in_a_process(file, FILES[name], env_id, given.seconds)
            runs = why in (UPDATED, MADE)
            counts["runs" if runs else "refused"] += 1
            counts[UPDATED] += why == UPDATED
            print(f"{name:6} {entry:40} {time.perf_counter() - begin:6.1f} s  {why}", flush=True)
            if not runs:
                refused[words.setdefault(reason(why, env_id), why)].append(f"{name} {entry}")
    page = report(rows, refused, absent, given.seconds)
    print(page)
    if not given.only:
        given.output.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
