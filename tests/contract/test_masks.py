"""Actions that a mask forbids are never taken, by any registered agent; or that is said when the agent is made."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest

import rlplay
from agents import PPO, QLearning
from rlplay import evaluate, registry
from rlplay.environments.masks import MaskSource
from rlplay.errors import EnvironmentFault, RlplayError, UsageError
from tests.contract.worlds import MASKS, Masked, MaskedStates

SMALL = {
    "ppo": {"n_steps": 32, "batch_size": 32, "n_epochs": 1, "net_arch": [8]},
    "a2c": {"net_arch": [8]},
    "ars": {"n_delta": 2},
    "model-bandit": {"train_freq": 20},
    "cem": {"n_candidates": 4},
    "evolution-strategies": {"n_delta": 2},
    "trpo": {"n_steps": 32, "batch_size": 32, "n_critic_updates": 1, "net_arch": [8]},
    "discrete-sac": {"learning_starts": 20, "net_arch": [8], "buffer_size": 1000, "batch_size": 16},
    "pqn": {"n_envs": 2, "n_steps": 16, "batch_size": 32, "n_epochs": 1, "net_arch": [8]},
    "dqn": {"learning_starts": 20, "net_arch": [8], "buffer_size": 1000},
    "recurrent-dqn": {"learning_starts": 20, "net_arch": [8], "recurrent_size": 8, "buffer_size": 1000},
    "cql": {"dataset": "random:60", "batch_size": 16, "net_arch": [8]},
    "discrete-bcq": {"dataset": "random:60", "batch_size": 16, "net_arch": [8]},
    "discrete-iql": {"dataset": "random:60", "batch_size": 16, "net_arch": [8]},
    "reinforce": {"batch_size": 40, "net_arch": [8]},
    "mcts": {"simulations": 4, "depth": 4},
    "fitted-q": {"train_freq": 30, "n_iterations": 2, "model": "decision-tree", "n_eval_episodes": 2},
    "neural-fitted-q": {"train_freq": 30, "n_iterations": 1, "n_epochs": 1},
    "lspi": {"train_freq": 30, "n_iterations": 2},
    "gp-sarsa": {"dictionary_size": 10},
    "behavior-cloning": {"teacher": lambda obs: int(np.ravel(obs)[0] * 2 + 1) % 3, "train_freq": 20},
    "dagger": {"teacher": lambda obs: int(np.ravel(obs)[0] * 2 + 1) % 3, "train_freq": 20},
}
# They follow a policy that is given, or a library that has no masks.
SAID = {"emphatic-td", "gradient-td", "lstd", "td-prediction", "sb3/a2c", "sb3/dqn", "sb3/ppo"}
# They need Box actions, a transition table, or no states at all.
NOT_HERE = {
    **dict.fromkeys(("ddpg", "iql", "sac", "td3", "td3-bc", "tqc"), "a Box"),
    **dict.fromkeys(("sb3/ddpg", "sb3/sac", "sb3/td3"), "Box actions"),
    **dict.fromkeys(("policy-evaluation", "policy-iteration", "value-iteration", "real-time-dp"), "table"),
}


def make(agent_id, kind):
    """The agent in the masked world that fits it."""
    cls = registry.agent_class(agent_id)
    settings = SMALL.get(agent_id, {})
    try:
        return cls(MASKS[kind](Masked), seed=0, **settings)
    except RlplayError:
        return cls(MASKS[kind](MaskedStates), seed=0, **settings)


def forbidden():
    """How many of the actions taken were forbidden; the count begins anew."""
    count = len(Masked.taken) - sum(Masked.taken)
    assert Masked.taken
    Masked.taken.clear()
    return count


@pytest.mark.parametrize("agent_id", sorted(set(registry.agent_ids()) - set(NOT_HERE)))
@pytest.mark.filterwarnings("ignore")
def test_what_is_forbidden_is_never_done(agent_id, tmp_path):
    for kind in MASKS:
        Masked.taken.clear()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            agent = make(agent_id, kind)
            made = {str(one.message) for one in seen}
            agent.learn(120)
        said = any("mask" in str(one.message) for one in seen)
        if agent_id in SAID:
            assert said, f"{agent_id} does not say that it ignores masks ({kind})"
            assert kind == "info" or any("mask" in words for words in made), "said late"
            Masked.taken.clear()
        else:
            assert not said
            assert forbidden() == 0, f"learning ({kind})"
        for deterministic in (True, False):
            evaluate(agent, n_eval_episodes=2, deterministic=deterministic)
            assert forbidden() == 0, f"evaluate ({kind}, {deterministic})"


@pytest.mark.parametrize("agent_id", sorted(NOT_HERE))
def test_the_others_refuse_the_world_by_name(agent_id):
    with pytest.raises(RlplayError, match=NOT_HERE[agent_id]):
        make(agent_id, "method").learn(10)


@pytest.mark.filterwarnings("ignore:PPO.predict takes the action mask")
def test_a_loop_of_ones_own_takes_what_is_allowed():
    env = Masked()
    agent = PPO(env, seed=0, **SMALL["ppo"]).learn(64)
    Masked.taken.clear()
    obs, _ = env.reset(seed=1)
    for _ in range(200):
        obs, _, _, truncated, _ = env.step(agent.predict(obs)[0])
        if truncated:
            obs, _ = env.reset()
    assert forbidden() == 0


def test_a_prediction_without_a_mask_is_refused_where_nothing_tells_it():
    env = MASKS["info"](Masked)()
    agent = PPO(env, seed=0, **SMALL["ppo"]).learn(64)
    obs, info = env.reset(seed=1)
    with pytest.raises(UsageError, match=r"masks its actions.*action_masks="):
        agent.predict(obs)
    masks = np.array([[True, False, False], [False, False, True]])
    actions, _ = agent.predict(np.stack([obs, obs]), action_masks=masks)
    assert actions.tolist() == [0, 2]
    for wrong in ([True, False], [0, 0, 0], "abc"):  # the caller's fault, not the environment's
        with pytest.raises(UsageError, match=r"PPO.predict\(..., action_masks=...\) gave "):
            agent.predict(obs, action_masks=wrong)
    assert agent.predict(obs, action_masks=info["action_mask"])[0] != env.forbidden


def test_states_whose_masks_were_seen_need_no_mask():
    env = MASKS["info"](MaskedStates)()
    agent = QLearning(env, seed=0).learn(500)
    actions, _ = agent.predict(np.arange(3), deterministic=True)
    assert (actions != np.arange(3)).all()


class Bad(Masked):
    def action_masks(self):
        return self.given


WRONG = [
    ([0, 0, 0], "allows no action"), ([1, 1], "2 entries for 3 actions"), (["a"] * 3, "action mask"),
    ([np.nan] * 3, "gave the action mask"), ("abc", "action mask 'abc'"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "words"), WRONG)
@pytest.mark.parametrize("cls", [QLearning, PPO])
def test_masks_that_cannot_be_stop_the_run(cls, given, words):
    class World(Bad):
        observation_space = MaskedStates.observation_space if cls is QLearning else Masked.observation_space
        observation = MaskedStates.observation if cls is QLearning else Masked.observation

    World.given = given
    with pytest.raises(EnvironmentFault, match=words):
        cls(World, seed=0).learn(2048)


class Parts(Masked):
    """An action of two parts, each with a mask of its own: Stable-Baselines3-contrib's convention."""

    action_space = gym.spaces.MultiDiscrete([3, 2])

    def mask(self):
        return np.concatenate([np.arange(3) != self.forbidden, [self.t % 2 == 0, True]])

    def step(self, action):
        first, second = np.asarray(action).tolist()
        Masked.taken.append(bool(self.mask()[first] and self.mask()[3 + second]))
        self.t += 1
        self.draw()
        return self.observation(), float(first), False, self.t >= 20, {}


@pytest.mark.parametrize("agent_id", ["ppo", "fitted-q", "linear-sarsa"])
def test_actions_of_several_parts(agent_id):
    Masked.taken.clear()
    agent = registry.agent_class(agent_id)(Parts, seed=0, **SMALL.get(agent_id, {})).learn(100)
    assert forbidden() == 0
    evaluate(agent, n_eval_episodes=2, deterministic=False)
    assert forbidden() == 0


class Changing(MaskedStates):
    """The same state is masked now so and now otherwise."""

    observation_space = gym.spaces.Discrete(1)

    def observation(self):
        return 0


def test_a_table_refuses_masks_that_are_not_the_states():
    with pytest.raises(EnvironmentFault, match="changed the action mask of observation 0 from .* a table has one"):
        QLearning(Changing, seed=0).learn(200)


class Property(MaskedStates):
    @property
    def action_masks(self):
        return self.mask().tolist()


class Sometimes(Masked):
    action_masks = None

    def info(self):
        return {"action_mask": self.mask()} if self.t % 2 else {}

    def mask(self):
        return np.arange(3) != self.forbidden if self.t % 2 else np.ones(3, bool)


OTHERS = [(Property, "q-learning"), (Sometimes, "ppo"), (Sometimes, "linear-q-learning"), (Sometimes, "reinforce")]


@pytest.mark.parametrize(("world", "agent_id"), OTHERS)
def test_masks_of_other_kinds(world, agent_id):
    Masked.taken.clear()
    agent = registry.agent_class(agent_id)(world, seed=0, **SMALL.get(agent_id, {})).learn(120)
    assert forbidden() == 0
    evaluate(agent, n_eval_episodes=2)
    assert forbidden() == 0


class Permuted(gym.ActionWrapper):
    def action(self, action):
        return (action + 1) % 3


class Turned(gym.ObservationWrapper):
    def observation(self, observation):
        return 499 - observation


@pytest.mark.parametrize("kind", ["method", "info"])
def test_a_wrapper_that_changes_actions_needs_masks_of_its_own(kind):
    with pytest.raises(EnvironmentFault, match="the wrapper Permuted changes actions"):
        QLearning(Permuted(MASKS[kind](MaskedStates)()), seed=0).learn(20)


def test_states_under_a_wrapper_have_the_masks_that_were_seen_there():
    agent = QLearning(Turned(gym.make("Taxi-v4")), seed=0).learn(3000)
    env, wrong = agent.get_env(), 0
    obs, info = env.reset(seed=3)
    for _ in range(200):
        action, _ = agent.predict(obs)
        wrong += agent.allowed[obs].all() < 1 and not info["action_mask"][action]
        obs, _, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            obs, info = env.reset()
    assert wrong == 0


def test_the_mask_of_a_table_is_that_of_the_state_now():
    """A source that was made before the first step follows the environment."""
    env = rlplay.make("Taxi-v4")
    source = MaskSource(env)
    _, info = env.reset(seed=1)
    masks = [source.of(info).tolist()]
    for action in (1, 2, 0):
        info = env.step(action)[-1]
        assert source.of(info).tolist() == info["action_mask"].astype(bool).tolist()
        masks.append(source.of(info).tolist())
    assert len({tuple(mask) for mask in masks}) > 1
