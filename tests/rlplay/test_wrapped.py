"""An environment given as an instance is made again whole, or refused by name: wherever a second one is needed."""

from __future__ import annotations

import gymnasium
import gymnasium as gym
import gymnasium.envs.toy_text
import numpy as np
import pytest

import rlplay
from agents import MCTS, PPO, FittedQ, QLearning, RealTimeDP, ValueIteration
from rlplay import evaluate, load
from rlplay.environments.make import make, make_anew, reference, time_limit
from rlplay.environments.no_environment import NoEnvironment
from rlplay.errors import RlplayError, SpaceError, UsageError
from rlplay.training.callbacks import EvalCallback

LAKE = {"is_slippery": False}
SURE = {"alpha": 0.5, "gamma": 0.9, "epsilon": 1.0, "seed": 0}


class Ten(gym.RewardWrapper):
    def reward(self, reward):
        return 10 * reward


class Times(gym.RewardWrapper):
    def __init__(self, env, factor=10):
        super().__init__(env)
        self.factor = factor

    def reward(self, reward):
        return self.factor * reward


class Recorded(Times, gym.utils.RecordConstructorArgs):
    def __init__(self, env, factor):
        gym.utils.RecordConstructorArgs.__init__(self, factor=factor)
        Times.__init__(self, env, factor)


class Counting(gym.Wrapper):
    steps = 0

    def step(self, action):
        Counting.steps += 1
        return super().step(action)


class Sized(gym.Env):
    """An environment of a user's own, never registered."""

    observation_space, action_space = gym.spaces.Discrete(3), gym.spaces.Discrete(2)

    def __init__(self, pay=1.0):
        self.pay = pay

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return 1, self.pay, True, False, {}


def lake():
    return gym.make("FrozenLake-v1", **LAKE)


@pytest.fixture
def in_ten():
    return QLearning(Ten(lake()), **SURE).learn(20_000)


def test_evaluate_plays_in_the_wrapped_world(in_ten):
    assert evaluate(in_ten).mean == 10.0


def test_callbacks_choose_the_best_in_the_wrapped_world():
    callback = EvalCallback(eval_freq=10_000, n_eval_episodes=3)
    QLearning(Ten(lake()), **SURE).learn(20_000, callback)
    assert callback.best_mean_reward == 10.0


def test_every_environment_of_a_run_is_wrapped():
    Counting.steps = 0
    PPO(Counting(gym.make("CartPole-v1")), n_envs=4, n_steps=256, n_epochs=1, seed=0).learn(1024)
    assert Counting.steps == 1024


def test_fitted_q_scores_in_the_wrapped_world():
    agent = FittedQ(Ten(gym.make("CartPole-v1", max_episode_steps=20)), train_freq=100, n_iterations=1,
                    n_eval_episodes=2, model="decision-tree", seed=0).learn(100)  # fmt: skip
    assert 80 <= agent.scores[0] <= 200


def test_planning_is_done_in_the_wrapped_world():
    agent = MCTS(Ten(lake()), simulations=200, depth=20, seed=0)
    agent.learn(1)
    assert agent.probe(0).value[0] >= 0
    assert type(agent._world.env).__name__ == "Ten"


MADE_AGAIN = {
    "a wrapper without arguments": lambda: Ten(lake()),
    "a wrapper that records its arguments": lambda: Recorded(lake(), 3),
    "Gymnasium's, with a function": lambda: gym.wrappers.TransformReward(lake(), lambda r: 3 * r),
    "a limit of its own": lambda: gym.make("FrozenLake-v1", max_episode_steps=7),
    "no limit": lambda: gym.make("FrozenLake-v1", max_episode_steps=-1),
    "two limits": lambda: gym.wrappers.TimeLimit(gym.wrappers.TimeLimit(lake(), 10), 50),
    "a limit outside a wrapper": lambda: gym.wrappers.TimeLimit(Ten(lake()), 9),
    "arguments": lambda: gym.make("FrozenLake-v1", desc=["SFG"]),
    "a native world inside": lambda: Ten(make("CartPole-v1")),
    "a table inside": lambda: Ten(make("FrozenLake-v1", **LAKE)),
    "frames": lambda: gym.wrappers.FrameStackObservation(gym.make("CartPole-v1"), 3),
}


@pytest.mark.parametrize("name", MADE_AGAIN)
def test_it_is_made_again_whole(name):
    one = MADE_AGAIN[name]()
    other = make_anew(one, "a test")
    assert str(other) == str(make_anew(one, "a test"))
    assert time_limit(one) == time_limit(other)
    assert one.observation_space == other.observation_space
    one.action_space.seed(1)
    actions = [one.action_space.sample() for _ in range(30)]
    assert played(one, actions) == played(other, actions)


def played(env, actions):
    """Rewards and endings of a few steps, from a seed."""
    seen = [np.asarray(env.reset(seed=3)[0]).tolist()]
    for action in actions:
        obs, reward, terminated, truncated, _ = env.step(action)
        seen.append((np.asarray(obs).tolist(), float(reward), bool(terminated), bool(truncated)))
        if terminated or truncated:
            break
    return seen


def changed_after_it_was_made():
    env = gym.make("CartPole-v1")
    env.unwrapped.gravity = 20.0
    return env


REFUSED = {
    "a wrapper whose arguments nobody knows": (lambda: Times(lake(), 10), "arguments of its wrapper Times"),
    "an environment of one's own": (lambda: Sized(2.0), "arguments of Sized"),
    "a changed attribute": (changed_after_it_was_made, "gravity is 20.0 .* 9.8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_made_again_is_refused_by_name(name):
    maker, words = REFUSED[name]
    agent = PPO(maker(), seed=0)
    with pytest.raises(UsageError, match=words) as caught:
        evaluate(agent)
    assert "lambda" in caught.value.remedy
    with pytest.raises(UsageError, match=f"n_envs=3.*{words}"):
        PPO(maker(), n_envs=3)


@pytest.mark.parametrize("name", REFUSED)
def test_a_function_that_makes_it_is_the_way_out(name):
    maker, _ = REFUSED[name]
    agent = PPO(maker, n_envs=2, n_steps=8, batch_size=16, seed=0)
    assert len(agent.running_envs()) == 2
    assert played(agent.running_envs()[1].env, [0, 1, 1]) == played(maker(), [0, 1, 1])
    assert evaluate(agent, n_eval_episodes=2).returns.shape == (2,)


def test_arguments_that_no_file_holds_are_kept_in_memory():
    env = make("FrozenLake-v1", desc=np.asarray(["SFG"], dtype="c"), **LAKE)
    agent = QLearning(env, **SURE).learn(500)
    assert reference(env).unsaved == ("desc",)
    assert make_anew(env, "a test").observation_space.n == 3
    assert evaluate(agent).mean == 1.0


class Kept(gym.RewardWrapper, gym.utils.EzPickle):
    def __init__(self, env, factor=3):
        gym.utils.EzPickle.__init__(self, env, factor=factor)
        super().__init__(env)
        self.factor = factor

    def reward(self, reward):
        return self.factor * reward


class Episodes(gym.Wrapper):
    """It counts what a few steps need not change."""

    def __init__(self, env):
        super().__init__(env)
        self.episodes = 0

    def step(self, action):
        result = super().step(action)
        self.episodes += result[2] or result[3]
        return result


def used_before():
    env = Episodes(gym.make("MountainCar-v0"))
    env.reset(seed=0)
    for _ in range(200):
        env.step(1)
    return env


@pytest.mark.parametrize("maker", [lambda: Kept(lake(), factor=4), used_before])
def test_what_is_known_is_not_refused(maker):
    one = maker()
    assert type(make_anew(one, "a test")) is type(one)
    assert getattr(make_anew(one, "a test"), "factor", 4) == 4


class Configured(gym.RewardWrapper):
    def __init__(self, env):
        super().__init__(env)
        self.table, self.pay = {"k": 1}, lambda reward: reward
        self.settings = type("Settings", (), {})()
        self.settings.k = 1

    def reward(self, reward):
        return reward * self.table["k"]


def with_table(env):
    env.table["k"] = 5


def with_object(env):
    env.settings.k = 5


def with_function(env):
    env.pay = lambda reward: 7.0 + reward


def with_method(env):
    env.step = lambda action: (0, 7.0, True, False, {})


@pytest.mark.parametrize("change", [with_table, with_object, with_function, with_method])
def test_what_was_changed_by_hand_is_refused(change):
    env = Configured(lake())
    assert type(make_anew(Configured(lake()), "a test")) is Configured
    change(env)
    with pytest.raises(UsageError, match=r"Configured\..* in the environment that was given"):
        make_anew(env, "a test")


def test_a_table_that_was_changed_by_hand_is_refused():
    env = lake()
    env.unwrapped.P[0][0] = [(1.0, 15, 100.0, True)]
    with pytest.raises(UsageError, match=r"FrozenLakeEnv\.P\[0\]\[0\]"):
        make_anew(env, "a test")


def test_a_function_must_make_a_new_one_each_time():
    one = Ten(lake())
    with pytest.raises(UsageError, match="gave the same environment twice"):
        evaluate(QLearning(lambda: one, seed=0).learn(10))
    for wrong in (lambda k: lake(), lambda: 1 / 0, Times):
        with pytest.raises(UsageError, match="made no environment"):
            QLearning(wrong)


class Lake10(gymnasium.envs.toy_text.FrozenLakeEnv):
    """A class that does other than what its table says."""

    def step(self, action):
        obs, reward, terminated, truncated, info = super().step(action)
        return obs, 10 * reward, terminated, truncated, info


@pytest.mark.parametrize("entry", [Lake10, lambda **given: Ten(gym.make("FrozenLake-v1", **given))])
def test_a_table_that_is_not_what_an_id_does_is_not_taken(entry):
    gym.register("test/Lake-v0", entry_point=entry, max_episode_steps=100, kwargs=LAKE)
    try:
        agent = QLearning("test/Lake-v0", **SURE).learn(20_000)
        assert evaluate(agent).mean == 10.0
    finally:
        del gym.registry["test/Lake-v0"]


class Same(gymnasium.envs.toy_text.FrozenLakeEnv):
    """A class that does what its table says."""


def test_a_table_that_is_what_a_class_does_is_taken():
    gym.register("test/Same-v0", entry_point=Same, max_episode_steps=100)
    try:
        assert reference(make("test/Same-v0")).dynamics.startswith("native")
    finally:
        del gym.registry["test/Same-v0"]


@pytest.mark.parametrize("planner", [ValueIteration, RealTimeDP])
def test_planners_refuse_a_wrapper_that_changes_the_table(planner):
    with pytest.raises(SpaceError, match="the wrapper Ten changes"):
        planner(Ten(lake()), gamma=1.0).learn(100)
    assert planner(gym.wrappers.RecordEpisodeStatistics(lake()), gamma=1.0, seed=0).learn(100).num_timesteps > 0


# Files.


def test_a_file_with_gymnasiums_wrappers_loads_whole(tmp_path):
    env = gym.wrappers.TimeAwareObservation(gym.make("CartPole-v1", max_episode_steps=30))
    agent = PPO(env, n_steps=16, batch_size=16, n_epochs=1, seed=0).learn(40)
    again = load(agent.save(tmp_path / "a"))
    assert reference(again.env) == reference(env)
    assert time_limit(again.env) == 30
    assert (evaluate(again).returns == evaluate(agent).returns).all()


def test_a_file_says_which_wrapper_it_needs(tmp_path, in_ten):
    path = in_ten.save(tmp_path / "a")
    with pytest.warns(UserWarning, match=r"FrozenLake-v1 .* in Ten needs the wrapper Ten. Give it: load\(path, env"):
        loaded = load(path)
    assert isinstance(loaded.env, NoEnvironment)
    assert evaluate(load(path, Ten(lake()))).mean == 10.0
    assert evaluate(load(path, lambda: Ten(lake()))).mean == 10.0
    with pytest.warns(UserWarning, match="trained with the wrappers Ten, and the environment given has none"):
        load(path, lake())


def test_arguments_of_a_strangers_environment_are_typed_again(tmp_path):
    gym.register("test/Sized-v0", entry_point=Sized)
    try:
        path = QLearning("test/Sized-v0", seed=0).learn(10).save(tmp_path / "plain")
        assert not isinstance(load(path).env, NoEnvironment)
        path = QLearning(make("test/Sized-v0", pay=2.0), seed=0).learn(10).save(tmp_path / "argued")
        with pytest.warns(UserWarning, match="needs its arguments, typed again"):
            load(path)
        assert evaluate(load(path, make("test/Sized-v0", pay=2.0))).mean == 2.0
    finally:
        del gym.registry["test/Sized-v0"]


# What is taken for an environment.


def test_specs_and_functions_are_environments():
    assert reference(make(gym.spec("CartPole-v1"))) == reference(make("CartPole-v1"))
    spec = gym.make("CartPole-v1", max_episode_steps=9).spec
    assert time_limit(make(spec)) == 9
    assert time_limit(make_anew(make(spec), "a test")) == 9
    wrapped = gym.wrappers.TimeAwareObservation(gym.make("CartPole-v1")).spec
    assert make(wrapped).observation_space.shape == (5,)
    assert reference(make(lambda: make("CartPole-v1"))) == reference(make("CartPole-v1"))
    assert PPO(Sized, seed=0).action_space.n == 2


class TwoAgents:
    possible_agents = ("a", "b")


class Vector:
    num_envs = 3


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (None, UsageError, "no environment"),
        (3, UsageError, "3 .int. is no environment"),
        (lambda: 3, UsageError, "<lambda>.. gave no environment: 3"),
        (Vector(), SpaceError, "a Vector is a vector of environments"),
        (TwoAgents(), SpaceError, "several agents"),
        (gym.make_vec("CartPole-v1", 2), SpaceError, "vector|VectorEnv|Box"),  # evaluate takes it, of the same spaces
    ],
)
def test_what_is_no_environment_is_said(given, error, words):
    for take in (rlplay.make, QLearning, lambda env: evaluate(QLearning("FrozenLake-v1", seed=0), env or given)):
        if (given is None or isinstance(given, int)) and take is not rlplay.make:
            continue  # these have words of their own
        with pytest.raises(RlplayError, match=words) as caught:
            take(given)
        assert isinstance(caught.value, error)
