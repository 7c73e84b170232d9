"""Scripts of Stable-Baselines3's users, ported by changing imports only: our agents and the adapter run them alike."""

from __future__ import annotations

import csv
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CallbackList,
    CheckpointCallback,
    EvalCallback,
    EveryNTimesteps,
    StopTrainingOnMaxEpisodes,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import BitFlippingEnv
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import Image, TensorBoardOutputFormat
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecFrameStack, VecNormalize

import rlplay
from agents import A2C, DDPG, DQN, PPO, QLearning
from agents.sb3 import A2C as SB3_A2C
from agents.sb3 import DDPG as SB3_DDPG
from agents.sb3 import DQN as SB3_DQN
from agents.sb3 import PPO as SB3_PPO
from agents.sb3 import SB3
from rlplay.errors import CheckpointError, RlplayWarning, SpaceError, UsageError
from rlplay.training.logger import Logger

BOTH = pytest.mark.parametrize("PPO", [PPO, SB3_PPO], ids=["ours", "sb3"])
SMALL = {"n_steps": 16, "batch_size": 16, "n_epochs": 2, "seed": 0}

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*asks after every step"),
    pytest.mark.filterwarnings("ignore:Evaluation environment is not wrapped"),
    pytest.mark.filterwarnings("ignore:Training and eval env are not of the same type"),
]


@BOTH
def test_quickstart(PPO):
    env = gym.make("CartPole-v1", render_mode="rgb_array")
    model = PPO("MlpPolicy", env, verbose=1, device="cpu", **SMALL)
    model.learn(total_timesteps=64)
    vec_env = DummyVecEnv([lambda: gym.make("CartPole-v1")])
    obs = vec_env.reset()
    for _ in range(5):
        action, _states = model.predict(obs, deterministic=True)
        obs, _reward, _done, _info = vec_env.step(action)
    assert model.num_timesteps == 64
    assert action.shape == (1,)


def test_verbose_prints_a_table(capsys):
    PPO("MlpPolicy", "CartPole-v1", verbose=1, **SMALL).learn(64)
    printed = capsys.readouterr().out
    assert "| rollout/" in printed
    assert "   ep_rew_mean" in printed
    assert "   value_loss" in printed


class Watcher(BaseCallback):
    """What tutorials do in a callback."""

    def _on_training_start(self):
        self.rewards, self.ends, self.rollouts = 0.0, 0, 0
        assert self.training_env.num_envs == self.training_env.unwrapped.num_envs

    def _on_rollout_end(self):
        self.rollouts += 1

    def _on_step(self):
        assert self.num_timesteps == self.model.num_timesteps
        assert len(self.locals["infos"]) == self.training_env.num_envs
        self.rewards += float(self.locals["rewards"].sum())
        self.ends += sum("episode" in info for info in self.locals["infos"])
        assert self.ends >= self.locals["dones"].sum()
        self.logger.record("custom/calls", self.n_calls)
        return True


@BOTH
def test_callbacks(PPO, tmp_path):
    vec_env = make_vec_env("CartPole-v1", n_envs=2, seed=0)
    watcher = Watcher()
    several = CallbackList([
        CheckpointCallback(save_freq=32, save_path=str(tmp_path / "logs")),
        EvalCallback(make_vec_env("CartPole-v1"), eval_freq=32, best_model_save_path=str(tmp_path),
                     log_path=str(tmp_path), n_eval_episodes=2, verbose=0),
        watcher,
    ])  # fmt: skip
    model = PPO("MlpPolicy", vec_env, **SMALL).learn(128, callback=several)
    assert watcher.n_calls == 64  # calls are steps of all environments at once
    assert watcher.rewards == 128.0  # each step pays 1
    assert model.statistics.episodes > 0
    assert sorted(p.name for p in (tmp_path / "logs").iterdir()) == [f"rl_model_{n}_steps.rlp" for n in (128, 64)]
    found = np.load(tmp_path / "evaluations.npz")
    assert found["timesteps"].tolist() == [64, 128]
    assert type(model).load(tmp_path / "best_model.rlp").n_envs == 2


@BOTH
def test_callbacks_stop_a_run(PPO):
    model = PPO("MlpPolicy", "CartPole-v1", **SMALL)
    at_once = StopTrainingOnRewardThreshold(reward_threshold=1.0)
    model.learn(
        200, EvalCallback(Monitor(gym.make("CartPole-v1")), callback_on_new_best=at_once, eval_freq=50, verbose=0)
    )
    assert model.num_timesteps == 50
    model.learn(10_000, StopTrainingOnMaxEpisodes(max_episodes=3))
    assert model.num_timesteps < 1000
    seen = []
    model.learn(100, lambda locals, globals: seen.append(locals["dones"].shape) or len(seen) < 7)
    assert seen == [(1,)] * 7
    assert model.num_timesteps == 7
    model.learn(16, reset_num_timesteps=False)
    assert model.num_timesteps == 23


@BOTH
def test_callbacks_leave_the_bits(PPO):
    plain = PPO("CartPole-v1", **SMALL).learn(100)
    watched = PPO("CartPole-v1", **SMALL).learn(100, [Watcher(), EveryNTimesteps(30, Watcher())])
    mine, theirs = plain.arrays(), watched.arrays()
    assert [name for name in mine if not np.array_equal(mine[name], theirs[name])] == []


def test_rewards_and_ends_of_a_table_agent_are_those_of_its_steps():
    watcher = Watcher()
    agent = QLearning("CliffWalking-v1", seed=0).learn(500, watcher)
    assert watcher.ends == agent.statistics.episodes
    position = agent.position.episode_return if agent.position.obs is not None else 0.0
    assert watcher.rewards == agent.statistics.total_return + position


@BOTH
@pytest.mark.parametrize(
    ("make", "count", "normalize"),
    [
        (lambda: make_vec_env("CartPole-v1", n_envs=3), 3, False),
        (lambda: VecNormalize(make_vec_env("CartPole-v1", n_envs=2), norm_reward=False), 2, True),
        (lambda: gym.make_vec("CartPole-v1", num_envs=2), 2, False),
        (lambda: gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync"), 2, False),
    ],
    ids=["DummyVecEnv", "VecNormalize", "VectorEnv", "SyncVectorEnv"],
)
def test_environments_side_by_side_are_taken_one_by_one(PPO, make, count, normalize):
    model = PPO("MlpPolicy", make(), **SMALL).learn(64)
    assert model.n_envs == count
    assert len(model.running_envs()) == count
    assert bool(model.normalize) == normalize


def test_side_by_side_they_give_the_bits_of_n_envs_in_native_code():
    given = PPO("MlpPolicy", make_vec_env("CartPole-v1", n_envs=2), **SMALL)
    assert given.why_not_compiled() == ""
    named = PPO("CartPole-v1", n_envs=2, **SMALL).learn(64)
    assert np.array_equal(given.learn(64).arrays()["policy/parameters"], named.arrays()["policy/parameters"])


def test_environments_that_differ_are_each_played():
    lengths = (7, 11)
    vec_env = DummyVecEnv([lambda n=n: gym.make("CartPole-v1", max_episode_steps=n) for n in lengths])
    model = PPO("MlpPolicy", vec_env, **SMALL).learn(200)
    assert "differ" in model.why_not_compiled()
    assert {row.length for row in model.statistics.recent} >= set(lengths)


class Picture(gym.Env):
    """Bytes at random, of some shape."""

    action_space = gym.spaces.Discrete(2)

    def __init__(self, shape):
        self.observation_space = gym.spaces.Box(0, 255, shape, np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.step(0)[0], {}

    def step(self, action):
        shape = self.observation_space.shape
        return self.np_random.integers(0, 256, shape, dtype=np.uint8), 0.0, False, False, {}


def test_a_frame_stack_around_all_is_one_around_each():
    model = PPO("MlpPolicy", VecFrameStack(make_vec_env("CartPole-v1", n_envs=2), 3), **SMALL)
    assert np.prod(model.observation_space.shape) == 12
    wrong = VecFrameStack(DummyVecEnv([lambda: Picture((3, 12, 12))]), 2, channels_order="last")
    with pytest.raises(UsageError, match="Leave channels_order out"):
        PPO("CnnPolicy", wrong, **SMALL)


@pytest.mark.parametrize("shape", [(3, 12, 12), (12, 14, 3), (12, 12), (5,)])
def test_stacked_frames_lie_as_in_vec_frame_stack(shape):
    def lifted():  # a grey picture has an axis of its own there
        env = Picture(shape)
        return gym.wrappers.ReshapeObservation(env, (*shape, 1)) if shape == (12, 12) else env

    here, there = rlplay.make(Picture(shape), frame_stack=2), VecFrameStack(DummyVecEnv([lifted]), 2)
    there.seed(0)
    pairs = [(here.reset(seed=0)[0], there.reset()[0])]
    pairs += [(here.step(0)[0], there.step([0])[0][0]) for _ in range(3)]
    assert all(here.observation_space.contains(ours) and np.array_equal(ours, theirs) for ours, theirs in pairs)


def test_what_cannot_be_taken_apart_is_named():
    with pytest.raises(SpaceError, match="QLearning learns in one environment, not in a DummyVecEnv of 2"):
        QLearning(make_vec_env("FrozenLake-v1", n_envs=2))
    with pytest.raises(UsageError, match="NormalizeObservation stands around 2 environments"):
        PPO(gym.wrappers.vector.NormalizeObservation(gym.make_vec("CartPole-v1", num_envs=2)))
    with pytest.raises(UsageError, match="n_envs=3 and DummyVecEnv of 2 environments. Leave n_envs out"):
        PPO(make_vec_env("CartPole-v1", n_envs=2), n_envs=3)
    with pytest.warns(RlplayWarning, match="stats_window_size has no meaning here"):
        PPO("CartPole-v1", stats_window_size=7)
    with pytest.raises(UsageError, match="verbose='loud' is not 0, 1 or 2"):
        PPO("CartPole-v1", verbose="loud")


@pytest.mark.slow
@BOTH
def test_multiprocessing(PPO):
    vec_env = make_vec_env("CartPole-v1", n_envs=2, vec_env_cls=SubprocVecEnv, vec_env_kwargs={"start_method": "fork"})
    try:
        model = PPO("MlpPolicy", vec_env, **SMALL).learn(64)
        assert model.n_envs == 2
    finally:
        vec_env.close()


@BOTH
def test_monitor(PPO, tmp_path):
    env = Monitor(gym.make("CartPole-v1"), str(tmp_path))
    with pytest.warns(RlplayWarning, match="its wrapper Monitor is Python") if PPO is not SB3_PPO else _silence():
        model = PPO("MlpPolicy", env, **SMALL)
    model.learn(200)
    env.close()
    with open(tmp_path / "monitor.csv", encoding="utf-8", newline="") as file:
        lengths = [int(row["l"]) for row in csv.DictReader(line for line in file if not line.startswith("#"))]
    assert lengths == [row.length for row in model.statistics.recent]


def _silence():
    import warnings

    return warnings.catch_warnings(action="ignore")


@BOTH
def test_custom_policy(PPO):
    import torch as th

    policy_kwargs = {"activation_fn": th.nn.ReLU, "net_arch": {"pi": [32, 32], "vf": [32, 16]}}
    model = PPO("MlpPolicy", "CartPole-v1", policy_kwargs=policy_kwargs, **SMALL).learn(32)
    assert "MlpPolicy" in str(model.policy) or "Linear(in_features=32, out_features=16" in str(model.policy)


@BOTH
def test_what_differs_is_said_with_the_way_out(PPO, tmp_path):
    import stable_baselines3
    from stable_baselines3.common.policies import ActorCriticPolicy

    with pytest.raises(UsageError, match="OwnPolicy is a class.*'MlpPolicy'"):
        PPO(type("OwnPolicy", (ActorCriticPolicy,), {}), "CartPole-v1")
    model = PPO("MlpPolicy", "CartPole-v1", **SMALL)
    with pytest.raises(SpaceError, match=r"obs, info = env.reset\(\)"):
        model.predict(model.env.reset(seed=0))
    stable_baselines3.PPO("MlpPolicy", "CartPole-v1", **SMALL).save(tmp_path / "theirs.zip")
    with pytest.raises(CheckpointError, match="rlplay import"):
        PPO.load(tmp_path / "theirs.zip")


def test_sbx_is_said_to_be_left_out():
    with pytest.raises(UsageError, match="SBX is not behind this door"):
        SB3("sbx/PPO", "CartPole-v1")


@BOTH
def test_save_and_load(PPO, tmp_path):
    model = PPO("MlpPolicy", "CartPole-v1", **SMALL).learn(64)
    model.save(tmp_path / "ppo_cartpole")
    again = PPO.load(tmp_path / "ppo_cartpole", env=make_vec_env("CartPole-v1", n_envs=1))
    other = PPO("MlpPolicy", "CartPole-v1", **{**SMALL, "seed": 5})
    other.set_parameters(model.get_parameters())
    obs = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    chosen = model.predict(obs, deterministic=True)[0]
    assert (again.predict(obs, deterministic=True)[0] == chosen).all()
    assert (other.predict(obs, deterministic=True)[0] == chosen).all()
    with pytest.raises(UsageError, match="parameters"):
        other.set_parameters({"strange": np.zeros(2)})


@BOTH
def test_the_environment_of_a_model_is_a_vec_env(PPO):
    model = PPO("MlpPolicy", env=gym.make("CartPole-v1"), **SMALL).learn(32)
    vec_env = model.get_env()
    obs = vec_env.reset()
    for _ in range(100):
        action, _state = model.predict(obs, deterministic=True)
        obs, _reward, dones, infos = vec_env.step(0 * action)
        if dones[0]:
            break
    assert infos[0]["episode"]["l"] > 1
    assert vec_env.get_attr("spec")[0].id == "CartPole-v1"
    assert model.get_env() is vec_env
    assert isinstance(PPO("CartPole-v1", **SMALL).get_env(), gym.Env)
    assert model.ep_info_buffer[-1]["r"] == model.statistics.recent[-1].episode_return


@BOTH
def test_vec_normalize_has_the_statistics_and_nothing_is_normalised_twice(PPO, tmp_path):
    vec_env = VecNormalize(make_vec_env("CartPole-v1"), norm_reward=False)
    model = PPO("MlpPolicy", vec_env, **SMALL)
    assert model.get_vec_normalize_env() is vec_env
    model.learn(64, CheckpointCallback(32, str(tmp_path), save_vecnormalize=True))
    assert vec_env.obs_rms.count > 60.0
    vec_env.save(str(tmp_path / "statistics.pkl"))
    model.save(tmp_path / "model")
    again = VecNormalize.load(str(tmp_path / "statistics.pkl"), make_vec_env("CartPole-v1"))
    assert np.array_equal(again.obs_rms.mean, vec_env.obs_rms.mean)
    assert (tmp_path / "rl_model_vecnormalize_32_steps.pkl").exists()
    again.training = False
    loaded = PPO.load(tmp_path / "model", env=again)
    obs = again.reset()
    assert np.array_equal(obs, again.get_original_obs())
    value = loaded.probe(again.get_original_obs()).value
    assert np.array_equal(loaded.probe(obs).value, value)
    again.training = True
    more = PPO("MlpPolicy", again, **SMALL)
    assert more.get_vec_normalize_env().obs_rms.count == vec_env.obs_rms.count


@pytest.mark.parametrize("DDPG", [DDPG, SB3_DDPG], ids=["ours", "sb3"])
def test_objects_there_are_hyperparameters_here(DDPG):
    noise = NormalActionNoise(mean=np.zeros(1), sigma=0.2 * np.ones(1))
    model = DDPG("MlpPolicy", "Pendulum-v1", action_noise=noise, buffer_size=300, replay_buffer_class=ReplayBuffer)
    assert (model.noise_type, model.noise_std) == ("normal", 0.2)
    with pytest.raises((SpaceError, UsageError), match="goals"):
        DDPG("MultiInputPolicy", "Pendulum-v1", replay_buffer_class=HerReplayBuffer)
    with pytest.raises(UsageError, match="mean 0 and one deviation.*noise_type='normal'"):
        DDPG("MlpPolicy", "Pendulum-v1", action_noise=NormalActionNoise(np.ones(1), np.ones(1)))


@BOTH
def test_files_by_their_names_there(PPO, tmp_path):
    model = PPO("MlpPolicy", "CartPole-v1", **SMALL)
    with pytest.warns(RlplayWarning, match=r"a.zip is written as a.rlp: rlplay export writes zips"):
        model.save(tmp_path / "a.zip")
    for name in ("a", "a.zip", "a.rlp"):
        assert PPO.load(tmp_path / name, device="cpu", verbose=1).verbose == 1
    changed = PPO.load(tmp_path / "a", learning_rate=0.5, custom_objects={"clip_range": 0.3}, print_system_info=True)
    assert (changed.learning_rate, changed.clip_range) == (0.5, 0.3)
    with pytest.raises(UsageError, match="unknown hyperparameter of PPO 'learning_rat'.*learning_rate"):
        PPO.load(tmp_path / "a", learning_rat=0.5)
    (tmp_path / "theirs.zip").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match="theirs.zip"):
        PPO.load(tmp_path / "theirs")


def test_what_a_model_has_there_is_named_with_what_stands_in_its_place():
    model = PPO("MlpPolicy", "CartPole-v1", **SMALL)
    with pytest.raises(AttributeError, match="no attribute '_last_obs'. It is agent.position.obs"):
        model._last_obs  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'optimizer'.*as_model"):
        model.policy.optimizer  # noqa: B018
    assert not hasattr(model, "replay_buffer")
    assert model.policy.eval().to("cpu") is model.policy
    model.ent_coef = 0.5
    with pytest.warns(RlplayWarning, match=r"PPO.ent_coef = 0.5 changes nothing.*PPO.load\(path, ent_coef=0.5\)"):
        model.learn(16)
    assert SB3_PPO("MlpPolicy", "CartPole-v1", **SMALL).rollout_buffer.buffer_size == 16
    with pytest.warns(RlplayWarning, match="have no parts: MultiInputPolicy acts as MlpPolicy"):
        PPO("MultiInputPolicy", "CartPole-v1", **SMALL)


def test_an_environment_whose_spec_says_nothing_is_taken():
    model = DQN("MultiInputPolicy", BitFlippingEnv(n_bits=4), buffer_size=100, learning_starts=10, batch_size=8)
    assert model.learn(40).num_timesteps == 40


@BOTH
def test_evaluate(PPO):
    model = PPO("MlpPolicy", "CartPole-v1", **SMALL).learn(64)
    mean, std = evaluate_policy(model, Monitor(gym.make("CartPole-v1")), n_eval_episodes=3)
    assert mean >= 1.0
    assert std >= 0.0
    assert evaluate_policy(model.policy, Monitor(gym.make("CartPole-v1")), n_eval_episodes=2)[0] >= 1.0
    with pytest.raises(UsageError, match="evaluate: env=20 is no environment.*n_eval_episodes=20"):
        rlplay.evaluate(model, 20)


class Writer(BaseCallback):
    """Stable-Baselines3's page on TensorBoard: its writer itself, and what is no number."""

    def _on_training_start(self):
        self.tensorboard = next(one for one in self.logger.output_formats if isinstance(one, TensorBoardOutputFormat))

    def _on_step(self):
        self.tensorboard.writer.add_text("written", "words", self.num_timesteps)
        self.logger.record("drawn", Image(np.zeros((3, 8, 8)), "CHW"), exclude=("stdout", "log", "json", "csv"))
        return True


@BOTH
def test_tensorboard(PPO, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = PPO("MlpPolicy", "CartPole-v1", tensorboard_log=str(tmp_path), **SMALL)
    model.learn(64, tb_log_name="first", callback=[Watcher(), Writer()])
    model.learn(64, tb_log_name="first")
    model.learn(32, tb_log_name="first", reset_num_timesteps=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first_1", "first_2"]
    events = EventAccumulator(str(tmp_path / "first_1")).Reload()
    tags = set(events.Tags()["scalars"])
    assert {"train/value_loss", "rollout/ep_rew_mean", "time/fps", "custom/calls"} <= tags
    assert events.Scalars("custom/calls")[-1].value == 64.0
    assert {"written/text_summary", "drawn"} <= {*events.Tags()["tensors"], *events.Tags()["images"]}


def test_the_last_update_and_what_callbacks_record_are_columns_of_progress(tmp_path):
    from rlplay.training.logs import LogCallback
    from rlplay.training.run_folder import new_run

    folder = new_run(tmp_path, "ppo", "CartPole-v1")
    model = PPO("CartPole-v1", **SMALL)

    def note(agent):
        agent.logger.record("custom/steps", agent.num_timesteps)

    model.learn(64, [note, LogCallback(folder)], schedule_timesteps=128)
    model.learn(64, [LogCallback(folder)], reset_num_timesteps=False)
    with open(folder.progress, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["train/value_loss"] == ""  # nothing was learned yet
    assert float(rows[-1]["train/value_loss"]) > 0.0
    assert [row["custom/steps"] for row in rows if row["time/total_timesteps"] == "64"] == ["64"]
    assert rows[-1]["custom/steps"] == ""


def test_a_logger_of_theirs_is_given_the_rows(tmp_path):
    from stable_baselines3.common.logger import configure

    model = PPO("CartPole-v1", **SMALL)
    assert isinstance(model.logger, Logger)
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(64, lambda agent: agent.logger.record("custom/one", 1.0))
    model.logger.close()
    text = Path(tmp_path / "progress.csv").read_text()
    assert "train/value_loss" in text
    assert "custom/one" in text


def test_a_seed_begins_every_stream_anew():
    def course(seed):
        model = PPO("CartPole-v1", **SMALL)
        model.set_random_seed(seed)
        return model.learn(64).arrays()["policy/parameters"]

    assert np.array_equal(course(3), course(3))
    assert not np.array_equal(course(3), course(4))


@pytest.mark.slow
@pytest.mark.parametrize("A2C", [A2C, SB3_A2C], ids=["ours", "sb3"])
def test_atari_wrappers(A2C):
    pytest.importorskip("ale_py")
    from stable_baselines3.common.env_util import make_atari_env

    vec_env = VecFrameStack(make_atari_env("ALE/Pong-v5", n_envs=2, seed=0), n_stack=4)
    model = A2C("CnnPolicy", vec_env, seed=0).learn(40)
    assert sorted(model.observation_space.shape) == [4, 84, 84]


@pytest.mark.parametrize("DQN", [DQN, SB3_DQN], ids=["ours", "sb3"])
def test_off_policy(DQN):
    watcher = Watcher()
    model = DQN("MlpPolicy", "CartPole-v1", learning_starts=20, buffer_size=500, batch_size=16, seed=0, verbose=0)
    model.learn(total_timesteps=60, log_interval=4, callback=watcher)
    assert watcher.n_calls == 60
    assert watcher.rollouts > 0
