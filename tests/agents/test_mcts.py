"""Monte Carlo tree search: finds what is best, in table worlds, native twins and environments that are replayed."""

from __future__ import annotations

from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from agents import MCTS, ValueIteration
from agents.mcts import Bounds, Node, backup, upper_bound
from rlplay import evaluate, load, make
from rlplay.errors import UsageError


def test_the_bound_and_the_backup():
    node = Node([3, 1, 0], [1.0, 2.0, 0.0])
    bounds = Bounds(0.0, 4.0)
    assert upper_bound(node, 0, bounds, 1.0) == pytest.approx(0.25 + np.sqrt(np.log(4) / 3))
    assert upper_bound(node, 2, bounds, 1.0) == np.inf
    root = Node([0, 0], [0.0, 0.0])
    backup([(root, 1, 2.0), (node, 1, 1.0)], 10.0, 0.5, bounds)
    assert node.values[1] == pytest.approx((2.0 + 6.0) / 2)  # 1 + .5 * 10
    assert root.values[1] == pytest.approx(5.0)  # 2 + .5 * 6
    assert root.best == 1


def test_with_many_simulations_it_chooses_as_the_exact_values_do():
    q = ValueIteration("FrozenLake-v1", gamma=0.99).learn(1000).q_values()
    agent = MCTS("FrozenLake-v1", simulations=20_000, gamma=0.99, seed=0)
    for state in (14, 10):
        assert agent.predict(state, deterministic=True)[0] == q[state].argmax()


@pytest.mark.parametrize(
    ("env", "settings", "least"),
    [
        (lambda: make("FrozenLake-v1", is_slippery=False), {"simulations": 300}, 1.0),
        (lambda: make("CartPole-v1", max_episode_steps=150), {"simulations": 30, "depth": 60}, 150),
        (lambda: make("CartPole-v1", max_episode_steps=40, dynamics="gymnasium"), {"simulations": 20, "depth": 30}, 40),
    ],
    ids=["table", "twin", "replayed"],
)
def test_it_plays_well(env, settings, least):
    made = env()
    assert evaluate(MCTS(made, seed=0, **settings), made, n_eval_episodes=1).mean >= least


def test_blackjack_is_replayed_with_other_cards():
    """Its deck is no part of the plan: it does not win every game, as it would if it foresaw the cards."""
    result = evaluate(MCTS("Blackjack-v1", simulations=60, depth=10, gamma=1.0, seed=0), n_eval_episodes=60)
    assert -0.6 < result.mean < 0.5


def test_it_takes_only_actions_that_may_be_taken():
    """Other actions raise; planning with few simulations it may be wrong about left and right, but not about those."""
    agent = MCTS("rlplay/MaximizationBias-v0", simulations=40, seed=0).learn(40)
    assert agent.statistics.episodes >= 20


class Unseeded(gym.Env):
    """Draws numbers that its seed does not set."""

    metadata: ClassVar[dict] = {"render_modes": []}
    observation_space, action_space = gym.spaces.Discrete(50), gym.spaces.Discrete(2)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return int(np.random.randint(50)), 1.0, False, False, {}


def test_what_it_cannot_plan_is_named(monkeypatch):
    agent = MCTS("CartPole-v1", simulations=5, seed=0)
    with pytest.raises(UsageError, match="agent.observe_position"):
        agent.predict(np.zeros(4, np.float32))
    with pytest.raises(UsageError, match="the arguments of Unseeded are not known"):
        MCTS(Unseeded(), seed=0).learn(1)
    monkeypatch.setitem(gym.registry, "test/Unseeded-v0", EnvSpec("test/Unseeded-v0", Unseeded))
    with pytest.raises(UsageError, match="draws random numbers that its seed does not set"):
        MCTS("test/Unseeded-v0", seed=0).learn(1)


def test_the_tree_is_there_to_be_drawn():
    agent = MCTS("FrozenLake-v1", simulations=100, seed=0)
    root = agent.tree(0)
    assert sum(root.visits) == 100
    assert {action for action, _ in root.children} == {0, 1, 2, 3}
    assert agent.tree(0) is root  # searched once, drawn in every frame
    path = agent.learn(10).save("m")
    assert load(path).num_timesteps == 10
