"""Entries of RL Zoo's files run as they stand, or are refused with the way out: every key that the Zoo knows."""

import re
from pathlib import Path

import numpy as np
import pytest

import agents
from rlplay.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:callback=")
CALLBACKS = "stable_baselines3.common.callbacks"


@pytest.fixture
def train(tmp_path, monkeypatch):
    """``rlplay train -conf`` of an entry for CartPole; gives its exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def run(entry, *words, algo="a2c", steps=20):
        (tmp_path / "entry.yml").write_text(f"CartPole-v1:\n{entry}")
        typed = ["train", "--algo", algo, "--env", "CartPole-v1", "-conf", "entry.yml", "--eval-freq", "-1", *words]
        return main([*typed, "-n", str(steps), "--seed", "0"])

    return run


def learned():
    return agents.A2C.load("logs/a2c/CartPole-v1_1/CartPole-v1.rlp")


@pytest.mark.filterwarnings("ignore:the settings name the optimiser RMSpropTFLike")
def test_entries_run_as_they_stand(train):
    entry = (
        '  policy_kwargs: "dict(optimizer_class=RMSpropTFLike, optimizer_kwargs=dict(eps=1e-3))"\n'
        "  vec_env_wrapper:\n  - stable_baselines3.common.vec_env.VecFrameStack:\n      n_stack: 2\n"
        "  - stable_baselines3.common.vec_env.VecNormalize:\n      norm_reward: false\n"
        "  optimize_memory_usage: false\n"
    )
    assert train(entry) == 0
    agent = learned()
    assert agent.hyperparameters["rms_prop_eps"] == 1e-3
    assert agent.hyperparameters["normalize"] == {"norm_reward": False}
    assert np.prod(agent.observation_space.shape) == 8


def test_callbacks_are_made_as_there(train, capsys):
    stop = f"  callback:\n  - {CALLBACKS}.StopTrainingOnMaxEpisodes:\n      max_episodes: 1\n"
    assert train(stop, steps=200) == 0
    assert learned().num_timesteps < 100
    assert "stopped by a callback after" in capsys.readouterr().out
    assert "max_episodes: 1" in Path("logs/a2c/CartPole-v1_1/CartPole-v1/args.yml").read_text()


REFUSED = {
    "callback: mine.Watcher": r"may not import\n.*--gym-packages mine",
    "callback: {mine.Watcher: 3}": r"no module.Class and its arguments\n.*Write module.Class",
    f"callback: {CALLBACKS}.StopTrainingOnMaxEpisodes": r"cannot be made: .*max_episodes",
    f"callback: {CALLBACKS}.Nothing": r"may not import\n.*--gym-packages stable_baselines3",
    "policy: mine.Policy": r"whose code is in no file of a run\n.*Take MlpPolicy",
    "policy_kwargs: dict(features_extractor_class=mine.Features)": r"more than literals.*\n.*nn.ReLU",
    "replay_buffer_class: HerReplayBuffer": r"puts other goals into a replay buffer.*\n.*dqn, sac",
    "n_sampled_goal: 4": r"unknown hyperparameter of A2C 'n_sampled_goal'",
    "vec_env_wrapper: mine.Around": r"around all environments at once\n.*--wrapper",
    "env_wrapper: mine.Around": r"may not import\n.*--wrapper mine.Around",
    "vec_env_class: subproc": r"unknown hyperparameter of A2C 'vec_env_class'",
}


@pytest.mark.parametrize("entry", REFUSED)
def test_what_is_refused_says_the_way_out(entry, train, capsys):
    assert train(f"  {entry}\n") == 2
    said = capsys.readouterr().err
    assert re.search(REFUSED[entry], said), said


def test_a_class_of_theirs_is_typed_too(train, capsys):
    assert train("", "-params", "replay_buffer_class:HerReplayBuffer") == 2
    assert "puts other goals into a replay buffer" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the settings have monitor_kwargs")
@pytest.mark.parametrize("algo", ["a2c", "sb3/a2c"])
@pytest.mark.parametrize(
    "entry",
    [
        "env_kwargs: dict(sutton_barto_reward=True)", "monitor_kwargs: dict(info_keywords=('won',))",
        "normalize: \"dict(norm_obs=False)\"", "frame_stack: 2", "n_envs: 2", "n_timesteps: !!float 1e3",
        "policy_kwargs: dict(optimizer_class=th.optim.RMSprop, activation_fn=th.nn.ReLU)",
        "env_wrapper: [gymnasium.wrappers.TimeAwareObservation]", "learning_rate: lin_0.001", "replay_buffer_class:",
        f"callback: [{CALLBACKS}.LogEveryNTimesteps: {{n_steps: 10}}]",
        f"callback:\n    {CALLBACKS}.CheckpointCallback: {{save_freq: 10, save_path: there}}",
    ],
)  # fmt: skip
def test_the_zoos_other_keys_run(entry, algo, train):
    assert train(f"  {entry}\n", "--gym-packages", "stable_baselines3", algo=algo) == 0
