"""Without torch, Stable-Baselines3 and the extras: training, window and models work, and the rest names its extra."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# A process in which these packages cannot be imported: what needs them is asked for, what does not is done.
LEAN = """
import json, sys
HIDDEN = ("torch", "stable_baselines3", "sb3_contrib", "tensorboard", "optuna", "ray", "wandb", "pyarrow",
          "imageio_ffmpeg")
from importlib.machinery import PathFinder

class Rest(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else PathFinder.find_spec(name, path, target)

sys.meta_path = [Rest if finder is PathFinder else finder for finder in sys.meta_path]
import rlplay, agents, envs
from pathlib import Path
from rlplay import registry
from rlplay.errors import MissingPackageError
from agents import PPO, QLearning

QLearning("FrozenLake-v1", seed=0).learn(1000).save("q.rlp")
assert rlplay.load("q.rlp").num_timesteps == 1000
assert not [name for name in registry.agent_ids() if name.startswith("sb3/")]
assert "sb3/ppo" in registry.absent_agent_ids()

def models():
    from rlplay.models.deep import MLPRegressor
    MLPRegressor(backend="torch").fit([[1.0], [2.0]], [1.0, 2.0])

def exported():
    from rlplay.reports.runs import export
    export([{"run": "a"}], Path("a.parquet"))

def film():
    from rlplay.viewer.recording import Recorder
    Recorder(Path("a.mp4"))

def ray():
    from rlplay.environments.vector.ray_pool import connect
    connect(None)

def callbacks():
    from rlplay.training.sb3_callbacks import SB3Model
    SB3Model(QLearning("FrozenLake-v1", seed=0)).get_env()

from rlplay.sb3 import save_zip

def checks():
    from rlplay.testing import check_sb3_evaluate_policy
    check_sb3_evaluate_policy("q-learning", "FrozenLake-v1")

NEEDS = {
    "torch": [lambda: PPO("CartPole-v1", network="torch", seed=0), models, lambda: rlplay.extend.RandomStates],
    "sb3": [lambda: agents.SB3, lambda: registry.agent_class("sb3/ppo"), callbacks, checks,
            lambda: save_zip(PPO("CartPole-v1", seed=0), "x.zip")],
    "tensorboard": [lambda: PPO("CartPole-v1", tensorboard_log="tb", seed=0).learn(1)],
    "tune": [lambda: __import__("rlplay.tuning.study").tuning.study.require_optuna()],
    "ray": [ray],
    "wandb": [rlplay.WandbCallback],
    "parquet": [exported],
    "video": [film],
}
said = {}
for extra, calls in NEEDS.items():
    for call in calls:
        try:
            call()
        except MissingPackageError as error:
            said.setdefault(extra, []).append([error.cause, error.remedy])
        else:
            raise AssertionError(f"{extra}: {call} needs nothing")
print(json.dumps(said))
"""


def test_what_needs_an_extra_names_it_and_the_rest_works():
    done = subprocess.run([sys.executable, "-c", LEAN], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    said, extras = json.loads(done.stdout.splitlines()[-1]), PROJECT["project"]["optional-dependencies"]
    assert set(said) == {"torch", "sb3", "tensorboard", "tune", "ray", "wandb", "parquet", "video"}
    for extra, lines in said.items():
        for cause, remedy in lines:
            assert f"pip install 'rlplay[{extra}]', or " in remedy, (cause, remedy)
            package = re.search(r"the package ([\w-]+)", cause)[1]
            assert f"{package} alone" in remedy
            assert [one for one in extras[extra] if re.match(rf"{package}\b", one)], (extra, package)


USER = """
import numpy as np

import rlplay
from agents import PPO, QLearning
from rlplay.models.unsupervised import KMeans

agent = QLearning("FrozenLake-v1", alpha=0.1, seed=0).learn(1000)
model = PPO("CartPole-v1", n_steps=64)
labels = KMeans(4).fit(np.zeros((8, 2))).labels_
wrong: str = rlplay.evaluate(agent, n_eval_episodes=5).mean
"""


@pytest.mark.slow  # half a minute of mypy
def test_a_users_script_sees_the_types(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(USER)
    command = [sys.executable, "-m", "mypy", "--config-file=", "--cache-dir=cache", "user.py"]
    surroundings = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=surroundings)
    errors = [line for line in done.stdout.splitlines() if "error:" in line and line.startswith("user.py")]
    assert len(errors) == 1, done.stdout
    assert 'expression has type "float", variable has type "str"' in errors[0]


def test_an_editable_installation_is_a_plain_path():
    """Type checkers do not run the import hooks of editable installations: setuptools writes a path for this alone."""
    assert PROJECT["tool"]["setuptools"]["package-dir"] == {"": "."}


@pytest.mark.slow  # Stable-Baselines3 is imported
def test_contrib_names_its_extra_where_only_contrib_is_absent():
    pytest.importorskip("stable_baselines3")
    code = "import sys; sys.modules['sb3_contrib'] = None; from rlplay import registry; registry.agent_class('sb3/tqc')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert "pip install 'rlplay[contrib]', or sb3-contrib alone" in done.stderr


def test_a_lesson_that_needs_torch_says_so(capfd, monkeypatch):
    from rlplay.cli import main

    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["learn", "derivatives", "--run"]) == 1
    said = capfd.readouterr().err
    assert "derivatives needs the package torch" in said
    assert "pip install 'rlplay[torch]', or torch alone" in said


def test_the_group_core_is_the_dependencies_without_torch_and_stable_baselines3():
    left_out = ("torch", "stable-baselines3")
    rest = [one for one in PROJECT["project"]["dependencies"] if not one.startswith(left_out)]
    assert PROJECT["dependency-groups"]["core"] == rest
    assert len(PROJECT["project"]["dependencies"]) == len(rest) + 2
    extras = PROJECT["project"]["optional-dependencies"]
    assert [*extras["torch"], *extras["sb3"]] == [
        one for one in PROJECT["project"]["dependencies"] if one.startswith(left_out)
    ]
