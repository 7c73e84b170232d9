"""Environments of other packages from the command line: ``python tests/third_party.py`` writes docs/third_party.md.

For each row: train, evaluate, watch without a window, kill a run and resume it, each by the command that a user types;
the killed run is compared, number by number, with one that was not killed. The packages must be installed beside
rlplay, in a virtual environment of its own, see the page. Names on the command line (``minigrid mujoco``) restrict the
rows; then the page is left as it is. Two cores need about ten minutes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rlplay.storage import checkpoint

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "third_party.md"
ATARI = ["--wrapper", "gymnasium.wrappers.AtariPreprocessing", "--frame-stack", "4"]
FLAT = ["--wrapper", "minigrid.wrappers.FlatObsWrapper"]
GREY = ["--wrapper", "gymnasium.wrappers.GrayscaleObservation"]
SMALL = "gymnasium.wrappers.ResizeObservation: {shape: [48, 48]}"


class Row(NamedTuple):
    """One environment with what is typed for it."""

    package: str  # the distribution whose version is shown
    install: str
    algo: str
    env: str
    flags: list[str]
    timesteps: int
    params: list[str]


ROWS = [
    Row("minigrid", "minigrid", "ppo", "minigrid:MiniGrid-Empty-5x5-v0", [], 4096, []),
    Row("minigrid", "minigrid", "ppo", "minigrid:MiniGrid-Empty-5x5-v0", FLAT, 4096, []),
    Row("minigrid", "minigrid", "sb3/ppo", "minigrid:MiniGrid-DoorKey-5x5-v0", FLAT, 2048, ["n_steps:512"]),
    Row("minigrid", "minigrid", "ppo", "minigrid:MiniGrid-Empty-5x5-v0",
        ["--wrapper", "minigrid.wrappers.ImgObsWrapper"], 4096, []),
    Row("ale-py", "ale-py opencv-python-headless", "sb3/dqn", "ale_py:ALE/Pong-v5",
        ["--env-kwargs", "frameskip:1", *ATARI], 100,
        ["policy:CnnPolicy", "buffer_size:200", "learning_starts:50"]),
    Row("ale-py", "ale-py opencv-python-headless", "ppo", "ale_py:PongNoFrameskip-v4",
        ["--wrapper", "stable_baselines3.common.atari_wrappers.AtariWrapper: {terminal_on_life_loss: false}",
         "--frame-stack", "4"], 128, ["n_steps:32", "batch_size:32", "n_epochs:1"]),
    Row("highway-env", "highway-env", "sb3/dqn", "highway_env:highway-fast-v0", [], 40,
        ["learning_starts:10", "buffer_size:100"]),
    Row("highway-env", "highway-env", "ppo", "highway_env:parking-v0", [], 128, ["n_steps:64"]),
    Row("MinAtar", "MinAtar", "ppo", "MinAtar/Breakout-v1", ["--gym-packages", "minatar.gym:register_envs"], 4096, []),
    Row("MinAtar", "MinAtar", "sb3/dqn", "minatar.gym:MinAtar/Asterix-v1",
        ["--gym-packages", "minatar.gym:register_envs", "--wrapper", "gymnasium.wrappers.FlattenObservation"], 1000,
        ["buffer_size:2000"]),
    Row("mujoco", "'gymnasium[mujoco]'", "ppo", "Hopper-v5", [], 4096, []),
    Row("Box2D", "'gymnasium[box2d]'", "ppo", "LunarLander-v3", [], 4096, []),
    Row("Box2D", "'gymnasium[box2d]' opencv-python-headless", "sb3/ppo", "CarRacing-v3",
        ["--env-kwargs", "continuous:false", *GREY[:1], *GREY[1:], SMALL, "--frame-stack", "2"], 128,
        ["policy:CnnPolicy", "n_steps:64", "n_epochs:1"]),
    Row("flappy-bird-gymnasium", "flappy-bird-gymnasium", "ppo", "flappy_bird_gymnasium:FlappyBird-v0", [], 4096, []),
]  # fmt: skip


def rlplay(*words: str, folder: Path) -> str:
    """What a command prints; SystemExit where it fails."""
    command = [sys.executable, "-m", "rlplay", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


# The checkout, and no window.
ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")},
    "PYTHONPATH": str(ROOT),
    "SDL_VIDEODRIVER": "dummy",
}


def words_of(row: Row, folder: str) -> list[str]:
    """The flags that begin a run."""
    params = ["-params", *row.params] if row.params else []
    n = ["-n", str(row.timesteps), "--seed", "0", "--eval-freq", str(row.timesteps), "--eval-episodes", "1"]
    return ["train", "--algo", row.algo, "--env", row.env, *row.flags, *params, *n, "-f", folder]


def run_of(folder: Path) -> Path:
    """The one run in a folder of runs."""
    (run,) = (path.parents[1] for path in folder.glob("*/*/*/args.yml"))
    return run


def killed(row: Row, folder: Path) -> None:
    """Begin a run and kill it after its first numbered checkpoint."""
    words = [*words_of(row, "killed"), "--save-freq", str(row.timesteps // 2)]
    command = [sys.executable, "-m", "rlplay", *words]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    ) as process:
        while process.poll() is None:
            if any(folder.glob("killed/*/*/rl_model_*_steps.rlp")):
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)


def same_numbers(one: Path, other: Path) -> bool:
    """Whether two files hold the same arrays."""
    a, b = checkpoint.read(one).arrays, checkpoint.read(other).arrays
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)


def played(row: Row) -> list[str]:
    """What ran, in words."""
    typed = ["--env", row.env, *row.flags]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told = rlplay(*words_of(row, "logs"), folder=folder)
        whole = run_of(folder / "logs")
        rlplay("eval", str(whole), *typed, "--eval-episodes", "1", folder=folder)
        picture = folder / "watched.gif"
        rlplay("watch", str(whole), *typed, "--headless", "-o", str(picture), "--max-steps", "20", folder=folder)
        assert picture.stat().st_size > 1000, picture
        killed(row, folder)
        run = run_of(folder / "killed")
        rlplay("train", "--resume", str(run), *typed, folder=folder)
        last = f"{whole.name.rpartition('_')[0]}.rlp"
        exact = same_numbers(whole / last, run / last)
    if not exact and "resume will not be exact" not in told:
        raise SystemExit(f"{row.env}: the resumed run differs from the one that was not killed, and nothing said so")
    return [
        "train",
        "eval",
        "watch",
        f"resume{'' if exact else ', not exact: its seed does not set all its random numbers'}",
    ]


def cell(row: Row) -> str:
    """The command as a reader types it."""
    words = [f"'{word}'" if " " in word else word for word in [row.env, *row.flags]]
    params = f" -params {' '.join(row.params)}" if row.params else ""
    return f"`rlplay train --algo {row.algo} --env {' '.join(words)}{params} -n {row.timesteps}`"


def installed(name: str) -> str:
    """The version of a distribution."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def main(names: list[str]) -> int:
    """Run the rows and write the page; 0 where all that are installed ran."""
    rows = [
        row for row in ROWS if not names or any(name.lower() in f"{row.package} {row.env}".lower() for name in names)
    ]
    failed, lines = 0, []
    for row in rows:
        begun = time.perf_counter()
        if installed(row.package) == "missing":
            outcome, ran = "not installed here", False
        else:
            try:
                outcome, ran = ", ".join(played(row)), True
            except (SystemExit, AssertionError, ValueError) as error:
                outcome, ran = f"FAILED: {error}", False
        failed += not ran
        print(
            f"{row.env} {' '.join(row.flags)} ({row.algo}): {outcome} [{time.perf_counter() - begun:.0f} s]", flush=True
        )
        where = f"{row.package} {installed(row.package)}"
        lines.append(f"| `{row.env}` | `pip install {row.install}` | {cell(row)} | {outcome} | {where} |")
    if not names and not failed:
        head, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- rows -->\n")
        tail = rest.partition("<!-- end -->")[2]
        others = ", ".join(f"{name} {installed(name)}" for name in ("gymnasium", "stable-baselines3", "torch", "numpy"))
        table = [
            "| environment | install | train | what ran | version |",
            "|---|---|---|---|---|",
            *lines,
            "",
            f"With {others}.",
        ]
        text = "\n".join(table)
        PAGE.write_text(f"{head}<!-- rows -->\n{text}\n<!-- end -->{tail}", encoding="utf-8")
    return failed and 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
