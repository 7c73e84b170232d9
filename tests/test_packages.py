"""What other packages bring: environments by module:id, wrappers by name, frame stacks; and who else owns our names."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import yaml
from gymnasium import spaces

import rlplay
from rlplay import errors, registry
from rlplay.cli import main
from rlplay.environments import packages, wrappers
from rlplay.environments.make import reference, remake
from rlplay.environments.wrappers import FrameStack, WithoutText, listed, untrusted
from rlplay.errors import RlplayWarning, UnknownNameError, UsageError

ROOT = Path(__file__).parents[1]
FOREIGN = """
import pathlib

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Walk(gym.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}

    def __init__(self, size=3, render_mode=None):
        self.size, self.render_mode = size, render_mode
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Dict({
            "at": spaces.Box(-9.0, 9.0, (1,), np.float32), "mission": spaces.Text(9),
        })

    def _obs(self):
        return {"at": np.array([self.at], np.float32), "mission": "go"}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return self._obs(), {}

    def step(self, action):
        self.at += 1 if action else -1
        return self._obs(), float(action), abs(self.at) >= self.size, False, {}

    def render(self):
        return np.zeros((8, 8, 3), np.uint8)


class Ten(gym.RewardWrapper):
    def __init__(self, env, factor=10.0):
        super().__init__(env)
        self.factor = factor

    def reward(self, reward):
        return self.factor * reward


def register():
    gym.register("Foreign/Called-v0", entry_point="foreign_worlds:Walk", max_episode_steps=20)


gym.register("Foreign/Walk-v0", entry_point="foreign_worlds:Walk", max_episode_steps=20)
pathlib.Path("imported.txt").write_text("x")
"""


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A package that registers environments when it is imported, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "foreign_worlds.py").write_text(FOREIGN)
    monkeypatch.setattr(packages, "_imported", [])
    monkeypatch.setattr(errors, "_said_once", set())
    before = {**gym.registry}
    yield tmp_path
    sys.modules.pop("foreign_worlds", None)
    gym.registry.clear()
    gym.registry.update(before)


def fresh(words, folder):
    """The command in a process that has imported nothing."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "rlplay", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


# Gymnasium's notation


@pytest.mark.filterwarnings("ignore::rlplay.errors.RlplayWarning")
def test_module_and_id(foreign):
    env = rlplay.make("foreign_worlds:Foreign/Walk-v0", size=2)
    assert reference(env).id == "foreign_worlds:Foreign/Walk-v0"
    assert reference(env).typed
    assert env.spec.max_episode_steps == 20
    again = remake(reference(env))
    assert again.unwrapped.size == 2


@pytest.mark.filterwarnings("ignore::rlplay.errors.RlplayWarning")
def test_module_and_class_as_before(foreign):
    assert type(rlplay.make("foreign_worlds:Walk").unwrapped).__name__ == "Walk"


def test_an_id_that_the_module_does_not_register(foreign):
    with pytest.raises(UnknownNameError, match=r"unknown environment of foreign_worlds .*Did you mean Foreign/Walk-v0"):
        rlplay.make("foreign_worlds:Foreign/Wlk-v0")


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ("Meta-World/MT1", "pip install metaworld, then --env metaworld:Meta-World/MT1"),
        ("PandaReach-v3", "pip install panda-gym, then --env panda_gym:PandaReach-v3"),
        ("panda_gym:PandaReach-v3", "there is no module 'panda_gym' on the path. Install it: pip install panda-gym"),
        ("nobody_has_it:X-v0", "there is no module 'nobody_has_it'"),
    ],
)
def test_what_to_type_is_said(env, said):
    if importlib.util.find_spec("panda_gym") or importlib.util.find_spec("metaworld"):
        pytest.skip("installed here")
    with pytest.raises(UsageError) as error:
        rlplay.make(env)
    assert said in str(error.value)


def test_installed_packages_are_suggested_without_an_import(monkeypatch):
    monkeypatch.setattr(packages, "_is_installed", lambda name: name == "minigrid")
    monkeypatch.setattr(packages, "_environment_packages", lambda: {"worlds-of-mine"})
    if any(known.startswith("MiniGrid-") for known in gym.registry):
        pytest.skip("it is imported")
    with pytest.raises(UnknownNameError, match="which is installed: --env minigrid:MiniGrid-Empty-5x5-v0"):
        rlplay.make("MiniGrid-Empty-5x5-v0")
    with pytest.raises(UnknownNameError, match="--env module:Zzyzx-v7; installed: worlds-of-mine"):
        rlplay.make("Zzyzx-v7")
    assert "minigrid" not in sys.modules


@pytest.mark.filterwarnings("ignore::rlplay.errors.RlplayWarning")
def test_packages_by_function(foreign):
    packages.import_packages(["foreign_worlds:register"])
    packages.import_packages(["foreign_worlds:register"])
    assert rlplay.make("Foreign/Called-v0").spec.max_episode_steps == 20
    assert packages.imported_packages() == ["foreign_worlds:register"]
    with pytest.raises(UsageError, match="no function 'nope' in foreign_worlds"):
        packages.import_packages(["foreign_worlds:nope"])


# Wrappers


def test_wrappers_are_named_nested_and_made_again():
    given = ["gymnasium.wrappers.TimeAwareObservation", {"gymnasium.wrappers.TimeLimit": {"max_episode_steps": 7}}]
    env = rlplay.make("CartPole-v1", wrapper=given, frame_stack=3)
    assert env.observation_space.shape == (15,)
    again = remake(reference(env))
    assert [type(layer) for layer in layers(env)] == [type(layer) for layer in layers(again)]
    again.reset(seed=0)
    steps = next(n for n in range(1, 99) if any(again.step(n % 2)[2:4]))
    assert steps == 7


def layers(env):
    while isinstance(env, gym.Wrapper):
        yield env
        env = env.env


def test_the_forms_of_wrappers():
    name, other = "gymnasium.wrappers.ClipReward", "gymnasium.wrappers.ResizeObservation"
    assert listed(name) == listed([name]) == listed((name,)) == [name]
    assert listed(gym.wrappers.ClipReward) == [name]
    assert listed({other: {"shape": (8, 8)}}) == [{other: {"shape": [8, 8]}}]
    assert listed("gymnasium.wrappers.time_limit.TimeLimit") == ["gymnasium.wrappers.TimeLimit"]
    assert listed("a.b:C") == ["a.b.C"]


@pytest.mark.parametrize("given", ["Foo", 3, {"a.B": 3}, {"a.B": {"f": print}}, "a b.C", {"a.B": {"x": float("nan")}}])
def test_what_is_no_wrapper_is_refused(given):
    with pytest.raises(UsageError):
        rlplay.make("CartPole-v1", wrapper=given)


def test_a_class_that_cannot_be_found_again_is_refused():
    class Hidden(gym.Wrapper):
        pass

    with pytest.raises(UsageError, match="in no module by which it can be found again"):
        listed(Hidden)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("gymnasium.wrappers.ClipRewrd", "Did you mean ClipReward"),
        ("gymnasium.spaces.Box", "is not a gymnasium.Wrapper"),
        ("nobody_has_it.Wrap", "there is no module 'nobody_has_it'"),
        ({"gymnasium.wrappers.TimeLimit": {"nope": 3}}, "does not fit CartPole-v1"),
    ],
)
def test_a_wrapper_that_cannot_be_made_is_said(given, said):
    with pytest.raises(UsageError, match=said):
        rlplay.make("CartPole-v1", wrapper=given)


def test_a_wrapped_environment_trains_evaluates_and_loads_alike(foreign):
    from agents import QLearning
    from rlplay import evaluate

    given = "foreign_worlds.Ten"
    env = rlplay.make("FrozenLake-v1", is_slippery=False, wrapper=given)
    agent = QLearning(env, alpha=0.5, gamma=0.9, epsilon=1.0, seed=0).learn(20_000)
    assert evaluate(agent).mean == 10.0
    path = agent.save(foreign / "agent")
    again = rlplay.load(path, rlplay.make("FrozenLake-v1", is_slippery=False, wrapper=given))
    assert evaluate(again).mean == 10.0
    assert reference(again.env).kwargs["wrapper"] == ["foreign_worlds.Ten"]


# Files import nothing


def test_a_file_causes_no_import_of_its_wrapper(foreign):
    from agents import QLearning

    env = rlplay.make("FrozenLake-v1", wrapper="foreign_worlds.Ten")
    path = QLearning(env, seed=0).learn(100).save(foreign / "agent")
    (foreign / "imported.txt").unlink()
    code = f"import rlplay; a = rlplay.load({str(path)!r}); print(type(a.env).__name__)"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=foreign, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "NoEnvironment"
    assert not (foreign / "imported.txt").exists()


def test_a_wrapper_of_gymnasium_comes_back_from_the_file(tmp_path):
    from agents import PPO

    env = rlplay.make("CartPole-v1", wrapper={"gymnasium.wrappers.TimeLimit": {"max_episode_steps": 7}}, frame_stack=2)
    agent = PPO(env, n_steps=64, n_envs=2, seed=0).learn(128)
    again = rlplay.load(agent.save(tmp_path / "agent"))
    assert again.env.observation_space.shape == (8,)
    assert rlplay.evaluate(again, n_eval_episodes=2).lengths.max() <= 7


def test_trusted_wrappers_neither_write_nor_run_anything():
    for name in ("RecordVideo", "HumanRendering", "TransformObservation", "TransformReward", "JaxToNumpy"):
        assert untrusted([f"gymnasium.wrappers.{name}"])
    for name in wrappers.TRUSTED:
        module, _, cls = name.rpartition(".")
        if importlib.util.find_spec(module.partition(".")[0]):
            assert hasattr(importlib.import_module(module), cls), name


# The command line


@pytest.mark.slow
def test_the_whole_way_on_the_command_line(foreign):
    env = ["--env", "foreign_worlds:Foreign/Walk-v0"]
    typed = [*env, "--wrapper", "foreign_worlds.Ten: {factor: 2}", "--frame-stack", "2"]
    done = fresh(["train", "--algo", "a2c", *typed, "-n", "200", "--seed", "0", "--save-freq", "100"], foreign)
    assert done.returncode == 0, done.stderr
    assert "left out are mission" in done.stderr
    run = foreign / "logs" / "a2c" / "foreign_worlds-Foreign-Walk-v0_1"
    asked = yaml.safe_load((run / "foreign_worlds-Foreign-Walk-v0" / "args.yml").read_text())
    assert asked["env_kwargs"] == {"wrapper": [{"foreign_worlds.Ten": {"factor": 2}}], "frame_stack": 2}
    (foreign / "imported.txt").unlink()
    for words in (["eval", str(run)], ["train", "--resume", str(run)], ["train", "-i", str(run), "-n", "50"]):
        refused = fresh(words, foreign)
        assert refused.returncode == 2, refused.stderr
        assert "--env foreign_worlds:Foreign/Walk-v0 --wrapper 'foreign_worlds.Ten: " in refused.stderr
        assert "Traceback" not in refused.stderr
    half = fresh(["eval", str(run), *env], foreign)
    assert half.returncode == 2
    assert "--wrapper" in half.stderr
    assert not (foreign / "imported.txt").exists()
    for words in (["eval", str(run), *typed, "--eval-episodes", "2"], ["train", "-i", str(run), *typed, "-n", "50"]):
        done = fresh(words, foreign)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_gym_packages_are_needed_again(foreign):
    words = ["--env", "Foreign/Walk-v0"]
    with_packages = [*words, "--gym-packages", "foreign_worlds"]
    done = fresh(["train", "--algo", "a2c", *with_packages, "-n", "100", "--eval-freq", "-1"], foreign)
    assert done.returncode == 0, done.stderr
    run = foreign / "logs" / "a2c" / "Foreign-Walk-v0_1"
    for command in (["eval", str(run)], ["train", "--resume", str(run)]):
        refused = fresh(command, foreign)
        assert refused.returncode == 2
        assert "--env Foreign/Walk-v0 --gym-packages foreign_worlds" in refused.stderr
    done = fresh(["eval", str(run), *with_packages, "--eval-episodes", "2"], foreign)
    assert done.returncode == 0, done.stderr


ZOO = """
default: {n_timesteps: 100}
atari: {env_wrapper: [stable_baselines3.common.atari_wrappers.AtariWrapper], frame_stack: 4, policy: CnnPolicy}
CartPole-v1:
  env_wrapper:
    - gymnasium.wrappers.TimeLimit: {max_episode_steps: 9}
  frame_stack: 2
  n_timesteps: 64
  n_steps: 32
  batch_size: 32
Foreign/Walk-v0: {env_wrapper: foreign_worlds.Ten, n_timesteps: 64, n_steps: 32, batch_size: 32}
Pendulum-v1: {use_sde: true, sde_sample_freq: 4, n_steps: 32}
Acrobot-v1: {use_sde: false, sde_sample_freq: 4, n_timesteps: 32, n_steps: 32, batch_size: 32}
MountainCar-v0: {env_wrapper: foreign_worlds.Ten}
"""


@pytest.mark.filterwarnings("ignore::rlplay.errors.RlplayWarning")
def test_a_zoo_file_with_wrappers(foreign, capsys):
    (foreign / "ppo.yml").write_text(ZOO)
    zoo = ["train", "--algo", "ppo", "-conf", "ppo.yml", "--seed", "0", "--eval-freq", "-1"]
    assert main([*zoo, "--env", "CartPole-v1"]) == 0
    assert "TimeLimit" in capsys.readouterr().out
    assert main([*zoo, "--env", "Acrobot-v1"]) == 0
    assert not (foreign / "imported.txt").exists()
    assert main([*zoo, "--env", "MountainCar-v0"]) == 2  # a file may not import it
    assert "Type it: --wrapper foreign_worlds.Ten" in capsys.readouterr().err
    assert not (foreign / "imported.txt").exists()
    assert main([*zoo, "--env", "foreign_worlds:Foreign/Walk-v0"]) == 0  # its package was typed
    assert "foreign_worlds.Ten" in capsys.readouterr().out


def test_state_dependent_exploration_is_refused_in_one_line(foreign, capsys):
    (foreign / "td3.yml").write_text("Pendulum-v1: {use_sde: true, sde_sample_freq: 4}")
    assert main(["train", "--algo", "td3", "--env", "Pendulum-v1", "-conf", "td3.yml"]) == 2
    said = capsys.readouterr().err
    assert "Pendulum-v1 in td3.yml are for state-dependent exploration (use_sde: true)" in said
    assert "--algo sb3/" in said


def test_check_env_takes_wrappers(capsys):
    words = ["check-env", "FrozenLake-v1", "--wrapper", "gymnasium.wrappers.FlattenObservation", "-n", "200"]
    assert main(words) == 0, capsys.readouterr().out


# Stacked frames and text


@pytest.mark.parametrize(
    ("space", "shape"),
    [
        (spaces.Box(-1.0, 1.0, (3,)), (6,)),
        (spaces.Box(0, 255, (4, 5), np.uint8), (4, 5, 2)),
        (spaces.Box(0, 255, (4, 5, 3), np.uint8), (4, 5, 6)),
        (spaces.Dict(a=spaces.Box(1.0, 2.0, (3,))), None),
    ],
)
def test_frames_are_stacked_as_in_stable_baselines3(space, shape):
    class World(gym.Env):
        observation_space, action_space = space, spaces.Discrete(2)

        def __init__(self):
            self.given = []

        def reset(self, *, seed=None, options=None):
            self.observation_space.seed(seed)
            return self._next(), {}

        def step(self, action):
            return self._next(), 0.0, False, False, {}

        def _next(self):
            self.given.append(self.observation_space.sample())
            return self.given[-1]

    env = FrameStack(World(), 2)
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    after = env.step(0)[0]
    assert env.observation_space.contains(after)
    if shape is None:
        assert (after["a"][:3] == env.unwrapped.given[0]["a"]).all()
        return
    assert obs.shape == after.shape == shape
    first, second = env.unwrapped.given[:2]
    joined = np.stack if first.ndim == 2 else np.concatenate
    assert (after == joined([first, second], axis=-1)).all()
    assert (obs == joined([np.zeros_like(first), first], axis=-1)).all()


@pytest.mark.parametrize("size", [0, 1001, 2.0, True, "2"])
def test_a_stack_of_no_size_is_refused(size):
    with pytest.raises(UsageError, match="whole number from 1 to 1000"):
        rlplay.make("CartPole-v1", frame_stack=size)


def test_text_is_left_out_and_said_once(foreign):
    with pytest.warns(RlplayWarning, match="left out are mission"):
        env = rlplay.make("foreign_worlds:Foreign/Walk-v0")
    assert list(env.observation_space.spaces) == ["at"]
    assert list(env.reset(seed=0)[0]) == ["at"]
    rlplay.make("foreign_worlds:Foreign/Walk-v0")  # silent: a warning is an error here
    rlplay.make(env.env)  # an instance too
    from agents import PPO

    assert PPO("foreign_worlds:Foreign/Walk-v0", n_steps=32, batch_size=32, n_envs=2, seed=0).learn(64)


def test_text_deep_inside():
    class Deep(gym.Env):
        action_space = spaces.Discrete(2)
        observation_space = spaces.Tuple(
            [spaces.Text(3), spaces.Dict(x=spaces.Discrete(2), y=spaces.Dict(z=spaces.Text(3)))]
        )

    env = WithoutText(Deep())
    assert env.observation_space == spaces.Tuple([spaces.Dict(x=spaces.Discrete(2))])
    assert env.observation(("a", {"x": 1, "y": {"z": "b"}})) == ({"x": 1},)


def test_mujoco_draws_without_a_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)
    rlplay.make("FrozenLake-v1", render_mode="rgb_array")
    assert os.environ.get("MUJOCO_GL") == ("egl" if sys.platform == "linux" else None)


# Our names


def copied(folder, *, without=()):
    """Our packages in a folder of their own, as pip installs them."""
    for name in ("rlplay", "agents", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in without:
        (folder / name / "__init__.py").unlink()


USE = """
import warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    import rlplay
from rlplay.agents import PPO, QLearning
import rlplay.agents.q_learning as module, rlplay.envs
from rlplay import errors, registry
assert registry.agent_class("q-learning") is QLearning is module.QLearning
agent = QLearning(rlplay.make("FrozenLake-v1"), seed=0)
limit = rlplay.make("rlplay/GridWorld-v0").spec.max_episode_steps
summary = registry.summary("rlplay.agents", "q-learning")
print(len(said), limit, bool(summary), *[str(w.message) for w in said])
"""


def used(folder, path=(), works_in=None):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, path), str(folder)])}
    works_in = works_in or folder / "elsewhere"
    works_in.mkdir(exist_ok=True)
    command = [sys.executable, "-c", USE]
    done = subprocess.run(command, cwd=works_in, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_our_names_where_nothing_stands_in_their_way(tmp_path):
    copied(tmp_path)
    assert used(tmp_path) == "0 10000 True"


@pytest.mark.parametrize("name", ["agents", "envs"])
def test_a_package_that_overwrites_ours(tmp_path, name):
    copied(tmp_path)
    (tmp_path / name / "__init__.py").write_text("raise ImportError('of another')")
    said = used(tmp_path)
    assert said.startswith("1 10000 True")
    assert f"`rlplay.{name}` works, `{name}` is not rlplay's. Mend it: " in said
    assert "pip install --force-reinstall --no-deps rlplay" in said


@pytest.mark.parametrize("name", ["agents", "envs"])
def test_a_package_that_took_ours_with_it(tmp_path, name):
    copied(tmp_path, without=[name])
    said = used(tmp_path)
    assert said.startswith("1 10000 True")
    assert "is gone, removed with a package of the same name" in said


def test_a_folder_of_the_users_own_is_theirs(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    copied(ours)
    for name in ("agents", "envs"):
        (theirs / name).mkdir(parents=True)
        (theirs / name / "__init__.py").write_text("")
    assert used(ours, works_in=theirs) == "0 10000 True"


def test_a_folder_before_ours_on_the_path_is_said(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    copied(ours)
    (theirs / "agents").mkdir(parents=True)
    (theirs / "agents" / "__init__.py").write_text("")
    said = used(ours, [theirs])
    assert said.startswith("1 10000 True")
    assert f"`agents` is found at {theirs / 'agents'}, which is not rlplay's: `rlplay.agents` works" in said
    assert f"take {theirs} out of PYTHONPATH" in said


def test_another_distribution_before_ours_on_the_path(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "site-packages"
    copied(ours)
    (theirs / "agents").mkdir(parents=True)
    (theirs / "agents" / "__init__.py").write_text("")
    said = used(ours, [theirs])
    assert said.startswith("1 10000 True")
    assert "`rlplay.agents` works" in said


def test_the_two_names_are_one():
    import rlplay.agents.q_learning
    from rlplay.agents.sb3 import A2C

    import agents
    import agents.q_learning
    import rlplay.agents

    assert rlplay.agents is agents
    assert rlplay.agents.q_learning is agents.q_learning
    assert agents.q_learning.__spec__.name == "agents.q_learning"
    assert A2C is registry.agent_class("sb3/a2c")


def test_our_packages_import_their_own_modules_relatively():
    import ast

    for name in ("agents", "envs"):
        for path in (ROOT / name).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    assert (node.module or "").split(".")[0] != name, path
                if isinstance(node, ast.Import):
                    assert name not in {alias.name.split(".")[0] for alias in node.names}, path


def test_lowest_versions_are_read_from_the_project():
    spec = importlib.util.spec_from_file_location("lowest_versions", ROOT / "tests" / "lowest_versions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "cloudpickle==3.0" in module.lowest()
    assert json.dumps(module.lowest())
