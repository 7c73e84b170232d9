"""What users bring to Stable-Baselines3's algorithms: pictures, odd spaces, settings, masks, its own environments."""

from __future__ import annotations

import copy
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from agents import SB3
from rlplay.errors import RlplayError, RlplayWarning, SpaceError
from rlplay.spaces.observations import VectorView

SMALL = {"policy_kwargs": {"net_arch": [8]}, "device": "cpu"}
REPLAY = {**SMALL, "buffer_size": 60, "learning_starts": 8, "batch_size": 4}
SETTINGS = {
    "PPO": {**SMALL, "n_steps": 8, "batch_size": 4, "n_epochs": 1},
    "A2C": SMALL,
    "DQN": {**REPLAY, "train_freq": 4, "target_update_interval": 6},
    "SAC": REPLAY,
    "TD3": REPLAY,
    "DDPG": REPLAY,
}
VECTOR, PAIR = spaces.Box(-1, 1, (3,)), spaces.Box(-1, 1, (2,))
LAST, FIRST = spaces.Box(0, 255, (36, 36, 3), np.uint8), spaces.Box(0, 255, (3, 36, 36), np.uint8)


class World(gym.Env):
    """Observations by step and actions alone, whatever the seed: the same for everybody who steps it."""

    def __init__(self, observations, actions):
        self.observation_space, self.action_space = copy.deepcopy(observations), copy.deepcopy(actions)

    def _obs(self):
        self.observation_space.seed(7 * self.length + self.code)
        return self.observation_space.sample()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.length = self.code = 0
        return self._obs(), {}

    def step(self, action):
        total = float(np.sum(np.asarray(action)))
        self.length, self.code = self.length + 1, (3 * self.code + int(abs(total) * 1000)) % 9973
        return self._obs(), 0.1 * total + 0.01 * self.length, self.length % 3 == 2, self.length >= 7, {}


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(5), spaces.MultiBinary(70), spaces.MultiBinary((2, 3)), spaces.MultiDiscrete([3, 1, 4]), LAST,
        spaces.Dict(a=spaces.MultiBinary(3), b=spaces.Discrete(2), c=spaces.MultiDiscrete([2, 3]), d=VECTOR),
    ],
    ids=str,
)  # fmt: skip
def test_our_networks_see_the_numbers_that_theirs_see(space):
    view = VectorView(space, "PPO")
    for _ in range(5):
        obs = space.sample()
        tensors = {key: torch.as_tensor(np.asarray(part))[None] for key, part in obs.items()} if isinstance(
            obs, dict) else torch.as_tensor(np.asarray(obs))[None]  # fmt: skip
        theirs = preprocess_obs(tensors, space)
        flat = [part.reshape(-1) for part in (theirs.values() if isinstance(theirs, dict) else [theirs])]
        np.testing.assert_allclose(view.vector(obs), torch.cat(flat).numpy(), rtol=1e-6)


def actions_of(name):
    return spaces.Discrete(3) if name in ("PPO", "A2C", "DQN") else PAIR


def direct(name, policy, env, steps, settings):
    """Stable-Baselines3 as its users call it."""
    model = getattr(stable_baselines3, name)(policy, env, seed=3, **copy.deepcopy(settings))
    model.set_logger(Logger(None, []))
    return model.learn(steps, log_interval=None)


def assert_same(one, other):
    mine, theirs = one.state_dict(), other.state_dict()
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)


@pytest.mark.filterwarnings("ignore:.*are no picture to Stable-Baselines3")
@pytest.mark.parametrize("name", ["PPO", "A2C", "DQN", "SAC"])
@pytest.mark.parametrize(
    ("observations", "policy"),
    [
        (LAST, "CnnPolicy"),
        (FIRST, "CnnPolicy"),
        (spaces.Box(0, 255, (4, 36, 36), np.uint8), "CnnPolicy"),  # stacked
        (spaces.Box(0, 255, (2, 36, 36, 3), np.uint8), "MlpPolicy"),
        (spaces.Dict(picture=LAST, vector=VECTOR), "MultiInputPolicy"),
    ],
    ids=["channels last", "channels first", "stacked", "stacked colours", "in a Dict"],
)
def test_pictures_train_as_in_stable_baselines3(name, observations, policy):
    env = World(observations, actions_of(name))
    ours, steps = SB3(name, env, seed=3, **SETTINGS[name]), 20 if name == "A2C" else 24  # whole rollouts
    for part in (7, 9, steps - 16):
        ours.learn(part, reset_num_timesteps=False, schedule_timesteps=steps)
    theirs = direct(name, policy, World(observations, actions_of(name)), steps, SETTINGS[name])
    assert ours.model._n_updates == theirs._n_updates > 0
    assert_same(ours.model.policy, theirs.policy)
    obs = env.observation_space.sample()
    assert np.isfinite(ours.probe(obs).value).all()
    assert env.action_space.contains(ours.predict(obs, deterministic=True)[0])


@pytest.mark.parametrize("name", ["PPO", "DQN"])
def test_rewards_alone_are_normalised_over_pictures(tmp_path, name):
    env, settings = World(LAST, spaces.Discrete(3)), {**SETTINGS[name], "normalize": {"norm_obs": False}}
    whole = SB3(name, World(LAST, spaces.Discrete(3)), seed=3, **settings).learn(32)
    half = SB3(name, env, seed=3, **settings).learn(13, schedule_timesteps=32)
    again = type(half).load(half.save(tmp_path / "half"), env).learn(19, reset_num_timesteps=False)
    assert_same(whole.model.policy, again.model.policy)
    assert whole.vec_env.ret_rms.var == again.vec_env.ret_rms.var != 1
    if name == "PPO":
        vec_env = VecNormalize(DummyVecEnv([lambda: World(LAST, spaces.Discrete(3))]), norm_obs=False, gamma=0.99)
        assert_same(whole.model.policy, direct(name, "CnnPolicy", vec_env, 32, SETTINGS[name]).policy)


@pytest.mark.parametrize(
    "normalize",
    [True, {"norm_obs": False}, {"norm_reward": False}, {"norm_obs": False, "norm_reward": False}, {"gamma": 0.5},
     {"clip_obs": 5.0}, {"clip_reward": 1.0, "epsilon": 1e-4}, {"training": False}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("name", ["A2C", "TD3"])
def test_whatever_is_normalised_resumes_exactly(tmp_path, name, normalize):
    settings, actions = {**SETTINGS[name], "normalize": normalize}, PAIR
    whole = SB3(name, World(VECTOR, actions), seed=3, **settings).learn(40)
    half = SB3(name, World(VECTOR, actions), seed=3, **settings).learn(17, schedule_timesteps=40)
    again = type(half).load(half.save(tmp_path / "half"), World(VECTOR, actions)).learn(23, reset_num_timesteps=False)
    assert_same(whole.model.policy, again.model.policy)
    vec_env = DummyVecEnv([lambda: World(VECTOR, actions)])
    options = {} if normalize is True else normalize
    vec_env = VecNormalize(vec_env, **{"gamma": 0.99, **options})
    assert_same(whole.model.policy, direct(name, "MlpPolicy", vec_env, 40, SETTINGS[name]).policy)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("PPO", {"use_sde": True}),
        ("PPO", {"use_sde": True, "sde_sample_freq": 3}),
        ("SAC", {"use_sde": True, "train_freq": 8, "sde_sample_freq": 3}),
        ("SAC", {"use_sde": True, "train_freq": (1, "episode"), "use_sde_at_warmup": True}),
    ],
)
def test_noise_that_depends_on_the_state_lasts_over_parts_of_a_rollout(tmp_path, name, settings):
    settings = {**SETTINGS[name], **settings}
    agent = SB3(name, World(VECTOR, PAIR), seed=3, **settings)
    for before, after in pairwise((0, 5, 18, 19, 31, 48)):
        agent.learn(after - before, reset_num_timesteps=False, schedule_timesteps=48)
        assert agent.num_timesteps == after  # also within a rollout
        agent = type(agent).load(agent.save(tmp_path / "agent"), World(VECTOR, PAIR))
    theirs = direct(name, "MlpPolicy", World(VECTOR, PAIR), 48, settings)
    assert theirs.num_timesteps == 48
    assert_same(agent.model.policy, theirs.policy)


MISSION = spaces.Dict(
    image=spaces.Box(0, 255, (7, 7, 3), np.uint8), direction=spaces.Discrete(4), mission=spaces.Text(9)
)


@pytest.mark.filterwarnings("ignore:observations of World have text")
@pytest.mark.parametrize(
    ("observations", "actions", "words"),
    [
        (MISSION, None, r"observation\['image'\]: its convolutions need 36 x 36, not 7 x 7.*\['direction'\]"),
        (spaces.Text(9), None, "takes no Text.*Box, Discrete, MultiDiscrete"),
        (spaces.Dict(a=spaces.Dict(b=PAIR), c=PAIR), None, r"observation\['a'\].*FilterObservation\(env, \['c'\]\)"),
        (spaces.Dict(a=spaces.Dict(b=PAIR)), None, r"observation\['a'\].*FlattenObservation"),
        (spaces.Tuple([PAIR, PAIR]), None, "takes no Tuple.*FlattenObservation"),
        (spaces.Discrete(4, start=1), None, r"start=1\) as observations: it counts from 0.*TransformObservation"),
        (spaces.MultiDiscrete([2, 2], start=[0, 1]), None, "counts from 0"),
        (spaces.MultiDiscrete([[2, 2], [2, 2]]), None, "several axes.*FlattenObservation"),
        (spaces.Box(-1, 1, ()), None, "no axis.*ReshapeObservation"),
        (VECTOR, spaces.Discrete(3, start=1), "counts actions from 0"),
        (VECTOR, spaces.MultiDiscrete([2, 2], start=[1, 1]), "counts actions from 0"),
        (VECTOR, spaces.MultiBinary((2, 2)), "several axes"),
        (VECTOR, spaces.MultiDiscrete([100, 100], np.int8), "200 values are more than int8 can count.*without dtype="),
        (spaces.MultiDiscrete([100, 100], np.int8), None, "200 values are more than int8 can count"),
        (VECTOR, spaces.Dict(a=PAIR), "takes no Dict.*as actions"),
    ],
)
def test_spaces_that_do_not_fit_are_named_in_one_line(observations, actions, words):
    with pytest.raises(SpaceError, match=words) as said:
        SB3("PPO", World(observations, actions or spaces.Discrete(2)))
    assert "\n" not in str(said.value)


def test_pictures_too_small_for_convolutions_are_read_as_vectors():
    agent = SB3("PPO", World(MISSION["image"], spaces.Discrete(3)), seed=0, **SETTINGS["PPO"]).learn(8)
    assert agent.model.policy.features_dim == 7 * 7 * 3


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("TD3", {"action_noise": NormalActionNoise(np.ones(2), np.ones(2))}, "action_noise.*noise_type='normal'"),
        ("DQN", {"replay_buffer_class": object}, "replay_buffer_class=object is not its own.*Leave it out"),
        ("PPO", {"policy_kwargs": {"activation_fn": "nn.Relu"}}, r"nn.Relu.*Did you mean nn.ReLU"),
        ("PPO", {"policy_kwargs": {"features_extractor_class": World}}, "features_extractor_class=World, whose code"),
        ("PPO", {"policy_kwargs": {"nope": 1}}, r"policy_kwargs={'nope': 1}"),
        ("PPO", {"normalize": {"nope": 1}}, "normalize has 'nope'.*norm_obs"),
        ("PPO", {"normalize": {"clip_obs": "x"}}, "clip_obs of normalize='x'"),
        ("PPO", {"normalize": True, "features": "pca:2"}, r'normalize={"norm_obs": False}'),
        ("DQN", {"train_freq": [1, "episode"], "n_envs": 2}, "2 are played at once"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused_before_training(name, settings, words):
    with pytest.raises(RlplayError, match=words) as said:
        SB3(name, World(VECTOR, actions_of(name)), **settings)
    assert "\n" not in str(said.value)


def test_pictures_are_not_normalised_beneath_convolutions():
    with pytest.raises(RlplayError, match=r'pictures.*normalize={"norm_obs": False}'):
        SB3("PPO", World(LAST, spaces.Discrete(2)), normalize=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"policy_kwargs": {"activation_fn": torch.nn.ReLU, "optimizer_class": torch.optim.SGD}},
        {"learning_rate": lambda remaining: 1e-3 * remaining},
        {"policy_kwargs": {"net_arch": {"pi": [8], "vf": [4]}, "optimizer_kwargs": {"amsgrad": True}}},
    ],
    ids=["classes", "a function", "dictionaries"],
)
def test_what_is_constructed_can_be_saved(tmp_path, settings):
    settings = {**SETTINGS["PPO"], **settings}
    whole = SB3("PPO", World(VECTOR, PAIR), seed=3, **settings).learn(32)
    half = SB3("PPO", World(VECTOR, PAIR), seed=3, **settings).learn(13, schedule_timesteps=32)
    again = type(half).load(half.save(tmp_path / "a"), World(VECTOR, PAIR)).learn(19, reset_num_timesteps=False)
    assert_same(whole.model.policy, again.model.policy)


def test_features_see_the_observations_of_the_environment():
    """Also where Stable-Baselines3 itself would turn them, or code them otherwise."""
    for observations in (LAST, spaces.MultiDiscrete([2, 3]), spaces.Dict(a=VECTOR, b=spaces.Discrete(2))):
        env = World(observations, spaces.Discrete(2))
        features = "standard-scaler:warm_up=8"
        agent = SB3("PPO", env, seed=0, features=features, **SETTINGS["PPO"]).learn(24)
        obs = env.observation_space.sample()
        seen = agent.model.policy.extract_features(torch.from_numpy(agent.encoder.view.vectors(obs)))
        seen = seen[0] if isinstance(seen, tuple) else seen
        assert np.allclose(seen.numpy(), agent.probe(obs).features, atol=1e-6)


def test_its_own_environments_side_by_side_are_taken_one_by_one():
    vec_env = DummyVecEnv([lambda: World(VECTOR, PAIR) for _ in range(3)])
    for given in (vec_env, VecNormalize(vec_env)):
        agent = SB3("PPO", given, **SETTINGS["PPO"])
        assert [one.env for one in agent.running_envs()] == vec_env.envs
        assert isinstance(agent.vec_env, VecNormalize) == (given is not vec_env)


class Masking(gym.Wrapper):
    def action_masks(self):
        return np.array([True, False, True])


class Telling(World):
    def reset(self, **given):
        obs, _ = super().reset(**given)
        return obs, {"action_mask": np.array([1, 0, 1])}


def test_that_masks_are_not_respected_is_said_once():
    with pytest.warns(RlplayWarning, match="PPO does not learn with action masks") as said:
        SB3("PPO", gym.wrappers.TimeLimit(Masking(World(VECTOR, spaces.Discrete(3))), 5), **SETTINGS["PPO"])
    assert len(said) == 1
    with pytest.warns(RlplayWarning, match="DQN does not learn with action masks") as said:
        SB3("DQN", Telling(VECTOR, spaces.Discrete(3)), **SETTINGS["DQN"]).learn(20)
    assert len(said) == 1


def test_a_run_that_ends_before_the_first_update_says_so():
    with pytest.warns(RlplayWarning, match=r"learned nothing.*a rollout of 8 steps \(n_steps \* n_envs\)"):
        agent = SB3("PPO", World(VECTOR, PAIR), seed=0, use_sde=True, **SETTINGS["PPO"]).learn(5)
    assert agent.num_timesteps == 5


@pytest.mark.parametrize("name", ["SAC", "TD3", "PPO"])
def test_actions_of_several_axes_and_of_none(tmp_path, name):
    for shape in ((2, 2), ()):
        env = World(VECTOR, spaces.Box(-1, 1, shape))
        agent = SB3(name, env, seed=0, **SETTINGS[name]).learn(20)
        agent.save(tmp_path / "a")
        obs = env.observation_space.sample()
        assert agent.probe(obs).action_mean.shape == (1, int(np.prod(shape)))
        assert env.action_space.contains(agent.predict(obs)[0])
