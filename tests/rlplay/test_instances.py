"""An instance of an id that runs natively runs so too, to the bit; else what runs is said once, with the way to it."""

from __future__ import annotations

import warnings
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv, generate_random_map

import rlplay
import rlplay.envs  # registers our ids
from agents import PPO, LinearActorCritic, QLearning, ValueIteration
from rlplay import errors, evaluate, load, registry
from rlplay.agent.saving import pack
from rlplay.compiled.native import NativeEnv
from rlplay.compiled.table import TableEnv
from rlplay.environments.changes import say_changes
from rlplay.environments.instances import make_to_learn_in, why_not_native
from rlplay.environments.make import make_anew, reference, time_limit
from rlplay.errors import RlplayWarning

NATIVE = NativeEnv | TableEnv
GIVEN = {
    "an instance": gym.make,
    "an instance without checks": lambda env_id, **kwargs: gym.make(env_id, disable_env_checker=True, **kwargs),
    "a spec": lambda env_id, **kwargs: gym.make(env_id, **kwargs).spec,
    "a function": lambda env_id, **kwargs: partial(gym.make, env_id, **kwargs),
}


@pytest.fixture(autouse=True)
def nothing_said_before(monkeypatch):
    monkeypatch.setattr(errors, "_said_once", set())


TOYS = ("FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "CliffWalkingSlippery-v1", "Taxi-v4")
# Their rewards or contexts are drawn, and no table says them; or they see Dicts.
DRAWN = ("rlplay/Bandit-v0", "rlplay/MaximizationBias-v0", "rlplay/LinearBandit-v0", "rlplay/DigitsBandit-v0",
         "rlplay/BitFlipping-v0")  # fmt: skip
OURS = (env_id for env_id in registry.env_ids() if env_id.startswith("rlplay/") and env_id not in DRAWN)
IDS = [*TOYS, *registry.recipes("NATIVE_VERSIONS"), *registry.recipes("TABLES"), *OURS]


def learned(agent):
    """Everything that a file would hold, as text and bytes."""
    manifest, arrays = pack(agent)
    return manifest, {name: np.asarray(array).tobytes() for name, array in arrays.items()}


@pytest.mark.parametrize("env_id", IDS)
def test_every_way_to_give_an_environment_learns_the_same_bits(env_id):
    kwargs = {"sab": False} if env_id == "Blackjack-v1" else {}
    by_id = rlplay.make(env_id, **kwargs)
    assert isinstance(by_id, NATIVE)
    cls = QLearning if isinstance(by_id, TableEnv) else LinearActorCritic
    settings = {"seed": 3} if cls is QLearning else {"seed": 3, "features": "tile-coding:4,n_tilings=2,warm_up=100"}
    expected = learned(cls(by_id, **settings).learn(300))
    for name, give in GIVEN.items():
        agent = cls(give(env_id, **kwargs), **settings).learn(300)
        assert type(agent.env) is type(by_id), name
        assert agent.get_env() is agent.env
        assert learned(agent) == expected, name


@pytest.mark.parametrize("give", GIVEN.values(), ids=GIVEN)
@pytest.mark.parametrize("kwargs", [{}, {"is_slippery": False, "max_episode_steps": 7}, {"desc": ["SFFG", "FHFF"]}])
def test_spaces_limits_and_arguments_are_those_given(give, kwargs):
    instance, agent = gym.make("FrozenLake-v1", **kwargs), QLearning(give("FrozenLake-v1", **kwargs), seed=0)
    assert isinstance(agent.env, TableEnv)
    assert agent.env.observation_space == instance.observation_space
    assert time_limit(agent.env) == time_limit(instance)
    assert reference(agent.env) == reference(rlplay.make("FrozenLake-v1", **kwargs))
    again = make_anew(agent.env, "a test")
    assert isinstance(again, TableEnv)
    assert reference(again) == reference(agent.env)


def test_limits_around_a_limit_and_around_native_code():
    for inner in (gym.make("CartPole-v1"), rlplay.make("CartPole-v1"), rlplay.make("FrozenLake-v1")):
        env = make_to_learn_in(gym.wrappers.TimeLimit(gym.wrappers.TimeLimit(inner, 9), 20))
        assert isinstance(env, NATIVE)
        assert env.max_episode_steps == time_limit(make_anew(env, "a test")) == 9
    ended = gym.make("CartPole-v1")
    ended._max_episode_steps = 5
    assert time_limit(make_to_learn_in(ended)) == 5


def test_files_evaluations_and_going_on_agree(tmp_path):
    expected = QLearning("FrozenLake-v1", seed=0).learn(1000).learn(1000, reset_num_timesteps=False)
    agent = QLearning(gym.make("FrozenLake-v1"), seed=0).learn(1000)
    path = agent.save(tmp_path / "agent")
    for env in (None, gym.make("FrozenLake-v1"), lambda: gym.make("FrozenLake-v1")):
        loaded = load(path, env)
        assert isinstance(loaded.env, TableEnv)
        assert learned(loaded.learn(1000, reset_num_timesteps=False)) == learned(expected)
        assert (evaluate(loaded).returns == evaluate(expected).returns).all()
    assert (evaluate(agent, gym.make("FrozenLake-v1")).returns == evaluate(agent).returns).all()


def test_another_environment_is_taken_natively_too():
    agent = QLearning("FrozenLake-v1", seed=0).learn(10)
    agent.set_env(gym.make("FrozenLake-v1", is_slippery=False))
    assert isinstance(agent.env, TableEnv)
    assert agent.env.table.probability.max() == 1.0


def test_the_instance_stays_as_it_was_given():
    env = gym.make("FrozenLake-v1")
    QLearning(env, seed=0).learn(100)
    assert env.unwrapped._np_random is None
    assert isinstance(QLearning(env, seed=0).env, TableEnv)  # and may be given again


def test_a_function_that_makes_another_world_each_time_is_called_each_time():
    maps = iter([generate_random_map(8, seed=seed) for seed in range(9)])
    agent = QLearning(lambda: gym.make("FrozenLake-v1", desc=next(maps)), seed=0)
    worlds = [agent.env, *(make_anew(agent.env, "a test") for _ in range(3))]
    assert all(isinstance(world, TableEnv) for world in worlds)
    assert len({world.table.probability.tobytes() + world.table.arrays.next_state.tobytes() for world in worlds}) == 4


def test_an_id_of_another_name_and_what_stands_inside_the_wrappers_run_natively():
    for given in ("CartPole-v0", gym.make("CartPole-v1").unwrapped, lake().unwrapped):
        assert isinstance(make_to_learn_in(given), NATIVE), given


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("env_id", ["CartPole-v1", "FrozenLake-v1", "Taxi-v4"])
def test_of_an_agent_that_learns_twice_nothing_is_said(env_id):
    agent = PPO(env_id, n_steps=64, seed=0) if env_id == "CartPole-v1" else QLearning(env_id, seed=0)
    agent.learn(300)
    agent.learn(300, reset_num_timesteps=False)


def test_what_is_changed_after_an_instance_was_given_is_said_when_an_agent_learns():
    env, used_since = lake(), lake()
    agents = [QLearning(env, seed=0), QLearning(used_since, seed=0), QLearning("FrozenLake-v1", seed=0)]
    env.unwrapped.P[0][1] = [(1.0, 15, 9.0, True)]
    evaluate(agents[1], used_since)  # what a few steps change does not count
    agents[2].env.unwrapped.desc = None
    with pytest.warns(RlplayWarning) as said:
        for agent in agents:
            agent.learn(9)
    first, second = (str(one.message) for one in said)
    assert "has changed since: FrozenLakeEnv.P[0][1] is" in first
    assert "native code, where desc set by hand has no effect" in second


@pytest.mark.parametrize("env_id", [env_id for env_id in IDS if env_id in registry.recipes("NATIVE_VERSIONS")])
def test_constants_and_limits_of_native_code_set_by_hand_reach_evaluations(env_id):
    agent = LinearActorCritic(env_id, seed=0, features="tile-coding:4,n_tilings=2,warm_up=100")
    agent.env.world.parameters[0] *= 1.25
    agent.env.max_episode_steps = 7
    again = make_anew(agent.env, "a test")
    assert (again.world.parameters == agent.env.world.parameters).all()
    assert again.world.parameters is not agent.env.world.parameters
    assert time_limit(again) == time_limit(agent.env) == 7
    with pytest.warns(RlplayWarning, match=rf"world.parameters of {env_id} were set by hand.*{env_id}', \w+=..."):
        say_changes(agent.env)
    if env_id == "CartPole-v1":
        assert evaluate(agent, n_eval_episodes=2).lengths.max() <= 7
    assert (rlplay.make(env_id).world.parameters != again.world.parameters).any()


def gravity(env):
    env.unwrapped.gravity = 20.0


PYTHON = {
    "an instance": lambda: Ten(gym.make("CartPole-v1")),
    "made here": lambda: rlplay.make("CartPole-v1", dynamics="gymnasium"),
    "with a wrapper": lambda: rlplay.make("CartPole-v1", wrapper="gymnasium.wrappers.TimeAwareObservation"),
    "a function": lambda: lambda: Ten(gym.make("CartPole-v1")),
    "around native code": lambda: Ten(rlplay.make("CartPole-v1")),
}


@pytest.mark.filterwarnings("ignore:.*stepped in Python")
@pytest.mark.parametrize("n_envs", [1, 2])
@pytest.mark.parametrize("maker", PYTHON.values(), ids=PYTHON)
def test_what_is_changed_in_an_environment_in_python_is_said_once(maker, n_envs):
    agent = PPO(maker(), n_steps=8, batch_size=8, n_envs=n_envs, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agent.learn(40)
        agent.env.reset()
        agent.env.step(0)  # what a few steps change does not count
        evaluate(agent, n_eval_episodes=1)
        agent.learn(16)  # in an episode of its own
    if isinstance(agent.env.unwrapped, NativeEnv):
        agent.env.factor = 3.0
    else:
        gravity(agent.env)
    with pytest.warns(RlplayWarning, match=r"has changed since.*(gravity is 20.0 now|factor).*set_env") as said:
        evaluate(agent, n_eval_episodes=1)
        agent.learn(40, reset_num_timesteps=False)
    assert len(said) == 1


@pytest.mark.filterwarnings("error", "ignore:.*stepped in Python")
def test_what_cannot_be_made_twice_is_learned_in_without_a_word():
    only = gym.make("CartPole-v1", disable_env_checker=True)
    PPO(rlplay.make(lambda: Ten(only)), n_steps=8, batch_size=8, seed=0).learn(16)


def test_what_was_changed_before_an_environment_made_here_was_given_is_said():
    env = changed(rlplay.make("CartPole-v1", dynamics="gymnasium"), gravity)
    with pytest.warns(RlplayWarning, match=r"gravity is 20.0 now, and 9.8 before.*set_env"):
        PPO(env, n_steps=8, batch_size=8, seed=0).learn(16)


def test_an_instance_that_was_changed_and_is_given_again_is_refused_where_it_has_to_be_made_anew():
    env = gym.make("CartPole-v1")
    agent = PPO(env, n_steps=8, batch_size=8, seed=0)
    gravity(env)
    with pytest.warns(RlplayWarning, match="gravity is 20.0 in the environment that was given"):
        agent.set_env(env)
    assert agent.env is env
    with pytest.raises(errors.UsageError, match="gravity is 20.0 in the environment that was given"):
        evaluate(agent)
    agent.set_env(lambda: changed(gym.make("CartPole-v1"), gravity))
    assert make_anew(agent.env, "a test").unwrapped.gravity == 20.0


# Where the instance's own steps run.


class Ten(gym.RewardWrapper):
    def reward(self, reward):
        return 10 * reward


class OwnLimit(gym.wrappers.TimeLimit):
    def step(self, action):
        return *super().step(action)[:3], False, {}


class OwnPole(CartPoleEnv):
    pass


class OwnLake(FrozenLakeEnv):
    pass


class Alone(CartPoleEnv):
    """Another world, which no other test has compared with the native one."""

    def step(self, action):
        return *super().step(action)[:1], -5.0, False, False, {}


def lake(**kwargs):
    return gym.make("FrozenLake-v1", **kwargs)


def used(env_id, steps=0):
    env = gym.make(env_id)
    env.reset()
    for _ in range(steps):
        env.step(0)
    return env


def changed(env, change):
    change(env)
    return env


def of_another_class(env_id, cls):
    spec = gym.spec(env_id)
    return gym.make(gym.envs.registration.EnvSpec(env_id, cls, max_episode_steps=spec.max_episode_steps))


def stepped_by_hand(env):
    env.step = partial(env.step)


OWN_ROAD = {
    "episodes are counted": (lambda: gym.wrappers.RecordEpisodeStatistics(lake()),
                             "FrozenLake-v1 in RecordEpisodeStatistics is stepped in Python.*'FrozenLake-v1'"),
    "episodes are counted around native code": (
        lambda: gym.wrappers.RecordEpisodeStatistics(rlplay.make("CartPole-v1")), "RecordEpisodeStatistics is Python"),
    "rewards are changed": (lambda: Ten(lake()), "its wrapper Ten is Python.*without Ten"),
    "a limit of another class": (lambda: OwnLimit(lake(), 5), "its wrapper OwnLimit"),
    "a wrapper in the spec": (
        lambda: gym.wrappers.TimeAwareObservation(gym.make("CartPole-v1")).spec, "its wrapper TimeAwareObs"),
    "drawn": (lambda: lake(render_mode="rgb_array"), "render_mode='rgb_array' draws"),
    "reset": (lambda: used("CartPole-v1"), "reset or stepped before"),
    "stepped": (lambda: used("FrozenLake-v1", 1), "reset or stepped before"),
    "reset without its wrappers": (lambda: changed(lake(), lambda env: env.unwrapped.reset()), "reset or stepped"),
    "an attribute": (lambda: changed(gym.make("CartPole-v1"), lambda env: setattr(env.unwrapped, "gravity", 20.0)),
                     "gravity is 20.0 .* and 9.8"),
    "a table": (lambda: changed(lake(), lambda env: env.unwrapped.P[0].update({0: [(1.0, 15, 9.0, True)]})),
                r"P\[0\]\[0\] is"),
    "a method": (lambda: changed(gym.make("CartPole-v1", max_episode_steps=-1), stepped_by_hand), "step was set by"),
    "a method of the world": (lambda: changed(lake(), lambda env: stepped_by_hand(env.unwrapped)), "step is"),
    "a space": (lambda: changed(lake(), lambda env: setattr(env, "action_space", gym.spaces.Discrete(2))), "set by"),
    "a class of one's own": (lambda: of_another_class("CartPole-v1", OwnPole), "OwnPole, not the CartPoleEnv"),
    "a class without an id": (OwnPole, "OwnPole is derived from CartPoleEnv"),
    "Gymnasium's class without its id": (CartPoleEnv, "CartPoleEnv is stepped in Python.*Give the id 'CartPole-v1'"),
    "a table without an id": (FrozenLakeEnv, "toy_text.frozen_lake:FrozenLakeEnv"),
    "a function": (lambda: lambda: Ten(lake()), "its wrapper Ten"),
}  # fmt: skip


@pytest.mark.parametrize(("maker", "words"), OWN_ROAD.values(), ids=OWN_ROAD)
def test_what_cannot_run_natively_runs_as_it_was_given_and_is_said(maker, words):
    given = maker()
    with pytest.warns(RlplayWarning, match=words) as said:
        env = make_to_learn_in(given)
    assert len(said) == 1
    assert "\n" not in str(said[0].message)
    assert not isinstance(env, NATIVE)
    assert env is given or not isinstance(given, gym.Env)
    assert why_not_native(env)


def test_a_wrapper_of_ones_own_in_the_module_is_a_class_to_give():
    with pytest.warns(RlplayWarning, match=f"Give its class as '{__name__}:OwnLake'"):
        make_to_learn_in(OwnLake())


@pytest.mark.parametrize("known", [True, False])
def test_a_spec_of_another_class_is_made_again_of_that_class(known):
    spec = gym.envs.registration.EnvSpec("CartPole-v1" if known else "Alone-v0", Alone, max_episode_steps=3)
    with warnings.catch_warnings(action="ignore"):
        agent = PPO(spec, n_steps=8, batch_size=8, seed=0)
    assert isinstance(agent.env.unwrapped, Alone)
    assert evaluate(agent, n_eval_episodes=2).mean == -15.0


def test_a_class_whose_methods_were_replaced_runs_in_python(monkeypatch):
    for env_id, cls in (("CartPole-v1", CartPoleEnv), ("FrozenLake-v1", FrozenLakeEnv)):
        assert isinstance(make_to_learn_in(env_id), NATIVE)
        original = cls.step
        monkeypatch.setattr(cls, "step", lambda *given, step=original: (*step(*given)[:1], 7.0, False, False, {}))
        for given in (env_id, gym.make(env_id)):
            assert not isinstance(make_to_learn_in(given), NATIVE)


def test_it_is_said_once():
    with pytest.warns(RlplayWarning) as said:
        for _ in range(3):
            QLearning(gym.wrappers.RecordEpisodeStatistics(lake()), seed=0)
    assert len(said) == 1


NOTHING_TO_SAY = {
    "Gymnasium's dynamics are asked for": lambda: rlplay.make("CartPole-v1", dynamics="gymnasium"),
    "around what was asked for": lambda: gym.wrappers.RecordEpisodeStatistics(
        rlplay.make("CartPole-v1", dynamics="gymnasium")
    ),
    "a bonus": lambda: rlplay.make("FrozenLake-v1", bonus="count"),
    "a wrapper by name": lambda: rlplay.make("CartPole-v1", wrapper="gymnasium.wrappers.TimeAwareObservation"),
    "drawn": lambda: rlplay.make("CartPole-v1", render_mode="rgb_array"),
    "no native version": lambda: gym.make("Blackjack-v1"),
    "arguments that the table does not know": lambda: gym.make("Taxi-v4", fickle_passenger=True),
}


@pytest.mark.parametrize("maker", NOTHING_TO_SAY.values(), ids=NOTHING_TO_SAY)
def test_nothing_is_said_where_no_native_code_was_to_be_had_or_something_else_was_asked_for(maker):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = make_to_learn_in(maker())
    assert not isinstance(env, NATIVE)
    assert why_not_native(env)


def test_the_queues_of_a_wrapper_are_filled():
    env = gym.wrappers.RecordEpisodeStatistics(lake())
    with pytest.warns(RlplayWarning, match="is stepped in Python"):
        agent = QLearning(env, seed=0).learn(500)
    assert agent.env is env
    assert len(env.return_queue) == min(agent.statistics.episodes, 100) > 0
    assert "its wrapper RecordEpisodeStatistics is Python" in agent.why_not_compiled()


def test_the_engine_says_the_same_words():
    with pytest.warns(RlplayWarning):
        agents = [QLearning(used("FrozenLake-v1"), seed=0), PPO(used("CartPole-v1"), seed=0)]
    for agent in agents:
        assert "was reset or stepped before it was given. Give the id" in agent.why_not_compiled()


def test_planners_take_instances():
    agent = ValueIteration(gym.make("FrozenLake-v1", is_slippery=False), gamma=0.9).learn(100)
    assert isinstance(agent.env, TableEnv)
    assert evaluate(agent).mean == 1.0


def test_where_two_tables_differ_is_named_to_the_number():
    env = gym.make("FrozenLake-v1")
    env.unwrapped.P[14][2] = [(p, state, 7 * reward, ended) for p, state, reward, ended in env.unwrapped.P[14][2]]
    with pytest.warns(RlplayWarning, match=r"P\[14\]\[2\]\[1\]\[2\] is 7 in the environment.*, and 1 in a new"):
        QLearning(env, seed=0)
    env = gym.make("FrozenLake-v1")
    env.unwrapped.desc[1, 1] = b"F"
    with pytest.warns(RlplayWarning, match=r"desc\[1, 1\] is b'F' in the environment"):
        QLearning(env, seed=0)


def test_a_table_that_was_changed_by_hand_is_said():
    agent = QLearning("FrozenLake-v1", seed=0)
    agent.env.unwrapped.table.arrays.reward[...] *= 7.0
    with pytest.warns(RlplayWarning, match=r"table of FrozenLake-v1 was changed by hand.*agent\.set_env\(make_env\)"):
        agent.learn(100)
