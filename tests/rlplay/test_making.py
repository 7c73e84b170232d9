from __future__ import annotations

import sys
import textwrap
from types import ModuleType

import gymnasium as gym
import numpy as np
import pytest

from agents import QLearning
from rlplay import make, registry
from rlplay.compiled.table import TableEnv, agreement, table_of
from rlplay.environments.make import make_anew, reference, remake, with_first_states
from rlplay.errors import EnvironmentFault, SpaceError, UsageError

MODULE = """
    import gymnasium as gym
    from gymnasium.envs.toy_text.utils import categorical_sample
    import numpy as np

    class Coin(gym.Env):
        '''Two states, a table, and random numbers of its own kind.'''
        metadata = {"render_modes": []}
        def __init__(self, bias=0.5, render_mode=None):
            self.observation_space = gym.spaces.Discrete(2)
            self.action_space = gym.spaces.Discrete(2)
            self.P = {s: {a: [(bias, 0, 0.0, False), (1 - bias, 1, 1.0, True)] for a in (0, 1)} for s in (0, 1)}
            self.render_mode = render_mode
        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return 0, {}
        def step(self, action):
            heads = self.np_random.integers(2) == 0
            return int(not heads), float(not heads), not heads, False, {}

    class Liar(Coin):
        def step(self, action):
            return 1, 5.0, False, False, {}

    class NotAnEnv:
        pass
"""


@pytest.fixture
def coin(tmp_path, monkeypatch):
    (tmp_path / "coins.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "coins"
    sys.modules.pop("coins", None)


@pytest.mark.parametrize(
    "env_id", ["FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "CliffWalkingSlippery-v1", "Taxi-v4"]
)
def test_native_dynamics_are_gymnasiums_to_the_bit(env_id):
    native, own = make(env_id), make(env_id, dynamics="gymnasium")
    assert isinstance(native, TableEnv)
    choices = np.random.default_rng(0)
    for seed in range(30):
        assert native.reset(seed=seed)[0] == own.reset(seed=seed)[0]
        for _ in range(120):
            action = int(choices.integers(own.action_space.n))
            mine, theirs = native.step(action)[:4], own.step(action)[:4]
            assert mine == theirs
            if mine[2] or mine[3]:
                break


def test_a_class_of_ones_own_runs_natively_by_its_table(coin):
    env = make("coins:Coin")
    assert isinstance(env, TableEnv)
    assert reference(env).dynamics == "native, drawn from its table"
    assert not reference(env).exact
    agent = QLearning(env, alpha="lin_0.1_0.001", gamma=1.0, seed=0).learn(100_000, engine="compiled")
    assert agent.q[0] == pytest.approx([1.0, 1.0], abs=0.01)


def test_a_table_that_lies_is_not_used(coin):
    env = make("coins:Liar")
    assert not isinstance(env, TableEnv)
    with pytest.raises(SpaceError, match="does not describe what it does"):
        make("coins:Liar", dynamics="native")


def test_arguments_that_the_table_does_not_know(coin):
    assert isinstance(make("Taxi-v4", is_rainy=True), TableEnv)
    assert not isinstance(make("Taxi-v4", fickle_passenger=True), TableEnv)


def test_rendered_environments_and_instances_run_their_own_dynamics():
    assert not isinstance(make("FrozenLake-v1", render_mode="rgb_array"), TableEnv)
    instance = gym.make("FrozenLake-v1")
    assert make(instance) is instance
    with pytest.raises(UsageError, match="not with an instance"):
        make(instance, is_slippery=False)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("FrozenLak-v1", "Did you mean FrozenLake-v1"),
        ("frozenlake-v1", "Did you mean FrozenLake-v1"),
        ("GridWorld-v0", "Did you mean rlplay/GridWorld-v0"),
        ("Taxi", "Taxi-v4"),
        ("coins:Coyn", "Did you mean Coin"),
        ("coins:NotAnEnv", "not a gymnasium.Env"),
        ("nowhere:Coin", "no module 'nowhere'"),
        ("coins", "unknown environment"),
    ],
)
def test_unknown_environments(coin, name, words):
    with pytest.raises(UsageError, match=words):
        make(name)


def test_bad_arguments_are_named():
    with pytest.raises(UsageError, match=r"FrozenLake-v1 does not take.*nonsense"):
        make("FrozenLake-v1", nonsense=1)
    with pytest.raises(UsageError, match="render_mode='cinema'"):
        make("FrozenLake-v1", render_mode="cinema")


def test_a_reference_makes_the_same_environment_again():
    env = make("FrozenLake-v1", is_slippery=False)
    assert reference(env).kwargs == {"is_slippery": False}
    assert table_of(remake(reference(env))).probability.max() == 1.0
    assert str(reference(env)) == "FrozenLake-v1 (is_slippery=False)"


def test_bad_tables_are_named(coin):
    env = gym.make("FrozenLake-v1").unwrapped
    env.P[3][1] = [(0.5, 3, 0.0, False)]
    with pytest.raises(SpaceError, match=r"state 3, action 1 sum to 0\.5"):
        table_of(env)
    env.P[3][1] = [(1.0, 99, 0.0, False)]
    with pytest.raises(SpaceError, match=r"outside 0\.\.15"):
        table_of(env)
    for wrong in (
        [(1.0, 9, 0.0)],
        [(1.0, 9.5, 0.0, False)],
        [(1.0, float("inf"), 0.0, False)],
        [(1.0, 9, 0.0, None)],
        3,
    ):
        env.P[3][1] = wrong
        with pytest.raises(SpaceError, match="is not a list of"):
            table_of(env)
    del env.P[3][1]
    with pytest.raises(SpaceError, match="is not a list of"):
        table_of(env)


def test_the_table_is_shared_and_first_states_of_ones_own_are_not():
    env = make("FrozenLake-v1", max_episode_steps=7)
    env.reset(seed=0)
    again = make_anew(env, "a test")
    assert again.table is env.table
    assert (again.state, again.max_episode_steps, reference(again)) == (-1, 7, reference(env))
    assert again.action_space is not env.action_space
    assert make_anew(env, "a test", max_episode_steps=3).max_episode_steps == 3
    started = with_first_states(env, np.eye(16)[14])
    assert make_anew(started, "a test").table.start[0] == 1.0


def test_table_env_misuse():
    env = make("FrozenLake-v1")
    with pytest.raises(EnvironmentFault, match="before reset"):
        env.step(0)
    env.reset()
    with pytest.raises(SpaceError, match=r"9 is not in Discrete\(4\)"):
        env.step(9)


def test_agreement_tells_exact_law_and_none(coin):
    lake = gym.make("FrozenLake-v1")
    assert agreement(lake, table_of(lake)) == "exact"
    other = gym.make("FrozenLake-v1", is_slippery=False)
    assert agreement(other, table_of(lake)) == "none" or agreement(lake, table_of(other)) == "none"


def test_vector_environments_are_refused_by_name():
    with pytest.raises(SpaceError, match="VectorEnv of 2"):
        QLearning(gym.make_vec("FrozenLake-v1", num_envs=2), seed=0)


def test_registry_names_the_nearest_and_keeps_ids():
    with pytest.raises(UsageError, match=r"unknown agent 'q-lerning'. Did you mean q-learning"):
        registry.agent_class("q-lerning")
    registry.register("mine", QLearning)
    assert registry.agent_class("mine") is QLearning
    registry.register("by-name", "agents.q_learning:QLearning")
    assert registry.agent_class("by-name") is QLearning
    with pytest.raises(UsageError, match="taken"):
        registry.register("sarsa", QLearning)
    registry._registered.clear()


def test_a_class_of_a_notebook_is_listed_with_its_first_sentence(monkeypatch):
    """Its module has no file."""
    found = type("Mine", (), {"id": "of-a-notebook", "__doc__": "It learns.\n\nSlowly.", "__module__": "a_notebook"})
    monkeypatch.setitem(registry._registered, "of-a-notebook", found)
    monkeypatch.setitem(sys.modules, "a_notebook", ModuleType("a_notebook"))
    assert registry.source_of(registry.AGENTS, "of-a-notebook") is None
    assert registry.summary(registry.AGENTS, "of-a-notebook") == "It learns."
    monkeypatch.delitem(sys.modules, "a_notebook")
    assert registry.source_of(registry.AGENTS, "of-a-notebook") is None


def test_a_registry_that_a_test_puts_back_takes_no_time_limit_away(monkeypatch):
    """Ids that were registered after the copy was taken are registered again, with their limits."""
    for name in [one for one in gym.registry if one.startswith("rlplay/")]:
        monkeypatch.delitem(gym.registry, name)
    assert make("rlplay/Bandit-v0").spec.max_episode_steps == 1000
    assert "rlplay/CartPole-v1" in gym.registry
